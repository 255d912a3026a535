/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Layouts against themselves (what is written is read again), against the ends of their bytes, and
 * against random bytes of random length under the sanitizer. layout_xen_test.c has Xen's structs. */
#include "common/layout.h"

#include <stdlib.h>

#include "tests/lib/unit.h"

enum { RANDOM_ROUNDS = 100000 };

static uint64_t random_u64(void)
{
    return (uint64_t)random() << 42 ^ (uint64_t)random() << 21 ^ (uint64_t)random();
}

static void fill_random(void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        ((uint8_t *)bytes)[i] = (uint8_t)random();
    }
}

static void frames_hold_the_entries_of_their_version(void **state)
{
    (void)state;
    assert_int_equal(layout_grants_per_frame(1), 512);
    assert_int_equal(layout_grants_per_frame(2), 256);
    assert_int_equal(layout_grants_per_frame(0), 0);
    assert_int_equal(layout_grants_per_frame(3), 0);
}

static void status_frames_cover_eight_shared_frames_each(void **state)
{
    static const struct {
        uint32_t first, count, status_first, status_count;
    } rows[] = {
        { 0, 0, 0, 0 },
        { 0, 1, 0, 1 },
        { 0, 8, 0, 1 },
        { 0, 9, 0, 2 },
        { 7, 1, 0, 1 },
        { 7, 2, 0, 2 },
        { 8, 8, 1, 1 },
        { 9, 8, 1, 2 },
        { 64, 0, 8, 0 },
        { 0, UINT32_MAX, 0, 536870912 },
        { UINT32_MAX, 1, 536870911, 1 },
        { UINT32_MAX, UINT32_MAX, 536870911, 536870913 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t first = 77;
        uint32_t count = 77;

        layout_status_range(rows[i].first, rows[i].count, &first, &count);
        assert_int_equal(first, rows[i].status_first);
        assert_int_equal(count, rows[i].status_count);
    }
}

static void an_entry_is_decoded_up_to_the_last_whole_one(void **state)
{
    uint8_t frame[LAYOUT_FRAME_BYTES] = { 0 };
    struct layout_grant grant = { .domid = 77 };

    (void)state;
    assert_true(layout_grant_v1(frame, sizeof(frame), 0, 511, &grant));
    assert_true(layout_grant_v2(frame, sizeof(frame), 0, 255, NULL, 0, 0, &grant));
    grant.domid = 77;
    assert_false(layout_grant_v1(frame, sizeof(frame), 0, 512, &grant));
    assert_false(layout_grant_v1(frame, sizeof(frame) - 1, 0, 511, &grant));
    assert_false(layout_grant_v1(frame, sizeof(frame), 0, UINT32_MAX, &grant));
    assert_false(layout_grant_v1(frame, 0, 0, 0, &grant));
    assert_false(layout_grant_v1(NULL, 0, 0, 0, &grant));
    assert_false(layout_grant_v2(frame, sizeof(frame), 0, 256, NULL, 0, 0, &grant));
    assert_false(layout_grant_v2(frame, 15, 0, 0, NULL, 0, 0, &grant));
    assert_int_equal(grant.domid, 77);
}

static void the_second_version_takes_its_use_from_the_status(void **state)
{
    uint8_t frame[LAYOUT_FRAME_BYTES] = { 0 };
    uint8_t status[4] = { 0 };
    struct layout_grant entry = {
        .flags = LAYOUT_GRANT_PERMIT_ACCESS | LAYOUT_GTF_READING,
        .status = LAYOUT_GTF_WRITING,
    };
    struct layout_grant out;

    (void)state;
    layout_put_grant_v2(frame + 16, status + 2, &entry);
    /* Reference 257 of a copy that begins at 256; a status array that begins there as well. */
    assert_true(layout_grant_v2(frame, sizeof(frame), 256, 1, status, 4, 256, &out));
    assert_int_equal(out.reference, 257);
    assert_int_equal(out.status, LAYOUT_GTF_WRITING);
    assert_true(out.writing);
    assert_false(out.reading); /* the bit in `flags` means nothing in version 2 */
    /* It does not reach, or begins behind. */
    assert_true(layout_grant_v2(frame, sizeof(frame), 256, 1, status, 3, 256, &out));
    assert_int_equal(out.status, 0);
    assert_true(layout_grant_v2(frame, sizeof(frame), 256, 1, status, 4, 258, &out));
    assert_int_equal(out.status, 0);
    assert_true(layout_grant_v2(frame, sizeof(frame), 256, 1, NULL, 0, 0, &out));
    assert_false(out.writing);
}

static void a_version_one_entry_keeps_its_frame_whatever_its_kind(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 4; kind++) {
        uint8_t entry[LAYOUT_GRANT_V1_BYTES];
        struct layout_grant out;
        struct layout_grant in = { .flags = (uint16_t)(kind | LAYOUT_GTF_READONLY),
                                   .domid = 0x1234,
                                   .frame = 0xfedcba98 };

        layout_put_grant_v1(entry, &in);
        assert_true(layout_grant_v1(entry, sizeof(entry), 8, 0, &out));
        assert_int_equal(out.kind, kind);
        assert_int_equal(out.reference, 8);
        assert_int_equal(out.domid, 0x1234);
        assert_true(out.frame == 0xfedcba98);
        assert_true(out.readonly);
        assert_false(out.has_sub_page);
    }
}

static void version_two_entries_are_read_as_they_were_written(void **state)
{
    (void)state;
    srandom(5);
    for (int round = 0; round < 10000; round++) {
        uint8_t entry[LAYOUT_GRANT_V2_BYTES];
        uint8_t status[2];
        struct layout_grant in = { .flags = (uint16_t)random(),
                                   .status = (uint16_t)random(),
                                   .domid = (uint16_t)random() };
        struct layout_grant out;

        if ((in.flags & 3) == LAYOUT_GRANT_TRANSITIVE) {
            in.transitive_domid = (uint16_t)random();
            in.transitive_reference = (uint32_t)random();
        } else {
            in.frame = random_u64();
        }
        if ((in.flags & 3) != LAYOUT_GRANT_TRANSITIVE && (in.flags & LAYOUT_GTF_SUB_PAGE) != 0) {
            in.sub_page_offset_bytes = (uint16_t)random();
            in.sub_page_length_bytes = (uint16_t)random();
        }
        layout_put_grant_v2(entry, status, &in);
        assert_true(layout_grant_v2(entry, sizeof(entry), 0, 0, status, 2, 0, &out));
        assert_int_equal(out.flags, in.flags);
        assert_int_equal(out.status, in.status);
        assert_int_equal(out.domid, in.domid);
        assert_true(out.frame == in.frame);
        assert_int_equal(out.transitive_domid, in.transitive_domid);
        assert_int_equal(out.transitive_reference, in.transitive_reference);
        assert_int_equal(out.sub_page_offset_bytes, in.sub_page_offset_bytes);
        assert_int_equal(out.sub_page_length_bytes, in.sub_page_length_bytes);
    }
}

static void ioreqs_are_read_as_they_were_written(void **state)
{
    uint8_t frame[LAYOUT_FRAME_BYTES];

    (void)state;
    srandom(6);
    for (uint32_t vcpu = 0; vcpu < LAYOUT_IOREQS_PER_FRAME; vcpu++) {
        struct layout_ioreq in = {
            .address = random_u64(),
            .data = random_u64(),
            .count = (uint32_t)random(),
            .size_bytes = (uint32_t)random(),
            .event_channel = (uint32_t)random(),
            .state = (uint8_t)(vcpu % 16),
            .type = (uint8_t)random(),
            .data_is_pointer = vcpu % 2 == 0,
            .read = vcpu % 3 == 0,
            .descending = vcpu % 5 == 0,
        };
        struct layout_ioreq out;

        layout_put_ioreq(frame + (size_t)vcpu * LAYOUT_IOREQ_BYTES, &in);
        assert_true(layout_ioreq(frame, sizeof(frame), vcpu, &out));
        assert_true(out.address == in.address && out.data == in.data && out.count == in.count);
        assert_true(out.size_bytes == in.size_bytes && out.event_channel == in.event_channel);
        assert_true(out.state == in.state && out.type == in.type && out.read == in.read);
        assert_true(out.data_is_pointer == in.data_is_pointer && out.descending == in.descending);
    }
    struct layout_ioreq out;

    assert_false(layout_ioreq(frame, sizeof(frame), LAYOUT_IOREQS_PER_FRAME, &out));
    assert_false(layout_ioreq(frame, sizeof(frame) - 1, LAYOUT_IOREQS_PER_FRAME - 1, &out));
    assert_false(layout_ioreq(frame, sizeof(frame), UINT32_MAX, &out));
}

static void buffered_requests_are_read_as_they_were_written(void **state)
{
    static const uint32_t sizes[] = { 1, 2, 4, 8 };
    uint8_t frame[LAYOUT_FRAME_BYTES] = { 0 };

    (void)state;
    srandom(7);
    for (uint32_t pointer = 0; pointer < 2 * LAYOUT_BUFFERED_SLOTS; pointer++) {
        struct layout_buffered_ioreq in = {
            .address = (uint32_t)random() & 0xfffff,
            .size_bytes = sizes[pointer % 4],
            .type = (uint8_t)random(),
            .read = pointer % 3 == 0,
        };
        struct layout_buffered_ioreq out;

        in.data = in.size_bytes == 8 ? random_u64() : (uint32_t)random();
        uint32_t taken = layout_put_buffered_ioreq(frame, pointer, &in);

        assert_int_equal(taken, in.size_bytes == 8 ? 2 : 1);
        assert_int_equal(layout_buffered_ioreq(frame, sizeof(frame), pointer, &out), taken);
        assert_int_equal(out.address, in.address);
        assert_true(out.data == in.data);
        assert_int_equal(out.size_bytes, in.size_bytes);
        assert_int_equal(out.type, in.type);
        assert_int_equal(out.read, in.read);
    }
}

static void a_buffered_request_beyond_the_page_is_none(void **state)
{
    uint8_t frame[LAYOUT_FRAME_BYTES] = { 0 };
    struct layout_buffered_ioreq wide = { .size_bytes = 8, .data = 1 };
    struct layout_buffered_ioreq out = { .address = 77 };

    (void)state;
    assert_int_equal(layout_put_buffered_ioreq(frame, 0, &wide), 2);
    assert_int_equal(layout_buffered_ioreq(frame, 24, 0, &out), 2);
    out.address = 77;
    assert_int_equal(layout_buffered_ioreq(frame, 23, 0, &out), 0); /* its second half */
    assert_int_equal(layout_buffered_ioreq(frame, 15, 0, &out), 0);
    assert_int_equal(layout_buffered_ioreq(frame, 0, UINT32_MAX, &out), 0);
    assert_int_equal(out.address, 77);
    /* Of the last slot, the second half is the first slot. */
    assert_int_equal(layout_put_buffered_ioreq(frame, 510, &wide), 2);
    assert_int_equal(layout_buffered_ioreq(frame, sizeof(frame), 510, &out), 2);
    assert_int_equal(layout_buffered_ioreq(frame, sizeof(frame) - 1, 510, &out), 0);
}

static void pointers_are_valid_up_to_a_full_ring(void **state)
{
    static const struct {
        uint32_t read, write;
        bool valid;
    } rows[] = {
        { 0, 0, true },
        { 0, 511, true },
        { 0, 512, false },
        { 1, 0, false },
        { UINT32_MAX, 0, true },
        { UINT32_MAX, 510, true },
        { UINT32_MAX, 511, false },
    };
    uint8_t frame[LAYOUT_FRAME_BYTES] = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t read_pointer = 77;
        uint32_t write_pointer = 77;
        bool valid = !rows[i].valid;

        layout_put_buffered_pointers(frame, rows[i].read, rows[i].write);
        assert_true(layout_buffered_pointers(frame, 8, &read_pointer, &write_pointer, &valid));
        assert_int_equal(read_pointer, rows[i].read);
        assert_int_equal(write_pointer, rows[i].write);
        assert_int_equal(valid, rows[i].valid);
        assert_false(layout_buffered_pointers(frame, 7, &read_pointer, &write_pointer, &valid));
    }
}

static void a_stats_table_is_known_by_its_magic_and_lies_within(void **state)
{
    static const struct {
        struct layout_stats_header header;
        size_t len_bytes;
        uint32_t vcpu_count; /* 0: no stats table */
    } rows[] = {
        { { LAYOUT_STATS_MAGIC, 16, 16, 64 }, 4096, 64 },
        { { LAYOUT_STATS_MAGIC, 64, 16, 64 }, 4096, 63 },
        { { LAYOUT_STATS_MAGIC, 16, 16, 16 }, 32, 1 },
        { { LAYOUT_STATS_MAGIC, 16, 16, 16 }, 31, 0 },
        { { LAYOUT_STATS_MAGIC, 16, 16, 16 }, 47, 1 },
        { { LAYOUT_STATS_MAGIC, 16, 16, 16 }, 48, 2 },
        { { LAYOUT_STATS_MAGIC + 1, 16, 16, 64 }, 4096, 0 },
        { { 0, 16, 16, 64 }, 4096, 0 },
        { { LAYOUT_STATS_MAGIC, 0, 16, 64 }, 4096, 0 },
        { { LAYOUT_STATS_MAGIC, 8, 16, 64 }, 4096, 0 },
        { { LAYOUT_STATS_MAGIC, 16, 8, 64 }, 4096, 0 },
        { { LAYOUT_STATS_MAGIC, 16, 16, 0 }, 4096, 0 },
        { { LAYOUT_STATS_MAGIC, 16, 16, 8 }, 4096, 0 },
        { { LAYOUT_STATS_MAGIC, 20, 16, 64 }, 4096, 0 },
        { { LAYOUT_STATS_MAGIC, 16, 16, 20 }, 4096, 0 },
        { { LAYOUT_STATS_MAGIC, 4080, 16, 16 }, 4096, 1 },
        { { LAYOUT_STATS_MAGIC, 4088, 16, 16 }, 4096, 0 },
        { { LAYOUT_STATS_MAGIC, 0xfffffff8, 16, 16 }, 4096, 0 },
        { { LAYOUT_STATS_MAGIC, 16, 0xfffffff8, 0xfffffff8 }, 4096, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t frame[LAYOUT_FRAME_BYTES] = { 0 };
        struct layout_stats_header out;
        uint32_t count = 0;

        layout_put_stats_header(frame, &rows[i].header);
        assert_int_equal(layout_stats_header(frame, rows[i].len_bytes, &out, &count),
                         rows[i].vcpu_count > 0);
        assert_int_equal(count, rows[i].vcpu_count);
    }
}

/* One layout of random bytes, in memory of exactly its length. */
static void decode_everything(uint8_t *bytes, size_t len, uint8_t *status, size_t status_len)
{
    uint32_t index = random() % 4 == 0 ? (uint32_t)random() * 2 : (uint32_t)random() % 600;
    struct layout_grant grant;
    struct layout_ioreq ioreq;
    struct layout_buffered_ioreq buffered;
    struct layout_stats_header header;
    uint32_t read_pointer;
    uint32_t write_pointer;
    uint32_t vcpu_count;
    bool valid;

    assert_int_equal(layout_grant_v1(bytes, len, index, index, &grant), index < len / 8);
    assert_int_equal(layout_grant_v2(bytes, len, index, index, status, status_len,
                                     (uint32_t)random() % 600, &grant),
                     index < len / 16);
    assert_int_equal(layout_ioreq(bytes, len, index, &ioreq), index < len / 32);
    assert_int_equal(layout_buffered_pointers(bytes, len, &read_pointer, &write_pointer, &valid),
                     len >= 8);
    assert_in_range(layout_buffered_ioreq(bytes, len, (uint32_t)random() * 2, &buffered), 0, 2);
    if (len >= 4 && random() % 2 == 0) {
        static const uint32_t magic = LAYOUT_STATS_MAGIC;

        memcpy(bytes, &magic, sizeof(magic));
    }
    if (layout_stats_header(bytes, len, &header, &vcpu_count)) {
        assert_true(vcpu_count > 0);
        assert_true(header.offset_bytes + (uint64_t)header.stride_bytes * (vcpu_count - 1) +
                        header.size_bytes <=
                    len);
    }
}

static void random_bytes_of_any_length_decode_to_something(void **state)
{
    (void)state;
    srandom(8);
    for (int round = 0; round < RANDOM_ROUNDS; round++) {
        /* Mostly short ones: the ends are where mistakes are. */
        size_t len = (size_t)random() % (random() % 16 == 0 ? LAYOUT_FRAME_BYTES + 1 : 64);
        size_t status_len = (size_t)random() % 32;
        uint8_t *bytes = malloc(len > 0 ? len : 1);
        uint8_t *status = malloc(status_len > 0 ? status_len : 1);

        assert_true(bytes != NULL && status != NULL);
        fill_random(bytes, len);
        fill_random(status, status_len);
        decode_everything(bytes, len, status, status_len);
        free(bytes);
        free(status);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_hold_the_entries_of_their_version),
        cmocka_unit_test(status_frames_cover_eight_shared_frames_each),
        cmocka_unit_test(an_entry_is_decoded_up_to_the_last_whole_one),
        cmocka_unit_test(the_second_version_takes_its_use_from_the_status),
        cmocka_unit_test(a_version_one_entry_keeps_its_frame_whatever_its_kind),
        cmocka_unit_test(version_two_entries_are_read_as_they_were_written),
        cmocka_unit_test(ioreqs_are_read_as_they_were_written),
        cmocka_unit_test(buffered_requests_are_read_as_they_were_written),
        cmocka_unit_test(a_buffered_request_beyond_the_page_is_none),
        cmocka_unit_test(pointers_are_valid_up_to_a_full_ring),
        cmocka_unit_test(a_stats_table_is_known_by_its_magic_and_lies_within),
        cmocka_unit_test(random_bytes_of_any_length_decode_to_something),
    };

    return UNIT_RUN(tests);
}
