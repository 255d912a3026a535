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
  return; hvm=$(create hvm 2>&1 | tail -n 1) # xl tells of the TSC
  dom0 wait-for 60 sh -c "test \$(provoke peek $steady 0x300004) -gt 8"
  dom0 wait-for 60 sh -c "test \$(provoke peek $steady_v2 0x300004) -gt 8"
  DOM0_LIMIT=100 dom0 wait-for 90 sh -c \
    "resmap copy $hvm 0 0 1 1 | hexdump -n 16 -v -e '/1 \"%02x\"' | grep -q [1-9a-f]"
}

all_is_well() {
  alive "$steady" "$steady_v2" "$hvm"
  dom0 dmesg >"$work/dmesg"
  never grep -E 'WARNING|BUG|Oops|segfault' "$work/dmesg"
  dom0 kill -0 "$(deploy_pid mapper)" "$(deploy_pid xenresd)"
  same "$(mappings)" 0 "live mappings that nobody watches"
}

RIG_LIMIT=${RIG_LIMIT:-1200}
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
echo "# guests and gateway are up $SECONDS s after the start"

hvm=$steady
logs() { deploy_logs; dom0_sh "wget -q -O - http://127.0.0.1:9480/metrics | grep -E 'connections_ended|stream_ends|gaps_total|handshakes|tls_fail'"; return 1; }
for line in killed_mapper_is_told reboot_during_an_outage hypercalls_are_counted fifty_domains destroyed_domain_ends_its_watches reboot_is_no_splice killed_xenresd_is_resumed_exactly all_is_well logs; do
  for part in gateway/deploy gateway/client gateway/frames gateway/ioreqs streams/watch streams/changes streams/ends; do . "$suite_source/$part.sh"; done
  deploy_grace=60
  check "$line" $line
done
suite_end
