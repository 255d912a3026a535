#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# time-limit: 600
#
# usage: backend.sh [PROGRAM]
# Runs PROGRAM (else $BUILD/tests/xen/backend_test) in dom0 of a real Xen: as root, with privileges dropped after everything was
# opened, and as an ordinary user with all, some and none of the access that it needs. Each of the three that work has a
# machine of its own, since its last tests take xenstored away.
#
# shellcheck disable=SC2016  # some of this is for dom0's shell to expand
set -euo pipefail

# shellcheck source=tests/xen/suite.sh
. "$(dirname "$0")/suite.sh"

program=${1:-${BUILD:-build}/tests/xen/backend_test}

passes() { # MODE
  local status=0
  case $1 in
    ordinary) dom0 xen-access xen ;;
    storeless) dom0_sh 'for node in privcmd hypercall; do chgrp xen /dev/xen/$node; chmod 660 /dev/xen/$node; done' ;;
  esac
  # LeakSanitizer, where there is one, needs a thread, and "dropped" may start none.
  [ "$1" != dropped ] || leaks=detect_leaks=0
  DOM0_LIMIT=240 dom0 env ASAN_OPTIONS="${leaks:-}" backend_test "$1" >"$work/$1.log" 2>&1 || status=$?
  cat "$work/$1.log"
  same "$status" 0 status
}

kernel_is_content() {
  ! dom0 dmesg | grep -E 'WARNING|BUG|Oops|segfault'
}

suite_start xenresd-backend
install -D "$program" "$work/backend_test"
suite_stage usr/local/bin "$work/backend_test"
for mode in ${MODES:-root dropped ordinary}; do
  [ -z "$dom0_pid" ] || dom0_off
  suite_boot
  if [ "$mode" = ordinary ]; then
    check "without access to a device node, opening fails with the cure" passes stranger
    check "without access to xenstore, all but names works, and host() says so" passes storeless
  fi
  check "the xen backend keeps its contract: $mode" passes "$mode"
  check "dom0's kernel has nothing to complain about: $mode" kernel_is_content
  [ -z "${SHOW:-}" ] || cat "$work"/*.log
done
suite_end
