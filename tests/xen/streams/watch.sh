# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Sourced by streams.sh: watches that run beside the test cases, and what they were told.
#
#   watch NAME ARG...        begins `xenres watch ARG...`, recorded in $work/NAME.rec
#   watch_again NAME ARG...  goes on with that recording
#   watch_stop NAME...       ends them as Ctrl-C does
#   watch_kill NAME          ends it as nothing should
#   watch_ended NAME SECONDS waits until it has ended by itself; watch_status and watch_end_us are set
#   watched NAME WHAT [ARG]  what it was told until now: see watched.py
#
# A watch outlives the test case that began it. watch_clean ends all, for the suite's EXIT trap.

streams_source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

watch() { # NAME ARG...
  rm -f "$work/$1".{rec,log,pid,end}
  watch_again "$@"
}

watch_again() { # NAME ARG...
  local name=$1
  shift
  rm -f "$work/$name".{pid,end}
  (
    trap - EXIT ERR
    set +eE
    XENRES_SERVER=$gateway XENRES_CACERT=$work/pki/ca.crt XENRES_CERT=$work/pki/operator.crt \
      XENRES_KEY=$work/pki/operator.key "$BUILD/xenres" watch "$@" --output "$work/$name.rec" &
    echo $! >"$work/$name.pid"
    wait $!
    echo "$? ${EPOCHREALTIME/[.,]/}" >"$work/$name.ending"
    mv "$work/$name.ending" "$work/$name.end"
  ) </dev/null >>"$work/$name.log" 2>&1 &
}

watch_stop() { # NAME...
  local name
  for name in "$@"; do
    kill "$(cat "$work/$name.pid")"
  done
  for name in "$@"; do
    watch_ended "$name" 20
    same "$watch_status" 0 "status of the watch $name; it said: $(tail -n 3 "$work/$name.log")"
  done
}

watch_kill() { # NAME
  kill -9 "$(cat "$work/$1.pid")"
  watch_ended "$1" 10
}

watch_ended() { # NAME SECONDS
  eventually "$2" test -e "$work/$1.end" || { echo "the watch $1 goes on: $(tail -n 3 "$work/$1.log")"; return 1; }
  read -r watch_status watch_end_us <"$work/$1.end"
}

watch_clean() {
  local file
  for file in "${work:-/nonexistent}"/*.pid; do
    [ ! -e "$file" ] || [ -e "${file%.pid}.end" ] || kill -9 "$(cat "$file")" 2>/dev/null || true
  done
}

# While it is written, its end may not be whole yet.
watched() { # NAME WHAT [ARG]
  local name=$1
  shift
  { "$BUILD/xenres" -o json replay "$work/$name.rec" 2>/dev/null || true; } | python3 "$streams_source/watched.py" "$@"
}

was_told() { # NAME PATTERN WHAT [ARG]
  watched "$1" "${@:3}" | grep -E "$2"
}

# Sums of `watched NAME sums`.
told() { # NAME batches|blocks|gaps
  watched "$1" sums | sed -n "s/.*$2=\([0-9]*\).*/\1/p"
}

told_batches() { # NAME COUNT: at least
  [ "$(told "$1" batches)" -ge "$2" ]
}

complete() { # NAME...: says xenres, too
  local name
  for name in "$@"; do
    "$BUILD/xenres" verify "$work/$name.rec" >"$work/verify.log" 2>&1 || { cat "$work/verify.log"; return 1; }
  done
}

# What is missing is told, and for that reason.
complete_but_for() { # REASON NAME...
  local reason=$1 name status
  shift
  for name in "$@"; do
    status=0
    "$BUILD/xenres" verify "$work/$name.rec" >"$work/verify.log" 2>&1 || status=$?
    cat "$work/verify.log"
    [ "$status" -ne 0 ] || continue
    same "$status" 25 "status of xenres verify"
    grep -q ' 0 missing without a word$' "$work/verify.log"
    same "$(sed '1,/^MISSING /d; /^complete: /d' "$work/verify.log" | grep -v "  $reason, ")" "" "what is missing beside"
  done
}

steps() { # DOMAIN: that steady.S has taken
  dom0 provoke peek "$1" 0x300004
}

# order DOMAIN WORD: what COMMAND of steady.S takes; waits until it is done.
order() {
  dom0_sh "provoke poke $1 0x300000 $2 && wait-for 10 sh -c 'test \$(provoke peek $1 0x300000) = 0'"
}

# rests DOMAIN: takes no steps any more, until it is told another word.
rests() {
  dom0_sh "provoke poke $1 0x300000 4
    wait-for 10 sh -c 'a=\$(provoke peek $1 0x300004); usleep 100000; test \$(provoke peek $1 0x300004) = \$a'"
}

metric() { # NAME: its value, labels and all
  dom0_sh "wget -q -O - http://127.0.0.1:9480/metrics" | awk -v name="$1" '$1 == name { print $2 }'
}
