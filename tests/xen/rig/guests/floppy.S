/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */
/*
 * The boot sector of the HVM guest's floppy: keeps the guest up without an operating system (a BIOS that finds nothing to
 * boot resets it after a minute), and its device model at work: reads the status of the IDE controller 18 times a second,
 * at each tick of the timer.
 */
        .code16
        .text
        .globl _start
_start: movw $0x1f7, %dx
1:      inb %dx, %al
        sti
        hlt
        jmp 1b

        .org 510
        .word 0xaa55
