#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# usage: stage.sh OVERLAY FOLDER PROGRAM...
# Copies programs that were built on this machine into FOLDER of OVERLAY, a tree that is laid over dom0's root, with
# this machine's loader and every library that they need: in dom0 they then run on what they were built against. Xen's
# libraries, where this machine lacks them, come from the rig (RIG).
set -euo pipefail

# shellcheck source=tests/xen/rig/cache.sh
. "$(dirname "$0")/cache.sh"

[ $# -ge 3 ] || die "usage: stage.sh OVERLAY FOLDER PROGRAM..."
overlay=$1
folder=$overlay/${2#/}
shift 2
libraries=$overlay/lib/x86_64-linux-gnu
mkdir -p "$folder" "$libraries" "$overlay/lib64"

for program in "$@"; do
  install -m 755 "$program" "$folder/"
  while read -r name arrow path _; do
    if [ "$arrow" != "=>" ]; then
      case $name in /*) cp -L "$name" "$overlay/lib64/" ;; esac # the loader; the vdso has no file
    elif [ "$path" = not ]; then
      cp -L "$(library_path "${RIG:?setup.sh tells it}/root" | cut -d: -f1)/$name" "$libraries/"
    else
      cp -L "$path" "$libraries/$name"
    fi
  done < <(ldd "$program")
done
