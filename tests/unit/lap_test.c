/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A writer that moves between any two steps of who reads its ring: all schedules of small counts are tried.
 * The value of a byte follows from its number, and no two that have the same offset within a test are the
 * same, nor as what was in the ring before. So what is found can be only that which was written, and the
 * test knows all places of the stream that it can be of.
 */
#include "tests/lib/lap_writer.h"

/* --- who reads ------------------------------------------------------------------------------------- */

static struct lap lap;
static uint8_t image[SIZE], scratch[CHUNK];
static bool places[WRITTEN_MAX + 1]; /* where in the stream what comes next may begin */
static unsigned followed, lapped, resets, unknown;

static void begin(void)
{
    unsigned steps = writer.steps;

    writer.steps = 0;
    writer.written = writer.base = 0;
    writer.is_stuck = writer.was_reset = writer.fails = false;
    writer.unsafe_from = 0;
    memset(writer.ring, VALUES + 1, sizeof(writer.ring));
    memset(places, 0, sizeof(places));
    places[0] = true;
    lap_init(&lap, &ring, SIZE, image, scratch, CHUNK);
    assert_int_equal(lap_begin(&lap, NULL), 0);
    writer.steps = steps;
    writer.step = 0;
}

static bool is_at(uint64_t place, const struct lap_found *found, uint64_t len_bytes)
{
    bool same = place + len_bytes <= writer.written;

    for (uint64_t i = 0; i < len_bytes && same; i++) {
        same = image[(found->from + i) % SIZE] == byte_of(place + i);
    }
    return same;
}

/* What was found, of which so many are taken, is in the stream behind what was lost. */
static void take(const struct lap_found *found, uint64_t len_bytes)
{
    static bool next[WRITTEN_MAX + 1];
    bool is_one = false, was_one = false;

    memset(next, 0, sizeof(next));
    for (uint64_t at = 0; at <= writer.written; at++) {
        was_one = was_one || (at >= found->lost_bytes && places[at - found->lost_bytes]);
        bool may_be = found->kind == LAP_FOLLOWS ? places[at] : was_one;

        if (may_be && is_at(at, found, len_bytes)) {
            is_one = next[at + len_bytes] = true;
        }
    }
    if (!is_one) {
        fail_msg("kind %d, %llu lost, %llu found at %llu: nowhere in the stream", (int)found->kind,
                 (unsigned long long)found->lost_bytes, (unsigned long long)len_bytes,
                 (unsigned long long)found->from);
    }
    memcpy(places, next, sizeof(next));
    lap_take(&lap, len_bytes);
}

static enum lap_kind look(bool is_last, uint64_t leave)
{
    struct lap_found found;
    uint64_t fill;

    assert_int_equal(lap_ask(&lap, &fill, NULL), 0);
    assert_int_equal(lap_look(&lap, is_last, &found, NULL), 0);
    followed += found.kind == LAP_FOLLOWS && found.len_bytes > 0;
    lapped += found.kind == LAP_LAPPED;
    resets += found.kind == LAP_RESET;
    unknown += found.kind == LAP_UNKNOWN;
    if (found.kind != LAP_UNKNOWN) {
        take(&found, found.len_bytes > leave ? found.len_bytes - leave : 0);
    }
    return found.kind;
}

/* The writer has stopped: all that is not declared lost was served. */
static void finish(void)
{
    writer.steps = 0;
    assert_int_not_equal(look(true, 0), LAP_UNKNOWN);
    assert_true(places[writer.written]);
}

/* One run after the other, until all choices were made at each of the first steps that it has. */
static bool next_schedule(unsigned steps)
{
    for (unsigned i = steps; i-- > 0;) {
        if (++writer.choices[i] < writer.move_count) {
            memset(writer.choices + i + 1, 0, sizeof(writer.choices) - i - 1);
            return true;
        }
        writer.choices[i] = 0;
    }
    return false;
}

static void explore(const int *moves, unsigned count, unsigned steps, void (*run)(uint64_t first),
                    uint64_t first)
{
    writer.moves = moves;
    writer.move_count = count;
    writer.steps = steps;
    memset(writer.choices, 0, sizeof(writer.choices));
    do {
        writer.steps = steps;
        run(first);
    } while (next_schedule(steps));
}

/* How much there is before the writer moves in the midst of a look. */
static const uint64_t firsts[] = { 0,  1,  7,  9,  31, 33,  55,  56,  57,  58, 62,
                                   63, 64, 65, 71, 97, 119, 121, 127, 128, 129 };
enum { FIRSTS = sizeof(firsts) / sizeof(firsts[0]) };

/* Two looks in whose midst the writer moves, after so many bytes. */
static void run_laps(uint64_t first)
{
    begin();
    advance(first);
    (void)look(false, first % 3);
    (void)look(false, 0);
    finish();
}

static void no_schedule_hides_a_lap(void **state)
{
    static const int small[] = { 0, 1, 3 }, large[] = { 0, SIZE, SIZE - 2 },
                     half[] = { 0, SIZE / 2, SIZE + 1 };

    (void)state;
    followed = lapped = resets = unknown = 0;
    for (size_t i = 0; i < FIRSTS; i++) {
        explore(small, 3, 8, run_laps, firsts[i]);
        explore(large, 3, 8, run_laps, firsts[i]);
        explore(half, 3, 8, run_laps, firsts[i]);
    }
    print_message("%u follow, %u laps, %u resets, %u unknown\n", followed, lapped, resets, unknown);
    assert_true(followed > 10000 && lapped > 10000);
}

static void run_late_moves(uint64_t first)
{
    unsigned steps = writer.steps;

    begin();
    writer.steps = 0;
    advance(first);
    (void)look(false, 0);
    advance(5);
    writer.steps = steps;
    writer.step = 0;
    (void)look(false, 1);
    (void)look(false, 0);
    finish();
}

static void nor_one_in_the_midst_of_a_trace(void **state)
{
    static const int moves[] = { 0, 2, SIZE - 3 }, more[] = { 0, 7, 2 * SIZE };

    (void)state;
    for (size_t i = 0; i < FIRSTS && firsts[i] < SIZE; i++) {
        explore(moves, 3, 9, run_late_moves, firsts[i]);
        explore(more, 3, 9, run_late_moves, firsts[i]);
    }
}

static void a_writer_that_is_too_quick_is_waited_for(void **state)
{
    static const int moves[] = { SIZE / 2, SIZE + 3 };

    (void)state;
    writer.moves = moves;
    writer.move_count = 2;
    for (unsigned quick = 0; quick < 2; quick++) {
        writer.steps = 24;
        memset(writer.choices, (int)quick, sizeof(writer.choices));
        begin();
        assert_int_equal(look(false, 0), LAP_UNKNOWN);
        writer.steps = 0;
        assert_int_equal(look(false, 0), LAP_LAPPED);
        advance(5);
        finish();
    }
}

/* Wherever else one move is made, of all steps. */
static void a_move_at_any_single_step_is_survived(void **state)
{
    (void)state;
    for (int move = 1; move <= 3 * SIZE; move += move < 2 * END ? 1 : 5) {
        const int moves[] = { 0, move };

        for (uint64_t first = 0; first <= 2 * SIZE; first += 3) {
            for (unsigned at = 0; at < STEPS_MAX; at++) {
                writer.moves = moves;
                memset(writer.choices, 0, sizeof(writer.choices));
                writer.choices[at] = 1;
                writer.steps = STEPS_MAX;
                run_laps(first);
                writer.steps = STEPS_MAX;
                run_late_moves(first % SIZE);
            }
        }
    }
}

static void a_quiet_writer_loses_nothing(void **state)
{
    (void)state;
    writer.steps = 0;
    begin();
    lapped = resets = unknown = 0;
    for (uint64_t count = 0; count <= SIZE - 2 * END - 2; count++) { /* some are left each time */
        advance(count);
        (void)look(false, count % 2);
    }
    finish();
    assert_int_equal(lapped + resets + unknown, 0);
}

static void a_ring_too_full_to_prove_anything_is_declared(void **state)
{
    (void)state;
    writer.steps = 0;
    for (uint64_t count = SIZE - END - 2; count <= 5 * SIZE; count++) {
        begin();
        advance(3);
        (void)look(false, 0);
        advance(count);
        bool is_proven = count <= SIZE - END;

        assert_int_equal(look(false, 0), is_proven ? LAP_FOLLOWS : LAP_LAPPED);
        finish();
    }
}

/* All of what is old is compared: wherever it differs. */
static void a_lap_is_seen_by_any_few_bytes_that_differ(void **state)
{
    (void)state;
    writer.steps = 0;
    for (uint64_t from = 0; from < SIZE; from++) {
        for (uint64_t len = 1; len <= SIZE - 4; len++) {
            writer.same_from = from;
            writer.same_to = from + len;
            begin();
            advance(SIZE);
            (void)look(false, 0);
            advance(END);
            (void)look(false, 0);
            advance(3 + SIZE);
            assert_int_not_equal(look(false, 0), LAP_FOLLOWS);
            finish();
        }
    }
    writer.same_from = writer.same_to = 0;
}

/* The same of a ring that is larger than what is compared twice. */
enum { LARGE = 65536 };
static uint8_t large_ring[LARGE];
static uint64_t large_position;

static int ask_large(void *context, uint64_t *out, struct failure *f)
{
    (void)context, (void)f;
    *out = large_position;
    return 0;
}

static int read_large(void *context, uint64_t offset, void *to, size_t len_bytes, struct failure *f)
{
    (void)context, (void)f;
    memcpy(to, large_ring + offset, len_bytes);
    return 0;
}

static void each_byte_of_a_large_ring_counts(void **state)
{
    static const struct lap_ring accessor = { ask_large, read_large, NULL };
    static uint8_t large_image[LARGE], chunk[LAP_CHUNK_BYTES];
    struct lap_found found;
    uint64_t fill;

    (void)state;
    for (uint64_t prev = 0; prev < LARGE; prev += LARGE / 4 - 5) {
        for (uint64_t at = 1000; at < LARGE; at += 1237) { /* behind what is new */
            memset(large_ring, 3, sizeof(large_ring));
            lap_init(&lap, &accessor, LARGE, large_image, chunk, sizeof(chunk));
            assert_int_equal(lap_begin(&lap, NULL), 0);
            lap.prev = prev;
            large_position = (prev + 999) % LARGE;
            large_ring[(prev + at) % LARGE] = 9;
            assert_int_equal(lap_ask(&lap, &fill, NULL), 0);
            assert_int_equal(lap_look(&lap, false, &found, NULL), 0);
            assert_int_not_equal(found.kind, LAP_FOLLOWS);
        }
    }
}

static void a_position_that_goes_back_is_no_progress(void **state)
{
    struct lap_found found;
    uint64_t fill;

    (void)state;
    writer.steps = 0;
    writer.same_from = 0;
    writer.same_to = SIZE; /* nothing ever differs */
    begin();
    advance(SIZE / 2);
    (void)look(false, 0);
    advance(SIZE / 2);
    (void)look(true, 0);
    advance(30); /* which is asked for, and not looked at */
    assert_int_equal(lap_ask(&lap, &fill, NULL), 0);
    assert_int_equal(fill, 30);
    advance(SIZE - 10);
    assert_int_equal(lap_ask(&lap, &fill, NULL), 0);
    assert_int_equal(fill, 20);
    assert_int_equal(lap_look(&lap, false, &found, NULL), 0);
    assert_int_not_equal(found.kind, LAP_FOLLOWS);
    assert_int_equal(found.lost_bytes, 0);
    writer.same_to = 0;
}

static void a_lap_saves_half_and_says_what_it_knows(void **state)
{
    struct lap_found found;
    uint64_t fill;

    (void)state;
    writer.steps = 0;
    begin();
    advance(4 * SIZE + 48);
    assert_int_equal(lap_ask(&lap, &fill, NULL), 0);
    assert_int_equal(fill, 48);
    assert_int_equal(lap_look(&lap, true, &found, NULL), 0);
    assert_int_equal(found.kind, LAP_LAPPED);
    assert_int_equal(found.len_bytes, SIZE / 2);
    assert_int_equal(found.lost_bytes, SIZE / 2); /* of what each offset shows once */
    assert_int_equal(found.from, 16);
}

/* --- resets ---------------------------------------------------------------------------------------- */

static void run_resets(uint64_t first)
{
    unsigned steps = writer.steps;

    begin();
    writer.steps = 0;
    advance(first);
    (void)look(false, 0);
    writer.unsafe_from = first - first % SIZE + SIZE - END;
    writer.steps = steps;
    writer.step = 0;
    (void)look(false, 1);
    (void)look(false, 0);
    finish();
}

static void no_byte_that_was_not_written_is_served_after_a_reset(void **state)
{
    static const int moves[] = { 0, RESET, 3 }, more[] = { 0, RESET, 5 };

    (void)state;
    resets = 0;
    for (size_t i = 0; i < FIRSTS; i++) {
        if (firsts[i] % SIZE != 0) { /* at 0 it is nothing that anybody can see */
            explore(moves, 3, 8, run_resets, firsts[i]);
            explore(more, 3, 8, run_resets, firsts[i]);
        }
    }
    assert_true(resets > 1000);
}

static void a_reset_is_named_and_what_came_since_is_served(void **state)
{
    struct lap_found found;
    uint64_t fill;

    (void)state;
    writer.steps = 0;
    for (uint64_t before = 1; before <= SIZE - END; before++) {
        for (uint64_t since = 0; since + END < SIZE; since++) {
            begin();
            advance(before);
            (void)look(false, 0);
            writer.unsafe_from = SIZE;
            reset();
            advance(since);
            assert_int_equal(lap_ask(&lap, &fill, NULL), 0);
            assert_int_equal(lap_look(&lap, true, &found, NULL), 0);
            assert_int_equal(found.kind, LAP_RESET);
            assert_int_equal(found.lost_bytes, 0);
            if (since != before) { /* else it might be stuck, and nothing is served again */
                assert_true(found.len_bytes == (since < SIZE / 4 * 3 ? since : SIZE / 4 * 3));
            }
            take(&found, found.len_bytes);
            finish();
        }
    }
}

/* --- what lies ------------------------------------------------------------------------------------- */

/* There are few bytes between where the writer was and the end, and they are written anew as they were. */
static void a_lap_is_no_reset_by_a_byte_that_is_the_same_by_chance(void **state)
{
    (void)state;
    writer.same_from = SIZE - 1;
    writer.same_to = SIZE;
    for (uint64_t first = 1; first <= SIZE; first++) {
        for (uint64_t more = SIZE - 2; more <= SIZE + 2; more++) {
            begin();
            advance(SIZE + first); /* the end has been written */
            (void)look(false, 0);
            advance(more);
            assert_int_equal(look(false, 0), LAP_LAPPED);
            finish();
        }
    }
    writer.same_from = writer.same_to = 0;
}

static void a_position_that_stays_is_no_lap_of_a_whole_ring(void **state)
{
    struct lap_found found;
    uint64_t fill;

    (void)state;
    writer.steps = 0;
    for (uint64_t more = 1; more < SIZE; more++) {
        for (uint64_t ahead = 0; ahead < 9; ahead += 4) { /* it moves so far, and is stuck then */
            if (ahead > 0 && more + ahead + END > SIZE) {
                continue; /* and so would be a lap */
            }
            begin();
            advance(40);
            (void)look(false, 0);
            advance(ahead);
            writer.is_stuck = true;
            writer.stuck_at = 40 + ahead;
            advance(more);
            assert_int_equal(lap_ask(&lap, &fill, NULL), 0);
            assert_int_equal(lap_look(&lap, false, &found, NULL), 0);
            assert_true(found.kind == LAP_LAPPED || found.kind == LAP_RESET);
            assert_true(found.lost_bytes == 0 && found.len_bytes <= ahead);
            take(&found, found.len_bytes); /* nothing is served again */
            writer.is_stuck = false;
            finish();
        }
    }
}

/* Whether it is where it was because it went all the way round, or only seems to be: all of the ring was written,
 * so that as much of it is lost as is seen to differ, and nothing of that is told later. */
static void a_lap_onto_the_same_position_says_how_much_differs(void **state)
{
    struct lap_found found;
    uint64_t fill;

    (void)state;
    writer.steps = 0;
    for (uint64_t before = 1; before <= SIZE - END; before++) { /* more is left for later */
        for (uint64_t more = SIZE; more <= 3 * SIZE; more++) {
            begin();
            advance(before);
            (void)look(false, 0);
            writer.is_stuck = more % SIZE != 0;
            writer.stuck_at = before % SIZE;
            advance(more);
            assert_int_equal(lap_ask(&lap, &fill, NULL), 0);
            assert_int_equal(fill, 0);
            assert_int_equal(lap_look(&lap, false, &found, NULL), 0);
            assert_int_equal(found.kind, LAP_LAPPED);
            assert_int_equal(found.len_bytes, 0);
            assert_int_equal(found.lost_bytes, SIZE);
            take(&found, 0);
            writer.is_stuck = false;
            finish();
        }
    }
}

/* The byte before the position is as it was: it may be that nobody came so far, and so nothing is known. */
static void but_nothing_where_it_may_have_stopped_short_of_it(void **state)
{
    struct lap_found found;
    uint64_t fill;

    (void)state;
    writer.steps = 0;
    writer.same_from = 39;
    writer.same_to = 40;
    begin();
    advance(SIZE + 40);
    (void)look(false, 0);
    advance(SIZE);
    assert_int_equal(lap_ask(&lap, &fill, NULL), 0);
    assert_int_equal(lap_look(&lap, false, &found, NULL), 0);
    assert_int_equal(found.kind, LAP_LAPPED);
    assert_int_equal(found.lost_bytes, 0);
    take(&found, 0);
    finish();
    writer.same_from = writer.same_to = 0;
}

static void a_position_beyond_the_ring_is_refused(void **state)
{
    struct failure f;
    uint64_t fill;

    (void)state;
    writer.steps = 0;
    begin();
    writer.is_stuck = true;
    writer.stuck_at = SIZE;
    assert_int_equal(lap_ask(&lap, &fill, &f), -ERROR_INTERNAL);
    writer.stuck_at = SIZE - 1;
    assert_int_equal(lap_ask(&lap, &fill, &f), 0);
}

static void a_read_that_fails_is_made_good(void **state)
{
    struct lap_found found;
    struct failure f;
    uint64_t fill;

    (void)state;
    writer.steps = 0;
    for (uint64_t count = 0; count <= 2 * SIZE; count++) {
        begin();
        advance(7);
        (void)look(false, 0);
        advance(count);
        writer.fails = true;
        assert_int_equal(lap_ask(&lap, &fill, NULL), 0);
        assert_int_equal(lap_look(&lap, false, &found, &f), -ERROR_ABORTED);
        writer.fails = false;
        advance(2);
        (void)look(false, 0);
        finish();
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_schedule_hides_a_lap),
        cmocka_unit_test(nor_one_in_the_midst_of_a_trace),
        cmocka_unit_test(a_writer_that_is_too_quick_is_waited_for),
        cmocka_unit_test(a_move_at_any_single_step_is_survived),
        cmocka_unit_test(a_quiet_writer_loses_nothing),
        cmocka_unit_test(a_ring_too_full_to_prove_anything_is_declared),
        cmocka_unit_test(a_lap_is_seen_by_any_few_bytes_that_differ),
        cmocka_unit_test(each_byte_of_a_large_ring_counts),
        cmocka_unit_test(a_position_that_goes_back_is_no_progress),
        cmocka_unit_test(a_lap_saves_half_and_says_what_it_knows),
        cmocka_unit_test(no_byte_that_was_not_written_is_served_after_a_reset),
        cmocka_unit_test(a_reset_is_named_and_what_came_since_is_served),
        cmocka_unit_test(a_lap_is_no_reset_by_a_byte_that_is_the_same_by_chance),
        cmocka_unit_test(a_position_that_stays_is_no_lap_of_a_whole_ring),
        cmocka_unit_test(a_lap_onto_the_same_position_says_how_much_differs),
        cmocka_unit_test(but_nothing_where_it_may_have_stopped_short_of_it),
        cmocka_unit_test(a_position_beyond_the_ring_is_refused),
        cmocka_unit_test(a_read_that_fails_is_made_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
