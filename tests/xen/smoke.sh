#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# usage: smoke.sh
# Shows that the rig is what the suites take it for: the machine boots, commands and ports reach dom0, every kind of
# guest runs and has the frames that rig/guests describes, resmap tells the truth, and which access Xen's libraries need.
#
# shellcheck disable=SC2016  # much here is for dom0's shell to expand
set -euo pipefail

# shellcheck source=tests/xen/suite.sh
. "$(dirname "$0")/suite.sh"

frames() { # DOMAIN TYPE ID FIRST COUNT: into the file $work/frames
  dom0 resmap copy "$@" >"$work/frames"
  same "$(stat -c %s "$work/frames")" $(($5 * 4096)) "bytes of frames"
}

commands_carry_everything() {
  same "$(dom0 printf '%s|' "it's" '$HOME' 'a  b' '')" "it's|\$HOME|a  b||" arguments
  same "$(dom0_sh 'echo out; echo err >&2' 2>"$work/err")" out output
  same "$(cat "$work/err")" err "error output"
  local status=0
  dom0_sh 'exit 42' || status=$?
  same "$status" 42 status
  status=0
  DOM0_LIMIT=1 dom0 sleep 60 || status=$?
  same "$status" 124 "status of a command that takes too long"
  dom0 head -c 1000000 /modules/order /init /bin/busybox >"$work/binary"
  same "$(sha256sum <"$work/binary")" "$(dom0_sh 'head -c 1000000 /modules/order /init /bin/busybox | sha256sum')" binary
}

commands_take_turns() {
  local i
  for i in 1 2 3 4 5; do
    dom0 echo "answer $i" >"$work/turn.$i" &
  done
  wait
  for i in 1 2 3 4 5; do
    same "$(cat "$work/turn.$i")" "answer $i"
  done
}

port_leads_to_dom0() {
  local port line
  port=$(dom0_port 8443)
  dom0_sh 'nc -l -p 8443 -e echo hello >/dev/null 2>&1 & wait-for 10 grep -q ":20FB .* 0A " /proc/net/tcp6'
  exec {connection}<>"/dev/tcp/127.0.0.1/$port"
  read -r -t 20 -u "$connection" line
  same "$line" hello
}

overlay_is_owned_by_root() {
  same "$(dom0 stat -c '%u:%g %a' /etc/smoke/file)" "0:0 640"
}

tiny_v1() {
  local domain ref
  domain=$(create tiny)
  dom0 wait-for 10 sh -c "resmap grants $domain | grep frames=2"
  same "$(dom0 resmap grants "$domain")" "frames=2 max=4 version=1"
  same "$(dom0 resmap size "$domain" 1 0)" "frames=4" "what Xen calls the size"
  frames "$domain" 1 0 0 2
  for ref in 8 9 10 11 12 13 14 15; do
    same "$(words "$work/frames" $((ref * 8)) 2)" "$(printf '%04x0005 %08x' "$ref" $((0x1000 + ref)))" "ref $ref"
  done
  same "$(words "$work/frames" $((600 * 8)) 2)" "00070001 00001258" "ref 600"
  same "$(dom0 resmap grants "$domain")" "frames=2 max=4 version=1" "after the copy"
}

tiny_v2() {
  local domain
  domain=$(create tiny-v2)
  dom0 wait-for 10 sh -c "resmap grants $domain | grep version=2"
  dom0 xl pause tiny-v2
  frames "$domain" 1 0 0 1
  same "$(words "$work/frames" $((9 * 16)) 4)" "00070001 00000000 00002009 00000000" "full page"
  same "$(words "$work/frames" $((10 * 16)) 4)" "00080101 00800040 0000200a 00000000" "sub page"
  same "$(words "$work/frames" $((11 * 16)) 4)" "00090003 00000005 0000004d 00000000" "transitive"
  frames "$domain" 1 1 0 1
}

pausing_is_seen() {
  local domain
  domain=$(dom0 xl domid tiny)
  dom0 resmap pause "$domain"
  dom0 resmap domains | grep -q "^$domain .*paused=1"
  dom0 resmap unpause "$domain"
  dom0 resmap domains | grep -q "^$domain .*paused=0"
}

refusals_are_told() {
  local domain
  domain=$(dom0 xl domid tiny)
  refuses "xenforeignmemory_map_resource: EINVAL" resmap copy "$domain" 1 1 0 1
  refuses "xenforeignmemory_resource_size: ESRCH" resmap size 999 1 0
  refuses "xenforeignmemory_resource_size: EPERM" resmap size 0 1 0
  refuses "not a number" resmap size tiny 1 0
  refuses "usage" resmap
}

linux_guest() { # CONFIG VERSION
  local domain
  domain=$(create "$1")
  dom0 wait-for 40 grep -q GUEST-UP "/var/log/xen/guest-$1.log"
  dom0 resmap grants "$domain" | grep -q "version=$2"
  frames "$domain" 1 0 0 1
  # Ref 0 is the console, which the domain builder granted to dom0: permit_access, and in use in version 1.
  [[ $(words "$work/frames" 0 1) == 0000*[19] ]]
  if [ "$2" = 2 ]; then
    frames "$domain" 1 1 0 1 # the status frames
  fi
  dom0 xl destroy "$1"
  dom0 resmap gone "$domain" 5000
}

hvm_has_live_ioreqs() {
  local domain
  domain=$(create hvm)
  dom0_sh "wait-for 20 sh -c 'resmap copy $domain 0 0 1 1 | hexdump -n 16 -v -e \"/1 \\\"%02x\\\"\" | grep -q [1-9a-f]'"
  frames "$domain" 0 0 0 1
  dom0 xl destroy hvm
  dom0 resmap gone "$domain" 5000
}

# Busy guests die at times under TCG: that is not what is tested, so it is tried again.
ioreq_server_serves() {
  local try
  for try in 1 2 3; do
    echo "try $try"
    ! serve_tiny || return 0
    dom0_sh 'killall -q resmap; xl destroy tiny-io' || true
  done
  return 1
}

serve_tiny() { # without set -e, as its status is asked for
  local domain
  domain=$(create tiny-io) || return
  dom0_sh "resmap serve $domain 0x510 3 >/tmp/serve.log 2>&1 &" || return
  dom0 wait-for 10 grep -q unanswered /tmp/serve.log || return
  same "$(dom0 cat /tmp/serve.log)" "id=0
left unanswered: addr=0x510 size=1 dir=1 type=0" || return
  frames "$domain" 0 0 1 1 || return
  same "$(words "$work/frames" 0 1)" 00000510 "address of the pending request" || return
  # Byte 30 has the state in its low four bits, READY, and the direction, a read, in bit 5.
  same "$(od -An -tu1 -j 30 -N 1 "$work/frames" | tr -d ' ')" $((1 | 1 << 5)) "state and direction" || return
  dom0 killall resmap && dom0 xl destroy tiny-io && dom0 resmap gone "$domain" 5000
}

held_mapping_makes_a_zombie() {
  local domain
  domain=$(create tiny 'name="held"')
  dom0_sh "resmap hold $domain 1 0 0 1 >/tmp/hold.log 2>&1 &"
  dom0 wait-for 10 grep -q holding /tmp/hold.log
  dom0 xl destroy held
  dom0 wait-for 10 sh -c "resmap domains | grep '^$domain .*dying=1'"
  refuses "still there" resmap gone "$domain" 500
  dom0 killall resmap
  dom0 resmap gone "$domain" 1000
}

as_mapper() { # COMMAND: as the user that the mapper has in a deployment
  dom0 su xenresd-mapper -c "$1"
}

group_access_suffices() {
  local domain
  domain=$(dom0 xl domid tiny)
  refuses EACCES su xenresd-mapper -c "resmap grants $domain"
  refuses "Permission denied" su xenresd-mapper -c "xenstore-read /local/domain/$domain/name"
  dom0 xen-access xen
  same "$(as_mapper "resmap grants $domain")" "frames=2 max=4 version=1"
  same "$(as_mapper "resmap copy $domain 1 0 0 2 | wc -c")" 8192 "bytes of frames"
  same "$(as_mapper "xenstore-read /local/domain/$domain/name")" tiny "name in xenstore"
  refuses EACCES su xenresd -c "resmap grants $domain"
}

group_sees_domains_end() {
  dom0_sh "su xenresd-mapper -c 'xenstore-watch @releaseDomain' >/tmp/watch.log 2>&1 &"
  dom0 wait-for 10 grep -q @releaseDomain /tmp/watch.log # a watch fires once when it is set
  create tiny 'name="ending"' >/dev/null
  dom0 xl destroy ending
  dom0 wait-for 10 sh -c 'test $(grep -c @releaseDomain /tmp/watch.log) -ge 2'
  dom0 killall xenstore-watch
}

everything_can_be_destroyed() {
  dom0 xl destroy tiny
  dom0 xl destroy tiny-v2
  dom0 wait-for 5 sh -c 'test $(resmap domains | wc -l) = 1'
}

kernel_is_content() {
  ! dom0 dmesg | grep -E 'WARNING|BUG|Oops|segfault'
}

suite_start xenresd-smoke
install -D -m 640 /dev/null "$overlay/etc/smoke/file"
suite_boot
check "commands carry arguments, output, status and binary data, and are bounded" commands_carry_everything
check "commands from several processes take turns" commands_take_turns
check "a forwarded port leads to dom0" port_leads_to_dom0
check "the overlay is owned by root whoever made it" overlay_is_owned_by_root
check "tiny guest: its version 1 entries are seen, and looking adds no frame" tiny_v1
check "tiny guest: its version 2 entries are seen" tiny_v2
check "a pause of a guest is seen" pausing_is_seen
check "what Xen refuses is told with the errno's name" refusals_are_told
check "Linux PV guest, grant version 1" linux_guest linux-pv1 1
check "Linux PV guest, grant version 2 with status frames" linux_guest linux-pv2 2
check "Linux PVH guest" linux_guest linux-pvh 1
check "HVM guest: requests of its device model" hvm_has_live_ioreqs
check "an ioreq server of our own answers, and leaves a request pending" ioreq_server_serves
check "a held mapping makes a zombie, until it is let go" held_mapping_makes_a_zombie
check "group access to Xen's device nodes is enough, and needed" group_access_suffices
check "the group is told by xenstore when a domain ends" group_sees_domains_end
check "guests can be destroyed without a trace" everything_can_be_destroyed
check "dom0's kernel has nothing to complain about" kernel_is_content
suite_end
