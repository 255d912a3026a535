/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Colours: when there are any, and that they change no column. What a terminal makes of `auto` is in
 * tests/system/xenres_terminal.sh. */
#include "tests/lib/unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "client/cli/paint.h"
#include "client/cli/table.h"

static void words_are_auto_always_never(void **state)
{
    enum paint_when when = PAINT_AUTO;

    (void)state;
    assert_true(paint_when_from_name("never", &when));
    assert_int_equal(when, PAINT_NEVER);
    assert_true(paint_when_from_name("always", &when));
    assert_int_equal(when, PAINT_ALWAYS);
    assert_false(paint_when_from_name("Always", &when));
    assert_false(paint_when_from_name("", &when));
    assert_int_equal(when, PAINT_ALWAYS);
}

static void plain_has_no_escapes_ever(void **state)
{
    (void)state;
    paint_init(PAINT_ALWAYS);
    assert_string_equal(paint_begin(STDOUT_FILENO, PAINT_PLAIN), "");
    assert_string_equal(paint_end(STDOUT_FILENO, PAINT_PLAIN), "");
    assert_string_equal(paint_begin(STDERR_FILENO, PAINT_BAD), "\033[31m");
    assert_string_equal(paint_begin(STDIN_FILENO, PAINT_BAD), "");
    assert_string_equal(paint_begin(STDERR_FILENO + 1, PAINT_BAD), "");
    paint_init(PAINT_NEVER);
    assert_string_equal(paint_begin(STDERR_FILENO, PAINT_BAD), "");
    assert_string_equal(paint_end(STDERR_FILENO, PAINT_BAD), "");
}

static void fill(struct table *t)
{
    table_init(t, "STATE|N>|REST");
    table_painted(t, PAINT_GOOD, "up");
    table_cell(t, "7");
    table_cell(t, "one two three four five six seven");
    table_painted(t, PAINT_BAD, "");
    table_cell(t, "8");
    table_cell(t, "%s", "");
}

/* Without what stands between ESC and 'm'. */
static void strip(const char *text, struct buffer *out)
{
    while (*text != '\0') {
        if (*text == '\033') {
            text += strcspn(text, "m") + 1;
        } else {
            buffer_append_byte(out, (uint8_t)*text++);
        }
    }
}

static void tables_have_the_same_columns_in_colours(void **state)
{
    TABLE_AUTO t;
    BUFFER_AUTO(plain, 4096);
    BUFFER_AUTO(painted, 4096);
    BUFFER_AUTO(stripped, 4096);

    (void)state;
    fill(&t);
    paint_init(PAINT_NEVER);
    table_render(&t, 36, &plain);
    paint_init(PAINT_ALWAYS);
    table_render(&t, 36, &painted);
    paint_init(PAINT_NEVER);
    strip(buffer_string(&painted), &stripped);
    assert_string_equal(buffer_string(&stripped), buffer_string(&plain));
    assert_non_null(strstr(buffer_string(&painted), "\033[32mup\033[0m"));
    assert_non_null(strstr(buffer_string(&painted), "\033[1mSTATE\033[0m"));
    assert_null(strstr(buffer_string(&painted), "\033[31m"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_auto_always_never),
        cmocka_unit_test(plain_has_no_escapes_ever),
        cmocka_unit_test(tables_have_the_same_columns_in_colours),
    };

    return UNIT_RUN(tests);
}
