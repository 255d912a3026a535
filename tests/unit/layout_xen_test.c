/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The layouts that common/layout.c writes down are those of Xen's public headers, where these are
 * installed: 100,000 random pages, field by field. */
#include "common/layout.h"

#include <stdlib.h>

#include "tests/lib/unit.h"

#if __has_include(<xen/grant_table.h>) && __has_include(<xen/hvm/ioreq.h>)
#define __XEN_TOOLS__ /* the newest names */
#include <xen/xen.h>
#include <xen/grant_table.h>
#include <xen/hvm/ioreq.h>

enum { RANDOM_ROUNDS = 100000 };

static void fill_random(void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        ((uint8_t *)bytes)[i] = (uint8_t)random();
    }
}

static void sizes_and_numbers_are_xens(void **state)
{
    (void)state;
    assert_int_equal(sizeof(grant_entry_v1_t), LAYOUT_GRANT_V1_BYTES);
    assert_int_equal(sizeof(grant_entry_v2_t), LAYOUT_GRANT_V2_BYTES);
    assert_int_equal(sizeof(grant_status_t), LAYOUT_GRANT_STATUS_BYTES);
    assert_int_equal(sizeof(ioreq_t), LAYOUT_IOREQ_BYTES);
    assert_int_equal(sizeof(buffered_iopage_t), LAYOUT_FRAME_BYTES);
    assert_int_equal(IOREQ_BUFFER_SLOT_NUM, LAYOUT_BUFFERED_SLOTS);
    assert_int_equal(GTF_type_mask, 3);
    assert_int_equal(GTF_invalid, LAYOUT_GRANT_UNUSED);
    assert_int_equal(GTF_permit_access, LAYOUT_GRANT_PERMIT_ACCESS);
    assert_int_equal(GTF_accept_transfer, LAYOUT_GRANT_ACCEPT_TRANSFER);
    assert_int_equal(GTF_transitive, LAYOUT_GRANT_TRANSITIVE);
    assert_int_equal(GTF_readonly, LAYOUT_GTF_READONLY);
    assert_int_equal(GTF_reading, LAYOUT_GTF_READING);
    assert_int_equal(GTF_writing, LAYOUT_GTF_WRITING);
    assert_int_equal(GTF_sub_page, LAYOUT_GTF_SUB_PAGE);
    assert_int_equal(STATE_IOREQ_NONE, LAYOUT_IOREQ_NONE);
    assert_int_equal(STATE_IOREQ_READY, LAYOUT_IOREQ_READY);
    assert_int_equal(STATE_IOREQ_INPROCESS, LAYOUT_IOREQ_INPROCESS);
    assert_int_equal(STATE_IORESP_READY, LAYOUT_IOREQ_RESP_READY);
    assert_int_equal(IOREQ_TYPE_PIO, LAYOUT_IOREQ_PIO);
    assert_int_equal(IOREQ_TYPE_COPY, LAYOUT_IOREQ_COPY);
    assert_int_equal(IOREQ_TYPE_PCI_CONFIG, LAYOUT_IOREQ_PCI_CONFIG);
    assert_int_equal(IOREQ_TYPE_TIMEOFFSET, LAYOUT_IOREQ_TIMEOFFSET);
    assert_int_equal(IOREQ_TYPE_INVALIDATE, LAYOUT_IOREQ_INVALIDATE);
    assert_int_equal(IOREQ_READ, 1);
}

static void grants_equal_xens_structs(void **state)
{
    grant_entry_v1_t one[4];
    grant_entry_v2_t two[4];
    grant_status_t status[4];
    struct layout_grant out;

    (void)state;
    srandom(9);
    for (int round = 0; round < RANDOM_ROUNDS; round++) {
        uint32_t i = (uint32_t)random() % 4;

        fill_random(one, sizeof(one));
        assert_true(layout_grant_v1(one, sizeof(one), 0, i, &out));
        assert_int_equal(out.flags, one[i].flags);
        assert_int_equal(out.domid, one[i].domid);
        assert_true(out.frame == one[i].frame);

        fill_random(two, sizeof(two));
        fill_random(status, sizeof(status));
        assert_true(layout_grant_v2(two, sizeof(two), 0, i, status, sizeof(status), 0, &out));
        assert_int_equal(out.flags, two[i].hdr.flags);
        assert_int_equal(out.domid, two[i].hdr.domid);
        assert_int_equal(out.status, status[i]);
        if ((two[i].hdr.flags & GTF_type_mask) == GTF_transitive) {
            assert_int_equal(out.transitive_domid, two[i].transitive.trans_domid);
            assert_int_equal(out.transitive_reference, two[i].transitive.gref);
        } else if ((two[i].hdr.flags & GTF_sub_page) != 0) {
            assert_int_equal(out.sub_page_offset_bytes, two[i].sub_page.page_off);
            assert_int_equal(out.sub_page_length_bytes, two[i].sub_page.length);
            assert_true(out.frame == two[i].sub_page.frame);
        } else {
            assert_true(out.frame == two[i].full_page.frame);
        }
    }
}

static void ioreqs_equal_xens_structs(void **state)
{
    ioreq_t page[4];
    struct layout_ioreq out;

    (void)state;
    srandom(10);
    for (int round = 0; round < RANDOM_ROUNDS; round++) {
        uint32_t i = (uint32_t)random() % 4;

        fill_random(page, sizeof(page));
        assert_true(layout_ioreq(page, sizeof(page), i, &out));
        assert_true(out.address == page[i].addr && out.data == page[i].data);
        assert_int_equal(out.count, page[i].count);
        assert_int_equal(out.size_bytes, page[i].size);
        assert_int_equal(out.event_channel, page[i].vp_eport);
        assert_int_equal(out.state, page[i].state);
        assert_int_equal(out.data_is_pointer, page[i].data_is_ptr);
        assert_int_equal(out.read, page[i].dir == IOREQ_READ);
        assert_int_equal(out.descending, page[i].df);
        assert_int_equal(out.type, page[i].type);
    }
}

static void buffered_requests_equal_xens_structs(void **state)
{
    buffered_iopage_t page;
    struct layout_buffered_ioreq out;

    (void)state;
    srandom(11);
    fill_random(&page, sizeof(page));
    for (uint32_t pointer = 0; pointer < LAYOUT_BUFFERED_SLOTS; pointer++) {
        const buf_ioreq_t *slot = &page.buf_ioreq[pointer];
        uint64_t high = page.buf_ioreq[(pointer + 1) % LAYOUT_BUFFERED_SLOTS].data;
        uint32_t taken = layout_buffered_ioreq(&page, sizeof(page), pointer, &out);

        assert_int_equal(taken, slot->size == 3 ? 2 : 1);
        assert_int_equal(out.address, slot->addr);
        assert_int_equal(out.size_bytes, 1U << slot->size);
        assert_int_equal(out.type, slot->type);
        assert_int_equal(out.read, slot->dir == IOREQ_READ);
        assert_true(out.data == (slot->size == 3 ? high << 32 | slot->data : slot->data));
    }
    uint32_t read_pointer;
    uint32_t write_pointer;
    bool valid;

    assert_true(
        layout_buffered_pointers(&page, sizeof(page), &read_pointer, &write_pointer, &valid));
    assert_int_equal(read_pointer, page.read_pointer);
    assert_int_equal(write_pointer, page.write_pointer);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_and_numbers_are_xens),
        cmocka_unit_test(grants_equal_xens_structs),
        cmocka_unit_test(ioreqs_equal_xens_structs),
        cmocka_unit_test(buffered_requests_equal_xens_structs),
    };

    return UNIT_RUN(tests);
}

#else

#include <stdio.h>

int main(void)
{
    (void)puts("1..0 # SKIP no Xen headers here (Debian: libxen-dev)");
    return 77;
}

#endif
