/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Unpacking gzip within bounds. */
#include "tests/lib/client_stream.h"

#include "client/inflate.h"

static int unpack(const struct buffer *packed, size_t max_bytes, struct buffer *out)
{
    struct fault fault = { 0 };

    buffer_init(out, max_bytes);
    int result = inflate_gzip(packed->data, packed->len_bytes, out, &fault);

    assert_int_equal(result, -fault.failure.code);
    return result;
}

static void what_was_packed_comes_back(void **state)
{
    enum { BYTES = 300000 };
    BUFFER_AUTO(original, BYTES);
    BUFFER_AUTO(packed, BYTES * 2);
    BUFFER_AUTO(out, 0);
    uint8_t *bytes = buffer_extend(&original, BYTES);

    (void)state;
    for (size_t i = 0; i < BYTES; i++) {
        bytes[i] = (uint8_t)(i * i >> 7);
    }
    stream_gzip(&packed, bytes, BYTES);
    assert_int_equal(unpack(&packed, BYTES, &out), 0); /* exactly so many */
    assert_int_equal(out.len_bytes, BYTES);
    assert_memory_equal(out.data, bytes, BYTES);
    buffer_done(&out);
    assert_int_equal(unpack(&packed, BYTES - 1, &out), -ERROR_RESOURCE_EXHAUSTED);
    assert_true(out.capacity_bytes <= BYTES); /* no memory beyond it was taken */
}

static void empty_ones_are_empty(void **state)
{
    BUFFER_AUTO(nothing, 16);
    BUFFER_AUTO(packed, 4096);
    BUFFER_AUTO(out, 0);

    (void)state;
    assert_int_equal(unpack(&nothing, 0, &out), 0);
    assert_int_equal(out.len_bytes, 0);
    stream_gzip(&packed, "", 0);
    assert_int_equal(unpack(&packed, 0, &out), 0);
    assert_int_equal(out.len_bytes, 0);
}

static void damaged_ones_are_refused(void **state)
{
    BUFFER_AUTO(packed, 4096);

    (void)state;
    stream_gzip(&packed, "some text, some more text", 25);
    for (size_t len = 1; len < packed.len_bytes; len++) { /* cut anywhere */
        const struct buffer cut = { .data = packed.data, .len_bytes = len };
        BUFFER_AUTO(out, 0);

        assert_int_equal(unpack(&cut, 1000, &out), -ERROR_INTERNAL);
    }
    for (size_t at = packed.len_bytes - 8; at < packed.len_bytes; at++) { /* sum or length */
        BUFFER_AUTO(out, 0);

        packed.data[at] ^= 1;
        assert_int_equal(unpack(&packed, 1000, &out), -ERROR_INTERNAL);
        packed.data[at] ^= 1;
    }
}

static void nothing_may_follow(void **state)
{
    BUFFER_AUTO(packed, 4096);
    BUFFER_AUTO(out, 0);
    BUFFER_AUTO(again, 0);

    (void)state;
    stream_gzip(&packed, "one", 3);
    stream_gzip(&packed, "two", 3); /* a second member */
    assert_int_equal(unpack(&packed, 1000, &out), -ERROR_INTERNAL);
    buffer_reset(&packed);
    stream_gzip(&packed, "one", 3);
    buffer_append_byte(&packed, 0);
    assert_int_equal(unpack(&packed, 1000, &again), -ERROR_INTERNAL);
}

/* What zlib and raw deflate write is no gzip. */
static void other_formats_are_refused(void **state)
{
    static const char text[] = "some text";
    uint8_t bytes[256];
    uLongf len = sizeof(bytes);
    BUFFER_AUTO(out, 0);

    (void)state;
    assert_int_equal(compress(bytes, &len, (const Bytef *)text, sizeof(text)), Z_OK);
    const struct buffer zlib = { .data = bytes, .len_bytes = len };

    assert_int_equal(unpack(&zlib, 1000, &out), -ERROR_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_packed_comes_back), cmocka_unit_test(empty_ones_are_empty),
        cmocka_unit_test(damaged_ones_are_refused),   cmocka_unit_test(nothing_may_follow),
        cmocka_unit_test(other_formats_are_refused),
    };

    return UNIT_RUN(tests);
}
