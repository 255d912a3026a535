#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# usage: setup.sh
# Makes a hypervisor for tests that offers vmtrace without Intel PT: Debian's own Xen source package with xen/vmtrace.c
# added, built as Debian configures it. The last line printed is its image, for RIG_XEN. Needs what `make deps` installs,
# and no root; two minutes, once: it is kept in the cache, named by a hash of these scripts and the rig's Xen.
#
# Sources come through package lists of our own, made from the machine's: nothing of the machine's apt is changed.
# Status 77, with the reason: they cannot be had here.
set -eEuo pipefail
trap 'echo "setup.sh: line $LINENO failed" >&2' ERR
umask 022

# shellcheck source=tests/xen/rig/cache.sh
. "$(dirname "$0")/../rig/cache.sh"

source_dir=$(cd "$(dirname "$0")" && pwd)
rig=${RIG:?rig/setup.sh tells it}
apt=$cache/apt-src

unavailable() {
  echo "no hypervisor with vmtrace: $*" >&2
  exit 77
}

need_tools() {
  local tool missing=
  for tool in gcc make ld bison flex python3 dpkg-source; do
    command -v "$tool" >/dev/null || missing+=" $tool"
  done
  [ -z "$missing" ] || unavailable "missing:$missing; as root: make deps"
}

with_sources() { # COMMAND [ARG...]: an apt command on our lists of sources
  local command=$1
  shift
  "$command" -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$apt/parts" -o Dir::State::lists="$apt/lists" \
    -o Dir::State::status=/dev/null -o Dir::Cache="$apt/cache" -o Debug::NoLocking=true \
    -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=3 "$@"
}

# Of the machine's places some may have no sources: those that have are enough.
list_sources() {
  local file
  rm -rf "$apt/parts"
  mkdir -p "$apt"/{parts,lists/partial,cache/archives/partial}
  for file in /etc/apt/sources.list.d/*.sources; do
    [ ! -e "$file" ] || sed 's/^Types:.*/Types: deb-src/' "$file" >"$apt/parts/${file##*/}"
  done
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ ! -e "$file" ] || sed -n 's/^deb /deb-src /p' "$file" >"$apt/parts/${file##*/}.list"
  done
  with_sources apt-get -qq update >"$apt/update.log" 2>&1 || true
}

# The rig's own version where the mirror still has it; else any 4.17 does, the newest first.
versions() { # WANTED
  local known
  known=$(with_sources apt-cache showsrc xen 2>/dev/null | awk '$1 == "Version:" && $2 ~ /^4\.17\./ { print $2 }' |
    sort -Vru)
  grep -Fx "$1" <<<"$known" || true
  grep -vFx "$1" <<<"$known" || true
}

# fetch_source DIR: Debian's tree, patched, becomes DIR/tree.
fetch_source() {
  local dir=$1 version
  list_sources
  for version in $(versions "$xen_version"); do
    if (cd "$dir" && with_sources apt-get -qq source "xen=$version") >"$dir/source.log" 2>&1; then
      mv "$dir"/xen-4.17*/ "$dir/tree"
      return
    fi
    rm -rf "$dir"/xen*
  done
  unavailable "cannot fetch Debian's source package of Xen: $(tail -n 1 "$dir/source.log" 2>/dev/null ||
    tail -n 1 "$apt/update.log")"
}

build() {
  local building make
  rm -rf "$cache"/building-xen.*
  building=$(mktemp -d "$cache/building-xen.XXXXXX")
  # shellcheck disable=SC2064  # what it is now
  trap "rm -rf '$building'" EXIT
  fetch_source "$building"
  echo "building a hypervisor with vmtrace" >&2
  cp "$rig/xen.config" "$building/tree/xen/.config"
  python3 "$source_dir/xen/hook.py" "$building/tree"
  make=(make -C "$building/tree/xen" XEN_TARGET_ARCH=x86_64 "-j$(nproc)")
  if ! { "${make[@]}" olddefconfig && "${make[@]}"; } >"$building/build.log" 2>&1; then
    tail -n 20 "$building/build.log" >&2
    die "Xen could not be built"
  fi
  find "$cache" -maxdepth 1 -name 'xen-vmtrace-*' -mmin +1440 -delete
  mv "$building/tree/xen/xen" "$image"
}

# The lock is that of the rig's setup.sh, which ends before us.
main() {
  exec {setup_lock}>"$cache/lock"
  flock "$setup_lock"
  xen_version=$(sed -n 's/^xen-hypervisor-4\.17-amd64_\(.*\)_amd64\.deb$/\1/p' "$rig/packages" | sed 's/%3a/:/; s/+b[0-9]*$//')
  image=$cache/xen-vmtrace-$({
    cd "$source_dir" && cat setup.sh xen/hook.py xen/vmtrace.c
    echo "$xen_version"
  } | sha256sum | cut -c1-12)
  if [ ! -e "$image" ]; then
    need_tools
    build
  fi
  touch "$image"
  echo "$image"
}

main "$@"
