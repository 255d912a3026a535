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

# Both processes: the one that serves, and the one that it has its files from.
xenresd_has_no_privilege() {
  local name
  for name in xenresd worker; do
    each_thread_has "$name" 'Uid: 990 990 990 990' 'Gid: 990 990 990 990' 'CapBnd: 0000000000000000' "${no_capabilities[@]}"
    open_files "$name" >"$work/files"
    cat "$work/files"
    never grep -E '/dev/xen|/dev/mem|/proc/xen|xenstore|/dev/kvm' "$work/files"
    never dom0 grep -E '/dev/xen|libxen' "/proc/$(deploy_pid "$name")/maps"
  done
  # It cannot make itself what it is not: neither node is its to open.
  refuses EACCES su xenresd -c "resmap domains"
}

# What is left of the files: none to read. Only the kernel knows, so it is asked whether
# it has Landlock, and the log whether xenresd has missed it.
security_modules() {
  dom0_sh 'cat /sys/kernel/security/lsm 2>/dev/null || { mount -t securityfs none /sys/kernel/security &&
    cat /sys/kernel/security/lsm; } 2>/dev/null || true'
}

xenresd_has_what_the_kernel_can_take() {
  local lsm
  lsm=$(security_modules)
  dom0 cat /var/log/xenresd.log >"$work/xenresd.log"
  echo "lsm: $lsm"
  case ,$lsm, in
    *,landlock,*) never grep 'no Landlock' "$work/xenresd.log" ;;
    *) grep -q 'no Landlock' "$work/xenresd.log" ;;
  esac
}

# None of them leaves a core, nor is one read by another process of its user.
neither_shows_its_memory() {
  local name pid
  for name in xenresd worker mapper; do
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

# --- xenresd, taken over ----------------------------------------------------------------------------------------------

# A build of it in which a handler is an attacker's, in its place, beside a mapper that lets out one domain alone.
exploit_stage() {
  [ -x "$BUILD/tests/exploit/xenresd" ] || return 0
  install -m 755 "$BUILD/tests/exploit/xenresd" "$work/xenresd-exploit"
  suite_stage usr/local/sbin "$work/xenresd-exploit"
  echo 'allow name:tiny all list,snapshot,watch,decode' >"$overlay/etc/xenresd/export.exploit"
  chmod 644 "$overlay/etc/xenresd/export.exploit"
}

exploit_end() {
  local name
  for name in xenresd mapper; do
    dom0_sh "kill \$(cat /run/$name.pid); wait-for 10 sh -c '! kill -0 \$(cat /run/$name.pid)'"
  done
}

exploit_begin() {
  [ -x "$BUILD/tests/exploit/xenresd" ] || skip "tests/exploit/xenresd is not built"
  exploit_end
  deploy_export=/etc/xenresd/export.exploit deploy_mapper user
  deploy_xenresd /usr/local/sbin/xenresd-exploit
}

exploit_leaves() {
  [ -x "$BUILD/tests/exploit/xenresd" ] || skip "tests/exploit/xenresd is not built"
  dom0 xen-access xen
  exploit_end
  deploy_mapper user
  deploy_xenresd
  look tiny
}

attempt() { # NAME [PATH]: what came of it, in $outcome; "" where nothing answered
  outcome=$(curl --silent --max-time 60 --noproxy '*' --cacert "$work/pki/ca.crt" --cert "$work/pki/operator.crt" \
    --key "$work/pki/operator.key" --header "X-Attempt: $1" --header "X-Path: ${2:-}" \
    "$gateway/schema/xenres.v1.binpb" || true)
}

gets() { # OUTCOME NAME [PATH]
  local expected=$1
  shift
  attempt "$@"
  same "$outcome" "$expected" "$*"
}

is_refused() { # CODES NAME [PATH]
  local expected=$1
  shift
  attempt "$@"
  [[ $outcome =~ ^refused:\ ($expected)$ ]] || { echo "$*: got '$outcome' instead of: refused: $expected"; return 1; }
}

# By the filter, and by nothing else; another one serves then.
is_killed() { # NAME
  local before worker
  worker=$(deploy_pid worker)
  before=$(killed_workers)
  attempt "$1"
  same "$outcome" "" "$1"
  eventually 20 another_worker "$worker"
  same "$(killed_workers)" $((before + 1)) "workers that the filter has ended"
  deploy_ready
}
another_worker() { # PID
  local now
  now=$(deploy_pid worker)
  [ -n "$now" ] && [ "$now" != "$1" ]
}
killed_workers() { dom0_sh "grep -c 'the worker was ended by signal 31' /var/log/xenresd.log || true"; }

# First as they are, then open to all: so that it is the sandbox that keeps it out, and not the nodes' modes.
exploit_opens_no_node() {
  local node
  is_refused 'EACCES|EPERM' read /dev/xen/privcmd
  is_refused 'EACCES|EPERM' read /dev/xen/xenbus
  is_refused 'EACCES|EPERM' write /dev/xen/privcmd
  [[ ,$(security_modules), == *,landlock,* ]] ||
    skip "the kernel has no Landlock: modes keep the nodes, and were asked"
  dom0 chmod 666 /dev/xen/privcmd /dev/xen/hypercall /dev/xen/xenbus
  dom0 su xenresd -c 'resmap domains' # who is not confined gets all of Xen, as the same user
  for node in privcmd hypercall xenbus; do
    is_refused EACCES read "/dev/xen/$node"
    is_refused EACCES write "/dev/xen/$node"
  done
  is_refused EACCES read /proc/xen/privcmd
  dom0 xen-access xen
}

exploit_opens_no_key() {
  local file
  gets 'GOT: a file' keeper /etc/xenresd/clients.crt # which is read when it changes
  for file in /etc/xenresd/server.key /var/lib/xenresd/audit.key /var/lib/xenresd/seal.key; do
    dom0 test -s "$file"
    is_refused EACCES read "$file"
    is_refused EACCES keeper "$file"
  done
}

exploit_gets_no_other_domain() {
  local other
  other=$(dom0 resmap domains | sed -n "s/^$tiny_v2 .*uuid=\([-0-9a-f]*\).*/\1/p")
  gets 'GOT: frames' domain "$tiny" # by the same call
  is_refused 'there is no such identity' domain "$tiny_v2"
  is_refused 'NOT_FOUND|PERMISSION_DENIED' domain "$tiny_v2,tiny-v2,$other"
  is_refused ABORTED domain "$tiny_v2=$tiny"
  is_refused 'ABORTED|NOT_FOUND|PERMISSION_DENIED' domain "$tiny_v2,tiny,$other"
  is_refused 'NOT_FOUND|PERMISSION_DENIED' domain "0,Domain-0,00000000-0000-0000-0000-000000000000"
}

# --- a reload, as its own user ----------------------------------------------------------------------------------------

served() { # the fingerprint of the certificate that is shown
  openssl s_client -connect "${gateway#https://}" -cert "$work/pki/operator.crt" -key "$work/pki/operator.key" \
    </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256
}
serves() { [ "$(served)" = "$1" ]; } # FINGERPRINT

new_key_is_read_at_sighup() {
  local before worker begins
  before=$(served)
  worker=$(deploy_pid worker)
  deploy_certificate server basicConstraints=critical,CA:FALSE extendedKeyUsage=serverAuth \
    subjectAltName=DNS:localhost,IP:127.0.0.1
  dom0_sh 'cd /etc/xenresd && cp /share/pki/server.key new.key && cp /share/pki/server.crt new.crt &&
    chmod 600 new.key && chown xenresd new.key && chmod 644 new.crt && mv new.key server.key && mv new.crt server.crt'
  same "$(served)" "$before" "certificate before the signal"
  # dom0's clock is behind ours at times, and what is not valid yet is refused.
  begins=$(date -d "$(openssl x509 -in "$work/pki/server.crt" -noout -startdate | cut -d= -f2)" +%s)
  dom0 wait-for 20 sh -c "test \$(date +%s) -ge $begins"
  dom0_sh 'kill -HUP "$(cat /run/xenresd.pid)"'
  eventually 20 serves "$(openssl x509 -in "$work/pki/server.crt" -noout -fingerprint -sha256)"
  same "$(deploy_pid worker)" "$worker" "the same process serves"
  dom0 grep -q 'reloaded policy' /var/log/xenresd.log
  look tiny
}
