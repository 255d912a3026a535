/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */
/*
 * A guest whose grant table never stands still, by rules that the tests know: fifty steps a second, asleep in between,
 * as a busy guest is too much for the emulator. The first letter of its command line is the grant table's version.
 *
 * Step k, counted from 0, is phase k % 4 of what happens to ref 20 + 32 * (k / 4 % 16), which is granted to domain 3:
 *   0  appears                frame 0x10000 + k, readonly
 *   1  changes its frame      to 0x10000 + k
 *   2  is no longer readonly  and has frame 0x10000 + k
 *   3  goes away              the first word becomes 0; the frame stays written
 * The frame is written before the first word. Each step reads io port 0x510 + k % 8: an ioreq, where there is a server.
 *
 * Always there: ref 12, to domain 0, frame 0x300; behind each frame that was added, the first ref of that frame N, to
 * domain 7, frame 0x20000 + N.
 *
 * dom0 writes to the word at COMMAND, which becomes 0 once it was done, and may write again then:
 *   1, 2  the table gets this version     3  the table grows by a frame     5  the guest reboots
 *   4     no steps, until dom0 writes another word
 * and may read at STEPS how many steps were taken.
 */
#include "pvh.S"

        .set COMMAND, GO_ON
        .set STEPS, GO_ON + 4
        .set REST, 4

        .text
main:   movl $0, COMMAND
        movl $0, STEPS
        movl start_info, %ebx
        movl 24(%ebx), %ebx             /* hvm_start_info.cmdline_paddr */
        cmpb $'2', (%ebx)
        jne 1f
        call to_version_2
        jmp next
1:      movl $1, set_version
        call lasting_entry

next:   movl COMMAND, %eax
        cmpl $REST, %eax
        je 2f
        testl %eax, %eax
        jz 1f
        call *commands(,%eax,4)
        movl $0, COMMAND
1:      call step
2:      call sleep
        jmp next

step:   movl STEPS, %eax
        movl %eax, %edx
        shrl $2, %edx
        andl $15, %edx
        shll $5, %edx
        addl $20, %edx                  /* edx: ref */
        leal 0x10000(%eax), %ecx        /* ecx: frame */
        andl $3, %eax                   /* eax: phase */
        movl first_words(,%eax,4), %ebx
        cmpl $2, set_version
        je 2f
        leal GRANT_TABLE(,%edx,V1_ENTRY), %edi
        cmpl $3, %eax
        je 1f
        movl %ecx, 4(%edi)
1:      movl %ebx, (%edi)
        jmp 4f
2:      shll $4, %edx
        leal GRANT_TABLE(%edx), %edi
        cmpl $3, %eax
        je 3f
        movl %ecx, 8(%edi)
3:      movl %ebx, (%edi)
4:      movl STEPS, %edx
        incl STEPS
        andl $7, %edx
        addl $0x510, %edx
        inb %dx, %al
        ret

/* Xen wipes all entries but the reserved ones. */
to_version_1:
        movl $1, set_version
        call grant_set_version
        jmp lasting_entry
to_version_2:
        movl $2, set_version
        call grant_set_version
lasting_entry:
        movl $0x300, %ecx
        movl $0x00000001, %ebx
        movl $12, %edx

/* Writes the entry of ref edx: first word ebx, frame ecx. */
write_entry:
        cmpl $2, set_version
        je 1f
        movl %ecx, GRANT_TABLE + 4(,%edx,V1_ENTRY)
        movl %ebx, GRANT_TABLE(,%edx,V1_ENTRY)
        ret
1:      shll $4, %edx
        movl %ecx, GRANT_TABLE + 8(%edx)
        movl %ebx, GRANT_TABLE(%edx)
        ret

grow:   incl physmap_index
        incl physmap_gpfn
        call map_frame
        movl physmap_index, %edx
        leal 0x20000(%edx), %ecx
        movl $0x00070001, %ebx
        shll $8, %edx                   /* refs in a frame: 256 of version 2, 512 of version 1 */
        cmpl $2, set_version
        je write_entry
        shll $1, %edx
        jmp write_entry

reboot: movl $2, %ebx                   /* SCHEDOP_shutdown */
        movl $shutdown, %ecx
        jmp sched_op

        .data
        .align 8
commands:       .long 0, to_version_1, to_version_2, grow, 0, reboot
first_words:    .long 0x00030005, 0x00030005, 0x00030001, 0
shutdown:       .long 1                 /* SHUTDOWN_reboot */
