# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Sourced by gateway.sh: cases about what is copied, and that copying changes nothing. They rely on the guests that
# gateway.sh starts; those that a case starts, it ends.

declare -A type_number=([ioreq_server]=0 [grant_table]=1)

# The mapper's live mappings of guests' pages, as the kernel has them.
mappings() {
  dom0_sh 'grep -c " /dev/xen/privcmd" "/proc/$(cat /run/mapper.pid)/maps" || true'
}

alive() { # DOMAIN...: still there, and not crashed
  local domain
  for domain in "$@"; do
    dom0 resmap domains | grep "^$domain " | grep -q 'dying=0 .*shutdown=0' ||
      { echo "domain $domain is not alive"; return 1; }
  done
}

comes_to_version() { # DOMAIN VERSION: of its grant table
  dom0 wait-for 10 sh -c "resmap grants $1 | grep version=$2 || { resmap grants $1; resmap domains | grep '^$1 '; exit 1; }"
}

# frames_equal NAME TYPE ID FIRST COUNT: three ways through the gateway, and past it, on a paused guest.
frames_equal() {
  local name=$1 type=$2 id=$3 first=$4 count=$5 domain before status=0
  domain=$(dom0 xl domid "$name")
  dom0 resmap pause "$domain"
  before=$(dom0 resmap grants "$domain")
  compare_frames "$@" "$domain" || status=$?
  dom0 resmap unpause "$domain"
  [ "$status" -eq 0 ] || return "$status"
  same "$(dom0 resmap grants "$domain")" "$before" "grant table after the copies"
  alive "$domain"
}

# Its status is asked for, so that set -e is off in it.
compare_frames() { # NAME TYPE ID FIRST COUNT DOMAIN
  local name=$1 type=$2 id=$3 first=$4 count=$5 domain=$6
  still "$domain" "${type_number[$type]}" "$id" "$first" "$count" || return
  snapshot "$name" "$type" "$id" --first "$first" --count "$count" --output "$work/by-xenres" || return
  raw "$work/by-curl" "$name" "$type" "$id" "first=$first&count=$count" || return
  call ResourceService/GetSnapshot "domain: \"$name\" type: RESOURCE_TYPE_${type^^} id: $id
    first_frame: $first frame_count: $count" >"$work/answer.txt" || return
  dom0 resmap copy "$domain" "${type_number[$type]}" "$id" "$first" "$count" >"$work/by-resmap" || return
  same "$(stat -c %s "$work/by-resmap")" $((count * 4096)) "bytes that resmap has" || return
  cmp "$work/by-resmap" "$work/frames-before" || return
  cmp "$work/by-xenres" "$work/by-resmap" || return
  cmp "$work/by-curl" "$work/by-resmap" || return
  # The message has the frames in its fifth field, the last one: they end the message.
  tail -c $((count * 4096)) "$said/answer" | cmp - "$work/by-resmap"
}

# A paused guest's requests are still answered by its device model: waits until the frames stand still.
still() { # DOMAIN TYPE ID FIRST COUNT
  local try
  dom0 resmap copy "$@" >"$work/frames-before" || return
  for try in 1 2 3 4 5; do
    dom0 resmap copy "$@" >"$work/frames-now" || return
    ! cmp -s "$work/frames-before" "$work/frames-now" || return 0
    mv "$work/frames-now" "$work/frames-before"
  done
  echo "the frames do not stand still after $try looks"
  return 1
}

frames_in_use() { # NAME: of its grant table
  dom0 resmap grants "$(dom0 xl domid "$1")" | sed 's/frames=\([0-9]*\).*/\1/'
}

grant_table_equal() { # NAME: all frames in use
  frames_equal "$1" grant_table 0 0 "$(frames_in_use "$1")"
}

ranges_equal() {
  frames_equal tiny grant_table 0 0 1
  frames_equal tiny grant_table 0 1 1
  snapshot tiny grant_table --output "$work/all"
  snapshot tiny grant_table 0 --first 1 --output "$work/rest"
  same "$(stat -c %s "$work/all" "$work/rest" | tr '\n' ' ')" "8192 4096 " "bytes of all, and of all from 1 on"
}

unchanged_pages_are_not_sent_again() {
  local tag
  raw "$work/all" tiny grant_table 0
  tag=$(sed -n 's/^etag: *\(.*\)\r$/\1/ip' "$said/headers")
  [[ $tag == \"*\" ]] || { echo "no ETag: $(cat "$said/headers")"; return 1; }
  never client_curl "$work/all" --header "If-None-Match: $tag" "$gateway/v1/domains/tiny/resources/grant_table/0/frames"
  same "$(cat "$said/http")" 304 "status with the tag of the same content"
  client_curl "$work/all" --header "If-None-Match: $tag" "$gateway/v1/domains/tiny-v2/resources/grant_table/0/frames"
}

v1_entries_are_decoded() {
  client grants tiny >"$work/answer.json"
  # Refs 0 and 1, the console and xenstore, were granted to dom0 by the domain builder.
  same "$(show grants "$work/answer.json" | grep -v '^[01] ')" "$(
    for ref in 8 9 10 11 12 13 14 15; do
      printf '%d permit_access domid=%d frame=%#x readonly\n' "$ref" "$ref" $((0x1000 + ref))
    done
    echo '600 permit_access domid=7 frame=0x1258'
  )" "entries in use"
  same "$(show grants "$work/answer.json" | grep -c '^[01] permit_access domid=0 frame=0x')" 2 "reserved entries"
  same "$(show observation "$work/answer.json")" "frameCount=2 framesInUse=2 framesMax=4 grantVersion=1"
  client grants tiny --all >"$work/answer.json"
  same "$(show grants "$work/answer.json" | wc -l)" 1024 "entries with --all"
  same "$(show grants "$work/answer.json" | grep -vc unused)" 11 "of them in use"
}

v2_entries_are_decoded() {
  client grants tiny-v2 >"$work/answer.json"
  same "$(show grants "$work/answer.json" | grep -v '^[0-7] ')" "9 permit_access domid=7 frame=0x2009
10 permit_access domid=8 frame=0x200a bytes=64+128
11 transitive domid=9 of=5/77" "entries in use"
  show observation "$work/answer.json" | grep -q grantVersion=2
}

# Its console is mapped by xenconsoled in dom0: Xen says so in the status frames, which are theirs to show.
v2_status_is_decoded() {
  client grants linux-pv2 >"$work/answer.json"
  show observation "$work/answer.json" | grep -q grantVersion=2
  show grants "$work/answer.json" | grep -q '^0 permit_access domid=0 '
  dom0 resmap copy "$linux_pv2" 1 1 0 1 >"$work/status"
  # Status bits: 8 reading, 16 writing. The decoded flags are those of the pages, entry by entry.
  same "$(show grants "$work/answer.json" | sed -n 's/^\([0-9]*\) .*writing.*/\1/p' | tr '\n' ' ')" \
    "$(od -An -v -tu2 -w2 "$work/status" | awk 'int($1 / 16) % 2 { printf "%d ", NR - 1 }')" "refs that are written to"
}

beyond_is_refused() { # FIRST COUNT
  local status=0
  raw "$work/frames" tiny grant_table 0 "first=$1&count=$2" || status=$?
  refused "$status"
  same "$code" out_of_range
  [[ "$message $cause $next_step" == *grow*"below 2"* ]]
  same "$(dom0 resmap grants "$tiny")" "frames=2 max=4 version=1" "grant table afterwards"
}

looking_adds_no_frame() {
  beyond_is_refused 2 1
  beyond_is_refused 0 3
  beyond_is_refused 1 2
  beyond_is_refused 0 4
  beyond_is_refused 3 1
  beyond_is_refused 0 64
}

# Status frames that somebody holds make Xen crash a guest that goes back to version 1: a hold would be seen here.
status_frames_are_let_go() {
  local domain before
  domain=$(create tiny-switch)
  comes_to_version "$domain" 2
  client grants tiny-switch >"$work/answer.json" # needs both kinds of frames
  before=$(mappings)
  raw "$work/frames" tiny-switch grant_table 1
  snapshot tiny-switch grant_table 1 --output "$work/frames"
  client grants tiny-switch >"$work/answer.json"
  show grants "$work/answer.json" | grep -q '^11 transitive'
  same "$(mappings)" "$before" "live mappings after status frames were asked for"
  dom0 provoke poke "$domain" 0x300000 1
  comes_to_version "$domain" 1
  alive "$domain"
  # What was cached of version 2 is not taken for version 1.
  client grants tiny-switch >"$work/answer.json"
  show observation "$work/answer.json" | grep -q grantVersion=1
  show grants "$work/answer.json" | grep -qx '9 permit_access domid=7 frame=0x1009'
  dom0 xl destroy tiny-switch
  dom0 resmap gone "$domain" 1000
}

# The same, with somebody holding: Xen does what the case before relies on.
held_status_frames_would_be_seen() {
  local domain
  domain=$(create tiny-switch)
  comes_to_version "$domain" 2
  dom0_sh "resmap hold $domain 1 1 0 1 >/tmp/hold.log 2>&1 &"
  dom0 wait-for 10 grep -q holding /tmp/hold.log
  dom0 provoke poke "$domain" 0x300000 1
  dom0 wait-for 10 sh -c "resmap domains | grep '^$domain .*shutdown=1'"
  dom0_sh 'killall resmap; xl destroy tiny-switch'
}

# Each vCPU's time lies between two looks past the gateway: exactly theirs where the guest is paused.
run_times_are_true() { # NAME
  local domain before after
  domain=$(dom0 xl domid "$1")
  before=$(dom0 resmap vcpus "$domain")
  client stats "$1" >"$work/answer.json"
  after=$(dom0 resmap vcpus "$domain")
  show vcpus "$work/answer.json" >"$work/vcpus"
  same "$(head -n 1 "$work/vcpus")" vcpu_info source
  paste -d ' ' <(echo "$before") <(tail -n +2 "$work/vcpus") <(echo "$after") | sed 's/[a-z_]*=//g' |
    awk '$1 != $4 || $2 != $5 || $3 > $6 || $6 > $9 || $6 == 0 { bad = 1 } { print } END { exit bad || !NR }'
}

run_times_grow() {
  local first second try
  run_times_are_true tiny
  run_times_are_true linux-pv1
  client stats hvm >"$work/answer.json"
  first=$(show vcpus "$work/answer.json" | sed -n 's/.*run_time_ns=//p')
  for try in $(seq 20); do
    client stats hvm >"$work/answer.json"
    second=$(show vcpus "$work/answer.json" | sed -n 's/.*run_time_ns=//p')
    [ "$second" -ge "$first" ]
    [ "$second" -eq "$first" ] || return 0
  done
  echo "the HVM guest's run time stays at $first after $try looks"
  return 1
}
