/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The live view: what it shows fits, marks what has just changed, and counts what was lost. */
#include "tests/lib/unit.h"

#include <stdio.h>

#include "client/cli/board.h"
#include "common/clock.h"

#define S CLOCK_NS_PER_S

static struct board *start(void)
{
    static struct board b;

    board_init(&b, 10 * S);
    return &b;
}

static void change(struct board *b, uint64_t key, const char *text, uint64_t now_ns)
{
    char label[TELLER_LABEL_BYTES];

    (void)snprintf(label, sizeof(label), "grant %u", (unsigned)key);
    board_change(b,
                 &(struct teller_change){ .mark = TELLER_CHANGED,
                                          .key = key,
                                          .label = label,
                                          .text = text,
                                          .before = "",
                                          .wall_seconds = 5 },
                 now_ns, 5 * S + S / 2);
}

/* The picture, its escapes as letters: H home, K end of line, J to the end, <…> marked, a line each. */
static const char *picture(struct board *b, unsigned lines, unsigned columns, uint64_t now_ns)
{
    static char text[1 << 20];
    BUFFER_AUTO(out, 1 << 20);
    size_t len = 0;

    board_draw(b, &out, lines, columns, "<", ">", now_ns);
    for (const char *at = buffer_string(&out); *at != '\0'; at++) {
        if (*at == '\x1b') {
            at += 1 + strcspn(at + 1, "HKJm");
            assert_true(*at != '\0');
        } else if (*at != '\r') {
            text[len++] = *at;
        }
    }
    text[len] = '\0';
    return text;
}

static void changes_are_marked_for_a_second(void **state)
{
    struct board *b = start();

    (void)state;
    board_notice(b, TELLER_BEGIN, "web-1");
    change(b, 9, "new", 20 * S);
    change(b, 8, "old", 12 * S);
    assert_string_equal(picture(b, 10, 80, 20 * S),
                        "web-1\n"
                        "* grant 8        old  [1, 8 s ago]\n"
                        "<* grant 9        new  [1, 0 s ago]>\n"
                        "10 s  0.0 changes/s  0.0 batches/s  lag 500.0 ms  nothing lost  live");
    assert_null(strchr(picture(b, 10, 80, 21 * S), '<'));
    board_done(b);
}

static void rates_lag_and_losses_stand_in_the_status_line(void **state)
{
    struct board *b = start();

    (void)state;
    board_sums(b, &(struct teller_sums){ .batches = 10, .changes = 100, .gaps = 2, .lost = 7 },
               "batch");
    board_alive(b, &(xenres_watch_heartbeat){ .samples = 50, .failed_samples = 3 }, 0);
    board_notice(b, TELLER_CUT, "the network is down");
    assert_non_null(strstr(picture(b, 3, 200, 12 * S),
                           "2 s  50.0 changes/s  5.0 batches/s  lost 7 batches in 2 gaps"
                           "  3 of 50 samples failed  the network is down"));
    /* The rate is of the time since. */
    assert_non_null(strstr(picture(b, 3, 200, 14 * S), "  0.0 changes/s  0.0 batches/s"));
    board_done(b);
}

static void a_picture_fits_any_terminal(void **state)
{
    struct board *b = start();

    (void)state;
    board_notice(b, TELLER_BEGIN, "a title that is longer than some terminals are wide, by far");
    for (uint64_t i = 0; i < 2 * BOARD_ROWS_MAX; i++) {
        change(b, i * 8, "something that is said at some length", 11 * S + i);
    }
    for (unsigned lines = 1; lines <= 60; lines += 7) {
        for (unsigned columns = 1; columns <= 120; columns += 17) {
            const char *at = picture(b, lines, columns, 20 * S);
            unsigned count = 0;

            for (; *at != '\0'; count++) {
                size_t len = strcspn(at, "\n");

                assert_true(len <= columns);
                at += len + (at[len] == '\n');
            }
            assert_true(count <= (lines > 2 ? lines : 2));
        }
    }
    assert_true(strlen(picture(b, 10000, 10000, 20 * S)) > 10000); /* bounded, not refused */
    board_done(b);
}

/* Those that there is no row for give way by age. */
static void the_last_ones_stay(void **state)
{
    struct board *b = start();

    (void)state;
    for (uint64_t i = 0; i < 3 * BOARD_ROWS_MAX; i++) {
        change(b, i, "x", 11 * S + i);
    }
    const char *shown = picture(b, 12, 80, 20 * S);

    for (unsigned i = 3 * BOARD_ROWS_MAX - 10; i < 3 * BOARD_ROWS_MAX; i++) {
        char label[64];

        (void)snprintf(label, sizeof(label), "grant %u ", i);
        assert_non_null(strstr(shown, label));
    }
    board_done(b);
}

static void whole_content_replaces_what_was_there(void **state)
{
    struct board *b = start();

    (void)state;
    change(b, 1, "gone", 11 * S);
    board_notice(b, TELLER_WHOLE, "whole");
    board_change(b, &(struct teller_change){ .key = 2, .label = "grant 2", .text = "stands" },
                 12 * S, 0);
    assert_null(strstr(picture(b, 10, 80, 12 * S), "gone"));
    assert_non_null(strstr(picture(b, 10, 80, 12 * S), "  grant 2        stands\n"));
    board_done(b);
}

static void long_texts_are_cut_between_characters(void **state)
{
    struct board *b = start();
    char text[2 * BOARD_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i + 1 < sizeof(text); i += 2) {
        memcpy(text + i, "\xc3\xa4", 2);
    }
    text[sizeof(text) - 2] = '\0';
    memmove(text + 1, text, sizeof(text) - 1);
    text[0] = 'x';
    change(b, 1, text, 11 * S);
    for (unsigned i = 0; i < BOARD_ROWS_MAX; i++) {
        const struct board_row *row = &b->rows[i / BOARD_WAYS][i % BOARD_WAYS];

        if (row->is_used) {
            assert_int_equal(strlen(row->text), BOARD_TEXT_BYTES - 1);
            assert_int_equal((unsigned char)row->text[BOARD_TEXT_BYTES - 2], 0xa4);
        }
    }
    board_done(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_are_marked_for_a_second),
        cmocka_unit_test(rates_lag_and_losses_stand_in_the_status_line),
        cmocka_unit_test(a_picture_fits_any_terminal),
        cmocka_unit_test(the_last_ones_stay),
        cmocka_unit_test(whole_content_replaces_what_was_there),
        cmocka_unit_test(long_texts_are_cut_between_characters),
    };

    return UNIT_RUN(tests);
}
