/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */
/*
 * The smallest PVH guest that has something to look at. It writes entries that the tests know by heart into its grant
 * table, and then does what the first letter of its command line says:
 *
 *   b  blocks for ever; nothing changes any more
 *   i  reads io port 0x510 in a loop: real ioreqs, once a test has made an ioreq server for that port; counts in ref 20
 *   2  switches to grant table version 2 (which wipes all but the reserved refs), writes v2 entries, then blocks
 *   s  the same, but waits until the word at 0x300000 is not 0, then switches back to version 1, then blocks
 *
 * Version 1 entries (modes b and i):
 *   refs 8..15   flags 5 (permit_access, readonly), domid = ref, frame = 0x1000 + ref
 *   ref 20       flags 0, frame = number of rounds of the loop
 *   ref 600      in the second frame: flags 1 (permit_access), domid 7, frame 0x1258
 * Version 2 entries (modes 2 and s):
 *   ref 9        full page:  flags 1, domid 7, frame 0x2009
 *   ref 10       sub page:   flags 0x101, domid 8, page_off 0x40, length 0x80, frame 0x200a
 *   ref 11       transitive: flags 3, domid 9, trans_domid 5, gref 77
 * Version 1 entry after the switch back (mode s):
 *   ref 9        flags 1, domid 7, frame 0x1009
 */
#include "pvh.S"

        .text
main:
        movl $GRANT_TABLE, %edi
        movl $8, %ecx
fill_v1:
        leal 0x1000(%ecx), %eax
        movl %eax, 4(%edi,%ecx,V1_ENTRY)
        movl %ecx, %eax
        shll $16, %eax
        orl $0x0005, %eax
        movl %eax, (%edi,%ecx,V1_ENTRY)
        incl %ecx
        cmpl $16, %ecx
        jb fill_v1
        movl $0x1258, GRANT_TABLE + 600*V1_ENTRY + 4
        movl $0x00070001, GRANT_TABLE + 600*V1_ENTRY

        movl start_info, %ebx
        movl 24(%ebx), %ebx             /* hvm_start_info.cmdline_paddr */
        testl %ebx, %ebx
        jz block
        cmpb $'2', (%ebx)
        je version_2
        cmpb $'s', (%ebx)
        je switch_back
        cmpb $'i', (%ebx)
        jne block

port_reads:
        incl GRANT_TABLE + 20*V1_ENTRY + 4
        movw $0x510, %dx
        inb %dx, %al
        xorl %ebx, %ebx                 /* SCHEDOP_yield */
        xorl %ecx, %ecx
        call sched_op
        jmp port_reads

switch_back:
        movl $0, GO_ON
        call use_version_2
1:      call sleep
        cmpl $0, GO_ON
        je 1b
        movl $1, set_version
        call grant_set_version
        movl $0x1009,     GRANT_TABLE + 9*V1_ENTRY + 4
        movl $0x00070001, GRANT_TABLE + 9*V1_ENTRY
        jmp block

version_2:
        call use_version_2
block:  movl $1, %ebx                   /* SCHEDOP_block */
        xorl %ecx, %ecx
        call sched_op
        jmp block

use_version_2:
        call grant_set_version
        movl $0x00070001, GRANT_TABLE + 9*V2_ENTRY
        movl $0x2009,     GRANT_TABLE + 9*V2_ENTRY + 8
        movl $0x00080101, GRANT_TABLE + 10*V2_ENTRY
        movl $0x00800040, GRANT_TABLE + 10*V2_ENTRY + 4
        movl $0x200a,     GRANT_TABLE + 10*V2_ENTRY + 8
        movl $0x00090003, GRANT_TABLE + 11*V2_ENTRY
        movl $5,          GRANT_TABLE + 11*V2_ENTRY + 4
        movl $77,         GRANT_TABLE + 11*V2_ENTRY + 8
        ret
