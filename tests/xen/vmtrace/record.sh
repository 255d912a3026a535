# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Sourced by vmtrace.sh: traces that are recorded beside the test cases, from outside dom0, and what is held against them.
#
#   trace METHOD DOMAIN [MORE]    a call of TraceService; MORE are fields of its request. The answer is in $work/answer.json
#   trace_refused METHOD DOMAIN [MORE]   is refused: code, cause, next_step are set
#   record NAME DOMAIN [VCPU [MORE]]     starts a trace, and reads a vCPU of it into $work/NAME
#   record_again NAME             goes on with that
#   record_ended NAME SECONDS REASON     waits until its end, which is for that reason
#   books NAME FILTER             what jq finds in its books, see reader.py
#   truth NAME DOMAIN-NUMBER [VCPU]      keeps what the hypervisor counts: `fact NAME WHAT` prints it
#   nothing_undeclared NAME       each stretch decodes and has no hole, and no more was lost than the truth; nothing in it is
#                                 what nobody wrote
#   complete NAME                 the same, and all that the hypervisor counts is there
#
# record_clean ends all, for the suite's EXIT trap.

record_source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

record_reader() { # ARG...
  SERVER=$gateway CACERT=$work/pki/ca.crt CERT=$work/pki/operator.crt KEY=$work/pki/operator.key \
    exec python3 "$record_source/reader.py" "$@"
}

trace() { # METHOD DOMAIN [MORE]
  local status=0
  (record_reader call "$1" "{\"domain\": \"$2\"${3:+, $3}}") >"$work/answer.json" || status=$?
  [ "$status" -eq 0 ] || cat "$work/answer.json"
  return "$status"
}

trace_refused() { # METHOD DOMAIN [MORE]
  local status=0
  trace "$@" >"$work/refusal" || status=$?
  same "$status" 22 "status of $*: $(cat "$work/answer.json")"
  {
    read -r code
    read -r errno
    read -r message
    read -r cause
    read -r next_step
  } < <(show refusal "$work/refusal")
}

record() { # NAME DOMAIN [VCPU [MORE]]
  trace StopTrace "$2" >"$work/stopped" || true # what a case that failed has left
  trace StartTrace "$2" "${4:-}"
  rm -rf "${work:?}/$1"
  mkdir "$work/$1"
  echo "$2 ${3:-0} $(jq -r .trace.traceId "$work/answer.json")" >"$work/$1.args"
  record_again "$1"
  eventually 30 has_begun "$1"
}

has_begun() { # NAME
  [ "$(books "$1" .begins)" != 0 ]
}

record_again() { # NAME
  rm -f "$work/$1.pid" "$work/$1.exit"
  (
    trap - EXIT ERR
    set +eE
    # shellcheck disable=SC2046  # three words
    (record_reader read "$work/$1" $(cat "$work/$1.args")) &
    echo $! >"$work/$1.pid"
    wait $!
    echo $? >"$work/$1.exit"
  ) </dev/null >>"$work/$1.log" 2>&1 &
  eventually 30 test -s "$work/$1/books.json"
}

record_ended() { # NAME SECONDS REASON
  eventually "$2" test -e "$work/$1.exit" || { echo "$1 goes on: $(books "$1" .)"; return 1; }
  same "$(cat "$work/$1.exit")" 0 "status of $1; it said: $(tail -n 3 "$work/$1.log")"
  same "$(books "$1" .end.reason)" "$3" "how $1 ended: $(books "$1" .end)"
}

record_kill() { # NAME: as nothing should
  kill -9 "$(cat "$work/$1.pid")"
  eventually 10 test -e "$work/$1.exit"
}

record_clean() {
  local file
  for file in "${work:-/nonexistent}"/*.pid; do
    [ ! -e "$file" ] || [ -e "${file%.pid}.exit" ] || kill -9 "$(cat "$file")" 2>/dev/null || true
  done
}

# The file is renamed into place: it is whole at each moment.
books() { # NAME FILTER
  jq -r "$2" "$work/$1/books.json" 2>/dev/null || echo 0
}

has_read() { # NAME POSITION: at least
  [ "$(books "$1" .position)" -ge "$2" ]
}

# What was told reaches as far as the hypervisor has counted, and the trace has been looked at since.
truth() { # NAME DOMAIN-NUMBER [VCPU]
  dom0 ptctl facts "$2" "${3:-0}" >"$work/$1.truth"
}

fact() { # NAME WHAT
  sed -n "s/.*\b$2=\([^ ]*\).*/\1/p" "$work/$1.truth"
}

packets() { # FILE
  "$work/packets" "$1"
}

nothing_undeclared() { # NAME
  local index=0 count
  count=$(books "$1" '.pieces | length')
  while [ "$index" -lt "$count" ]; do
    same "$(stat -c %s "$work/$1/$index.pt")" "$(books "$1" ".pieces[$index].bytes")" "size of $index.pt"
    packets "$work/$1/$index.pt" >"$work/$1/$index.packets" || { cat "$work/$1/$index.packets"; return 1; }
    grep -H ' errors=0 .* holes=0 missing=0 back=0$' "$work/$1/$index.packets" || {
      cat "$work/$1/$index.packets"
      return 1
    }
    index=$((index + 1))
  done
  nothing_unwritten "$1"
  same "$(books "$1" '.delivered + .lost - .position')" 0 "delivered + lost - position"
  [ ! -e "$work/$1.truth" ] || [ "$(books "$1" .position)" -le "$(fact "$1" produced)" ] || {
    echo "told of $(books "$1" .position) bytes: $(cat "$work/$1.truth")"
    return 1
  }
}

is_complete() { # NAME
  [ "$(books "$1" '[(.gaps | length), (.pieces | length), (.end.position == .position)] | join(" ")')" = "0 1 true" ]
}

complete() { # NAME
  nothing_undeclared "$1"
  is_complete "$1" || { echo "not complete: $(books "$1" .)"; return 1; }
  same "$(books "$1" .delivered)" "$(fact "$1" produced)" "bytes"
  same "$(sed 's/.*before=\([0-9]*\) tail=\([0-9]*\) .* first=\([0-9]*\) last=\([0-9]*\) .*/\1 \2 \3 \4/' \
    "$work/$1/0.packets")" "0 0 0 $(($(fact "$1" next) - 1))" "bytes before and behind, first and last number"
}

# Either it is complete, or it says that it is not.
never_falsely_complete() { # NAME
  nothing_undeclared "$1"
  if is_complete "$1"; then
    complete "$1"
  fi
}

# For the log: what came of it.
figures_of() { # NAME TEXT
  echo "# $2: produced $(fact "$1" produced), delivered $(books "$1" .delivered), declared lost $(books "$1" .lost)$(
    [ "$(books "$1" .open)" = 0 ] || echo " at least") in $(books "$1" '.gaps | length') gaps" >&"$figures"
}
