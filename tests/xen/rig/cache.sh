# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
# Sourced by the rig's scripts: where the cache is, and how to run what is in it.

# shellcheck disable=SC2034  # read by the scripts that source this one
rig_source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XENRES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xenresd}/xenvm

die() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# The folders of ROOT, a tree of extracted packages, in which its programs find their libraries.
library_path() {
  local root=$1
  echo "$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu"
}

# run_in ROOT PROGRAM [ARG...]: runs a program of ROOT by ROOT's own loader, so that no library of this machine is
# needed and none can clash.
run_in() {
  local root=$1 program=$2
  shift 2
  "$root/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$(library_path "$root")" \
    --argv0 "${program##*/}" "$root/$program" "$@"
}

# libraries_in ROOT FILE: the path of every library that FILE, a program of ROOT, needs; all are in ROOT.
libraries_in() {
  local root=$1 file=$2
  "$root/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$(library_path "$root")" \
    --list "$file" | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $2 == "=>" && $3 !~ /^\// { print "missing:" $1 }'
}
