/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */
/*
 * What the guests made of one assembler file share: a PVH kernel's beginning, 32 bit, no paging, no drivers, and a few
 * hypercalls. It maps two frames of the guest's own grant table, and goes on at `main`. Included, once, before anything
 * else.
 */
        .set GRANT_TABLE, 0x80000000    /* where we put the table: beyond our RAM, so it replaces nothing */
        .set V1_ENTRY, 8
        .set V2_ENTRY, 16
        .set HYPERCALL, 32              /* bytes of a stub in the hypercall page */
        .set GO_ON, 0x300000            /* RAM that nothing is loaded into: for dom0 to write to */

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

        call map_grant_frame            /* frame 0 */
        incl physmap_index
        incl physmap_gpfn
        call map_grant_frame            /* frame 1: the table now has two frames in use */

        jmp main

grant_set_version:
        movl $8, %ebx                   /* GNTTABOP_set_version */
        movl $set_version, %ecx
        movl $1, %edx
        movl $hypercall_page + 20*HYPERCALL, %eax
        jmp *%eax

/* XENMEM_add_to_physmap with what `physmap` says. */
map_grant_frame:
        movl $physmap, %ecx
        movl $7, %ebx
        movl $hypercall_page + 12*HYPERCALL, %eax
        jmp *%eax
sched_op:
        movl $hypercall_page + 29*HYPERCALL, %eax
        jmp *%eax

        .data
        .align 4
physmap:        .word 0x7ff0, 0         /* DOMID_SELF */
physmap_space:  .long 1                 /* XENMAPSPACE_grant_table */
physmap_index:  .long 0
physmap_gpfn:   .long GRANT_TABLE >> 12
start_info:     .long 0
set_version:    .long 2

        .bss
        .align 4096
hypercall_page: .skip 4096
                .skip 4096
stack_top:
