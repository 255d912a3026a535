#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# time-limit: 600
#
# The contract suites that the simulator passes, in dom0 of a real Xen: the backend by itself, and the
# whole mapper through its socket, with guests of each kind.
#
# shellcheck disable=SC2016  # some of this is for dom0's shell to expand
set -euo pipefail

# shellcheck source=tests/xen/suite.sh
. "$(dirname "$0")/suite.sh"

build=${BUILD:-build}

guests_are_there() {
  local domain
  domain=$(create tiny)
  dom0 wait-for 20 sh -c "resmap grants $domain | grep frames=2"
  domain=$(create tiny-v2)
  dom0 wait-for 20 sh -c "resmap grants $domain | grep version=2"
  create linux-pv1 >/dev/null
  dom0 wait-for 60 grep -q GUEST-UP /var/log/xen/guest-linux-pv1.log
}

passes() { # COMMAND...
  local status=0
  DOM0_LIMIT=240 dom0 env CMOCKA_MESSAGE_OUTPUT=TAP "$@" >"$work/said" 2>&1 || status=$?
  cat "$work/said"
  same "$status" 0 status
  # Every kind of guest is there: a case that skips itself has proven nothing.
  ! grep -i '# SKIP' "$work/said"
}

suite_start xenresd-contract
suite_stage usr/local/sbin "$build/xenresd-mapper"
suite_stage usr/local/bin "$build/tests/contract/backend_xen_test" "$build/tests/contract/mapper_test"
suite_boot
check "guests of each kind" guests_are_there
check "the xen backend keeps the contract" passes backend_xen_test
check "the mapper on Xen keeps the contract" passes MAPPER=/usr/local/sbin/xenresd-mapper mapper_test
suite_end
