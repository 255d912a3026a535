# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Sourced by vmtrace.sh: other tools that trace, have traced, or get in the way.

# What a tool that crashed has left, or one that works: nobody can tell.
stale_state_is_in_use() {
  dom0 ptctl enable "$still" 0
  doctor >"$work/doctor" || true
  grep -Eq "^no +domain $still .*traced by somebody" "$work/doctor"
  trace_refused StartTrace still
  same "$code" failed_precondition
  contains "$next_step" takeover "next step"
  same "$(dom0 ptctl facts "$still" 0 | grep -c on=1)" 1 "still on"
  record taken still 0 '"takeover": true'
  dom0 ptctl emit "$still" 0 9000
  eventually 30 has_read taken $((9000 - 15))
  stop_and_prove taken still "$still"
  complete taken
}

# begin_and NAME: a trace of the paused guest with some bytes in it.
begin_of() { # NAME
  record "$1" still
  dom0 ptctl emit "$still" 0 9000
  eventually 30 has_read "$1" $((9000 - 15))
}

# Whatever was told until then is so, and nothing is left on.
ended_by_others() { # NAME REASON
  record_ended "$1" 60 "$2"
  nothing_undeclared "$1"
  has_read "$1" 9000
  same "$(dom0 ptctl facts "$still" 0 | grep -c on=0)" 1 "off"
  books "$1" .end
}

# Xen lets it, and the position only stands still: no byte comes any more, and the first tool hears of nothing.
ctl_without_trace_en_is_noticed() {
  begin_of masked
  dom0 ptctl ctl "$still" 0 0x2000
  ended_by_others masked interfered
}

disabled_by_another_is_noticed() {
  begin_of disabled
  dom0 ptctl disable "$still" 0
  ended_by_others disabled interfered
}

hardware_error_is_told() {
  begin_of error
  dom0 ptctl status "$still" 0 0x10
  ended_by_others error hardware_error
}

hardware_stopped_is_told() {
  begin_of halted
  dom0 ptctl status "$still" 0 0x20
  ended_by_others halted hardware_stopped
}

# Only what was written since is served, and it is another epoch. What was produced before is counted no more.
reset_by_another_is_noticed() {
  begin_of reset
  dom0_sh "ptctl reset $still 0 && ptctl emit $still 0 4000"
  eventually 30 has_read reset 9001
  eventually 30 in_another_epoch reset
  dom0 ptctl emit "$still" 0 3000
  trace StopTrace still
  record_ended reset 60 stopped
  nothing_undeclared reset
  books reset .
  same "$(books reset '.segments[-1].reason')" reset
  same "$(books reset '.gaps[-1].reason')" reset
  same "$(books reset '[.pieces[].bytes] | join(" ")')" "9000 7000" "bytes of both epochs"
  same "$(sed 's/.* first=\([0-9]*\) .*/\1/' "$work/reset/1.packets")" 0 "first number behind the reset"
}

in_another_epoch() { # NAME
  [ "$(books "$1" '.pieces[-1].epoch')" = 1 ]
}

# Of the same identity nothing is to be taken over: it is joined; ListTraces and the doctor tell of it.
a_running_trace_is_told() {
  record told still
  trace StartTrace still
  same "$(jq -r .joined "$work/answer.json")" true joined
  trace ListTraces still 2>/dev/null || (record_reader call ListTraces '{}') >"$work/answer.json"
  jq -r '.traces[] | [.domain.name, .owner] | join(" ")' "$work/answer.json" | grep "^still "
  doctor >"$work/doctor" || true
  grep -Eq "^ok +domain $still .*1 of its vCPUs are traced by the mapper" "$work/doctor"
  stop_and_prove told still "$still"
}
