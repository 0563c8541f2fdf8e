# The agent for a host without Python 3.6: POSIX sh with the tools of coreutils or of busybox.
#
# It speaks as script.py does: a header, records, a heartbeat in what takes long, a trailer with the
# number and the SHA-256 of all lines before it. The job stands above this text in variables: TASK,
# ROOT, CURSOR and PATHS (a line each), all bytes as octal escapes, and FIRST, a number. What it
# cannot do it refuses. Nothing is written anywhere.

LC_ALL=C; export LC_ALL
MARK=$(printf '\001\002\003')  # after a name, which may hold anything, a line's end too
FACTS="%f %s %Y %Z %i %n$MARK"
BLOCKS_A_SECOND=47  # of 1 MiB
renice -n 19 $$ >/dev/null 2>&1
ionice -c 3 -p $$ >/dev/null 2>&1

say() { printf '%s\n' "$1"; }
beat() { say '{"kind":"heartbeat","cursor":null,"counters":{}}'; }
refuse() { say "{\"kind\":\"refused\",\"code\":\"$1\",\"text\":\"$2\"}"; }
encoded() { base64 | tr -d '\n'; }

# Write names that end in NUL as lines of octal escapes; a slash sorts before everything else.
as_lines() {
  od -An -v -to1 | awk '{ for (f = 1; f <= NF; f++)
    if ($f == "000") { print name; name = "" } else name = name "\\" ($f == "057" ? "000" : $f) }'
}

as_paths() { awk '{ gsub(/\\000/, "\\057"); print }'; }

# Tell every folder behind the cursor, each before those in it.
folders() {
  find . -type d -print0 | as_lines | sort |
    awk -v cursor="$CURSOR" '{ gsub(/\\/, "/") } cursor == "" || $0 > cursor' | tr / '\\' | as_paths
}

# Turn what `stat` says, in hexadecimal, into records: a name is a row of bytes, no text.
records() {
  od -An -v -tx1 | awk '
    function b64(hex,   out, i, n, a, b, c) {
      n = length(hex)
      for (i = 1; i <= n; i += 6) {
        a = value[substr(hex, i, 2)]
        b = i + 2 <= n ? value[substr(hex, i + 2, 2)] : 0
        c = i + 4 <= n ? value[substr(hex, i + 4, 2)] : 0
        out = out sign[int(a / 4)] sign[a % 4 * 16 + int(b / 16)]
        out = out (i + 2 <= n ? sign[b % 16 * 4 + int(c / 64)] : "=")
        out = out (i + 4 <= n ? sign[c % 64] : "=")
      }
      return out
    }
    function tell(last) {
      if (folder == "none") return
      printf "{\"kind\":\"folder\",\"path\":\"%s\",\"files\":[%s],", b64(folder), files
      printf "\"last\":%s,\"written\":%s}\n", last, written
      files = ""; held = 0
    }
    function begin(path) {
      tell("true")
      sub(/^2e2f/, "", path); sub(/2f2e$/, "", path)
      folder = path == "2e" ? "" : path; written = "0"
    }
    function special(name) {
      printf "{\"kind\":\"special\",\"path\":\"%s\",\"mode\":%s}\n",
        b64(folder == "" ? name : folder "2f" name), mode[type]
    }
    function base(path,   i) {
      for (i = length(path) - 1; i > 0; i -= 2) if (substr(path, i, 2) == "2f") break
      return substr(path, i + 2)
    }
    function take(line,   i, text, spaces, part) {
      for (i = 1; spaces < 5 && i < length(line); i += 2) {
        if (substr(line, i, 2) == "20") spaces++
        text = text letter[substr(line, i, 2)]
      }
      line = substr(line, i); split(text, part, " ")
      type = substr(part[1], 1, length(part[1]) - 3)
      if (part[1] == "folder") begin(line)
      else if (type == "8") {
        if (held == 500) tell("false")
        files = files (held++ ? "," : "") "[\"" b64(base(line)) "\"," part[2] "," part[3]
        files = files "," part[5] "]"
        if (part[4] + 0 > written + 0) written = part[4]
      } else if (type != "4") special(base(line))
    }
    BEGIN {
      digits = "0123456789abcdef"; folder = "none"
      for (i = 0; i < 256; i++) {
        hex = substr(digits, int(i / 16) + 1, 1) substr(digits, i % 16 + 1, 1)
        value[hex] = i
        if (i > 31 && i < 127) letter[hex] = sprintf("%c", i)
      }
      signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
      for (i = 0; i < 64; i++) sign[i] = substr(signs, i + 1, 1)
      mode["1"] = "4096"; mode["2"] = "8192"; mode["6"] = "24576"
      mode["a"] = "40960"; mode["c"] = "49152"
    }
    { for (f = 1; f <= NF; f++) {
        if ($f != "0a" || last != "010203") { line = line $f; last = substr(last $f, length(last $f) - 5) }
        else { take(substr(line, 1, length(line) - 6)); line = last = "" } } }
    END { tell("true") }'
}

# A link to a folder elsewhere is a way that no walk goes: what lies behind it was not read.
links_out() {
  find . -type l -exec sh -c 'top=$(pwd -P)
    for one; do
      place=$(cd "$one" 2>/dev/null && pwd -P) || continue
      case $place/ in "$top"/*) ;; *) printf "%s\\0" "${one#./}" ;; esac
    done' sh {} + | as_lines
}

walk() {
  ( while sleep 5 >/dev/null 4>&-; do beat >&4; done ) & beats=$!
  found=$(folders)
  kill $beats
  printf '%s\n' "$found" | while IFS= read -r escaped; do
    [ -n "$escaped" ] || continue
    folder=$(printf "$escaped/.")
    printf 'folder 0 0 0 0 %s\n' "$folder$MARK"
    find "$folder" ! -name . -prune -print0 | xargs -0 -r stat -c "$FACTS" --
  done
}

# What tools complain of are problems; which file each is about, their texts say.
list_tree() {
  [ -n "$CURSOR" ] || links_out | while IFS= read -r escaped; do
    problem "$(printf "$(printf '%s\n' "$escaped" | as_paths)" | encoded)" 'a link out of this folder'
  done
  told=$({ walk | records >&4; } 2>&1)
  printf '%s\n' "$told" | while IFS= read -r text; do
    case $text in
      '' | *Terminated*) continue ;;
      *) problem '' "$text" ;;
    esac
  done
}

problem() {
  case $2 in
    *'No such file'*) what=gone ;;
    *'Input/output error'* | *'Stale file handle'* | *'needs cleaning'*) what=alarm ;;
    *) what=unreadable ;;
  esac
  text=$(printf '%s' "$2" | tr -c ' !#-[]-~' '?')
  say "{\"kind\":\"problem\",\"what\":\"$what\",\"path\":\"$1\",\"text\":\"$text\"}"
}

place() {
  name=$(printf '%s' "$1" | encoded)
  facts=$(stat -L -c '%f %s %Y %d %i' -- "$1" 2>&1) || { problem "$name" "$facts"; return; }
  room=$(df -P -- "$1" | awk 'NR == 2 { print $4 * 1024, $6 }')
  system=$(awk -v on="${room#* }" '$2 == on { found = $3 " " $1 } END { print found }' /proc/mounts)
  source=$(printf '%s' "${system#* }" | encoded); system=$(printf '%s' "${system%% *}" | encoded)
  boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)
  read_only=$(awk -v on="${room#* }" '$2 == on { found = $4 ~ /(^|,)ro(,|$)/ }
    END { print found ? "true" : "false" }' /proc/mounts)
  flags=null
  if set_flags=$(lsattr -d -- "$1" 2>/dev/null); then
    flags=
    case ${set_flags%% *} in *i*) flags='"immutable"' ;; esac
    case ${set_flags%% *} in *a*) flags="$flags${flags:+,}\"append\"" ;; esac
    flags="[$flags]"
  fi
  set -- $facts
  case $1 in 4???) is_folder=true ;; *) is_folder=false ;; esac
  say "{\"kind\":\"place\",\"path\":\"$name\",\"is_folder\":$is_folder,\"size\":$2,\"mtime\":$3,\
\"identity\":[$4,$5],\"boot\":\"$boot\",\"system\":[\"$system\",\"$source\"],\"read_only\":$read_only,\"free_bytes\":${room%% *},\"flags\":$flags}"
}

# Call $1 with each path and its name in the job.
each_path() {
  printf '%s\n' "$PATHS" | while IFS= read -r escaped; do
    [ -n "$escaped" ] || continue
    path=$(printf "$escaped/")
    "$1" "${path%/}" "$(printf "$escaped" | encoded)"
  done
}

state() { stat -c '%F/%s/%Y' -- "$1" 2>&1; }

begin_file() {
  before=$(state "$1")
  case $before in
    regular*) size=${before%/*}; size=${size##*/}; [ -r "$1" ] && return ;;
  esac
  problem "$2" "no file to be read: $before"
  return 1
}

# Pass a file on at a limited rate, with a heartbeat every second.
slowly() {
  left=$(($1 / 1048576 / BLOCKS_A_SECOND))
  while [ $left -gt 0 ]; do
    dd bs=1048576 count=$BLOCKS_A_SECOND 2>/dev/null
    beat >&5; sleep 1; left=$((left - 1))
  done
  cat || echo "cat: $?" >&2
}

looks_like_mail() {
  dd bs=4096 count=1 2>/dev/null <"$1" | tr '\r\000' '\n?' | sed '1{/^>\{0,1\}From /d;}' |
    grep -i -E -q '^(from|date|message-id|received)[ 	]*:'
}

# The first bytes without what dbox puts before its first message.
first_message() {
  dd if="$1" bs=160 count=1 2>/dev/null | sed '1{/^2 .*M/{N;d;}}' | dd bs=16 count=1 2>/dev/null
}

digest_one() {
  begin_file "./$1" "$2" || return
  { said=$({ slowly "$size" <"./$1" 2>&4 | sha256sum >&4; } 4>&1); } 5>&1
  sum=$(printf '%s\n' "$said" | grep '^[0-9a-f]\{64\} ')
  { [ "$sum" ] && [ "$said" = "$sum" ]; } || { problem "$2" "$said"; return; }
  if [ "$(state "./$1")" = "$before" ]; then changed=false; else changed=true; fi
  if looks_like_mail "./$1"; then mail=true; else mail=false; fi
  packed=false; sealed=false
  case $(first_message "./$1" | od -An -tx1 | tr -d ' \n') in
    1f8b* | 425a68* | fd377a585a* | 28b52ffd*) packed=true ;;
    435259505445440307* | 446f7665636f742d4c5a340d2a9bc5*) mail=false; sealed=true ;;
  esac
  say "{\"kind\":\"digest\",\"path\":\"$2\",\"sha256\":\"${sum%% *}\",\"size\":$size,\
\"mail\":$mail,\"packed\":$packed,\"sealed\":$sealed,\"changed\":$changed}"
}

send_one() {
  begin_file "./$1" "$2" || return
  say "{\"kind\":\"state\",\"path\":\"$2\",\"values\":$(stat -c '[%i,%s,%Y]' -- "./$1")}"
  at=$(((FIRST + 196607) / 196608)); FIRST=0  # what came is whole pieces, or all
  while [ $((at * 196608)) -lt "$size" ]; do
    piece=$(dd if="./$1" bs=196608 skip=$at count=1 2>/dev/null | encoded)
    left=$((size - at * 196608)); [ $left -lt 196608 ] || left=196608
    if [ ${#piece} -ne $(((left + 2) / 3 * 4)) ]; then
      problem "$2" "$(dd if="./$1" bs=196608 skip=$at count=1 2>&1 >/dev/null)"; return
    fi
    say "{\"kind\":\"piece\",\"path\":\"$2\",\"data\":\"$piece\"}"
    at=$((at + 1))
  done
  if [ "$(state "./$1")" = "$before" ]; then say "{\"kind\":\"whole\",\"path\":\"$2\"}"
  else problem "$2" 'changed while it was read'; fi
}

look_one() { place "$1"; }
look_below() { place "${root%/}/${1#./}"; }

in_root() {
  root=$(printf "$ROOT/")
  cd "$root" 2>/dev/null && return
  if [ -d "$root" ]; then refuse unreadable 'the folder is closed to us'
  else refuse missing 'there is no such folder'; fi
  return 1
}

produce() {
  say "{\"kind\":\"header\",\"version\":1,\"task\":\"$TASK\",\"python\":\"\",\
\"host\":\"$(uname -n)\",\"at\":$(date +%s),\"uid\":$(id -u)}"
  case $TASK in
    list) in_root && list_tree 4>&1 ;;
    names) in_root && PATHS=$(find . ! -name . -prune -print0 | as_lines | sort | as_paths) &&
      each_path look_below ;;
    look) each_path look_one ;;
    digest) in_root && each_path digest_one ;;
    fetch) in_root && each_path send_one ;;
    *) refuse tool 'this job needs Python 3.6 or newer on the host' ;;
  esac
}

exec 3>&1
told=$({ produce </dev/null | awk '
    { print | "cat >&3"; if (index($0, "\"heartbeat\"") == 9) fflush("cat >&3"); print; lines++ }
    END { close("cat >&3"); print "lines", lines | "cat >&6" }' | sha256sum >&6; } 6>&1)
lines=$(printf '%s\n' "$told" | sed -n 's/^lines //p')
sum=$(printf '%s\n' "$told" | sed -n 's/^\([0-9a-f]\{64\}\).*/\1/p')
say "{\"kind\":\"trailer\",\"counters\":{},\"records\":$lines,\"sha256\":\"$sum\"}"
