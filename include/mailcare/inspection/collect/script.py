"""The collector: a read-only POSIX shell script, made from the asks of the checks themselves.

It runs on dash, bash and busybox, writes nothing on the host, gives every command a time limit,
and streams each answer in a frame as soon as it is ready (`frames` reads them). The same text goes
over SSH's standard input and into the hands of a customer who allows no remote login.
"""

import hashlib
import json
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence

from mailcare.inspection.check import Ask, Channel
from mailcare.inspection.checks import all_checks
from mailcare.inspection.hosts import CUT, NOT_FOUND
from mailcare.inspection.planning import plan_inspection
from mailcare.systems.profile import profile_names
from mailcare.systems.site import Site
from mailcare.systems.system import System

SAMPLE_WINDOW_S = 2
ANSWER_LIMIT_BYTES = 2 * 1024 * 1024
KEY_DIGITS = 16

_HEAD = """\
#!/bin/sh
# 邮件系统巡检采集脚本（只读）
# 用途：读取系统版本、负载、磁盘、进程、端口、邮件队列等运行状态，供工程师判读。
# 说明：只执行下方 ask 开头的各条查询命令；不写入、不修改、不安装任何内容，不访问网络。
#       不读取邮件正文，也不读取口令或密钥。每条命令都有时限。普通用户即可运行。
# 用法：sh collect.sh > reply.txt ，完成后请将 reply.txt 原样（最好压缩后）交回。
LC_ALL=C
PATH=${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL PATH
exec 2>/dev/null
nl='
'
"""

# Only GNU timeout (since 8.13, which knows --foreground) ends a command with all its children;
# busybox's ends the first process alone, and the others would hold the answer open. Elsewhere a
# watchdog does it, by process group where there is setsid. Its own processes must not hold the
# answer open either, or every answer would take the whole limit.
_LIMITED = """\
if timeout --foreground -k 1 5 true; then
  limited() { limit_s=$1; shift; timeout -k 1 "$limit_s" "$@" 2>&1; }
else
  group= apart=
  if setsid true; then apart=setsid group=-; fi
  limited() {
    limit_s=$1; shift
    $apart "$@" 2>&1 &
    worker=$!
    (
      trap 'kill "$nap"; exit' TERM
      sleep "$limit_s" & nap=$!
      wait "$nap"
      kill -TERM "$group$worker"
      sleep 1
      kill -KILL "$group$worker"
    ) >/dev/null &
    watchdog=$!
    wait "$worker"
    ended=$?
    kill -TERM "$watchdog"
    return "$ended"
  }
fi
if [ "$(printf xyz | head -c 2)" = xy ]; then
  shorten() { head -c @LIMIT@; }
else
  shorten() { cat; }
fi
"""

# The answer goes through descriptor 4, the command's exit code through 3; the code then stands
# behind the answer, so that no trailing line end of the answer is lost in $( ).
_ASK = """\
ask() {
  key=$1 allowed_s=$2; shift 2
  if command -v "$1" >/dev/null; then
    out=$(
      {
        code=$(
          {
            { limited "$allowed_s" "$@" </dev/null 3>&- 4>&-; echo "$?" >&3; } |
              shorten >&4 3>&-
          } 3>&1
        )
        printf '\\n%s' "$code"
      } 4>&1
    )
  else
    out="$1: not found${nl}@NOT_FOUND@"
  fi
  code=${out##*"$nl"}
  out=${out%"$nl"*}
  case $code in
    124 | 137 | 143) code=124 ;;
    '' | *[!0-9]*) code=125 ;;
  esac
  [ "${#out}" -lt @LIMIT@ ] || code=@CUT@
  printf '==mailcare:1:reply== %s %s %s\\n%s\\n' "$key" "$code" "${#out}" "$out"
}
"""


def ask_key(ask: Ask) -> str:
    """Return what names an ask in a frame: the same for the same words on any host."""
    text = json.dumps([ask.channel, ask.words, ask.sample], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]


def collector_script(asks: Sequence[Ask]) -> str:
    """Return the script that answers the SSH asks; asks without words are no commands.

    Commands that are asked for several samples run first, and again each time that
    `SAMPLE_WINDOW_S` has passed; the others run meanwhile.
    """
    commands = {ask_key(ask): ask for ask in asks if ask.channel is Channel.SSH and ask.words}
    text = _HEAD + _LIMITED + _ASK + "\n".join([*_sampling(commands), *_main(commands), "main", ""])
    values = {"@LIMIT@": ANSWER_LIMIT_BYTES, "@CUT@": CUT, "@NOT_FOUND@": NOT_FOUND}
    for mark, value in values.items():
        text = text.replace(mark, str(value))
    return text


def windows_of(asks: Iterable[Ask]) -> int:
    """Return how many sampling windows pass while the asks are answered."""
    return max((ask.sample for ask in asks), default=1) - 1


# Samples are taken between two other commands, never beside one: a frame must stay in one piece.
# Each names its own moment (/proc/uptime), so a command that takes long does no harm.
_WINDOWS = """\
taken=0
take() {
  taken=$((taken + 1))
  sample "$taken"
  [ "$taken" -ge @SAMPLES@ ] || open_window
}
open_window() { sleep @WINDOW@ >/dev/null & window=$!; }
take_due() { [ "$taken" -ge @SAMPLES@ ] || kill -0 "$window" || take; }
take_rest() { while [ "$taken" -lt @SAMPLES@ ]; do wait "$window"; take; done; }"""


def _sampling(commands: Mapping[str, Ask]) -> list[str]:
    windows = windows_of(commands.values())
    if not windows:
        return []
    text = _WINDOWS.replace("@SAMPLES@", str(windows + 1))
    lines = text.replace("@WINDOW@", str(SAMPLE_WINDOW_S)).splitlines()
    lines += ["sample() {", "case $1 in"]
    for number in range(1, windows + 2):
        due = [ask for ask in _sampled(commands) if ask.sample == number]
        lines += [f"{number})", *map(_line, due), ";;"]
    return [*lines, "esac", "}"]


def _sampled(commands: Mapping[str, Ask]) -> list[Ask]:
    words = {ask.words for ask in commands.values() if ask.sample > 1}
    return [ask for ask in commands.values() if ask.words in words]


def _main(commands: Mapping[str, Ask]) -> list[str]:
    sampled = _sampled(commands)
    lines = ["main() {", "now=$(date +%s) host=$(uname -n)"]
    lines += [_printed("begin", f'"${{now:-0}}" {len(commands)} "${{host:-unknown}}"')]
    lines += ["take"] if sampled else []
    for ask in commands.values():
        if ask not in sampled:
            lines += [_line(ask), *(["take_due"] if sampled else [])]
    lines += ["take_rest"] if sampled else []
    return [*lines, _printed("end", f"- {len(commands)} -"), "}"]


def _printed(kind: str, words: str) -> str:
    return f"printf '==mailcare:1:{kind}== %s %s %s\\n' {words}"


def _line(ask: Ask) -> str:
    return f"ask {ask_key(ask)} {max(1, math.ceil(ask.timeout_s))} {shlex.join(ask.words)}"


def system_script(system: System) -> str:
    """Return the collector for one customer's system, its profile overrides included."""
    return collector_script(plan_inspection(system, all_checks()).asks())


def general_script() -> str:
    """Return the collector for any system of a shipped profile."""
    return collector_script([ask for system in _placeholders() for ask in _asks(system)])


def _asks(system: System) -> Iterable[Ask]:
    return plan_inspection(system, all_checks()).asks()


def _placeholders() -> Iterable[System]:
    for name in profile_names():
        site = Site.model_validate(
            {
                "schema": 1,
                "site": "any",
                "customer": {"name": "-", "contacts": [{"name": "-"}]},
                "system": {"title": "-", "profile": name},
                "domains": [{"name": "any.invalid"}],
                "nodes": [
                    {
                        "name": "any",
                        "hostname": "any.invalid",
                        "address": "192.0.2.1",
                        "roles": ["mail", "backup"],
                    }
                ],
            }
        )
        yield System(site, site.profile())
