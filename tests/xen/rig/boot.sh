#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# usage: boot.sh DIR
# Boots Xen with dom0, where DIR is /share, runs DIR/run.sh there as root, prints its output and returns its status;
# 125 when it never finished: see DIR/console.log. Without a DIR/run.sh it runs the commands that it reads, for looking
# around by hand. dom0.sh tells the settings and what DIR/overlay is for; RIG_LIMIT bounds the whole.
set -euo pipefail

# shellcheck source=tests/xen/rig/dom0.sh
. "$(dirname "$0")/dom0.sh"

dir=${1:?usage: boot.sh DIR}
RIG=${RIG:-$("$rig_source/setup.sh")}
trap dom0_kill EXIT
status=0
dom0_boot "$dir"
if [ -f "$dir/run.sh" ]; then
  DOM0_LIMIT=${RIG_LIMIT:-600} dom0_sh 'cd /share && exec ./run.sh' || status=$?
else
  while read -r -e -p 'dom0# ' line; do
    dom0_sh "$line" || echo "status $?"
  done
fi
dom0_off
exit "$status"
