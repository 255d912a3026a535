# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
# Sourced by setup.sh: fetches the rig's packages with everything they depend on, and extracts them.
#
# apt is told that nothing is installed here (an empty status file): the closure is then complete on any machine,
# whatever it has. Its own cache folder and no locking make it work for an ordinary user too.

# shellcheck disable=SC2154  # cache comes from cache.sh
packages=(xen-hypervisor-4.17-amd64 xen-utils-4.17 xenstore-utils libxen-dev linux-image-amd64 qemu-system-x86
  qemu-system-xen seabios busybox-static kmod cpio xz-utils)

lists_options=()

with_lists() { # COMMAND [ARG...]: an apt command on our state
  local command=$1
  shift
  "$command" -o Dir::State::status=/dev/null -o Dir::Cache="$cache/apt" -o Debug::NoLocking=true \
    -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=3 "${lists_options[@]}" "$@"
}

# Uses the machine's package lists where it has them, else our own: those are not root's to write. Once we have our own
# they stay in use, so that the same versions are found each time.
choose_package_lists() {
  local machine_lists=/var/lib/apt/lists
  mkdir -p "$cache/apt/archives/partial"
  eval "$(apt-config shell machine_lists Dir::State::lists/d)"
  if compgen -G "$cache/apt/lists/*_Packages*" >/dev/null; then
    use_own_lists
  elif ! compgen -G "${machine_lists%/}/*_Packages*" >/dev/null; then
    update_own_lists || true # candidate_versions and download tell the rest
  fi
}

use_own_lists() {
  lists_options=(-o "Dir::State::lists=$cache/apt/lists")
}

update_own_lists() {
  echo "updating the rig's own package lists" >&2
  mkdir -p "$cache/apt/lists/partial"
  use_own_lists
  with_lists apt-get -qq update >&2
}

# The versions that decide whether a rig is still the right one.
candidate_versions() {
  with_lists apt-cache policy "${packages[@]}" | awk '/^[^ ]/ { name = $1 } $1 == "Candidate:" { print name, $2 }'
}

download() {
  with_lists apt-get -qq --yes --no-install-recommends "$@" install "${packages[@]}"
}

# Lists that are out of date name files that the mirror no longer has: then fresh lists of our own, and once more.
fetch_packages() {
  echo "fetching packages into $cache/apt" >&2
  download --download-only >&2 || { update_own_lists && download --download-only >&2; }
}

# extract_packages DIR: into DIR/root, without what nobody reads; the names go into DIR/packages.
extract_packages() {
  local dir=$1
  mkdir "$dir/root"
  # With an empty archive folder apt names every file of the closure; ours may hold older versions beside them.
  with_lists apt-get -qq --no-install-recommends -o Dir::Cache::archives="$dir/none" --print-uris \
    install "${packages[@]}" | awk '{ print $2 }' >"$dir/packages"
  echo "extracting $(wc -l <"$dir/packages") packages" >&2
  # shellcheck disable=SC2016  # expanded by the inner shell
  xargs -a "$dir/packages" -P "$(nproc)" -I{} bash -c 'set -o pipefail
    dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --no-same-owner --exclude=./usr/share/doc --exclude=./usr/share/man \
      --exclude=./usr/share/locale --exclude="./usr/lib/python3*"' extract "$cache/apt/archives/{}" "$dir/root"
}

# Archives that the newest rig was not made from are not needed again.
drop_old_archives() { # DIR
  (cd "$cache/apt/archives" && find . -maxdepth 1 -name '*.deb' -printf '%f\n') | grep -vxFf "$1/packages" |
    (cd "$cache/apt/archives" && xargs -r rm -f) || true
}
