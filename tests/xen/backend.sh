#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# usage: backend.sh PROGRAM
# Runs PROGRAM, built of backend_test.c, in dom0 of a real Xen: as root, with privileges dropped after everything was
# opened, and as an ordinary user. Each run has a machine of its own, since the last tests take xenstored away.
set -euo pipefail

# shellcheck source=tests/xen/suite.sh
. "$(dirname "$0")/suite.sh"

program=${1:?usage: backend.sh PROGRAM}

passes() { # MODE
  local status=0
  [ "$1" != ordinary ] || dom0 xen-access xen
  DOM0_LIMIT=240 dom0 backend_test "$1" >"$work/$1.log" 2>&1 || status=$?
  cat "$work/$1.log"
  same "$status" 0 status
}

kernel_is_content() {
  ! dom0 dmesg | grep -E 'WARNING|BUG|Oops|segfault'
}

suite_start xenresd-backend
install -D "$program" "$work/backend_test"
install -D -m 644 /dev/stdin "$overlay/etc/machine-id" <<<0123456789abcdef0123456789abcdef
suite_stage usr/local/bin "$work/backend_test"
for mode in ${MODES:-root dropped ordinary}; do
  [ -z "$dom0_pid" ] || dom0_off
  suite_boot
  check "the xen backend keeps its contract: $mode" passes "$mode"
  check "dom0's kernel has nothing to complain about: $mode" kernel_is_content
  [ -z "${SHOW:-}" ] || cat "$work/$mode.log"
done
suite_end
