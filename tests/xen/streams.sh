#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
# time-limit: 1200
#
# usage: streams.sh
# Live streams on a real Xen: the gateway runs in dom0 as two services, xenres watches from outside over mutually
# authenticated TLS while guests change, end, start again, and either service is killed. What a watch holds is compared
# with what resmap sees past it. One boot for all. BUILD says where the programs are (build/ by default).
#
# The cases are in streams/*.sh; how the gateway is deployed, and some helpers, are gateway.sh's.
set -euo pipefail

# shellcheck source=tests/xen/suite.sh
. "$(dirname "$0")/suite.sh"
for part in gateway/deploy gateway/client gateway/frames gateway/ioreqs streams/watch streams/changes streams/ends; do
  # shellcheck source=/dev/null
  . "$suite_source/$part.sh"
done
BUILD=$(cd "${BUILD:-$suite_source/../../build}" && pwd)

# Nothing lingers: what is counted afterwards is what stayed.
streams_stage() {
  deploy_stage
  cat >"$overlay/etc/xenresd/xenresd.conf" <<'END'
server {
    listen = "0.0.0.0:8443"
}
mapper {
    socket         = "/run/xenresd/mapper.sock"
    backoff_max_ms = 500
}
limits {
    feed_linger_s = 0
}
END
}

streams_clean() {
  watch_clean
  suite_clean
}

start_guests() {
  steady=$(create steady)
  steady_v2=$(create steady-v2)
  hvm=$(create hvm 2>&1 | tail -n 1) # xl tells of the TSC
  dom0 wait-for 60 sh -c "test \$(provoke peek $steady 0x300004) -gt 8"
  dom0 wait-for 60 sh -c "test \$(provoke peek $steady_v2 0x300004) -gt 8"
  DOM0_LIMIT=100 dom0 wait-for 90 sh -c \
    "resmap copy $hvm 0 0 1 1 | hexdump -n 16 -v -e '/1 \"%02x\"' | grep -q [1-9a-f]"
}

is_served() { # DOMAIN
  XENRES_SERVER=$gateway XENRES_CACERT=$work/pki/ca.crt XENRES_CERT=$work/pki/operator.crt \
    XENRES_KEY=$work/pki/operator.key "$BUILD/xenres" resources "$1"
}

guests_are_served() {
  local domain
  for domain in "$steady" "$steady_v2" "$hvm"; do
    eventually 60 is_served "$domain"
  done
}

all_is_well() {
  alive "$steady" "$steady_v2" "$hvm"
  dom0 dmesg >"$work/dmesg"
  never grep -E 'WARNING|BUG|Oops|segfault' "$work/dmesg"
  dom0 kill -0 "$(deploy_pid mapper)" "$(deploy_pid xenresd)"
  same "$(mappings)" 0 "live mappings that nobody watches"
}

RIG_LIMIT=${RIG_LIMIT:-1200}
DOM0_LIMIT=${DOM0_LIMIT:-150} # five guests are made at a time
suite_start xenresd-streams
trap streams_clean EXIT
exec {figures}>&1
suite_tool provoke
deploy_grace=60
streams_stage
said=$work
suite_boot
set -E
trap 'echo "Bail out! The guests did not start: $BASH_COMMAND"' ERR
start_guests
trap - ERR
set +E
check "two services: both start" deploy_start
gateway=$(deploy_url)
check "each guest is there for who asks, once xenstored has time for it" guests_are_served
echo "# guests and gateway are up $SECONDS s after the start"

check "grant tables and ioreq pages of live guests change under a watch" live_begins
check "Xen's own marks in the status frames are told" status_marks_are_seen
check "what recordings hold at their end is what the paused guests have" recordings_equal_the_guests
check "the recordings are complete, the guests live on" live_ends
check "each change decodes as the guest made it: version 1" decoded_as_made decoded-1
check "each change decodes as the guest made it: version 2" decoded_as_made decoded-2
check "requests decode as the guest made them" requests_follow_the_guest
check "a guest goes back to version 1 and on to 2 under watches of its status frames" \
  again 'xl destroy back' version_goes_back
check "a table that grows is followed, and looking adds no frame" again 'xl destroy growing' table_grows
check "an ioreq server that goes ends its watch, the next one is another" \
  again 'killall -q provoke resmap; xl destroy remade' gone_server_ends_its_watch
check "an ioreq server made again between two samples is told as it is" \
  again 'killall -q provoke resmap; xl destroy remade' remade_server_is_sampled_anew

check "a sample costs the hypercalls that it is meant to" hypercalls_are_counted
check "a guest's run time with and without a watch" guest_is_not_slowed

check "a destroyed domain ends its watches within a second, and is gone" \
  again 'killall -q provoke; xl destroy ending' destroyed_domain_ends_its_watches
check "a reboot ends a watch, and one that goes on later, and is never spliced" again 'xl destroy again' reboot_is_no_splice
check "fifty domains come and go under watches, each told once, nothing stays" fifty_domains
check "kill -9 of xenresd: watches go on where they were" killed_xenresd_is_resumed_exactly
check "a domain that starts again while xenresd is away ends its watch" again 'xl destroy outage' reboot_during_an_outage
check "kill -9 of the mapper: told; domains are watched on, with another feed" killed_mapper_is_told
check "guests, kernel and services are well" all_is_well
if [ "$failed" -gt 0 ]; then
  {
    deploy_logs | tail -n 60
    dom0_sh 'wget -q -O - http://127.0.0.1:9480/metrics | grep -E "_(ended|ends|gaps|failures)_total.* [1-9]"'
    tail -n 3 "$work"/*.log
  } 2>&1 | sed 's/^/# /' || true
fi
suite_end
