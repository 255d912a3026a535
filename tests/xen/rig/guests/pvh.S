/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */
/*
 * What the guests made of one assembler file share: a PVH kernel's beginning, 32 bit, no paging, no drivers, and a few
 * hypercalls. It maps two frames of the guest's own grant table, and goes on at `main`. Included, once, before anything
 * else. Who waits, sleeps: what asks Xen for something in a loop takes the processor from all others.
 */
        .set GRANT_TABLE, 0x80000000    /* where we put the table: beyond our RAM, so it replaces nothing */
        .set V1_ENTRY, 8
        .set V2_ENTRY, 16
        .set HYPERCALL, 32              /* bytes of a stub in the hypercall page */
        .set GO_ON, 0x300000            /* RAM that nothing is loaded into: for dom0 to write to */

        .set SHARED_INFO, 0x80100000
        .set SYSTEM_TIME, SHARED_INFO + 48      /* nanoseconds, of vCPU 0, as old as its last sleep or a second */
        .set STEP_NS, 20000000

        .section .note.Xen,"a",@note
        .align 4
        .long 4, 4, 18                  /* XEN_ELFNOTE_PHYS32_ENTRY: makes it a PVH kernel */
        .asciz "Xen"
        .long _start

        .text
        .globl _start
_start: cld
        movl %ebx, start_info
        movl $stack_top, %esp

        /* Xen's CPUID leaves begin at 0x40000000 or 0x100 further on; leaf + 2 names the MSR of the hypercall page. */
        movl $0x40000000, %esi
find_xen:
        movl %esi, %eax
        cpuid
        cmpl $0x566e6558, %ebx          /* "XenV" */
        je found_xen
        addl $0x100, %esi
        jmp find_xen
found_xen:
        leal 2(%esi), %eax
        cpuid
        movl %ebx, %ecx
        movl $hypercall_page, %eax
        xorl %edx, %edx
        wrmsr

        movl $0, physmap_space          /* XENMAPSPACE_shared_info */
        movl $SHARED_INFO >> 12, physmap_gpfn
        call map_frame
        movl $1, physmap_space          /* XENMAPSPACE_grant_table, from here on */
        movl $GRANT_TABLE >> 12, physmap_gpfn
        call map_frame                  /* frame 0 */
        incl physmap_index
        incl physmap_gpfn
        call map_frame                  /* frame 1: the table now has two frames in use */

        jmp main

grant_set_version:
        movl $8, %ebx                   /* GNTTABOP_set_version */
        movl $set_version, %ecx
        movl $1, %edx
        movl $hypercall_page + 20*HYPERCALL, %eax
        jmp *%eax

/* XENMEM_add_to_physmap with what `physmap` says. */
map_frame:
        movl $physmap, %ecx
        movl $7, %ebx
        movl $hypercall_page + 12*HYPERCALL, %eax
        jmp *%eax

/* Until STEP_NS after the last sleep's end was due, or from now on where that is over. */
sleep:  movl SYSTEM_TIME, %eax
        movl SYSTEM_TIME + 4, %edx
        cmpl poll_timeout + 4, %edx
        jb 2f
        ja 1f
        cmpl poll_timeout, %eax
        jbe 2f
1:      movl %eax, poll_timeout
        movl %edx, poll_timeout + 4
2:      addl $STEP_NS, poll_timeout
        adcl $0, poll_timeout + 4
        movl $3, %ebx                   /* SCHEDOP_poll, for no event */
        movl $poll, %ecx                /* and on into */
sched_op:
        movl $hypercall_page + 29*HYPERCALL, %eax
        jmp *%eax

        .data
        .align 8
poll:           .long 0, 0              /* ports: none */
poll_timeout:   .long 0, 0              /* Xen's time, nanoseconds */
physmap:        .word 0x7ff0, 0         /* DOMID_SELF */
physmap_space:  .long 0
physmap_index:  .long 0
physmap_gpfn:   .long 0
start_info:     .long 0
set_version:    .long 2

        .bss
        .align 4096
hypercall_page: .skip 4096
                .skip 4096
stack_top:
