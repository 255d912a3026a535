#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# usage: setup.sh
# Makes the rig: Debian's Xen hypervisor, a Linux dom0 and guests, ready to boot under QEMU without hardware
# virtualisation. Nothing is installed, and root is not needed: packages are fetched into the cache and extracted there.
# The last line printed is the rig's folder:
#
#   xen xen.config vmlinux dom0.cpio.gz    hypervisor and its configuration, dom0's kernel and initramfs
#   guests/                     what dom0 sees as /guests: kernels, configurations, the HVM device model
#   root/                       the extracted packages: QEMU, and Xen's headers and libraries to build against
#   packages                    their names and versions
#   lock                        held shared by each running boot, so that a rig in use is not cleaned away
#
# A rig is named by a hash of the scripts and of the versions of the packages that matter, is built aside and renamed
# when complete: one that exists is good, and a second run only finds it.
set -eEuo pipefail
trap 'echo "setup.sh: line $LINENO failed" >&2' ERR
umask 022

# shellcheck source=tests/xen/rig/cache.sh
. "$(dirname "$0")/cache.sh"
# shellcheck source=tests/xen/rig/packages.sh
. "$rig_source/packages.sh"

# Two hours without a boot or a setup, and no boot going on: other checkouts may share the cache.
remove_unused_rigs() {
  local lock
  find "$cache" -mindepth 2 -maxdepth 2 -path '*/rig-*/lock' -mmin +120 | while read -r lock; do
    flock --exclusive --nonblock "$lock" rm -rf "${lock%/lock}" || true
  done
  rm -rf "$cache"/building.*
}

# Sets rig: the folder of the rig that these scripts and the packages of today make.
name_rig() {
  scripts=$(cd "$rig_source" && find setup.sh packages.sh images.sh cache.sh dom0 guests -type f | LC_ALL=C sort |
    xargs sha256sum | sha256sum | cut -c1-12)
  rig=$cache/rig-$scripts-$(candidate_versions | sha256sum | cut -c1-12)
}

build_rig() {
  remove_unused_rigs
  building=$(mktemp -d "$cache/building.XXXXXX")
  trap 'rm -rf "$building"' EXIT
  chmod 755 "$building"
  name_rig # again: fetching may have updated the lists
  extract_packages "$building"
  "$rig_source/images.sh" "$building"
  : >"$building/lock"
  rm -rf "$rig"
  mv -T "$building" "$rig"
  drop_old_archives "$rig"
}

# For a machine without a network: a rig by the same scripts from older packages.
use_older_rig() {
  rig=$(find "$cache" -maxdepth 1 -name "rig-$scripts-*" | head -n 1)
  [ -n "$rig" ] || die "cannot fetch the packages of the rig"
  echo "cannot fetch newer packages: using the rig that is there" >&2
}

main() {
  [ "$(uname -m)" = x86_64 ] || die "the rig runs on x86_64 only"
  mkdir -p "$cache"
  exec {setup_lock}>"$cache/lock"
  flock "$setup_lock"
  choose_package_lists
  name_rig
  if [ ! -d "$rig" ]; then
    if fetch_packages; then
      build_rig
    else
      use_older_rig
    fi
  fi
  touch "$rig/lock"
  echo "$rig"
}

main "$@"
