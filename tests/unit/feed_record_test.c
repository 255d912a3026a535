/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Records of a spool, as they have to be, and as a mapper that was taken over might write them. */
#include "common/feed_record.h"

#include <stdlib.h>

#include "tests/lib/unit.h"

enum {
    KINDS = FEED_RECORD_END + 1,
    ROOM_BYTES = 4096,
    BLOCKS = 3,
    BYTES = 21,
};

static union {
    _Alignas(8) uint8_t bytes[ROOM_BYTES];
    struct feed_begin begin;
    struct feed_changes changes;
    struct feed_still still;
    struct feed_bytes append;
    struct feed_loss loss;
    struct feed_domain domain;
    struct feed_end end;
} room;

static struct feed_record found;

static uint32_t *numbers(void)
{
    return (uint32_t *)(void *)(room.bytes + sizeof(room.changes));
}

/* One that passes; its length. */
static size_t make(uint32_t kind)
{
    memset(&room, 0, sizeof(room));
    switch (kind) {
    case FEED_RECORD_BEGIN:
        room.begin.reason = FEED_BEGIN_START;
        room.begin.frame_count = 2;
        room.begin.status_frame_count = 1;
        room.begin.image_bytes = 3 * MESSAGE_FRAME_BYTES;
        return sizeof(room.begin);
    case FEED_RECORD_CHANGES:
        room.changes.block_count = BLOCKS;
        for (uint32_t i = 0; i < BLOCKS; i++) {
            numbers()[i] = 5 * i;
        }
        return sizeof(room.changes) + (BLOCKS + 1) * sizeof(uint32_t) + BLOCKS * FEED_BLOCK_BYTES;
    case FEED_RECORD_STILL: return sizeof(room.still);
    case FEED_RECORD_BYTES:
        room.append.len_bytes = BYTES;
        room.append.sync_offset = -1;
        return sizeof(room.append) + BYTES;
    case FEED_RECORD_LOSS:
        room.loss.reason = FEED_LOSS_LAPPED;
        room.loss.len_bytes = BYTES;
        return sizeof(room.loss);
    case FEED_RECORD_DOMAIN:
        room.domain.kind = FEED_DOMAIN_CREATED;
        room.domain.now.type = DOMAIN_PV;
        room.domain.now.state = DOMAIN_RUNNING;
        return sizeof(room.domain);
    case FEED_RECORD_END: room.end.reason = FEED_END_INCARNATION; return sizeof(room.end);
    default: return 0;
    }
}

static int check(uint32_t kind, size_t len_bytes)
{
    struct failure f;
    int result = feed_record_check(kind, room.bytes, len_bytes, &found, &f);

    if (result != 0) {
        assert_int_equal(result, -ERROR_DATA_LOSS);
        assert_int_equal(f.code, ERROR_DATA_LOSS);
        assert_true(f.message[0] != '\0');
    }
    return result;
}

#define PASSES(kind, field, value)                                                                 \
    do {                                                                                           \
        size_t len_ = make(kind);                                                                  \
        (field) = (value);                                                                         \
        assert_int_equal(check((kind), len_), 0);                                                  \
    } while (0)

#define REFUSES(kind, field, value)                                                                \
    do {                                                                                           \
        size_t len_ = make(kind);                                                                  \
        (field) = (value);                                                                         \
        assert_int_not_equal(check((kind), len_), 0);                                              \
    } while (0)

static void every_kind_passes_and_its_parts_are_found(void **state)
{
    (void)state;
    for (uint32_t kind = FEED_RECORD_BEGIN; kind < KINDS; kind++) {
        size_t len = make(kind);

        assert_int_equal(check(kind, len), 0);
        assert_int_equal(found.kind, kind);
        assert_ptr_equal(found.begin, &room.begin); /* whichever it is */
    }
    assert_int_equal(check(FEED_RECORD_CHANGES, make(FEED_RECORD_CHANGES)), 0);
    assert_ptr_equal(found.blocks, numbers());
    assert_ptr_equal(found.contents,
                     room.bytes + sizeof(room.changes) + (BLOCKS + 1) * sizeof(uint32_t));
    assert_int_equal(check(FEED_RECORD_BYTES, make(FEED_RECORD_BYTES)), 0);
    assert_ptr_equal(found.contents, room.bytes + sizeof(room.append));
}

static void what_is_no_kind_is_refused(void **state)
{
    (void)state;
    make(FEED_RECORD_STILL);
    assert_int_not_equal(check(0, sizeof(room.still)), 0);
    assert_int_not_equal(check(KINDS, sizeof(room.still)), 0);
    assert_int_not_equal(check(UINT32_MAX, sizeof(room.still)), 0);
}

static void only_the_exact_length_passes(void **state)
{
    (void)state;
    for (uint32_t kind = FEED_RECORD_BEGIN; kind < KINDS; kind++) {
        size_t len = make(kind);

        assert_int_not_equal(check(kind, len - 1), 0);
        assert_int_not_equal(check(kind, len + 1), 0);
        assert_int_not_equal(check(kind, 0), 0);
    }
}

/* Under the sanitizer: each in memory that ends with it. */
static void nothing_is_read_behind_the_end(void **state)
{
    (void)state;
    for (uint32_t kind = FEED_RECORD_BEGIN; kind < KINDS; kind++) {
        size_t whole = make(kind);

        for (size_t len = 0; len <= whole; len++) {
            uint8_t *cut = malloc(len > 0 ? len : 1);

            assert_non_null(cut);
            memcpy(cut, room.bytes, len);
            int result = feed_record_check(kind, cut, len, &found, NULL);

            assert_int_equal(result, len == whole ? 0 : -ERROR_DATA_LOSS);
            free(cut);
        }
    }
}

static void a_segment_has_room_for_its_frames(void **state)
{
    const uint32_t kind = FEED_RECORD_BEGIN;

    (void)state;
    REFUSES(kind, room.begin.reason, 0);
    REFUSES(kind, room.begin.reason, FEED_BEGIN_RESET + 1);
    PASSES(kind, room.begin.reason, FEED_BEGIN_RESET);
    REFUSES(kind, room.begin.image_bytes, 3 * MESSAGE_FRAME_BYTES - FEED_BLOCK_BYTES);
    REFUSES(kind, room.begin.image_bytes, 3 * MESSAGE_FRAME_BYTES + 1);
    PASSES(kind, room.begin.image_bytes, FEED_IMAGE_MAX_BYTES);
    REFUSES(kind, room.begin.image_bytes, FEED_IMAGE_MAX_BYTES + FEED_BLOCK_BYTES);
    REFUSES(kind, room.begin.frame_count, UINT32_MAX);
    REFUSES(kind, room.begin.first_frame, UINT32_MAX - 1);
    PASSES(kind, room.begin.first_frame, UINT32_MAX - 2);
    REFUSES(kind, room.begin.first_status_frame, UINT32_MAX);
    REFUSES(kind, room.begin.status_frame_count, UINT32_MAX);
    REFUSES(kind, room.begin.grant_version, 3);
}

static void blocks_ascend_and_are_of_an_image(void **state)
{
    const uint32_t kind = FEED_RECORD_CHANGES, beyond = FEED_IMAGE_MAX_BYTES / FEED_BLOCK_BYTES;

    (void)state;
    REFUSES(kind, room.changes.block_count, 0);
    REFUSES(kind, room.changes.block_count, BLOCKS + 1);
    REFUSES(kind, room.changes.block_count, BLOCKS - 1);
    REFUSES(kind, room.changes.block_count, UINT32_MAX);
    REFUSES(kind, room.changes.block_count, UINT32_MAX / 4 + 1);
    REFUSES(kind, numbers()[1], 0);
    REFUSES(kind, numbers()[1], 10);
    PASSES(kind, numbers()[2], beyond - 1);
    REFUSES(kind, numbers()[2], beyond);
    REFUSES(kind, numbers()[2], UINT32_MAX);
    PASSES(kind, room.changes.more, 1);
    REFUSES(kind, room.changes.more, 2);
}

static void a_record_of_bytes_has_a_maximum(void **state)
{
    static _Alignas(8) uint8_t bytes[sizeof(struct feed_bytes) + FEED_BYTES_MAX + 8];
    struct feed_bytes *b = (void *)bytes;
    struct feed_record record;

    (void)state;
    b->sync_offset = -1;
    b->len_bytes = FEED_BYTES_MAX;
    assert_int_equal(
        feed_record_check(FEED_RECORD_BYTES, bytes, sizeof(*b) + b->len_bytes, &record, NULL), 0);
    b->len_bytes++;
    assert_int_equal(
        feed_record_check(FEED_RECORD_BYTES, bytes, sizeof(*b) + b->len_bytes, &record, NULL),
        -ERROR_DATA_LOSS);
}

static void bytes_and_losses_stay_within_a_segment(void **state)
{
    (void)state;
    REFUSES(FEED_RECORD_BYTES, room.append.len_bytes, 0);
    REFUSES(FEED_RECORD_BYTES, room.append.len_bytes, UINT32_MAX);
    PASSES(FEED_RECORD_BYTES, room.append.bytes_before, UINT64_MAX - BYTES);
    REFUSES(FEED_RECORD_BYTES, room.append.bytes_before, UINT64_MAX - BYTES + 1);
    REFUSES(FEED_RECORD_BYTES, room.append.offset, 1); /* before the feed's first */
    PASSES(FEED_RECORD_BYTES, room.append.sync_offset, BYTES - 1);
    REFUSES(FEED_RECORD_BYTES, room.append.sync_offset, BYTES);
    REFUSES(FEED_RECORD_BYTES, room.append.sync_offset, -2);
    REFUSES(FEED_RECORD_BYTES, room.append.sync_offset, INT32_MIN);
    REFUSES(FEED_RECORD_LOSS, room.loss.reason, 0);
    REFUSES(FEED_RECORD_LOSS, room.loss.reason, FEED_LOSS_RESET + 1);
    REFUSES(FEED_RECORD_LOSS, room.loss.at_least, 2);
    REFUSES(FEED_RECORD_LOSS, room.loss.len_bytes, 0);
    REFUSES(FEED_RECORD_LOSS, room.loss.offset, 1);
    size_t len = make(FEED_RECORD_LOSS);

    room.loss.at_least = 1;
    assert_int_equal(check(FEED_RECORD_LOSS, len), 0);
    room.loss.len_bytes = 0; /* of nobody knows how many */
    assert_int_equal(check(FEED_RECORD_LOSS, len), 0);
    room.loss.offset = room.loss.bytes_before = 1;
    room.loss.len_bytes = UINT64_MAX - 1;
    assert_int_equal(check(FEED_RECORD_LOSS, len), 0);
    room.loss.len_bytes++;
    assert_int_not_equal(check(FEED_RECORD_LOSS, len), 0);
}

static void a_domain_is_one(void **state)
{
    const uint32_t kind = FEED_RECORD_DOMAIN;

    (void)state;
    REFUSES(kind, room.domain.kind, 0);
    REFUSES(kind, room.domain.kind, FEED_DOMAIN_GONE + 1);
    PASSES(kind, room.domain.kind, FEED_DOMAIN_GONE);
    REFUSES(kind, room.domain.kind, FEED_DOMAIN_RENAMED); /* from what? */
    REFUSES(kind, room.domain.had_name, 1);
    REFUSES(kind, room.domain.now.type, 0);
    REFUSES(kind, room.domain.now.type, DOMAIN_PVH + 1);
    REFUSES(kind, room.domain.now.state, 0);
    REFUSES(kind, room.domain.now.state, DOMAIN_DYING + 1);
    REFUSES(kind, room.domain.now.identity.reserved, 1);
    REFUSES(kind, room.domain.before.reserved, 1);
    size_t len = make(kind);

    memset(room.domain.now.identity.name, 'a', sizeof(room.domain.now.identity.name));
    assert_int_not_equal(check(kind, len), 0);
    make(kind);
    room.domain.kind = FEED_DOMAIN_RENAMED;
    room.domain.had_name = 1;
    assert_int_equal(check(kind, len), 0);
    memset(room.domain.before.name, 'a', sizeof(room.domain.before.name));
    assert_int_not_equal(check(kind, len), 0);
}

static void an_end_has_its_reason_in_whole_texts(void **state)
{
    const uint32_t kind = FEED_RECORD_END;

    (void)state;
    REFUSES(kind, room.end.reason, 0);
    REFUSES(kind, room.end.reason, FEED_END_TAKEN_OVER + 1);
    PASSES(kind, room.end.reason, FEED_END_TAKEN_OVER);
    REFUSES(kind, room.end.detail, 1); /* of a shutdown only */
    REFUSES(kind, room.end.failure.code, -1);
    PASSES(kind, room.end.failure.code, ERROR_INTERNAL);
    size_t len = make(kind);
    char *const texts[] = { room.end.failure.call, room.end.failure.message, room.end.failure.cause,
                            room.end.failure.next_step, room.end.failure.field };
    const size_t sizes[] = { FAILURE_CALL_MAX, FAILURE_TEXT_MAX, FAILURE_TEXT_MAX, FAILURE_TEXT_MAX,
                             FAILURE_FIELD_MAX };

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        make(kind);
        memset(texts[i], 'a', sizes[i]);
        assert_int_not_equal(check(kind, len), 0);
        texts[i][sizes[i] - 1] = '\0';
        assert_int_equal(check(kind, len), 0);
    }
}

/* Whatever passes can be read as its kind says: nothing of it is outside. */
static void random_bytes_are_judged_without_fault(void **state)
{
    (void)state;
    srandom(5);
    for (int round = 0; round < 50000; round++) {
        uint32_t kind = (uint32_t)random() % (KINDS + 1);
        size_t len = make(kind);

        for (int i = (int)(random() % 4); i > 0 && len > 0; i--) {
            room.bytes[(size_t)random() % len] = (uint8_t)random();
        }
        len = random() % 4 == 0 ? (size_t)random() % ROOM_BYTES : len;
        if (check(kind, len) == 0 && kind == FEED_RECORD_CHANGES) {
            assert_ptr_equal(found.contents + (size_t)found.changes->block_count * FEED_BLOCK_BYTES,
                             room.bytes + len);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_passes_and_its_parts_are_found),
        cmocka_unit_test(what_is_no_kind_is_refused),
        cmocka_unit_test(only_the_exact_length_passes),
        cmocka_unit_test(nothing_is_read_behind_the_end),
        cmocka_unit_test(a_segment_has_room_for_its_frames),
        cmocka_unit_test(blocks_ascend_and_are_of_an_image),
        cmocka_unit_test(a_record_of_bytes_has_a_maximum),
        cmocka_unit_test(bytes_and_losses_stay_within_a_segment),
        cmocka_unit_test(a_domain_is_one),
        cmocka_unit_test(an_end_has_its_reason_in_whole_texts),
        cmocka_unit_test(random_bytes_are_judged_without_fault),
    };

    return UNIT_RUN(tests);
}
