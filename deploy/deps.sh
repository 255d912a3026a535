#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# deps.sh [--check]: installs the Debian packages that building and testing need, where they are
# missing. Needs root only then. --check: only says which are missing (status 1 if any).
set -euo pipefail

packages=(
    # to build
    gcc libc6-dev make pkg-config
    libmicrohttpd-dev libgnutls28-dev libssl-dev libcurl4-openssl-dev
    libprotobuf-c-dev protobuf-c-compiler libprotobuf-dev protobuf-compiler
    libconfuse-dev libjansson-dev libseccomp-dev zlib1g-dev libzstd-dev libxxhash-dev libsystemd-dev libxen-dev
    # to demonstrate and to test
    libcmocka-dev libipt-dev curl jq bsdextrautils
    openssl ca-certificates python3 python3-protobuf procps binutils g++ mandoc zsh systemd
    # make check-xen: its emulated host comes from packages that are fetched, not installed
    cpio kmod xz-utils zstd
    # make check-xen-vmtrace: its hypervisor is built from Debian's source package
    bison dpkg-dev flex
    # make check-fresh
    debootstrap git
)

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
    [ "${status:0:2}" = ii ] || missing+=("$package")
done
[ "${#missing[@]}" -gt 0 ] || exit 0

if [ "${1:-}" = --check ] || [ "$(id -u)" -ne 0 ]; then
    echo "missing packages; as root: apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
if ! apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null 2>&1; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
echo "installed: ${missing[*]}"
