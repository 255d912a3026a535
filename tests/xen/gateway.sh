#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
# time-limit: 600
#
# usage: gateway.sh
# The main job on a real Xen: the gateway runs in dom0 as two services, and is asked from outside, by xenres, curl and
# Connect calls over mutually authenticated TLS, about PV, PVH and HVM guests. What it says is compared with what resmap
# sees past it. One boot for all. BUILD says where the programs are (build/ by default).
#
# The cases are in gateway/*.sh. `make check-xen` runs this; XENRES_KEEP=1 keeps the working folder.
set -euo pipefail

# shellcheck source=tests/xen/suite.sh
. "$(dirname "$0")/suite.sh"
for part in rig deploy client frames ioreqs lives odd privilege; do
  # shellcheck source=/dev/null
  . "$suite_source/gateway/$part.sh"
done
BUILD=$(cd "${BUILD:-$suite_source/../../build}" && pwd)

# --- host and domains -------------------------------------------------------------------------------------------------

host_is_described() {
  client host >"$work/answer.json"
  show host "$work/answer.json" >"$work/host"
  cat "$work/host"
  dom0 xl info >"$work/info"
  info() { sed -n "s/^$1 *: *//p" "$work/info" | sed 's/ *$//'; }
  grep -qx "version $(info xen_version)" "$work/host"
  grep -qx "abis $(info xen_caps)" "$work/host"
  grep -qx "cpus $(info nr_cpus)" "$work/host"
  # xl says whole MiB.
  same "$(($(sed -n 's/^memory //p' "$work/host") / 1024))" "$(info total_memory)" "memory in MiB"
  grep -qx "boot $(dom0 cat /proc/sys/kernel/random/boot_id)" "$work/host"
  grep -qx "hostname $(dom0 hostname)" "$work/host"
  grep -qx 'backend xen' "$work/host"
  grep -qx 'connected True' "$work/host"
  for capability in pv hvm hap; do
    grep -qwx "capabilities .*$capability.*" "$work/host"
  done
  never grep -w '^capabilities .*vmtrace' "$work/host" # not under emulation
  for needed in privcmd hypercall interface control_domain resource_size xenstore; do
    grep -q "^check ok $needed " "$work/host"
  done
  never grep '^check failed' "$work/host"
}

# The firmware of the rig has none; and it would be root's to read. The machine's id is a secret: it is not shown itself.
host_has_a_uuid() {
  client host >"$work/answer.json"
  show host "$work/answer.json" | sed -n 's/^uuid //p' >"$work/uuid"
  cat "$work/uuid"
  grep -Eqx '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12} machine-id' "$work/uuid"
  never grep -E '0123456789abcdef|01234567-89ab-cdef' "$work/uuid"
}

domains_are_listed() {
  client domains >"$work/answer.json"
  show domains "$work/answer.json" >"$work/domains"
  same "$(awk '{ print $1, $3 }' "$work/domains")" \
    "$(dom0 resmap domains | sed 's/^\([0-9]*\) .*uuid=/\1 /')" "numbers and UUIDs"
  same "$(awk '{ print $1, $2, $4 }' "$work/domains")" "$(sort -n <<<"0 pv Domain-0
$tiny pvh tiny
$tiny_v2 pvh tiny-v2
$hvm hvm hvm
$linux_pv1 pv linux-pv1
$linux_pv2 pv linux-pv2
$linux_pvh pvh linux-pvh")" "types and names"
}

states_are_told() {
  dom0 resmap pause "$tiny"
  client domains >"$work/answer.json"
  show states "$work/answer.json" | grep -qx "$tiny paused"
  dom0 resmap unpause "$tiny"
  client domains >"$work/answer.json"
  show states "$work/answer.json" | grep -Eqx "$tiny (blocked|running)"
}

resources_are_described() {
  client resources tiny >"$work/answer.json"
  show resources "$work/answer.json" >"$work/resources"
  cat "$work/resources"
  grep -qx 'grant_table 0 available 2/4 -' "$work/resources"
  grep -qx 'grant_table 1 unavailable 0/0 EINVAL' "$work/resources"
  grep -qx 'vmtrace_buf 0 unavailable 0/0 EINVAL' "$work/resources"
  grep -q '^vcpu_stats 0 available ' "$work/resources"
  same "$(grep -c '^ioreq_server [0-7] on_request 2/2 -' "$work/resources")" 8 "ioreq servers, on request"
  client resources tiny-v2 >"$work/answer.json"
  show resources "$work/answer.json" | grep -q '^grant_table 1 available 1/1 '
  client resources linux-pv1 >"$work/answer.json"
  same "$(show resources "$work/answer.json" | grep -c '^ioreq_server [0-7] unavailable 0/0 EINVAL')" 8 "of a PV guest"
}

# A name is whatever the toolstack or a guest's owner makes of it.
hostile_name_is_escaped() {
  dom0_sh "xenstore-write /local/domain/$tiny_v2/name \"\$(printf 'a\\033[31mb\\nc')\""
  client domains >"$work/answer.json"
  never env LC_ALL=C grep -q "$(printf '\033')" "$work/answer.json"
  show domains "$work/answer.json" | grep -qF "$tiny_v2 pvh "
  same "$(show domains "$work/answer.json" | grep -c '^[0-9]* [a-z]* ')" "$(dom0_sh 'resmap domains | wc -l')" "domains"
  dom0 xenstore-write "/local/domain/$tiny_v2/name" tiny-v2
  look tiny-v2
}

# --- the run ----------------------------------------------------------------------------------------------------------

start_guests() {
  local name
  for name in tiny tiny-v2 hvm linux-pv1 linux-pv2 linux-pvh; do
    start_guest "$name"
  done
  for name in linux-pv1 linux-pv2 linux-pvh tiny tiny-v2 hvm; do
    guest_comes_up "$name"
  done
}

start_guest() { # NAME
  declare -g "${1//-/_}=$(create "$1" 2>&1 | tail -n 1)"
}

# guest_comes_up NAME: a second one is started in place of one that did not, since the emulator may fail one.
guest_comes_up() {
  local -n number=${1//-/_}
  guest_is_up "$1" "$number" && return
  echo "# $1 (domain $number) did not come up by $SECONDS s:"
  guest_last_words "$1" "$number" | sed 's/^/# /'
  dom0 xl destroy "$number" || true
  start_guest "$1"
  guest_is_up "$1" "$number"
}

# On a machine with much else to do, guests have little of it.
guest_is_up() { # NAME NUMBER
  local sign
  case $1 in
    linux-*) sign="grep -q GUEST-UP /var/log/xen/guest-$1.log" ;;
    tiny) sign="resmap grants $2 | grep frames=2" ;;
    tiny-v2) sign="resmap grants $2 | grep version=2" ;;
    hvm) sign="resmap copy $2 0 0 1 1 | hexdump -n 16 -v -e '/1 \"%02x\"' | grep -q [1-9a-f]" ;;
  esac
  DOM0_LIMIT=100 dom0 wait-for 90 sh -c "$sign"
}

guest_last_words() { # NAME NUMBER
  dom0_sh "xl list -v; tail -n 20 /var/log/xen/guest-$1.log; resmap grants $2; xl dmesg | tail -n 15" 2>&1 || true
}

# Its memory is wanted by guests that come later.
linux_pvh_equal() {
  grant_table_equal linux-pvh
  dom0_sh "xl destroy linux-pvh; resmap gone $linux_pvh 1000"
}

all_is_well() {
  alive "$tiny" "$tiny_v2" "$linux_pv1" "$linux_pv2" "$hvm"
  dom0 dmesg >"$work/dmesg"
  never grep -E 'WARNING|BUG|Oops|segfault' "$work/dmesg"
  dom0 kill -0 "$(deploy_pid mapper)" "$(deploy_pid xenresd)"
}

guests_end_without_a_trace() {
  for name in tiny tiny-v2 hvm linux-pv1 linux-pv2; do
    client grants "$name" >"$work/answer.json"
  done
  dom0_sh 'for name in tiny tiny-v2 hvm linux-pv1 linux-pv2; do xl destroy $name; done'
  dom0 wait-for 5 sh -c 'test $(resmap domains | wc -l) = 1'
  same "$(mappings)" 0 "live mappings without a guest"
  client domains >"$work/answer.json"
  same "$(show domains "$work/answer.json" | awk '{ print $1 }')" 0 domains
}

services_stop() {
  local pid
  for name in xenresd mapper; do
    pid=$(deploy_pid "$name")
    dom0_sh "kill $pid; wait-for 10 sh -c '! kill -0 $pid'"
  done
}

# The contract suites find guests of every kind here. They open Xen, or start a mapper, of their own.
contract_holds() { # PROGRAM
  local status=0
  [ -x "$BUILD/tests/contract/$1" ] || skip "tests/contract/$1 is not built"
  DOM0_LIMIT=120 dom0 env MAPPER=/usr/local/sbin/xenresd-mapper CMOCKA_MESSAGE_OUTPUT=TAP "$1" \
    >"$work/contract.log" 2>&1 || status=$?
  cat "$work/contract.log"
  same "$status" 0 status
  ! grep '# SKIP' "$work/contract.log"
}

# This hypervisor offers no vmtrace; all else is as it has to be.
doctor_says_why() {
  local status=0
  dom0 /usr/local/sbin/xenresd-mapper --doctor >"$work/doctor" || status=$?
  cat "$work/doctor"
  same "$status" 1 status
  grep -q '^no  vmtrace .*Intel PT' "$work/doctor"
  grep -q '^no  trace buffers .*vmtrace_buf_kb' "$work/doctor"
  same "$(grep -c '^no' "$work/doctor")" 2 "lines that say no"
}

# The same to whoever wants to trace, by a call.
trace_start_says_why() {
  local status domain
  for domain in tiny hvm linux-pv1; do
    status=0
    call TraceService/StartTrace "domain: \"$domain\"" >"$work/answer.txt" || status=$?
    refused "$status"
    same "$code $errno" "failed_precondition EINVAL" "$domain: code and errno"
    contains "$cause" 'Intel PT' "$domain: likely cause"
    contains "$next_step" 'xl info' "$domain: next step"
  done
  call TraceService/ListTraces >"$work/answer.txt"
  same "$(cat "$work/answer.txt")" "" "traces"
}

suite_start xenresd-gateway
suite_tool provoke
for program in mapper_test mapper_trace_test backend_xen_test; do
  [ ! -x "$BUILD/tests/contract/$program" ] || suite_stage usr/local/bin "$BUILD/tests/contract/$program"
done
deploy_stage
exploit_stage
rig_stage
said=$work
suite_boot
check "rig: commands carry arguments, output, status and binary data, and are bounded" commands_carry_everything
check "rig: commands from several processes take turns" commands_take_turns
check "rig: the overlay is owned by root whoever made it" overlay_is_owned_by_root
set -E
trap 'echo "Bail out! The guests did not start: $BASH_COMMAND"' ERR
start_guests
trap - ERR
set +E
check "two services: both start, and xenresd finds its mapper" deploy_start
gateway=$(deploy_url)
echo "# guests and gateway are up $SECONDS s after the start"

check "the gateway tells Xen's version, capabilities and boot, and that it sees what it needs" host_is_described
check "the host has a UUID that lasts, made of its machine id" host_has_a_uuid
check "domains are listed as Xen has them" domains_are_listed
check "a domain's state is told" states_are_told
check "what a domain has and has not is told, with the reason" resources_are_described
check "a hostile name is escaped" hostile_name_is_escaped

check "xenresd: no privilege, no handle to Xen" xenresd_has_no_privilege
check "mapper: group access to Xen's nodes, no capability, no network socket" mapper_has_group_access_only
check "xenresd: files by Landlock where the kernel has it" xenresd_has_what_the_kernel_can_take
check "neither shows its memory" neither_shows_its_memory
check "the mapper's socket is xenresd's alone" socket_is_for_xenresd_alone
check "services: xenresd, its own user's from the start, serves a new key from SIGHUP on" new_key_is_read_at_sighup

check "frames equal those mapped in dom0: PV, grant version 1" grant_table_equal linux-pv1
check "frames equal those mapped in dom0: PV, grant version 2" grant_table_equal linux-pv2
check "frames equal those mapped in dom0: PV, status frames" frames_equal linux-pv2 grant_table 1 0 1
check "frames equal those mapped in dom0: PVH" grant_table_equal tiny
check "frames equal those mapped in dom0: PVH, Linux" linux_pvh_equal
check "frames equal those mapped in dom0: PVH, grant version 2" grant_table_equal tiny-v2
check "frames equal those mapped in dom0: PVH, status frames" frames_equal tiny-v2 grant_table 1 0 1
check "frames equal those mapped in dom0: HVM" grant_table_equal hvm
check "frames equal those mapped in dom0: HVM, both pages of its device model" frames_equal hvm ioreq_server 0 0 2
check "frames equal those mapped in dom0: parts of a table" ranges_equal
check "pages that did not change are not sent again" unchanged_pages_are_not_sent_again
check "version 1 entries decode to what the guest wrote" v1_entries_are_decoded
check "version 2 entries decode to what the guest wrote" v2_entries_are_decoded
check "version 2 status bits decode to what the status frames have" v2_status_is_decoded
check "looking adds no frame to a guest's table; beyond what is in use is refused" looking_adds_no_frame
check "status frames are let go: a guest can go back to version 1" \
  again 'xl destroy tiny-switch' status_frames_are_let_go
check "status frames that somebody holds would be noticed" \
  again 'killall -q resmap; xl destroy tiny-switch' held_status_frames_would_be_seen
check "run times lie between those that Xen tells before and after" run_times_grow

check "a real device model's requests are seen" device_model_is_seen
check "a pending request is decoded, its page equal" \
  again 'killall -q resmap; xl destroy tiny-io' pending_request_is_decoded
check "a server without a buffered page has one page" server_without_buffered_page
check "listing acquires nothing; asking for the page does" listing_acquires_nothing
check "ioreq pages are let go" ioreq_pages_are_let_go
check "a server made again is not taken for the old one" new_server_is_not_taken_for_the_old

check "a destroyed domain whose mapping is cached is gone within a second" destroyed_domain_is_gone
check "so are several, with nobody asking" many_domains_end
check "a paused domain keeps its incarnation" paused_domain_keeps_its_incarnation
check "a name used again is another domain's" name_used_again
check "number, UUID and name used again are another domain's" number_used_again
check "a dying domain is not answered for, nor held" dying_domain_is_not_answered_for

check "odd questions: the states for them" odd_begin
odd_cases
check "odd questions changed no guest" odd_end

check "the xen backend keeps the contract that the simulator keeps" contract_holds backend_xen_test
check "the mapper keeps the contract that the simulator's keeps" contract_holds mapper_test
check "… of traces too: on this hypervisor, that each refusal says why" contract_holds mapper_trace_test
check "--doctor names what this host lacks to be traced, and nothing else" doctor_says_why
check "a trace that is to be started is refused with the reason" trace_start_says_why
check "kill -9 of the mapper: unavailable, then back, as root that drops it" killed_mapper_comes_back
check "kill -9 of xenresd: the mapper lets go of all, and serves the next" killed_xenresd_leaves_nothing
check "mapper started as root: nothing of root is left" mapper_dropped_root
check "frames equal those mapped in dom0: after the restart" grant_table_equal tiny
check "guests, kernel and services are well" all_is_well
check "nobody was killed by a filter" nobody_was_killed_by_a_filter
check "exploit: a xenresd that was taken over serves in its place" exploit_begin
check "exploit: it opens none of Xen's nodes" exploit_opens_no_node
check "exploit: it opens no key, nor is it handed one" exploit_opens_no_key
check "exploit: it is ended when it dials out" is_killed connect
check "exploit: it is ended when it runs a shell" is_killed shell
check "exploit: it gets no domain but those of the export list" exploit_gets_no_other_domain
check "exploit: the services are themselves again" exploit_leaves
check "guests end without a trace" guests_end_without_a_trace
check "both services end when told to" services_stop
if [ "$failed" -gt 0 ]; then
  deploy_logs | tail -n 60 | sed 's/^/# /'
fi
suite_end
