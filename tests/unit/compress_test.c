/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "tests/lib/unit.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <zlib.h>
#include <zstd.h>

#include "common/clock.h"
#include "server/rpc/compress.h"

enum {
    LIMIT_BYTES = 64 << 10, /* of what is expanded here */
    ROOM_BYTES = 4 << 20,
    BOMB_BYTES = 1 << 30,
    BOMB_MEMORY_KIB = 32 << 10, /* the largest window, four times over */
    BOMB_CPU_MS = 1000,
};

/* --- negotiation -------------------------------------------------------------------------------- */

static void the_best_of_what_is_accepted_is_chosen(void **state)
{
    static const struct {
        const char *accept;
        enum compress_encoding best;
    } lists[] = {
        { NULL, COMPRESS_IDENTITY },
        { "", COMPRESS_IDENTITY },
        { " , ,", COMPRESS_IDENTITY },
        { "identity", COMPRESS_IDENTITY },
        { "br, deflate", COMPRESS_IDENTITY },
        { "*", COMPRESS_IDENTITY },
        { "gzip", COMPRESS_GZIP },
        { "GZip", COMPRESS_GZIP },
        { "x-gzip", COMPRESS_IDENTITY },
        { "gzipp", COMPRESS_IDENTITY },
        { "gzi", COMPRESS_IDENTITY },
        { "zstd", COMPRESS_ZSTD },
        { "gzip, zstd", COMPRESS_ZSTD },
        { "zstd,gzip", COMPRESS_ZSTD },
        { "br;q=1, gzip;q=0.5", COMPRESS_GZIP },
        { "gzip;q=0.9, zstd;q=0.8", COMPRESS_GZIP },
        { "gzip;q=0.8,zstd;q=0.801", COMPRESS_ZSTD },
        { "gzip;q=0", COMPRESS_IDENTITY },
        { "gzip;q=0.000, zstd;q=0.", COMPRESS_IDENTITY },
        { "gzip;q=0.001", COMPRESS_GZIP },
        { "gzip ; q=1.000", COMPRESS_GZIP },
        { "\tgzip\t;\tQ=1.", COMPRESS_GZIP },
        /* Malformed: accepts nothing. */
        { "gzip;q=1.001", COMPRESS_IDENTITY },
        { "gzip;q=2", COMPRESS_IDENTITY },
        { "gzip;q=-1", COMPRESS_IDENTITY },
        { "gzip;q=0.1234", COMPRESS_IDENTITY },
        { "gzip;q=", COMPRESS_IDENTITY },
        { "gzip;q", COMPRESS_IDENTITY },
        { "gzip;level=1", COMPRESS_IDENTITY },
        { "gzip;q=1;q=1", COMPRESS_IDENTITY },
        { "gzip zstd", COMPRESS_IDENTITY },
        { "gzip;q=0.5x, zstd", COMPRESS_ZSTD },
        { "gzip;q=00000000000000000000000000000001", COMPRESS_IDENTITY },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (compress_choose(lists[i].accept) != lists[i].best) {
            fail_msg("%s: not %s", lists[i].accept, compress_name(lists[i].best));
        }
    }
}

static void encodings_are_found_by_name(void **state)
{
    static const char *const none[] = { "", "br", "gzip, gzip", "gzip ", "gzi", "identity;q=1" };
    enum compress_encoding e = COMPRESS_COUNT;

    (void)state;
    for (int i = 0; i < COMPRESS_COUNT; i++) {
        assert_true(compress_find(compress_name((enum compress_encoding)i), &e));
        assert_int_equal(e, i);
    }
    assert_true(compress_find("ZSTD", &e));
    assert_int_equal(e, COMPRESS_ZSTD);
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        assert_false(compress_find(none[i], &e));
    }
    assert_int_equal(e, COMPRESS_ZSTD); /* not touched */
}

/* --- expanding ------------------------------------------------------------------------------------ */

/* `len_bytes` of text that gets smaller, in encoding `e`. */
static void pack(enum compress_encoding e, size_t len_bytes, struct buffer *out)
{
    uint8_t *plain = malloc(len_bytes + 1);
    size_t room_bytes = compressBound(len_bytes) + ZSTD_compressBound(len_bytes) + 64;

    assert_non_null(plain);
    buffer_init(out, ROOM_BYTES);
    for (size_t i = 0; i < len_bytes; i++) {
        plain[i] = (uint8_t)("grant"[i % 5]);
    }
    uint8_t *room = buffer_extend(out, room_bytes);

    assert_non_null(room);
    if (e == COMPRESS_ZSTD) {
        out->len_bytes = ZSTD_compress(room, room_bytes, plain, len_bytes, 1);
    } else if (e == COMPRESS_GZIP) {
        z_stream z = { .next_in = plain,
                       .avail_in = (uInt)len_bytes,
                       .next_out = room,
                       .avail_out = (uInt)room_bytes };

        assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        out->len_bytes = z.total_out;
        assert_int_equal(deflateEnd(&z), Z_OK);
    } else {
        memcpy(room, plain, len_bytes);
        out->len_bytes = len_bytes;
    }
    free(plain);
}

/* What expanding says of `packed`, with a maximum; `expanded` is the caller's. */
static int expand(enum compress_encoding e, const struct buffer *packed, size_t max_bytes,
                  struct buffer *expanded, struct failure *f)
{
    buffer_init(expanded, max_bytes);
    return compress_expand(e, packed->data, packed->len_bytes, expanded, f);
}

static void expect_refused(enum compress_encoding e, const struct buffer *packed,
                           enum error_code code)
{
    BUFFER_AUTO(expanded, 0);
    struct failure f = { 0 };
    int result = expand(e, packed, LIMIT_BYTES, &expanded, &f);

    if (result != -(int)code) {
        fail_msg("%s: %d, %s", compress_name(e), result, f.message);
    }
    assert_true(f.message[0] != '\0' && f.next_step[0] != '\0');
    assert_true(expanded.len_bytes <= LIMIT_BYTES);
    buffer_done(&expanded);
    assert_int_equal(expand(e, packed, LIMIT_BYTES, &expanded, NULL), result);
}

static void exactly_the_limit_passes_and_one_byte_more_does_not(void **state)
{
    (void)state;
    for (int e = COMPRESS_IDENTITY; e < COMPRESS_COUNT; e++) {
        BUFFER_AUTO(packed, 0);
        BUFFER_AUTO(expanded, 0);
        struct failure f = { 0 };

        pack((enum compress_encoding)e, LIMIT_BYTES, &packed);
        assert_int_equal(expand((enum compress_encoding)e, &packed, LIMIT_BYTES, &expanded, &f), 0);
        assert_int_equal(expanded.len_bytes, LIMIT_BYTES);
        for (size_t i = 0; i < LIMIT_BYTES; i++) {
            assert_int_equal(expanded.data[i], "grant"[i % 5]);
        }
        buffer_done(&packed);
        pack((enum compress_encoding)e, LIMIT_BYTES + 1, &packed);
        expect_refused((enum compress_encoding)e, &packed, ERROR_RESOURCE_EXHAUSTED);
    }
}

static void what_is_expanded_is_appended(void **state)
{
    BUFFER_AUTO(packed, 0);
    BUFFER_AUTO(out, 5 + 10);

    (void)state;
    pack(COMPRESS_GZIP, 10, &packed);
    assert_true(buffer_append_string(&out, "head:"));
    assert_int_equal(compress_expand(COMPRESS_GZIP, packed.data, packed.len_bytes, &out, NULL), 0);
    assert_string_equal(buffer_string(&out), "head:grantgrant");
}

static void a_message_of_no_bytes_expands_to_none(void **state)
{
    (void)state;
    for (int e = COMPRESS_GZIP; e < COMPRESS_COUNT; e++) {
        BUFFER_AUTO(packed, 0);
        BUFFER_AUTO(expanded, 0);

        pack((enum compress_encoding)e, 0, &packed);
        assert_int_equal(expand((enum compress_encoding)e, &packed, 0, &expanded, NULL), 0);
        assert_int_equal(expanded.len_bytes, 0);
        packed.len_bytes = 0; /* not even a head */
        expect_refused((enum compress_encoding)e, &packed, ERROR_INVALID_ARGUMENT);
    }
}

static void each_cut_is_refused(void **state)
{
    (void)state;
    for (int e = COMPRESS_GZIP; e < COMPRESS_COUNT; e++) {
        BUFFER_AUTO(packed, 0);

        pack((enum compress_encoding)e, 1000, &packed);
        while (packed.len_bytes > 0) {
            uint8_t *exact = malloc(packed.len_bytes); /* so that a read beyond its end is seen */

            packed.len_bytes--;
            memcpy(exact, packed.data, packed.len_bytes);
            const struct buffer cut = { .data = exact, .len_bytes = packed.len_bytes };

            expect_refused((enum compress_encoding)e, &cut, ERROR_INVALID_ARGUMENT);
            free(exact);
        }
    }
}

/* Two readings of one message: some would take the first, some both. */
static void what_stands_behind_is_refused(void **state)
{
    (void)state;
    for (int e = COMPRESS_GZIP; e < COMPRESS_COUNT; e++) {
        BUFFER_AUTO(packed, 0);
        BUFFER_AUTO(two, ROOM_BYTES);

        pack((enum compress_encoding)e, 1000, &packed);
        assert_true(buffer_append(&two, packed.data, packed.len_bytes));
        assert_true(buffer_append_byte(&two, 0));
        expect_refused((enum compress_encoding)e, &two, ERROR_INVALID_ARGUMENT);
        two.len_bytes--;
        assert_true(buffer_append(&two, packed.data, packed.len_bytes));
        expect_refused((enum compress_encoding)e, &two, ERROR_INVALID_ARGUMENT);
    }
}

static void what_is_in_another_encoding_is_refused(void **state)
{
    BUFFER_AUTO(gzip, 0);
    BUFFER_AUTO(zstd, 0);
    BUFFER_AUTO(plain, 0);

    (void)state;
    pack(COMPRESS_GZIP, 1000, &gzip);
    pack(COMPRESS_ZSTD, 1000, &zstd);
    pack(COMPRESS_IDENTITY, 1000, &plain);
    expect_refused(COMPRESS_GZIP, &zstd, ERROR_INVALID_ARGUMENT);
    expect_refused(COMPRESS_GZIP, &plain, ERROR_INVALID_ARGUMENT);
    expect_refused(COMPRESS_ZSTD, &gzip, ERROR_INVALID_ARGUMENT);
    expect_refused(COMPRESS_ZSTD, &plain, ERROR_INVALID_ARGUMENT);
    gzip.data[gzip.len_bytes - 1] ^= 1; /* the length that it says at its end */
    expect_refused(COMPRESS_GZIP, &gzip, ERROR_INVALID_ARGUMENT);
    gzip.data[gzip.len_bytes - 1] ^= 1;
    gzip.data[gzip.len_bytes - 5] ^= 1; /* its checksum */
    expect_refused(COMPRESS_GZIP, &gzip, ERROR_INVALID_ARGUMENT);
}

/* --- bombs ---------------------------------------------------------------------------------------- */

/* A gibibyte of zeros. Its end is never reached. */
static void make_gzip_bomb(struct buffer *out)
{
    static uint8_t zeros[1 << 20], block[1 << 16];
    z_stream z = { .next_in = zeros, .avail_in = sizeof(zeros) };

    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    for (int i = 0; i < 2; i++) { /* of the second on, each is like the one before */
        z.next_in = zeros;
        z.avail_in = sizeof(zeros);
        z.next_out = block;
        z.avail_out = sizeof(block);
        assert_int_equal(deflate(&z, Z_FULL_FLUSH), Z_OK);
        assert_true(z.avail_in == 0 && z.avail_out > 0);
        for (int k = 0; k < (i == 0 ? 1 : BOMB_BYTES / (int)sizeof(zeros) - 1); k++) {
            assert_true(buffer_append(out, block, sizeof(block) - z.avail_out));
        }
    }
    (void)deflateEnd(&z);
}

/* RFC 8878, section 3.1.1: a head that says `window` and no size, then `count` blocks of 128 KiB. */
static void make_zstd(struct buffer *out, uint8_t window, size_t count)
{
    const uint8_t head[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, window };

    assert_true(buffer_append(out, head, sizeof(head)));
    for (size_t i = 0; i < count; i++) {
        const uint32_t block =
            (128 << 10) << 3 | 1 << 1 | (i == count - 1); /* one byte, repeated */
        const uint8_t bytes[] = { (uint8_t)block, (uint8_t)(block >> 8), (uint8_t)(block >> 16),
                                  0 };

        assert_true(buffer_append(out, bytes, sizeof(bytes)));
    }
}

static uint8_t window_of(unsigned log, unsigned eighths)
{
    return (uint8_t)((log - 10) << 3 | eighths);
}

static void expect_cheap(enum compress_encoding e, const struct buffer *bomb)
{
    struct rusage before, after;
    struct timespec start, end;

    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start), 0);
    expect_refused(e, bomb, ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end), 0);
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    assert_in_range((end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000, 0,
                    BOMB_CPU_MS);
    assert_in_range(after.ru_maxrss - before.ru_maxrss, 0, BOMB_MEMORY_KIB);
}

static void a_bomb_costs_its_limit_and_not_its_content(void **state)
{
    BUFFER_AUTO(gzip, ROOM_BYTES);
    BUFFER_AUTO(zstd, ROOM_BYTES);

    (void)state;
    make_gzip_bomb(&gzip);
    expect_cheap(COMPRESS_GZIP, &gzip);
    make_zstd(&zstd, window_of(COMPRESS_WINDOW_LOG_MAX, 0), BOMB_BYTES >> 17);
    expect_cheap(COMPRESS_ZSTD, &zstd);
}

/* What it has is a limit, not a fault of the encoding: it could be sent in another window. */
static void a_window_of_the_maximum_passes_and_the_next_does_not(void **state)
{
    BUFFER_AUTO(right, ROOM_BYTES);
    BUFFER_AUTO(wrong, ROOM_BYTES);
    BUFFER_AUTO(large, ROOM_BYTES);
    BUFFER_AUTO(expanded, 0);

    (void)state;
    make_zstd(&right, window_of(COMPRESS_WINDOW_LOG_MAX, 0), 1);
    assert_int_equal(expand(COMPRESS_ZSTD, &right, 128 << 10, &expanded, NULL), 0);
    assert_int_equal(expanded.len_bytes, 128 << 10);
    make_zstd(&wrong, window_of(COMPRESS_WINDOW_LOG_MAX, 1), 1);
    expect_cheap(COMPRESS_ZSTD, &wrong);
    make_zstd(&large, window_of(41, 7), 1);
    expect_cheap(COMPRESS_ZSTD, &large);
}

/* A frame whose window is its content: it says at its head that it is a gibibyte. */
static void a_bomb_that_says_its_size_is_told_that_it_is_too_large(void **state)
{
    const uint8_t head[] = { 0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0x00, 0x00, 0x00, 0x40 };
    BUFFER_AUTO(bomb, ROOM_BYTES);

    (void)state;
    assert_true(buffer_append(&bomb, head, sizeof(head)));
    for (size_t i = 0; i < BOMB_BYTES >> 17; i++) {
        assert_true(buffer_append(&bomb, "\x02\x00\x10", 4));
    }
    expect_cheap(COMPRESS_ZSTD, &bomb);
}

/* --- shrinking -------------------------------------------------------------------------------------- */

static uint8_t *text_of(size_t len_bytes)
{
    uint8_t *text = malloc(len_bytes);

    assert_non_null(text);
    for (size_t i = 0; i < len_bytes; i++) {
        text[i] = (uint8_t)("domain"[i % 6]);
    }
    return text;
}

static bool shrinks(enum compress_encoding e, size_t len_bytes)
{
    BUFFER_AUTO(small, ROOM_BYTES);
    BUFFER_AUTO(again, ROOM_BYTES);
    uint8_t *text = text_of(len_bytes);
    bool result;

    assert_true(buffer_append_string(&small, "head"));
    result = compress_shrink(e, COMPRESS_ZSTD_LEVEL, text, len_bytes, &small);
    assert_false(small.failed);
    assert_memory_equal(small.data, "head", 4);
    if (result) {
        assert_true(small.len_bytes - 4 < len_bytes);
        assert_int_equal(compress_expand(e, small.data + 4, small.len_bytes - 4, &again, NULL), 0);
        assert_int_equal(again.len_bytes, len_bytes);
        assert_memory_equal(again.data, text, len_bytes);
    } else {
        assert_int_equal(small.len_bytes, 4);
    }
    free(text);
    return result;
}

static void messages_between_the_bounds_get_smaller(void **state)
{
    (void)state;
    for (int e = COMPRESS_GZIP; e < COMPRESS_COUNT; e++) {
        assert_false(shrinks((enum compress_encoding)e, COMPRESS_MIN_BYTES - 1));
        assert_true(shrinks((enum compress_encoding)e, COMPRESS_MIN_BYTES));
        assert_true(shrinks((enum compress_encoding)e, COMPRESS_MAX_BYTES));
        assert_false(shrinks((enum compress_encoding)e, COMPRESS_MAX_BYTES + 1));
    }
    assert_false(shrinks(COMPRESS_IDENTITY, COMPRESS_MIN_BYTES));
}

static void what_does_not_get_smaller_is_left_as_it_is(void **state)
{
    uint8_t noise[4096];
    uint32_t seed = 1;

    (void)state;
    for (size_t i = 0; i < sizeof(noise); i++) {
        seed = seed * 1664525 + 1013904223;
        noise[i] = (uint8_t)(seed >> 24);
    }
    for (int e = COMPRESS_GZIP; e < COMPRESS_COUNT; e++) {
        BUFFER_AUTO(out, ROOM_BYTES);
        BUFFER_AUTO(tight, 4000);

        assert_false(compress_shrink((enum compress_encoding)e, COMPRESS_ZSTD_LEVEL, noise,
                                     sizeof(noise), &out));
        assert_true(out.len_bytes == 0 && !out.failed);
        assert_false(compress_shrink((enum compress_encoding)e, COMPRESS_ZSTD_LEVEL, noise,
                                     sizeof(noise), &tight));
        assert_true(tight.len_bytes == 0 && !tight.failed);
    }
}

/* Each of a trace's levels is one that zstd has: what is harder is not larger. */
static void zstd_tries_as_hard_as_it_is_told(void **state)
{
    static const int levels[] = { -7, 0, 1, 12 };
    uint8_t *text = text_of(65536);
    size_t before = SIZE_MAX, first = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        BUFFER_AUTO(small, ROOM_BYTES);
        BUFFER_AUTO(again, ROOM_BYTES);

        assert_true(compress_shrink(COMPRESS_ZSTD, levels[i], text, 65536, &small));
        assert_int_equal(compress_expand(COMPRESS_ZSTD, small.data, small.len_bytes, &again, NULL),
                         0);
        assert_int_equal(again.len_bytes, 65536);
        first = i == 0 ? small.len_bytes : first;
        before = small.len_bytes;
    }
    assert_true(before < first);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_of_what_is_accepted_is_chosen),
        cmocka_unit_test(encodings_are_found_by_name),
        cmocka_unit_test(exactly_the_limit_passes_and_one_byte_more_does_not),
        cmocka_unit_test(what_is_expanded_is_appended),
        cmocka_unit_test(a_message_of_no_bytes_expands_to_none),
        cmocka_unit_test(each_cut_is_refused),
        cmocka_unit_test(what_stands_behind_is_refused),
        cmocka_unit_test(what_is_in_another_encoding_is_refused),
        cmocka_unit_test(a_bomb_costs_its_limit_and_not_its_content),
        cmocka_unit_test(a_window_of_the_maximum_passes_and_the_next_does_not),
        cmocka_unit_test(a_bomb_that_says_its_size_is_told_that_it_is_too_large),
        cmocka_unit_test(messages_between_the_bounds_get_smaller),
        cmocka_unit_test(what_does_not_get_smaller_is_left_as_it_is),
        cmocka_unit_test(zstd_tries_as_hard_as_it_is_told),
    };

    return UNIT_RUN(tests);
}
