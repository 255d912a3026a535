/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "tests/lib/unit.h"

#include "server/rpc/envelope.h"

enum { LIMIT_BYTES = 300 };

static const uint8_t *with_head(uint8_t flags, uint32_t len_bytes)
{
    static uint8_t bytes[ENVELOPE_HEAD_BYTES + LIMIT_BYTES + 10];

    memset(bytes, 'x', sizeof(bytes));
    envelope_write_head(bytes, flags, len_bytes);
    return bytes;
}

static void a_head_is_flags_and_a_length_big_endian(void **state)
{
    uint8_t head[ENVELOPE_HEAD_BYTES];

    (void)state;
    envelope_write_head(head, ENVELOPE_END_OF_STREAM, 0x01020304);
    assert_memory_equal(head, "\x02\x01\x02\x03\x04", sizeof(head));
}

static void one_message_is_taken(void **state)
{
    static const uint32_t lengths[] = { 0, 1, 255, 256, LIMIT_BYTES };
    struct envelope e;

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        const uint8_t *bytes = with_head(ENVELOPE_COMPRESSED, lengths[i]);

        assert_int_equal(
            envelope_parse_only(bytes, ENVELOPE_HEAD_BYTES + lengths[i], LIMIT_BYTES, &e, NULL), 0);
        assert_int_equal(e.flags, ENVELOPE_COMPRESSED);
        assert_int_equal(e.len_bytes, lengths[i]);
        assert_ptr_equal(e.payload, bytes + ENVELOPE_HEAD_BYTES);
    }
}

static void expect_refused(const uint8_t *bytes, size_t len_bytes, enum error_code code)
{
    struct envelope e = { .len_bytes = 99 };
    struct failure f = { 0 };

    assert_int_equal(envelope_parse_only(bytes, len_bytes, LIMIT_BYTES, &e, &f), -(int)code);
    assert_true(f.message[0] != '\0' && f.next_step[0] != '\0');
    assert_int_equal(e.len_bytes, 99); /* not touched */
    assert_int_equal(envelope_parse_only(bytes, len_bytes, LIMIT_BYTES, &e, NULL), -(int)code);
}

static void none_and_two_are_unimplemented(void **state)
{
    (void)state;
    expect_refused(NULL, 0, ERROR_UNIMPLEMENTED);
    expect_refused(with_head(0, 3), ENVELOPE_HEAD_BYTES + 4, ERROR_UNIMPLEMENTED);
    expect_refused(with_head(0, 0), 2 * ENVELOPE_HEAD_BYTES, ERROR_UNIMPLEMENTED);
}

static void cut_ones_are_refused(void **state)
{
    (void)state;
    for (size_t len = 1; len < ENVELOPE_HEAD_BYTES + 3; len++) {
        expect_refused(with_head(0, 3), len, ERROR_INVALID_ARGUMENT);
    }
}

static void other_flags_are_refused(void **state)
{
    (void)state;
    for (unsigned flags = 2; flags < 256; flags++) {
        expect_refused(with_head((uint8_t)flags, 0), ENVELOPE_HEAD_BYTES, ERROR_INVALID_ARGUMENT);
    }
}

/* Its head is enough: what it promises is not waited for. */
static void one_beyond_the_limit_is_refused_by_its_head(void **state)
{
    (void)state;
    expect_refused(with_head(0, LIMIT_BYTES + 1), ENVELOPE_HEAD_BYTES + LIMIT_BYTES + 1,
                   ERROR_RESOURCE_EXHAUSTED);
    expect_refused(with_head(0, LIMIT_BYTES + 1), ENVELOPE_HEAD_BYTES, ERROR_RESOURCE_EXHAUSTED);
    expect_refused(with_head(0, UINT32_MAX), ENVELOPE_HEAD_BYTES, ERROR_RESOURCE_EXHAUSTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_flags_and_a_length_big_endian),
        cmocka_unit_test(one_message_is_taken),
        cmocka_unit_test(none_and_two_are_unimplemented),
        cmocka_unit_test(cut_ones_are_refused),
        cmocka_unit_test(other_flags_are_refused),
        cmocka_unit_test(one_beyond_the_limit_is_refused_by_its_head),
    };

    return UNIT_RUN(tests);
}
