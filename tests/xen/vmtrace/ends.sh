# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Sourced by vmtrace.sh: domains that end in mid-trace, and the end of any program.

# --- domains -----------------------------------------------------------------------------------------------------------

destroyed_domain_ends_its_trace() {
  local domain before
  before=$(mappings)
  domain=$(create tiny-io 'name="doomed"' 'vmtrace_buf_kb=1024')
  record doomed doomed
  eventually 30 has_read doomed 10000
  dom0_sh "provoke end $domain; resmap gone $domain 2000"
  record_ended doomed 30 incarnation_ended
  nothing_undeclared doomed
  same "$(mappings)" "$before" "live mappings after its end"
  dom0_sh 'xl destroy doomed 2>/dev/null || true'
}

# By the guest itself; xl starts it again at once, with the same name and UUID. The next life is another trace's, or none's.
rebooted_domain_is_no_splice() {
  local domain next
  domain=$(create steady 'name="reborn"' 'vmtrace_buf_kb=1024')
  dom0 wait-for 20 sh -c "test \$(provoke peek $domain 0x300004) -gt 8"
  record reborn reborn
  eventually 30 has_read reborn 2000
  dom0 provoke poke "$domain" 0x300000 5
  dom0 wait-for 30 sh -c "test \$(xl domid reborn) -gt $domain"
  eventually 30 test -e "$work/reborn.exit"
  record_ended reborn 30 "$(books reborn .end.reason)"
  books reborn .end
  [[ $(books reborn '.end | [.reason, .shutdownCode] | join(" ")') =~ ^(shutdown 1|incarnation_ended )$ ]]
  nothing_undeclared reborn
  next=$(dom0 xl domid reborn)
  same "$(dom0 ptctl facts "$next" 0 | grep -c on=0)" 1 "the next life is not traced"
  dom0_sh "xl destroy reborn; resmap gone $next 2000; resmap gone $domain 2000"
}

# --- programs ----------------------------------------------------------------------------------------------------------

no_guest_is_paused() { # but those that we have paused
  dom0 xl domid dirty >"$work/paused" 2>/dev/null || true
  echo "$still" >>"$work/paused"
  same "$(dom0 resmap domains | grep paused=1 | cut -d' ' -f1 | sort)" "$(sort "$work/paused")" "domains that are paused"
}

# What a case that failed has not started again.
need_services() {
  dom0 kill -0 "$(deploy_pid mapper)" 2>/dev/null || deploy_mapper user
  dom0 kill -0 "$(deploy_pid xenresd)" 2>/dev/null || deploy_xenresd
  deploy_ready
}

# While it is away nothing is produced that could not be held for it: then all has to be there.
killed_recorder_goes_on() {
  local try
  need_services
  record again still
  for try in 1 2 3 4 5; do
    dom0 ptctl emit "$still" 0 10000
    eventually 60 has_read again $((try * 20000 - 10015))
    record_kill again
    no_guest_is_paused
    dom0 ptctl emit "$still" 0 10000
    record_again again
  done
  eventually 60 has_read again $((100000 - 15))
  stop_and_prove again still "$still"
  complete again
  figures_of again "a recorder that was killed five times"
}

killed_xenresd_goes_on() {
  local try
  need_services
  record outage still
  for try in 1 2 3; do
    dom0 ptctl emit "$still" 0 10000
    eventually 60 has_read outage $((try * 20000 - 10015))
    dom0 kill -9 "$(deploy_pid xenresd)"
    no_guest_is_paused
    dom0 ptctl emit "$still" 0 10000
    deploy_xenresd
  done
  eventually 60 has_read outage $((60000 - 15))
  stop_and_prove outage still "$still"
  complete outage
  figures_of outage "a xenresd that was killed three times"
}

# At any moment, of a guest that does not wait: what could not be held is declared.
killed_at_any_moment() {
  local try
  need_services
  need_busy
  dom0 ptctl extra "$busy" 0 100
  record moments busy
  for try in 1 2 3 4 5 6; do
    eventually 60 has_read moments $((try * 50000))
    if [ $((try % 2)) = 0 ]; then
      record_kill moments
      no_guest_is_paused
      record_again moments
    else
      dom0 kill -9 "$(deploy_pid xenresd)"
      no_guest_is_paused
      deploy_xenresd
    fi
  done
  eventually 60 has_read moments $(($(books moments .position) + 50000))
  stop_and_prove moments busy "$busy"
  dom0 ptctl extra "$busy" 0 0
  figures_of moments "recorder and xenresd killed six times, a busy guest"
  never_falsely_complete moments
}

# What it had not handed on is lost with it, and said so. The next one stops what is in the journal before it serves.
killed_mapper_leaves_nothing() {
  local try
  need_services
  need_busy
  for try in 1 2 3; do
    record "orphan-$try" busy
    eventually 60 has_read "orphan-$try" $((try * 20000))
    dom0 kill -9 "$(deploy_pid mapper)"
    no_guest_is_paused
    same "$(dom0 ptctl facts "$busy" 0 | grep -c on=1)" 1 "on, without a mapper"
    deploy_mapper user
    same "$(dom0 ptctl facts "$busy" 0 | grep -c on=0)" 1 "off, with the next"
    record_ended "orphan-$try" 60 mapper_gone
    nothing_undeclared "orphan-$try"
    deploy_ready
  done
  doctor >"$work/doctor" || true
  grep -Eq "^ok +domain $busy .*nobody traces it" "$work/doctor"
  grep -Eq '^ok +journal +0 vCPUs' "$work/doctor"
}

# Nobody reads it, nobody renews it.
lease_ends_a_trace() {
  need_services
  need_busy
  trace StartTrace busy '"lease": "10s"'
  same "$(dom0 ptctl facts "$busy" 0 | grep -c on=1)" 1 on
  dom0 wait-for 50 sh -c "ptctl facts $busy 0 | grep -q on=0"
  trace GetTrace busy
  same "$(jq -r .trace.endReason "$work/answer.json")" TRACE_END_REASON_LEASE_ENDED
}

stopped_mapper_leaves_nothing() {
  local pid
  need_services
  need_busy
  record last busy
  eventually 30 has_read last 2000
  pid=$(deploy_pid mapper)
  dom0_sh "kill $pid; wait-for 20 sh -c '! kill -0 $pid'"
  same "$(dom0 ptctl facts "$busy" 0 | grep -c on=0)" 1 off
  no_guest_is_paused
  record_ended last 60 mapper_gone
  nothing_undeclared last
  deploy_mapper user
  deploy_ready
}
