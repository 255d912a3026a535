#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# A bare Debian 12 in a folder, a clone of this repository in it, and there exactly the commands that
# the README begins with: what a new user meets. The bare system is kept in a cache, each run works
# on a throw-away layer over it. Needs root, for chroot and mounts.
# time-limit: 2400
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
cache=${XENRES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xenresd}/fresh
log=${1:-$top/build/fresh.log}

skip() { echo "1..0 # SKIP $1"; exit 0; }
[ "$(id -u)" -eq 0 ] || skip "needs root, for chroot and mounts"
command -v debootstrap >/dev/null || skip "needs debootstrap"

# --- inside: a mount and process namespace of its own, all of which goes when it ends ------------
if [ "${1:-}" = --inside ]; then
    layer=$2 commands=$3
    mount --make-rprivate /
    mount -t tmpfs -o size=6g,mode=755 layer "$layer"
    mkdir -p "$layer"/{upper,work,root}
    mount -t overlay overlay -o "lowerdir=$cache/base,upperdir=$layer/upper,workdir=$layer/work" "$layer/root"
    root=$layer/root
    mkdir -p "$cache/archives/partial" "$root/var/cache/apt/archives" "$root/source"
    mount --bind "$cache/archives" "$root/var/cache/apt/archives"
    mount --rbind /dev "$root/dev"
    mount -t proc proc "$root/proc"
    mount -t tmpfs run "$root/run"
    mount --bind "$top" "$root/source"
    cp --remove-destination -L /etc/resolv.conf "$root/etc/resolv.conf"
    # A clean environment, as a login would make it; CI's strictness comes along.
    exec env -i HOME=/root TERM=dumb LANG=C.UTF-8 CI="${CI:-}" \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        chroot "$root" /bin/bash -euxc "$commands"
fi

# --- outside -------------------------------------------------------------------------------------
mkdir -p "$cache" "$(dirname "$log")"
exec 9>"$cache/lock"
flock 9
if [ ! -d "$cache/base" ]; then
    rm -rf "$cache/base.part"
    debootstrap --variant=minbase bookworm "$cache/base.part" >"$log" 2>&1 ||
        { tail -5 "$log" >&2; echo "not ok 1 - a bare Debian 12 is made"; exit 1; }
    mv "$cache/base.part" "$cache/base"
fi

# The first fenced block of the README: installing make and git, then the two commands.
block=$(awk '/^```/ { if (inside) exit; inside = 1; next } inside' "$top/README.md")
first=$(head -n 1 <<<"$block")
rest=$(tail -n +2 <<<"$block" | grep -v '^git clone')
commands="$first
git -c safe.directory='*' clone -q /source /root/xenresd
cd /root/xenresd
$rest"

layer=$(mktemp -d)
trap 'rmdir "$layer"' EXIT
echo "1..1"
status=0
unshare --mount --pid --fork --kill-child "$0" --inside "$layer" "$commands" >"$log" 2>&1 || status=$?
grep -aE '^(\+ |N? ?[0-9]+ passed)' "$log" | sed 's/^/# /'
if [ "$status" -eq 0 ]; then
    echo "ok 1 - the README's commands work in a bare Debian 12"
else
    tail -n 60 "$log" | sed 's/^/# /'
    echo "not ok 1 - the README's commands work in a bare Debian 12 (log: $log)"
fi
exit "$status"
