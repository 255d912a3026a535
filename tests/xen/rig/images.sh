#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# usage: images.sh DIR
# The second half of setup.sh: makes what is booted from the packages extracted in DIR/root.
set -eEuo pipefail
trap 'echo "images.sh: line $LINENO failed" >&2' ERR
umask 022

# shellcheck source=tests/xen/rig/cache.sh
. "$(dirname "$0")/cache.sh"

dir=$1
root=$dir/root
kernel=$(basename "$root"/lib/modules/*)
dom0=$dir/dom0          # becomes dom0.cpio.gz
guests=$dir/guests

xen_programs=(xl xenstored xenconsoled xenconsole xen-init-dom0 libxl-save-helper test-resource xen-vmtrace xen-hvmctx)
modules=(xen-privcmd xen-evtchn xen-gntdev xen-gntalloc xenfs virtio_pci virtio_net virtio_console virtio-rng
  9pnet_virtio 9p)

pack() { # FOLDER: as an initramfs owned by root
  (cd "$1" && find . | run_in "$root" bin/cpio -o -H newc --quiet -R 0:0)
}

# QEMU's multiboot loader takes the ELF file that is inside the .gz, not the .gz.
make_hypervisor() {
  cp "$root/boot/xen-4.17-amd64.config" "$dir/xen.config"
  zcat "$root/boot/xen-4.17-amd64.gz" >"$dir/xen"
}

# The kernel's payload is unpacked here, as unpacking it under emulation would cost each boot ten seconds. The boot
# protocol's header says where it is: setup_sects at 0x1f1, payload_offset and payload_length at 0x248.
make_kernel() {
  local image=$root/boot/vmlinuz-$kernel setup_sectors offset length
  setup_sectors=$(od -An -tu1 -j $((0x1f1)) -N1 "$image")
  read -r offset length < <(od -An -tu4 -j $((0x248)) -N8 "$image")
  dd if="$image" of="$dir/payload" bs=1M iflag=skip_bytes,count_bytes status=none \
    skip=$(((setup_sectors + 1) * 512 + offset)) count="$length"
  # The compressed data is followed by its size, which xz takes for garbage: look at the result, not at the status.
  run_in "$root" usr/bin/xz -dc --single-stream <"$dir/payload" >"$dir/vmlinux" 2>/dev/null || true
  rm "$dir/payload"
  [ "$(head -c 4 "$dir/vmlinux" | tail -c 3)" = ELF ] || die "no ELF kernel in $image: is it still packed with xz?"
  gzip -1c "$dir/vmlinux" >"$guests/vmlinux.gz" # Xen's domain builder unpacks this form only
}

install_dom0_program() { # FILE TO
  local file=$1 to=$2 library
  cp -L "$file" "$to"
  for library in $(libraries_in "$root" "$file"); do
    cp -Ln "$library" "$dom0/lib/x86_64-linux-gnu/"
  done
}

# In the order in which they are to be loaded.
install_dom0_modules() {
  local tree=$root/lib/modules/$kernel module line file
  ln -sf kmod "$root/bin/depmod" # the package's own link is an absolute one
  run_in "$root" bin/depmod -b "$root" "$kernel"
  for module in "${modules[@]}"; do
    line=$(grep -E "/$module\.ko:" "$tree/modules.dep") || die "kernel $kernel has no module $module"
    for file in $(echo "${line#*:}" | tr ' ' '\n' | tac) "${line%%:*}"; do
      [ -e "$dom0/modules/${file##*/}" ] || echo "${file##*/}" >>"$dom0/modules/order"
      cp -n "$tree/$file" "$dom0/modules/"
    done
  done
}

make_dom0() {
  local libraries=$dom0/lib/x86_64-linux-gnu program name
  mkdir -p "$libraries" "$dom0"/{bin,sbin,dev,proc,sys,run/lock,tmp,root,modules,share,guests,lib64} \
    "$dom0"/usr/{bin,sbin,local/bin,local/sbin,lib/xen-4.17/bin,lib/xen-4.17/boot,share/seabios} \
    "$dom0"/var/{lib/xen,lib/xenstored,log/xen} "$dom0/etc/xen/scripts"
  ln -s ../run "$dom0/var/run"
  ln -s ../run/lock "$dom0/var/lock"
  cp "$root/bin/busybox" "$dom0/bin/"
  ln -s busybox "$dom0/bin/sh"
  cp -L "$root/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" "$dom0/lib64/"
  for program in "${xen_programs[@]}"; do
    install_dom0_program "$root/usr/lib/xen-4.17/bin/$program" "$dom0/usr/lib/xen-4.17/bin/$program"
    ln -s "../lib/xen-4.17/bin/$program" "$dom0/usr/bin/$program"
  done
  install_dom0_program "$root/usr/bin/xenstore" "$dom0/usr/bin/xenstore"
  for name in ls read write list rm watch exists chmod; do
    ln -s xenstore "$dom0/usr/bin/xenstore-$name"
  done
  cp -L "$root/lib/x86_64-linux-gnu/libgcc_s.so.1" "$libraries" # xl opens it when a thread is cancelled
  cp "$root/usr/lib/xen-4.17/boot/hvmloader" "$dom0/usr/lib/xen-4.17/boot/"
  cp -L "$root/usr/share/seabios/bios-256k.bin" "$dom0/usr/share/seabios/"
  cp -r "$rig_source/dom0/etc/." "$dom0/etc/"
  install -m 755 "$rig_source/dom0/init" "$dom0/init"
  install -m 755 "$rig_source"/dom0/bin/* "$dom0/usr/local/bin/"
  install_dom0_modules
  pack "$dom0" | gzip -1 >"$dir/dom0.cpio.gz"
  rm -rf "$dom0"
}

make_guests() {
  local linux=$dir/linux guest
  cp "$rig_source"/guests/*.cfg "$guests/"
  for guest in tiny steady; do
    "${CC:-gcc}" -m32 -nostdlib -static -no-pie -Wl,-Ttext=0x100000 -Wl,--section-start=.note.Xen=0x108000 \
      -Wl,--build-id=none -Wl,-z,noexecstack -s -o "$guests/$guest" "$rig_source/guests/$guest.S"
  done
  "${CC:-gcc}" -m32 -nostdlib -static -no-pie -Wl,-Ttext=0x7c00 -Wl,--build-id=none -Wl,--oformat=binary \
    -o "$guests/floppy" "$rig_source/guests/floppy.S"
  truncate -s 1440K "$guests/floppy" # QEMU takes the kind of drive from the size
  mkdir -p "$linux"/{bin,dev,proc,sys}
  cp "$root/bin/busybox" "$linux/bin/"
  ln -s busybox "$linux/bin/sh"
  install -m 755 "$rig_source/guests/linux-init" "$linux/init"
  pack "$linux" | gzip -9 >"$guests/linux.cpio.gz"
  rm -rf "$linux"
}

make_device_model() {
  local to=$guests/device-model program library
  program=$(find "$root/usr" -type f -path '*xen*' -name '*qemu-system-i386' | head -n 1)
  [ -n "$program" ] || die "no device model in the package qemu-system-xen"
  mkdir -p "$to"/{lib,firmware}
  cp "$program" "$to/qemu"
  for library in $(libraries_in "$root" "$program"); do
    cp -L "$library" "$to/lib/"
  done
  cp -L "$root/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" "$to/lib/"
  cp -L "$root"/usr/share/seabios/*.bin "$to/firmware/"
  cp -rL "$root/usr/share/qemu/keymaps" "$to/firmware/"
  install -m 755 "$rig_source/guests/device-model-run" "$to/run"
}

mkdir -p "$guests"
make_hypervisor
make_kernel
make_dom0
make_guests
make_device_model
rm -rf "${root:?}/lib/modules" "${root:?}/boot" # 400 MB that are in the images now, as far as they are needed
