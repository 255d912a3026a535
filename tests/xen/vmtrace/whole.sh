# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Sourced by vmtrace.sh: what can be traced here, and traces that are complete.

# A paused guest: nothing is produced but what ptctl emits. The ring is small, so that whatever is emitted goes round it.
ring_bytes=65536

start_guests() {
  fill_memory
  create_dirty
  still=$(create tiny-io 'name="still"' 'vmtrace_buf_kb=64')
  need_busy
  plain=$(create tiny)
  dom0 resmap pause "$still"
}

# Sets busy; another one where a case before has left it dead.
need_busy() {
  busy=$(dom0 xl domid busy 2>/dev/null || true)
  [ -z "$busy" ] || ! alive "$busy" >/dev/null || return 0
  dom0_sh 'xl destroy busy 2>/dev/null || true'
  busy=$(create tiny-io 'name="busy"' 'vmtrace_buf_kb=1024')
}

# --- what there is -----------------------------------------------------------------------------------------------------

doctor() {
  dom0 /usr/local/sbin/xenresd-mapper --doctor --journal /run/xenresd/traces.user
}

doctor_tells_of_traces() {
  need_busy
  doctor >"$work/doctor" || true
  cat "$work/doctor"
  grep -Eq '^ok +vmtrace ' "$work/doctor"
  grep -Eq "^ok +domain $still .*64 KiB.*nobody traces it" "$work/doctor"
  grep -Eq "^ok +domain $busy .*1024 KiB" "$work/doctor"
  never grep -E "^(ok|no) +domain $plain " "$work/doctor"
  grep -Eq '^ok +trace buffers +3 domains' "$work/doctor"
}

# The rules of xc_vmtrace_* and of these pages, of guests that have a buffer, paused, so that nothing moves by itself.
contract_holds() { # PROGRAM
  local status=0
  need_busy
  dom0 resmap pause "$busy"
  DOM0_LIMIT=120 dom0 env MAPPER=/usr/local/sbin/xenresd-mapper CMOCKA_MESSAGE_OUTPUT=TAP "$1" \
    >"$work/contract.log" 2>&1 || status=$?
  dom0 resmap unpause "$busy"
  cat "$work/contract.log"
  same "$status" 0 status
  never grep 'SKIP.*\(traced\|trace_buffer_keeps\)' "$work/contract.log"
}

no_buffer_is_refused() {
  trace_refused StartTrace tiny
  same "$code" failed_precondition
  contains "$next_step" vmtrace_buf_kb "next step"
}

no_such_vcpu_is_refused() {
  trace_refused StartTrace busy '"vcpus": [7]'
  same "$code" out_of_range
}

# --- complete ----------------------------------------------------------------------------------------------------------

stop_and_prove() { # NAME DOMAIN DOMAIN-NUMBER [VCPU]
  trace StopTrace "$2"
  record_ended "$1" 60 stopped
  truth "$1" "$3" "${4:-0}"
  same "$(fact "$1" on)" 0 "tracing is on"
}

emitted_bytes_arrive() {
  local part sum=0
  record emitted still
  for part in 43 1 11 5000 16000 32 20000; do # the first is a PSB with all that goes with it
    dom0 ptctl emit "$still" 0 "$part"
    sum=$((sum + part))
    # At most 15 bytes may wait: they could begin a PSB.
    eventually 30 has_read emitted $((sum - 15))
  done
  stop_and_prove emitted still "$still"
  same "$(fact emitted produced)" "$sum" "bytes produced"
  complete emitted
  figures_of emitted "emitted bytes"
}

# Many times around: each vCPU is as quick as the emulator lets it be.
busy_guest_is_complete() {
  need_busy
  dom0 ptctl extra "$busy" 0 200
  record whole busy
  eventually 120 has_read whole 3000000
  stop_and_prove whole busy "$busy"
  alive "$busy"
  complete whole
  cat "$work/whole/0.packets"
  [ "$(sed 's/.*tip=\([0-9]*\) .*/\1/' "$work/whole/0.packets")" -gt 1000 ]
  figures_of whole "a busy guest"
}

# --- bytes that nobody wrote -------------------------------------------------------------------------------------------

unwritten=never-written-by-any-trace-0123456789abcdef

# Memory that dom0 filled and gives back: Xen hands it out as it is, and so most of a ring is dom0's secrets until it is
# written to. Before any guest is made, so that this is so for all of them.
fill_memory() {
  dom0_sh "yes $unwritten | head -c 1000000 >/tmp/marks
    for i in \$(seq 330); do cat /tmp/marks; done >/tmp/filled; rm /tmp/marks /tmp/filled; xl mem-set 0 400
    wait-for 60 sh -c 'test \$(xl list 0 | awk \"END { print \\\$3 }\") -le 410'"
}

# Of what was given back a moment ago. (What a domain had that was destroyed, Xen clears.)
dirty_bytes=16777216
create_dirty() {
  create tiny-io 'name="dirty"' "vmtrace_buf_kb=$((dirty_bytes / 1024))" >/dev/null
  dom0 xl pause dirty
}

nothing_unwritten() { # NAME
  never grep -a -q "${unwritten:0:12}" "$work/$1"/*.pt
}

unwritten_bytes_are_not_served() {
  local domain marks bytes
  dom0 xl domid dirty || create_dirty
  domain=$(dom0 xl domid dirty)
  marks=$(dom0_sh "ptctl ring $domain 0 $dirty_bytes | grep -a -c $unwritten || true")
  echo "# a new ring of $dirty_bytes bytes holds $marks lines of what dom0 had in its memory" >&"$figures"
  [ "$marks" -gt 1000 ]
  record dirty dirty
  for bytes in 100 100000 3000000; do
    dom0 ptctl emit "$domain" 0 "$bytes"
  done
  eventually 60 has_read dirty $((3100100 - 15))
  stop_and_prove dirty dirty "$domain"
  complete dirty
  # More than a ring at once, of which the end was not written before that.
  record dirty-lapped dirty
  dom0 ptctl emit "$domain" 0 3000
  eventually 60 has_read dirty-lapped $((3000 - 15))
  dom0 ptctl emit "$domain" 0 $((dirty_bytes + 1000000))
  eventually 60 goes_on dirty-lapped 3000
  stop_and_prove dirty-lapped dirty "$domain"
  figures_of dirty-lapped "$((dirty_bytes + 1000000)) bytes at once, in that ring"
  never_falsely_complete dirty-lapped
  never is_complete dirty-lapped
  dom0_sh "xl destroy dirty; resmap gone $domain 5000"
}
