#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
# time-limit: 1800
#
# usage: vmtrace.sh
# Traces on a real Xen: a hypervisor that offers vmtrace without Intel PT (vmtrace/setup.sh builds it, once), the gateway
# in dom0 as two services, recorders outside over mutually authenticated TLS. What they are told is held against what the
# hypervisor counts and numbers, and decoded by libipt. One boot for all. BUILD says where the programs are (build/ by
# default).
#
# The cases are in vmtrace/*.sh. Position queries take 0.2 to 20 ms here, as the machine is: nothing is asked for in time.
set -euo pipefail

# shellcheck source=tests/xen/suite.sh
. "$(dirname "$0")/suite.sh"
for part in gateway/deploy gateway/client gateway/frames gateway/ioreqs gateway/odd vmtrace/record vmtrace/whole \
  vmtrace/laps vmtrace/others vmtrace/ends vmtrace/xenres; do
  # shellcheck source=/dev/null
  . "$suite_source/$part.sh"
done
BUILD=$(cd "${BUILD:-$suite_source/../../build}" && pwd)

vmtrace_clean() {
  record_clean
  suite_clean
}

all_is_well() {
  need_busy
  alive "$still" "$busy" "$plain"
  dom0 dmesg >"$work/dmesg"
  never grep -E 'WARNING|BUG|Oops|segfault' "$work/dmesg"
  dom0 kill -0 "$(deploy_pid mapper)" "$(deploy_pid xenresd)"
  same "$(mappings)" 0 "live mappings that nobody traces"
  dom0_sh "for domain in $still $busy; do ptctl facts \$domain 0; done" >"$work/left"
  same "$(grep -c on=0 "$work/left")" 2 "domains that nobody traces"
}

suite_start xenresd-vmtrace
trap vmtrace_clean EXIT
exec {figures}>&1
status=0
RIG_XEN=${RIG_XEN:-$(RIG=$RIG "$suite_source/vmtrace/setup.sh" 2>"$work/hypervisor.log")} || status=$?
if [ "$status" -ne 0 ]; then
  cat "$work/hypervisor.log"
  echo "1..0 # SKIP $(tail -n 1 "$work/hypervisor.log")"
  exit "$([ "$status" = 77 ] && echo 77 || echo 1)"
fi
# What dom0 gives back to Xen stays as it was.
RIG_DOM0_ARGS="xen_scrub_pages=0 init_on_alloc=0"
RIG_DOM0_MEMORY=800
RIG_LIMIT=${RIG_LIMIT:-1700}
DOM0_LIMIT=${DOM0_LIMIT:-100}
"${CC:-gcc}" -O2 -Wall -Wextra -Werror -o "$work/packets" "$suite_source/vmtrace/packets.c" -lipt
suite_tool provoke
suite_tool vmtrace/ptctl
suite_stage usr/local/bin "$BUILD"/tests/contract/{backend_xen_test,mapper_trace_test}
deploy_grace=60
deploy_stage
said=$work
suite_boot
set -E
trap 'echo "Bail out! The guests did not start: $BASH_COMMAND"' ERR
start_guests
trap - ERR
set +E
check "the xen backend keeps the contract of traces that the simulator keeps" contract_holds backend_xen_test
check "the mapper keeps the contract of traces that the simulator's keeps" contract_holds mapper_trace_test
check "two services: both start" deploy_start
gateway=$(deploy_url)
echo "# guests and gateway are up $SECONDS s after the start"

check "the doctor tells of the hardware, and which domains have buffers" doctor_tells_of_traces
check "a domain without a buffer is refused, with the cure" no_buffer_is_refused
check "a vCPU that there is not is refused" no_such_vcpu_is_refused
check "emitted bytes arrive, however few" emitted_bytes_arrive
check "a trace that runs is told, and joined" a_running_trace_is_told
check "a busy guest: all that the hypervisor counts, every number" again 'xl destroy busy' busy_guest_is_complete
check "xenres records both vCPUs of a Linux guest from its first instruction: all, every number" \
  again 'xl destroy linux-pvh' linux_boot_is_kept
check "what no trace has written is never served" again 'xl destroy dirty' unwritten_bytes_are_not_served

for bytes in 1000 16384 32768; do
  check "no lap: $bytes bytes at once" no_lap_is_declared "$bytes"
done
for bytes in 60000 65535; do
  check "nearly a lap: $bytes bytes at once are there, or said to be lost" lap "$bytes"
done
for bytes in 65536 65537 131072 300000 1048576; do
  check "a lap is declared: $bytes bytes at once" lap_is_declared "$bytes"
done
check "rates beyond draining: each lap is declared" again 'xl destroy quick' rates_beyond_draining
check "beside it: Debian's xen-vmtrace" xen_vmtrace_loses_silently

check "xenres lists a trace, tells its state, and stops what it has started" trace_is_told_and_stopped
check "xenres says what a lap has cost" lap_is_not_complete
check "xenres names whoever is in the way" foreign_trace_is_refused

check "what a crashed tool has left on is in use, until it is taken over" stale_state_is_in_use
check "a second tool that sets RTIT_CTL without TraceEn is noticed" ctl_without_trace_en_is_noticed
check "a second tool that disables is noticed" disabled_by_another_is_noticed
check "RTIT_STATUS.Error ends a trace" hardware_error_is_told
check "RTIT_STATUS.Stopped ends a trace" hardware_stopped_is_told
check "a reset by somebody else begins another epoch" reset_by_another_is_noticed

check "a destroyed domain ends its trace, and is gone" destroyed_domain_ends_its_trace
check "a reboot ends a trace, which is never spliced" again 'xl destroy reborn' rebooted_domain_is_no_splice
check "kill -9 of the recorder: it goes on where it was" killed_recorder_goes_on
check "kill -9 of xenres: it goes on where it was" killed_xenres_goes_on
check "kill -9 of xenresd: traces go on where they were" killed_xenresd_goes_on
check "kill -9 of either at any moment: what could not be held is declared" \
  again 'xl destroy busy' killed_at_any_moment
check "kill -9 of the mapper: told; the next one leaves nothing on" \
  again 'xl destroy busy' killed_mapper_leaves_nothing
check "a trace that nobody reads ends with its lease" again 'xl destroy busy' lease_ends_a_trace
check "a mapper that stops leaves nothing on" again 'xl destroy busy' stopped_mapper_leaves_nothing
check "guests, kernel and services are well" all_is_well
if [ "$failed" -gt 0 ]; then
  deploy_logs | tail -n 60 | sed 's/^/# /'
fi
suite_end
