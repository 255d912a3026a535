# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Sourced by gateway.sh: cases about the rig itself, in what the others take for granted and would not notice.
#
# shellcheck disable=SC2016  # much here is for dom0's shell to expand

rig_stage() {
  install -D -m 640 /dev/null "$overlay/etc/rig/file"
}

commands_carry_everything() {
  same "$(dom0 printf '%s|' "it's" '$HOME' 'a  b' '')" "it's|\$HOME|a  b||" arguments
  same "$(dom0_sh 'echo out; echo err >&2' 2>"$work/err")" out output
  same "$(cat "$work/err")" err "error output"
  local status=0
  dom0_sh 'exit 42' || status=$?
  same "$status" 42 status
  status=0
  DOM0_LIMIT=1 dom0 sleep 60 || status=$?
  same "$status" 124 "status of a command that takes too long"
  dom0 head -c 1000000 /modules/order /init /bin/busybox >"$work/binary"
  same "$(sha256sum <"$work/binary")" "$(dom0_sh 'head -c 1000000 /modules/order /init /bin/busybox | sha256sum')" binary
}

commands_take_turns() {
  local i
  for i in 1 2 3 4 5; do
    dom0 echo "answer $i" >"$work/turn.$i" &
  done
  wait
  for i in 1 2 3 4 5; do
    same "$(cat "$work/turn.$i")" "answer $i"
  done
}

overlay_is_owned_by_root() {
  same "$(dom0 stat -c '%u:%g %a' /etc/rig/file)" "0:0 640"
}
