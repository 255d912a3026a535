# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Sourced by each suite on a real Xen: the rig, ground truth, test cases in TAP.
#
#   suite_start NAME        makes the rig, a working folder ($work, which is /share in dom0) and resmap in dom0's path
#   suite_tool NAME         builds another of the C programs here for dom0's path
#   suite_stage FOLDER PROGRAM...   more programs for dom0, before the boot; $overlay takes any other file
#   suite_boot              boots; ends the suite when that fails
#   check TEXT FUNCTION [ARG...]    one test case: passes when FUNCTION does, skipped when it calls skip REASON
#   suite_end               powers off, prints `N passed, N failed, N skipped`, returns 0 when none failed
#
# CASES, a regular expression, chooses cases by their TEXT. A FUNCTION runs in a subshell under set -e; what it prints appears only when it fails. The folder stays after a
# failure when XENRES_KEEP is set.

# shellcheck source=tests/xen/rig/dom0.sh
. "$(dirname "${BASH_SOURCE[0]}")/rig/dom0.sh"

suite_source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
passed=0
failed=0
skipped=0

suite_start() { # NAME
  trap suite_clean EXIT
  RIG=${RIG:-$("$rig_source/setup.sh")}
  work=$(mktemp -d "${TMPDIR:-/tmp}/$1.XXXXXX")
  overlay=$work/overlay
  suite_tool resmap
}

# suite_tool NAME: builds NAME.c, which is beside us or in a folder there, against the rig's Xen, for dom0's path.
suite_tool() {
  "${CC:-gcc}" -std=gnu11 -O2 -Wall -Wextra -Werror -I"$RIG/root/usr/include" -o "$work/${1##*/}" "$suite_source/$1.c" \
    -L"$RIG/root/usr/lib/x86_64-linux-gnu" -Wl,-rpath-link,"$RIG/root/usr/lib/x86_64-linux-gnu" \
    -lxenforeignmemory -lxenctrl -lxendevicemodel -lxenevtchn -lxengnttab
  suite_stage usr/local/bin "$work/${1##*/}"
}

suite_stage() { # FOLDER PROGRAM...
  RIG=$RIG "$rig_source/stage.sh" "$overlay" "$@"
}

suite_boot() {
  dom0_boot "$work" || {
    echo "Bail out! Xen and dom0 did not boot"
    exit 1
  }
  echo "# booted in $SECONDS s since the start; dom0 took commands ${dom0_line} s after its kernel began"
}

suite_end() {
  dom0_off
  if [ "$failed" -gt 0 ]; then
    tail -n 15 "$work/console.log" | sed 's/^/# console: /'
  fi
  echo "1..$((passed + failed + skipped))"
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ]
}

suite_clean() {
  dom0_kill
  if [ -n "${XENRES_KEEP:-}" ]; then
    echo "# kept: ${work:-}"
  elif [ -n "${work:-}" ]; then
    rm -rf "$work"
  fi
}

skip() { # REASON
  echo "$*" >"$work/skip-reason"
  exit 77
}

check() { # TEXT FUNCTION [ARG...]
  local text=$1 number=$((passed + failed + skipped + 1)) status start=${EPOCHREALTIME/[.,]/} said_before
  shift
  [[ $text =~ ${CASES:-} ]] || return 0
  said_before=$(wc -c <"$work/console.log")
  set +e # an `if` would take set -e away from the function
  (
    exec {report}>&1
    set -eE
    trap 'where_it_failed "$BASH_COMMAND" >&$report' ERR
    "$@"
  ) >"$work/check.log" 2>&1 </dev/null
  status=$?
  set -e
  case $status in
    0) passed=$((passed + 1)); echo "ok $number - $text # $(((${EPOCHREALTIME/[.,]/} - start) / 1000)) ms" ;;
    77) skipped=$((skipped + 1)); echo "ok $number - $text # SKIP $(cat "$work/skip-reason")" ;;
    *)
      failed=$((failed + 1))
      echo "not ok $number - $text"
      sed 's/^/# /' "$work/check.log"
      tail -c "+$((said_before + 1))" "$work/console.log" | tail -n 20 | sed 's/^/# console meanwhile: /'
      ;;
  esac
}

# In a trap: the command, and the lines that led to it, the innermost first.
where_it_failed() { # COMMAND
  local frame=0 line
  echo "failed: $1"
  while line=$(caller "$frame"); do
    echo "  at ${line##*/} line ${line%% *}"
    frame=$((frame + 1))
  done
}

# same ACTUAL EXPECTED [WHAT]: fails with both shown.
same() {
  [ "$1" = "$2" ] || { echo "${3:-value}: got '$1', expected '$2'"; return 1; }
}

# refuses TEXT CMD [ARG...]: CMD fails in dom0, and says TEXT.
refuses() {
  local text=$1 output
  shift
  if output=$(dom0 "$@" 2>&1); then
    echo "succeeded: $*"
    return 1
  fi
  [[ $output == *"$text"* ]] || { echo "$*: said '$output' instead of '$text'"; return 1; }
}

# never CMD [ARG...]: fails when CMD passes, and shows what it said. A plain `!` would not end the test.
never() {
  local output
  if output=$("$@" 2>&1); then
    echo "passed: $*: $output"
    return 1
  fi
}

# eventually SECONDS COMMAND [ARG...]: tries until COMMAND succeeds, ten times a second.
eventually() { # SECONDS COMMAND [ARG...]
  local end=$((SECONDS + $1))
  shift
  while ! "$@" >"$work/eventually.log" 2>&1; do
    if [ "$SECONDS" -ge "$end" ]; then
      echo "in vain: $*: $(tail -n 5 "$work/eventually.log")"
      return 1
    fi
    read -r -t 0.1 <> <(:) || true
  done
}

# again CLEANUP FUNCTION [ARG...]: FUNCTION, and when it fails once more, after dom0's shell ran CLEANUP: what a test
# is about fails each time, and the emulator's guests at times (rig/dom0/etc/xen/xl.conf). Where Xen told of such a death
# meanwhile, twice more.
again() {
  local cleanup=$1 try status said_before
  shift
  for try in 1 2 3 4; do
    said_before=$(wc -c <"$work/console.log")
    set +e # an `if` would take set -e away from the function
    (
      set -eE
      "$@"
    )
    status=$?
    set -e
    [ "$status" -ne 0 ] || return 0
    dom0_sh "$cleanup" || true
    [ "$try" -eq 1 ] || tail -c "+$((said_before + 1))" "$work/console.log" | grep -q 'Triple fault' || break
    echo "try $((try + 1)):"
  done
  return "$status"
}

# create CONFIG [SETTING...]: starts a guest of rig/guests and prints its domain number.
create() {
  local config=$1
  shift
  dom0 xl create -q "/guests/$config.cfg" "$@" >/dev/null
  dom0 xl domid "$(dom0_name "$config" "$@")"
}

dom0_name() { # CONFIG [SETTING...]: the name that the guest gets
  local name=$1 setting
  shift
  for setting in "$@"; do
    [[ ! $setting =~ ^name=\"(.*)\"$ ]] || name=${BASH_REMATCH[1]}
  done
  echo "$name"
}

# words FILE OFFSET COUNT: so many little-endian 32-bit words of FILE, in hex.
words() {
  od -An -v -tx4 -w$(($3 * 4)) -j "$2" -N $(($3 * 4)) "$1" | sed 's/^ //'
}
