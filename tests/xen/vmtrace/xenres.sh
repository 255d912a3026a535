# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Sourced by vmtrace.sh: what a user does, with xenres: traces are recorded into folders, gone on with, verified.
#
#   keep NAME DOMAIN [ARG...]     begins `xenres trace record`, into $work/NAME, beside the test cases
#   keep_on NAME DOMAIN           goes on with it
#   keep_ended NAME [STATUS]      ends it as Ctrl-C does: it stops what it started, and reads to the end
#   kept NAME VCPU FILTER         what its manifest says of a vCPU
#   kept_whole NAME VCPU DOMAIN-NUMBER   by that and by libipt, all that the hypervisor counts is there
#
# A NAME.pid is record.sh's to end, too.

xenres_trace() { # ARG...
  XENRES_SERVER=$gateway XENRES_CACERT=$work/pki/ca.crt XENRES_CERT=$work/pki/operator.crt \
    XENRES_KEY=$work/pki/operator.key exec "$BUILD/xenres" trace "$@"
}

keep() { # NAME DOMAIN [ARG...]
  trace StopTrace "$2" >"$work/stopped" || true # what a case that failed has left
  rm -rf "${work:?}/$1" "$work/$1".{log,truth}
  keep_begins "$1" "${@:2}"
}

keep_on() { # NAME DOMAIN
  keep_begins "$1" "$2" --resume
}

keep_begins() { # NAME DOMAIN [ARG...]
  local name=$1
  shift
  rm -f "$work/$name".{pid,exit}
  (
    trap - EXIT ERR
    set +eE
    (xenres_trace record "$@" --output "$work/$name") &
    echo $! >"$work/$name.pid"
    wait $!
    echo $? >"$work/$name.exit"
  ) </dev/null >>"$work/$name.log" 2>&1 &
  eventually 30 test -s "$work/$name/manifest.json"
}

keep_ended() { # NAME [STATUS]
  kill "$(cat "$work/$1.pid")" || true
  eventually 90 test -e "$work/$1.exit"
  cat "$work/$1.log"
  same "$(cat "$work/$1.exit")" "${2:-0}" "status of xenres trace record"
}

kept() { # NAME VCPU FILTER
  jq -r ".vcpus[] | select(.vcpu == $2) | $3" "$work/$1/manifest.json" 2>/dev/null || echo 0
}

has_kept() { # NAME VCPU BYTES: at least
  [ "$(kept "$1" "$2" .delivered)" -ge "$3" ]
}

has_lost() { # NAME VCPU
  [ "$(kept "$1" "$2" '.gaps | length')" -gt 0 ]
}

# What hands on bytes by files is held against the manifest by `xenres verify`; the truth is the hypervisor's.
kept_whole() { # NAME VCPU DOMAIN-NUMBER
  local name=$1-$2
  truth "$name" "$3" "$2"
  same "$(fact "$name" on)" 0 "tracing is on"
  same "$(kept "$1" "$2" '[.produced, .delivered, .lost, (.files | length), (.gaps | length)] | join(" ")')" \
    "$(fact "$name" produced) $(fact "$name" produced) 0 1 0" "produced, delivered, lost, files, gaps"
  same "$(stat -c %s "$work/$1/vcpu$2.pt")" "$(fact "$name" produced)" "bytes of the file"
  packets "$work/$1/vcpu$2.pt" >"$work/$name.packets" || { cat "$work/$name.packets"; return 1; }
  cat "$work/$name.packets"
  same "$(sed 's/.*before=\([0-9]*\) tail=\([0-9]*\) .* first=\([0-9]*\) last=\([0-9]*\) \(.*\)/\1 \2 \3 \4 \5/' \
    "$work/$name.packets")" "0 0 0 $(($(fact "$name" next) - 1)) holes=0 missing=0 back=0" \
    "bytes before and behind, first and last number, what is missing"
  never grep -a -q "${unwritten:0:12}" "$work/$1/vcpu$2.pt"
  echo "# xenres, $1, vCPU $2: produced $(fact "$name" produced), all there; $(sed 's/^bytes=[0-9]* //' \
    "$work/$name.packets")" >&"$figures"
}

verified() { # NAME STATUS
  local status=0
  "$BUILD/xenres" verify "$work/$1" >"$work/$1.verified" 2>&1 || status=$?
  cat "$work/$1.verified"
  same "$status" "$2" "status of xenres verify"
}

# Two vCPUs from the first instruction on, until the guest is up.
linux_boot_is_kept() {
  local linux
  dom0_sh "xl destroy linux-pvh 2>/dev/null; : >/var/log/xen/guest-linux-pvh.log
    xl create -q -p /guests/linux-pvh.cfg vcpus=2 vmtrace_buf_kb=4096"
  linux=$(dom0 xl domid linux-pvh)
  dom0_sh "ptctl extra $linux 0 32; ptctl extra $linux 1 32"
  keep linux linux-pvh
  dom0 resmap unpause "$linux"
  DOM0_LIMIT=150 dom0 wait-for 140 grep -q GUEST-UP /var/log/xen/guest-linux-pvh.log
  eventually 60 has_kept linux 0 1000000
  eventually 60 has_kept linux 1 10000
  keep_ended linux
  kept_whole linux 0 "$linux"
  kept_whole linux 1 "$linux"
  alive "$linux"
  dom0_sh "xl destroy linux-pvh; resmap gone $linux 2000"
  verified linux 0
  (xenres_trace packets "$work/linux" --vcpu 1 --stats) >"$work/packets.told"
  cat "$work/packets.told"
}

# A trace of its own, that is listed, whose state is told, and which it stops in the end.
trace_is_told_and_stopped() {
  keep told-1 still
  dom0 ptctl emit "$still" 0 9000
  eventually 30 has_kept told-1 0 $((9000 - 15))
  (xenres_trace list) >"$work/listed"
  cat "$work/listed"
  grep -qw still "$work/listed"
  (xenres_trace status still) >"$work/status"
  cat "$work/status"
  keep_ended told-1
  kept_whole told-1 0 "$still"
}

killed_xenres_goes_on() {
  local try
  keep again-1 still
  for try in 1 2 3 4; do
    dom0 ptctl emit "$still" 0 10000
    eventually 60 has_kept again-1 0 $((try * 20000 - 10015))
    record_kill again-1
    no_guest_is_paused
    dom0 ptctl emit "$still" 0 10000
    keep_on again-1 still
  done
  eventually 60 has_kept again-1 0 $((80000 - 15))
  keep_ended again-1
  kept_whole again-1 0 "$still"
  verified again-1 0
}

# What is missing is named: by record, by verify, in the manifest.
lap_is_not_complete() {
  keep lapped-1 still
  dom0 ptctl emit "$still" 0 9000
  eventually 30 has_kept lapped-1 0 $((9000 - 15))
  dom0 ptctl emit "$still" 0 200000
  eventually 30 has_lost lapped-1 0
  keep_ended lapped-1 25
  verified lapped-1 25
  [ "$(kept lapped-1 0 .atLeast)" = true ]
  [ "$(kept lapped-1 0 .produced)" -le 209000 ]
  same "$(kept lapped-1 0 '[.gaps[].reason] | unique | join(" ")')" lapped "reasons"
}

foreign_trace_is_refused() {
  local status=0
  dom0 ptctl enable "$still" 0
  (xenres_trace start still) >"$work/refused" 2>&1 || status=$?
  dom0 ptctl disable "$still" 0
  cat "$work/refused"
  same "$status" "$(in_table failed_precondition 5)" status
  grep -q takeover "$work/refused"
}
