# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Sourced by gateway.sh: cases about what the two programs may do, by what the kernel says of them.

# Every thread: a sandbox that one of them has missed is none.
each_thread_has() { # NAME LINE...: of /proc/PID/status
  local pid line
  pid=$(deploy_pid "$1")
  dom0_sh "cat /proc/$pid/task/*/status" | tr '\t' ' ' >"$work/status"
  threads=$(grep -c '^Pid:' "$work/status")
  shift
  for line in "$@"; do
    same "$(grep -cx "$line" "$work/status")" "$threads" "threads with \`$line\`"
  done
}

no_capabilities=('CapInh: 0000000000000000' 'CapPrm: 0000000000000000' 'CapEff: 0000000000000000'
  'CapAmb: 0000000000000000' 'NoNewPrivs: 1' 'Seccomp: 2')

open_files() { # NAME
  dom0_sh "ls -l /proc/$(deploy_pid "$1")/fd" | sed -n 's/.* -> //p'
}

xenresd_has_no_privilege() {
  local pid
  pid=$(deploy_pid xenresd)
  # It was root, and so could empty the bounding set, too.
  each_thread_has xenresd 'Uid: 990 990 990 990' 'Gid: 990 990 990 990' 'CapBnd: 0000000000000000' "${no_capabilities[@]}"
  open_files xenresd >"$work/files"
  cat "$work/files"
  never grep -E '/dev/xen|/dev/mem|/proc/xen|xenstore|/dev/kvm' "$work/files"
  never dom0 grep -E '/dev/xen|libxen' "/proc/$pid/maps"
  # It cannot make itself what it is not: neither node is its to open.
  refuses EACCES su xenresd -c "resmap domains"
}

# What is left of the files: the folders that it reads again, and its state. Only the kernel knows, so it is asked whether
# it has Landlock, and the log whether xenresd has missed it.
xenresd_has_what_the_kernel_can_take() {
  local lsm
  lsm=$(dom0_sh 'cat /sys/kernel/security/lsm 2>/dev/null || { mount -t securityfs none /sys/kernel/security &&
    cat /sys/kernel/security/lsm; } 2>/dev/null || true')
  dom0 cat /var/log/xenresd.log >"$work/xenresd.log"
  echo "lsm: $lsm"
  case ,$lsm, in
    *,landlock,*) never grep 'no Landlock' "$work/xenresd.log" ;;
    *) grep -q 'no Landlock' "$work/xenresd.log" ;;
  esac
}

# Neither leaves a core, nor is one read by another process of its user.
neither_shows_its_memory() {
  local name pid
  for name in xenresd mapper; do
    pid=$(deploy_pid "$name")
    dom0 cat "/proc/$pid/limits" | grep -Eq '^Max core file size +0 +0 '
    same "$(dom0 stat -c %u "/proc/$pid/mem")" 0 "owner of $name's memory"
  done
}

# Traffic went through both under their filters: neither was ended by one.
nobody_was_killed_by_a_filter() {
  dom0_sh 'dmesg' >"$work/dmesg"
  never grep -E 'audit.*type=1326|SIGSYS' "$work/dmesg"
  dom0_sh "test -d /proc/$(deploy_pid xenresd) && test -d /proc/$(deploy_pid mapper)"
}

mapper_has_group_access_only() {
  # 992 is the group that Xen's nodes belong to.
  each_thread_has mapper 'Uid: 991 991 991 991' 'Gid: 991 991 991 991' 'Groups: 991 992 ' "${no_capabilities[@]}"
  open_files mapper >"$work/files"
  cat "$work/files"
  grep -qx /dev/xen/privcmd "$work/files"
  grep -qx /dev/xen/hypercall "$work/files"
  sed -n 's/^socket:\[\([0-9]*\)\]$/\1/p' "$work/files" >"$work/inodes"
  dom0_sh 'cat /proc/net/tcp* /proc/net/udp* /proc/net/raw*' >"$work/sockets"
  never grep -wFf "$work/inodes" "$work/sockets"
}

mapper_dropped_root() {
  each_thread_has mapper 'Uid: 991 991 991 991' 'Gid: 991 991 991 991' 'Groups: 991 992 ' "${no_capabilities[@]}"
}

# The folder is xenresd's group's to enter, the socket xenresd's alone: to others there is no way in.
socket_is_for_xenresd_alone() {
  same "$(dom0 stat -c '%U:%G %a' /run/xenresd/mapper.sock)" "xenresd-mapper:xenresd 660" "socket"
  same "$(dom0 stat -c '%U:%G %a' /run/xenresd)" "xenresd-mapper:xenresd 2750" "its folder"
}
