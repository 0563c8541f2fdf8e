#!/bin/sh
# LAB STAND-IN, not the product: Postfix and Dovecot behind an invented TurboMail layout.
case ${1:-} in
start) postfix start && dovecot ;;
stop)
  postfix stop
  doveadm stop
  ;;
status)
  running=0
  for process in master dovecot; do
    if pgrep -x "$process" >/dev/null; then echo "$process running"; else echo "$process stopped"; running=3; fi
  done
  exit "$running"
  ;;
version) cat /opt/turbomail/version.txt ;;
*)
  echo "usage: turbomail.sh start|stop|status|version" >&2
  exit 2
  ;;
esac
