# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Sourced by suites: boots Xen with dom0 once, and runs commands in it from the host.
#
#   dom0_boot DIR       boots; returns when dom0 takes commands. DIR is /share in dom0. DIR/overlay, if there, is laid
#                       over dom0's root, all of it owned by root (stage.sh fills it). The console is in DIR/console.log
#   dom0 CMD [ARG...]   runs a command as root: its output, its status; 124 when it took longer than DOM0_LIMIT seconds
#   dom0_sh SCRIPT      the same for a piece of busybox shell. What is put in background there stays after it
#   dom0_port N         prints the port of 127.0.0.1 that leads to dom0's TCP port N (one of DOM0_FORWARD). Connect only
#                       once something listens there: QEMU delivers earlier connections twice
#   dom0_off            powers off; what is left is killed
#   dom0_kill           kills the machine; does nothing when there is none: for the suite's EXIT trap
#
# Settings, before dom0_boot: RIG (setup.sh's answer), DOM0_FORWARD (dom0's TCP ports to be reached, default 8443),
# DOM0_LIMIT (default 60), RIG_LIMIT (seconds after which the machine is killed whatever happens, default 600),
# RIG_BOOT_LIMIT (default 120), RIG_MEMORY and RIG_DOM0_MEMORY in MB, RIG_XEN (another hypervisor image), RIG_XEN_ARGS,
# RIG_DOM0_ARGS, RIG_CPU.
#
# Commands go through a virtio port, a pipe to us: one line each way, so that nobody polls. Scripts and output are files
# in DIR/.rig. Callers in background take turns; a machine that died is noticed within a second.

# shellcheck source=tests/xen/rig/cache.sh
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

dom0_pid=
dom0_dir=

dom0_boot() { # DIR
  local overlay=$1/overlay state=$1/.rig port forwards='' xen_args dom0_args
  dom0_dir=$(cd "$1" && pwd)
  rm -rf "$state"
  mkdir -p "$state"
  ln -s "${RIG:?setup.sh tells it}" "$state/rig"
  mkfifo "$state"/{commands,monitor}.{in,out}
  cp "$RIG/dom0.cpio.gz" "$state/initrd"
  if [ -d "$overlay" ]; then
    truncate -s %4 "$state/initrd" # the kernel wants the next archive aligned
    (cd "$overlay" && find . | run_in "$RIG/root" bin/cpio -o -H newc --quiet -R 0:0) >>"$state/initrd"
  fi
  for port in ${DOM0_FORWARD:-8443}; do
    forwards+=",hostfwd=tcp:127.0.0.1:0-10.0.2.15:$port" # port 0: the kernel chooses, so nobody can take it before us
  done
  # qemu64: Xen dies on the SMAP of newer models. No monitor/mwait under TCG. svm and npt are what PVH and HVM need.
  xen_args="console=com1 com1=115200,8n1 loglvl=info guest_loglvl=info cpuidle=0 dom0_max_vcpus=1 dom0_vcpus_pin"
  xen_args+=" dom0_mem=${RIG_DOM0_MEMORY:-512}M,max:${RIG_DOM0_MEMORY:-512}M ${RIG_XEN_ARGS:-}"
  dom0_args="console=hvc0 rdinit=/init mitigations=off quiet panic=1 ${RIG_DOM0_ARGS:-}"

  # Names are relative, since QEMU splits several of its options at commas. Whoever starts us and dies takes the machine
  # along; our own lock on the rig goes with the machine.
  (
    cd "$state" || exit 125
    exec {rig_lock}<rig/lock
    flock --shared "$rig_lock"
    export QEMU_MODULE_DIR=rig/root/usr/lib/x86_64-linux-gnu/qemu
    exec setpriv --pdeathsig TERM timeout --kill-after=5 "${RIG_LIMIT:-600}" \
      rig/root/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 --inhibit-cache --library-path "$(library_path rig/root)" \
      rig/root/usr/bin/qemu-system-x86_64 -L rig/root/usr/share/seabios -L rig/root/usr/share/qemu \
      -accel tcg -M q35 -cpu "${RIG_CPU:-qemu64,+svm,+npt,-monitor}" -smp 2 -m "${RIG_MEMORY:-1024}" \
      -nodefaults -display none -no-reboot -serial stdio \
      -kernel "${RIG_XEN:-rig/xen}" -append "$xen_args" -initrd "rig/vmlinux $dom0_args,initrd" \
      -netdev "user,id=net,restrict=on$forwards" -device virtio-net-pci,netdev=net,romfile= \
      -fsdev local,id=share,path=..,security_model=none -device virtio-9p-pci,fsdev=share,mount_tag=share \
      -fsdev local,id=guests,path=rig/guests,security_model=none,readonly=on \
      -device virtio-9p-pci,fsdev=guests,mount_tag=guests \
      -device virtio-serial-pci -chardev pipe,id=commands,path=commands \
      -device virtserialport,chardev=commands,name=commands \
      -chardev pipe,id=monitor,path=monitor -mon chardev=monitor,mode=readline \
      -device virtio-rng-pci </dev/null >"$dom0_dir/console.log" 2>&1
  ) &
  dom0_pid=$!
  # Opened both ways: neither open waits for QEMU, and no end-of-file comes in between.
  exec {dom0_commands}<>"$state/commands.in" {dom0_answers}<>"$state/commands.out"
  exec {dom0_monitor}<>"$state/monitor.in" {dom0_monitor_answers}<>"$state/monitor.out"
  dom0_answer "${RIG_BOOT_LIMIT:-120}" ready || {
    tail -n 20 "$dom0_dir/console.log" >&2
    return 125
  }
}

# dom0_answer SECONDS WORD: waits for the line that begins with WORD; sets dom0_line to the rest of it.
dom0_answer() {
  local deadline=$((SECONDS + $1)) word=$2 part line=
  while :; do
    if read -r -t 1 -u "$dom0_answers" part; then
      line+=$part
      [ "${line%% *}" != "$word" ] || break
      line= # an answer that came after its reader had given up
      continue
    fi
    line+=$part
    kill -0 "$dom0_pid" 2>/dev/null || { echo "dom0: the machine is gone" >&2; return 125; }
    [ "$SECONDS" -lt "$deadline" ] || { echo "dom0: no answer in $1 s" >&2; return 125; }
  done
  dom0_line=${line#* }
}

dom0_sh() { # SCRIPT
  local limit=${DOM0_LIMIT:-60} id lock status
  exec {lock}>"$dom0_dir/.rig/turn"
  flock "$lock"
  id=${EPOCHREALTIME/[.,]/}
  printf '%s\n' "$1" >"$dom0_dir/.rig/$id.sh"
  echo "$id $limit" >&"$dom0_commands"
  status=125
  ! dom0_answer $((limit + 15)) "$id" || status=$dom0_line
  exec {lock}>&-
  cat "$dom0_dir/.rig/$id.out" 2>/dev/null || true
  cat "$dom0_dir/.rig/$id.err" >&2 2>/dev/null || true
  [ "$status" != 143 ] || status=124 # busybox's timeout tells of the signal that it sent
  return "$status"
}

dom0() { # CMD [ARG...]
  local word script=
  for word in "$@"; do
    script+="'${word//\'/\'\\\'\'}' "
  done
  dom0_sh "$script"
}

dom0_port() { # N
  local line
  echo "info usernet" >&"$dom0_monitor"
  while read -r -t 10 -u "$dom0_monitor_answers" line; do
    # TCP[HOST_FORWARD] FD SOURCE-ADDRESS PORT DESTINATION-ADDRESS PORT ...
    if [[ $line =~ HOST_FORWARD\]\ +[0-9]+\ +127\.0\.0\.1\ +([0-9]+)\ +10\.0\.2\.15\ +"$1"\  ]]; then
      echo "${BASH_REMATCH[1]}"
      return
    fi
  done
  echo "dom0: port $1 is not forwarded" >&2
  return 1
}

dom0_off() {
  echo "poweroff 0" >&"$dom0_commands"
  timeout 20 tail --pid="$dom0_pid" -s 0.05 -f /dev/null || echo "dom0: did not power off in 20 s" >&2
  dom0_kill
}

dom0_kill() {
  [ -n "$dom0_pid" ] || return 0
  kill "$dom0_pid" 2>/dev/null || true
  wait "$dom0_pid" 2>/dev/null || true
  dom0_pid=
}
