# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Sourced by vmtrace.sh: what is lost is declared.

# lap BYTES: so many at once, between some before and some behind. The guest is paused, hence each byte is known.
lap() {
  local name=lap-$1 sum=$((20000 + $1 + 5000))
  record "$name" still
  dom0 ptctl emit "$still" 0 20000
  eventually 30 has_read "$name" $((20000 - 15))
  dom0 ptctl emit "$still" 0 "$1"
  eventually 30 goes_on "$name" 20000
  dom0 ptctl emit "$still" 0 5000
  stop_and_prove "$name" still "$still"
  same "$(fact "$name" produced)" "$sum" "bytes produced"
  figures_of "$name" "$1 bytes at once, in a ring of $ring_bytes"
  never_falsely_complete "$name"
}

# Something came, or was said to be lost: of exactly a ring the position tells nothing.
goes_on() { # NAME POSITION
  has_read "$1" $(($2 + 1)) || [ "$(books "$1" .open)" -gt 0 ]
}

# All the ring, or more: nothing can be known but that it was a lap.
lap_is_declared() { # BYTES
  lap "$1"
  never is_complete "lap-$1"
  [ "$(books "lap-$1" .open)" -ge 1 ]
  [ "$(books "lap-$1" '.pieces[-1].bytes')" -ge 5000 ]
}

# Far from a lap: nothing is lost.
no_lap_is_declared() { # BYTES
  lap "$1"
  complete "lap-$1"
}

# The ring goes round several times with each exit of the guest.
rates_beyond_draining() {
  local quick
  quick=$(create tiny-io 'name="quick"' 'vmtrace_buf_kb=64')
  record quick quick
  eventually 30 has_read quick 2000
  dom0 ptctl extra "$quick" 0 70000
  eventually 60 has_lost_often quick
  dom0 ptctl extra "$quick" 0 0
  stop_and_prove quick quick "$quick"
  alive "$quick"
  figures_of quick "rates beyond draining"
  nothing_undeclared quick
  never is_complete quick
  [ "$(books quick .open)" -ge 1 ]
}

has_lost_often() { # NAME
  [ "$(books "$1" .open)" -ge 5 ] && has_read "$1" 200000
}

# Debian's own tool, on the same guest at the same rate: it polls ten times a second.
xen_vmtrace_loses_silently() {
  local quick status
  quick=$(dom0 xl domid quick)
  dom0_sh "ptctl extra $quick 0 2000
    timeout -s INT 4 xen-vmtrace $quick 0 >/tmp/xen-vmtrace.pt; echo \$? >/tmp/xen-vmtrace.status
    ptctl extra $quick 0 0; ptctl facts $quick 0 >/tmp/xen-vmtrace.truth; cat /tmp/xen-vmtrace.pt >/share/xen-vmtrace.pt"
  dom0 cat /tmp/xen-vmtrace.truth >"$work/xen-vmtrace.truth"
  status=$(dom0 cat /tmp/xen-vmtrace.status)
  packets "$work/xen-vmtrace.pt" >"$work/xen-vmtrace.packets" || true
  echo "# xen-vmtrace beside it: produced $(fact xen-vmtrace produced), captured $(stat -c %s "$work/xen-vmtrace.pt")," \
    "status $status, not a word; libipt: $(cat "$work/xen-vmtrace.packets")" >&"$figures"
  dom0_sh "xl destroy quick; resmap gone $quick 2000"
}
