/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the project has written down of Xen's public interface for programs without Xen's headers
 * (common/layout, common/message) equals those headers: checked when the xen backend is compiled.
 * No code comes of it.
 */
#include <limits.h>
#include <stddef.h>
#include <xenctrl.h>
#include <xen/grant_table.h>
#include <xen/hvm/ioreq.h>
#include <xen/memory.h>

#include "common/layout.h"
#include "common/message.h"

#define SAME(ours, xens) _Static_assert((ours) == (xens), #ours " is not Xen's " #xens)

SAME(LAYOUT_FRAME_BYTES, XC_PAGE_SIZE);
SAME(MESSAGE_FRAME_BYTES, XC_PAGE_SIZE);

/* Resource types and ids */
SAME(RESOURCE_IOREQ_SERVER, XENMEM_resource_ioreq_server);
SAME(RESOURCE_GRANT_TABLE, XENMEM_resource_grant_table);
SAME(RESOURCE_VMTRACE_BUF, XENMEM_resource_vmtrace_buf);
SAME(GRANT_TABLE_SHARED, XENMEM_resource_grant_table_id_shared);
SAME(GRANT_TABLE_STATUS, XENMEM_resource_grant_table_id_status);
SAME(IOREQ_FRAME_BUFFERED, XENMEM_resource_ioreq_server_frame_bufioreq);
SAME(IOREQ_FRAME_SYNCHRONOUS, XENMEM_resource_ioreq_server_frame_ioreq(0));
/* The fourth was never merged. A Xen whose headers have it gives this file a reason to be read. */
#ifdef XENMEM_resource_stats_table
SAME(RESOURCE_VCPU_STATS, XENMEM_resource_stats_table);
#endif

/* Grant entries */
SAME(LAYOUT_GRANT_V1_BYTES, sizeof(grant_entry_v1_t));
SAME(LAYOUT_GRANT_V2_BYTES, sizeof(union grant_entry_v2));
SAME(LAYOUT_GRANT_STATUS_BYTES, sizeof(grant_status_t));
SAME(0, offsetof(grant_entry_v1_t, flags));
SAME(2, offsetof(grant_entry_v1_t, domid));
SAME(4, offsetof(grant_entry_v1_t, frame));
SAME(0, offsetof(union grant_entry_v2, hdr.flags));
SAME(2, offsetof(union grant_entry_v2, hdr.domid));
SAME(8, offsetof(union grant_entry_v2, full_page.frame));
SAME(4, offsetof(union grant_entry_v2, sub_page.page_off));
SAME(6, offsetof(union grant_entry_v2, sub_page.length));
SAME(8, offsetof(union grant_entry_v2, sub_page.frame));
SAME(4, offsetof(union grant_entry_v2, transitive.trans_domid));
SAME(8, offsetof(union grant_entry_v2, transitive.gref));
SAME(3, GTF_type_mask);
SAME(LAYOUT_GRANT_UNUSED, GTF_invalid);
SAME(LAYOUT_GRANT_PERMIT_ACCESS, GTF_permit_access);
SAME(LAYOUT_GRANT_ACCEPT_TRANSFER, GTF_accept_transfer);
SAME(LAYOUT_GRANT_TRANSITIVE, GTF_transitive);
SAME(LAYOUT_GTF_READONLY, GTF_readonly);
SAME(LAYOUT_GTF_READING, GTF_reading);
SAME(LAYOUT_GTF_WRITING, GTF_writing);
SAME(LAYOUT_GTF_SUB_PAGE, GTF_sub_page);

/* Ioreq pages. Bit-fields have no offset: their order is in the headers' text, and the tests on a
 * real device model see it. */
SAME(LAYOUT_IOREQ_BYTES, sizeof(struct ioreq));
SAME(0, offsetof(struct ioreq, addr));
SAME(8, offsetof(struct ioreq, data));
SAME(16, offsetof(struct ioreq, count));
SAME(20, offsetof(struct ioreq, size));
SAME(24, offsetof(struct ioreq, vp_eport));
SAME(0, offsetof(struct shared_iopage, vcpu_ioreq));
SAME(LAYOUT_BUFFERED_SLOTS, IOREQ_BUFFER_SLOT_NUM);
SAME(LAYOUT_FRAME_BYTES, sizeof(struct buffered_iopage));
SAME(8, sizeof(struct buf_ioreq));
SAME(4, offsetof(struct buf_ioreq, data));
SAME(0, offsetof(struct buffered_iopage, read_pointer));
SAME(4, offsetof(struct buffered_iopage, write_pointer));
SAME(8, offsetof(struct buffered_iopage, buf_ioreq));
SAME(LAYOUT_IOREQ_NONE, STATE_IOREQ_NONE);
SAME(LAYOUT_IOREQ_READY, STATE_IOREQ_READY);
SAME(LAYOUT_IOREQ_INPROCESS, STATE_IOREQ_INPROCESS);
SAME(LAYOUT_IOREQ_RESP_READY, STATE_IORESP_READY);
SAME(LAYOUT_IOREQ_PIO, IOREQ_TYPE_PIO);
SAME(LAYOUT_IOREQ_COPY, IOREQ_TYPE_COPY);
SAME(LAYOUT_IOREQ_PCI_CONFIG, IOREQ_TYPE_PCI_CONFIG);
SAME(LAYOUT_IOREQ_TIMEOFFSET, IOREQ_TYPE_TIMEOFFSET);
SAME(LAYOUT_IOREQ_INVALIDATE, IOREQ_TYPE_INVALIDATE);

/* Limits that the messages have room for */
_Static_assert(XEN_LEGACY_MAX_VCPUS <= MESSAGE_VCPUS_MAX, "all vCPUs fit an answer");
