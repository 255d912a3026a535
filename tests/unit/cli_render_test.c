/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What is shown to people: aligned, whole, and harmless. */
#include "tests/lib/unit.h"

#include <stdlib.h>

#include "client/cli/render.h"
#include "client/cli/table.h"

static void expect_table(struct table *t, unsigned columns, const char *expected)
{
    BUFFER_AUTO(out, 65536);

    table_render(t, columns, &out);
    assert_string_equal(buffer_string(&out), expected);
}

static void columns_are_aligned(void **state)
{
    TABLE_AUTO t;

    (void)state;
    table_init(&t, "N>|NAME|LAST");
    table_cell(&t, "%d", 7);
    table_cell(&t, "a");
    table_cell(&t, "x");
    table_cell(&t, "%d", 100);
    table_cell(&t, "long name");
    table_cell(&t, "%s", "");
    expect_table(&t, 0,
                 "  N  NAME       LAST\n"
                 "  7  a          x\n"
                 "100  long name\n");
}

static void names_of_guests_steer_no_terminal(void **state)
{
    TABLE_AUTO t;

    (void)state;
    table_init(&t, NULL);
    table_pair(&t, "name", "%s", "\x1b[31m\r\nowned\x7f\xc2\x9b\xff\\x41");
    expect_table(&t, 0, "name  \\x1b[31m\\x0d\\x0aowned\\x7f\\xc2\\x9b\\xff\\x41\n");
}

static void last_column_is_wrapped_not_cut(void **state)
{
    TABLE_AUTO t;

    (void)state;
    table_init(&t, "A|B");
    table_cell(&t, "one");
    table_cell(&t, "%s", "the quick brown fox jumps over");
    expect_table(&t, 25,
                 "A    B\n"
                 "one  the quick brown fox\n"
                 "     jumps over\n");
    expect_table(&t, 15, "A    B\none  the quick brown fox jumps over\n"); /* no room for it */
    expect_table(&t, 0, "A    B\none  the quick brown fox jumps over\n");
}

static void words_without_spaces_are_wrapped_too(void **state)
{
    TABLE_AUTO t;

    (void)state;
    table_init(&t, "A");
    table_cell(&t, "0123456789012345678901234");
    expect_table(&t, 20, "A\n01234567890123456789\n01234\n");
}

static void text_of_any_length_is_shown_whole(void **state)
{
    static char text[5001];
    TABLE_AUTO t;
    BUFFER_AUTO(out, 65536);

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    table_init(&t, NULL);
    table_pair(&t, "a", "%s", text);
    table_render(&t, 0, &out);
    assert_int_equal(out.len_bytes, 3 + 5000 + 1);
}

/* The same bytes in pieces of any size give the same view. */
static void expect_hex(const char *bytes, size_t len, const char *expected)
{
    for (size_t piece = 1; piece <= len + 1; piece++) {
        struct render_hex hex = { 0 };
        BUFFER_AUTO(out, 65536);

        for (size_t at = 0; at < len; at += piece) {
            render_hex(&hex, &out, bytes + at, len - at < piece ? len - at : piece);
        }
        render_hex_end(&hex, &out);
        assert_string_equal(buffer_string(&out), expected);
    }
}

static void hex_view_is_that_of_hexdump(void **state)
{
    (void)state;
    expect_hex("0123456789abcdef\n\x00\x7f\xff", 20,
               "00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|\n"
               "00000010  0a 00 7f ff                                       |....|\n"
               "00000014\n");
    expect_hex("", 0, "00000000\n");
}

static void equal_lines_are_folded(void **state)
{
    char bytes[64] = { 0 };

    (void)state;
    bytes[63] = 1;
    expect_hex(bytes, 64,
               "00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n"
               "*\n"
               "00000030  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 01  |................|\n"
               "00000040\n");
    bytes[63] = 0;
    expect_hex(bytes, 64,
               "00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n"
               "*\n"
               "00000040\n");
}

static void expect_rendered(void (*render)(struct buffer *out, uint64_t value), uint64_t value,
                            const char *expected)
{
    BUFFER_AUTO(out, 256);

    render(&out, value);
    assert_string_equal(buffer_string(&out), expected);
}

static void quantities_have_units(void **state)
{
    BUFFER_AUTO(out, 256);

    (void)state;
    expect_rendered(render_duration, 999, "999 ns");
    expect_rendered(render_duration, 12300, "12.3 us");
    expect_rendered(render_duration, 1500000, "1.5 ms");
    expect_rendered(render_duration, UINT64_C(2500000000), "2.500 s");
    expect_rendered(render_memory, 1023, "1023 KiB");
    expect_rendered(render_memory, 524288, "512.0 MiB");
    expect_rendered(render_memory, UINT64_C(3) << 20, "3.0 GiB");
    render_time(&out, 1769903999, 123456789);
    assert_string_equal(buffer_string(&out), "2026-01-31 23:59:59.123456 UTC");
    buffer_reset(&out);
    render_time(&out, INT64_MAX, 0);
    assert_string_equal(buffer_string(&out), "9223372036854775807 s after 1970");
}

/* Last: it sets the locale of the process. */
static void utf8_is_shown_where_the_locale_has_it(void **state)
{
    BUFFER_AUTO(out, 256);

    (void)state;
    render_safe(&out, "\xc3\xa4");
    assert_string_equal(buffer_string(&out), "\\xc3\\xa4");
    setenv("LC_ALL", "C.UTF-8", 1);
    render_init();
    buffer_reset(&out);
    render_safe(&out, "\xc3\xa4\xe4\xb8\xad\xe2\x80\xae");
    assert_string_equal(buffer_string(&out), "\xc3\xa4\xe4\xb8\xad\\xe2\\x80\\xae");
    assert_int_equal(render_width("\xc3\xa4"), 1);
    assert_int_equal(render_width("\xe4\xb8\xad"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_aligned),
        cmocka_unit_test(names_of_guests_steer_no_terminal),
        cmocka_unit_test(last_column_is_wrapped_not_cut),
        cmocka_unit_test(words_without_spaces_are_wrapped_too),
        cmocka_unit_test(text_of_any_length_is_shown_whole),
        cmocka_unit_test(hex_view_is_that_of_hexdump),
        cmocka_unit_test(equal_lines_are_folded),
        cmocka_unit_test(quantities_have_units),
        cmocka_unit_test(utf8_is_shown_where_the_locale_has_it),
    };

    return UNIT_RUN(tests);
}
