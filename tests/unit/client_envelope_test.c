/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Envelopes out of bytes in any pieces. */
#include "tests/lib/unit.h"

#include "client/envelope.h"

enum { MAX = 1000 };

/* Feeds `bytes` in pieces of `piece`; what was taken when it was whole, or all. */
static size_t feed(struct envelope *e, const void *bytes, size_t len, size_t piece)
{
    struct fault fault = { 0 };
    size_t at = 0;

    while (at < len && !envelope_is_whole(e)) {
        size_t taken = 0;

        assert_int_equal(envelope_feed(e, (const uint8_t *)bytes + at,
                                       len - at < piece ? len - at : piece, &taken, &fault),
                         0);
        at += taken;
    }
    return at;
}

static void every_split_gives_the_same(void **state)
{
    static const char bytes[] = "\1\0\0\0\4abcd\2\0\0\0\0";
    struct envelope e;

    (void)state;
    envelope_init(&e, MAX);
    for (size_t piece = 1; piece <= sizeof(bytes) - 1; piece++) {
        assert_true(envelope_is_empty(&e));
        assert_int_equal(feed(&e, bytes, sizeof(bytes) - 1, piece), 9); /* and nothing beyond */
        assert_true(envelope_is_whole(&e));
        assert_true(envelope_has(&e, ENVELOPE_COMPRESSED));
        assert_false(envelope_has(&e, ENVELOPE_END));
        assert_int_equal(e.payload.len_bytes, 4);
        assert_memory_equal(e.payload.data, "abcd", 4);
        envelope_reset(&e);
        assert_int_equal(feed(&e, bytes + 9, 5, piece), 5);
        assert_true(envelope_is_whole(&e));
        assert_true(envelope_has(&e, ENVELOPE_END));
        assert_int_equal(e.payload.len_bytes, 0);
        envelope_reset(&e);
    }
    envelope_done(&e);
}

static void part_of_one_is_not_whole(void **state)
{
    static const char bytes[] = "\0\0\0\0\2ab";
    struct envelope e;

    (void)state;
    for (size_t len = 0; len < sizeof(bytes) - 1; len++) {
        envelope_init(&e, MAX);
        feed(&e, bytes, len, MAX);
        assert_false(envelope_is_whole(&e));
        assert_int_equal(envelope_is_empty(&e), len == 0);
        envelope_done(&e);
    }
}

static int feed_head(uint8_t flags, uint32_t len_bytes)
{
    const uint8_t head[] = { flags, (uint8_t)(len_bytes >> 24), (uint8_t)(len_bytes >> 16),
                             (uint8_t)(len_bytes >> 8), (uint8_t)len_bytes };
    struct fault fault = { 0 };
    struct envelope e;
    size_t taken = 0;

    envelope_init(&e, MAX);
    int result = envelope_feed(&e, head, sizeof(head), &taken, &fault);

    assert_true(e.payload.capacity_bytes < 4096); /* what is announced takes no memory */
    envelope_done(&e);
    return result;
}

static void bounds_are_exact(void **state)
{
    (void)state;
    assert_int_equal(feed_head(0, MAX), 0);
    assert_int_equal(feed_head(0, MAX + 1), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(feed_head(1, MAX + 1), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(feed_head(0, UINT32_MAX), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(feed_head(2, ENVELOPE_END_MAX_BYTES), 0);
    assert_int_equal(feed_head(2, ENVELOPE_END_MAX_BYTES + 1), -ERROR_RESOURCE_EXHAUSTED);
}

static void unknown_flags_are_refused(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags < 256; flags++) {
        assert_int_equal(feed_head((uint8_t)flags, 1), flags < 4 ? 0 : -ERROR_INTERNAL);
    }
}

static void what_is_written_is_read(void **state)
{
    BUFFER_AUTO(bytes, 1 << 20);
    BUFFER_AUTO(message, 0);
    BUFFER_AUTO(small, 4);
    struct envelope e;

    (void)state;
    assert_true(envelope_write(&bytes, "abc", 3));
    envelope_init(&e, MAX);
    assert_int_equal(feed(&e, bytes.data, bytes.len_bytes, MAX), 8);
    envelope_take(&e, &message);
    assert_int_equal(message.len_bytes, 3);
    assert_int_equal(message.max_bytes, MAX);
    assert_true(envelope_is_empty(&e));
    envelope_done(&e);
    assert_false(envelope_write(&small, "", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_split_gives_the_same), cmocka_unit_test(part_of_one_is_not_whole),
        cmocka_unit_test(bounds_are_exact),           cmocka_unit_test(unknown_flags_are_refused),
        cmocka_unit_test(what_is_written_is_read),
    };

    return UNIT_RUN(tests);
}
