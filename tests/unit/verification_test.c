/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What a recording lacks, and why: exactly that is found, and nothing where nothing is missing. */
#include "tests/lib/recording_file.h"

#include "client/cli/verification.h"

struct recorded {
    struct recording_file file;
    struct buffer stream; /* messages that are not in the file yet */
    struct buffer found;
};

static struct recorded *begin(void)
{
    static struct recorded r;

    recording_file_begin(&r.file, RECORDING_OF_RESOURCE);
    buffer_init(&r.stream, 1 << 26);
    buffer_init(&r.found, 1 << 26);
    return &r;
}

/* What was said is in the file now. */
static struct buffer *store(struct recorded *r)
{
    recording_file_messages(&r->file, &r->stream);
    return &r->stream;
}

/* A begin, an image at 3, and a checkpoint there. */
static struct recorded *begun(void)
{
    struct recorded *r = begin();

    say_begin(&r->stream, (struct say_begin){ .feed = FEED_A });
    say_image(&r->stream, (struct say_image){ .sequence = 3 });
    say_checkpoint(&r->stream, 3, "c3");
    (void)store(r);
    return r;
}

static void describe(struct buffer *out, const struct verification_finding *f)
{
    buffer_append_string(out, verification_kind_name(f->kind));
    if (f->first != 0 || f->last != 0) {
        buffer_printf(out, " %" PRIu64 "-%" PRIu64, f->first, f->last);
    }
    if (f->at_least) {
        buffer_append_byte(out, '?');
    }
    if (f->blocks != 0) {
        buffer_printf(out, " (%" PRIu64 ")", f->blocks);
    }
    if (f->kind == VERIFICATION_GAP) {
        buffer_printf(out, " %s", xenres_gap_reason_name(f->reason));
    }
    if (f->kind == VERIFICATION_TAIL) {
        buffer_printf(out, " %s", xenres_end_reason_name(f->reason));
    }
    buffer_append_byte(out, '\n');
}

/* All that is found, a line each; the rest of `v` for the test to look at, until the next call. */
static const struct verification *verify(struct recorded *r, const char *expected)
{
    static struct verification v;
    RECORDING_READER_AUTO reader = { 0 };

    (void)store(r);
    verification_done(&v);
    assert_int_equal(recording_reader_open(
                         &reader, recording_file_open(&r->file, r->file.bytes.len_bytes), NULL),
                     0);
    assert_int_equal(verification_run(&v, &reader, NULL), 0);
    buffer_reset(&r->found);
    for (size_t i = 0; i < v.finding_count; i++) {
        describe(&r->found, &v.findings[i]);
    }
    assert_string_equal(buffer_string(&r->found), expected);
    assert_int_equal(verification_is_complete(&v), expected[0] == '\0');
    recording_file_done(&r->file);
    buffer_done(&r->stream);
    buffer_done(&r->found);
    return &v;
}

static const struct verification *verify_closed(struct recorded *r, const char *expected)
{
    (void)store(r);
    recording_file_close(&r->file);
    return verify(r, expected);
}

static void nothing_is_missing(void **state)
{
    struct recorded *r = begun();

    (void)state;
    for (uint64_t i = 4; i <= 50; i++) {
        say_batch(&r->stream, i);
    }
    say_changes(
        &r->stream,
        (struct say_changes){
            .first = 51, .sequence = 60, .more = true, .blocks = { 1, 2 }, .block_count = 2 });
    say_changes(&r->stream, (struct say_changes){
                                .first = 51, .sequence = 60, .blocks = { 9 }, .block_count = 1 });
    say_heartbeat(&r->stream, 61);
    say_image(&r->stream,
              (struct say_image){
                  .first = 61, .sequence = 61, .segment = 1, .frame_count = 2, .more = true });
    say_image(&r->stream, (struct say_image){ .sequence = 61, .segment = 1, .offset = 4096 });
    say_changes(
        &r->stream,
        (struct say_changes){ .sequence = 62, .segment = 1, .blocks = { 127 }, .block_count = 1 });
    say_end(&r->stream, XENRES_END_INCARNATION_ENDED, 62, "");
    const struct verification *v = verify_closed(r, "");

    assert_int_equal(v->ledger.delivered, 59);
    assert_int_equal(v->ledger.lost + v->ledger.undeclared, 0);
    assert_int_equal(v->ledger.last, 62);
    assert_true(v->ledger.has_ended && v->player.is_closed);
    assert_non_null(strstr((const char *)v->title.data, "web-1"));
}

/* Overtaken between two parts: a loss that was told, and no more than that. */
static void rest_of_a_batch_is_told_as_lost(void **state)
{
    struct recorded *r = begun();

    (void)state;
    say_changes(&r->stream, (struct say_changes){
                                .sequence = 4, .blocks = { 1 }, .block_count = 1, .more = true });
    say_gap(&r->stream, XENRES_GAP_TOO_SLOW, 4, 6);
    say_image(&r->stream, (struct say_image){ .sequence = 6 });
    (void)verify_closed(r, "gap 4-6 (7) too_slow\n");
}

static void told_losses_are_told(void **state)
{
    struct recorded *r = begun();

    (void)state;
    say_gap(&r->stream, XENRES_GAP_TOO_SLOW, 4, 20);
    say_image(&r->stream, (struct say_image){ .sequence = 20 });
    say_batch(&r->stream, 21);
    (void)store(r);
    recording_file_note(&r->file, RECORDING_INTERRUPTED, XENRES_UNAVAILABLE, "the network is down");
    recording_file_gap(&r->file, (xenres_watch_gap){ .reason = XENRES_GAP_INTERRUPTED,
                                                     .first_sequence = 22,
                                                     .sequence = 30,
                                                     .exact = true });
    say_begin(&r->stream, (struct say_begin){ .feed = FEED_A });
    say_image(&r->stream, (struct say_image){ .sequence = 30 });
    const struct verification *v =
        verify_closed(r, "gap 4-20 (7) too_slow\ngap 22-30 interrupted\n");

    assert_int_equal(v->ledger.delivered, 1);
    assert_int_equal(v->ledger.lost, 26);
    assert_int_equal(v->ledger.undeclared, 0);
    assert_int_equal(v->player.interruptions, 1);
}

/* What came of a batch is void where the rest of it is lost, and not another fault. */
static void a_gap_within_a_batch_has_all_of_it(void **state)
{
    struct recorded *r = begun();
    const struct say_changes part = {
        .sequence = 4, .blocks = { 7 }, .block_count = 1, .more = true
    };

    (void)state;
    say_changes(&r->stream, part);
    say_gap(&r->stream, XENRES_GAP_TOO_SLOW, 4, 6);
    say_image(&r->stream, (struct say_image){ .sequence = 6 });
    say_batch(&r->stream, 7);
    (void)verify_closed(r, "gap 4-6 (7) too_slow\n");
}

static void holes_are_found_with_their_excuse(void **state)
{
    struct recorded *r = begun();

    (void)state;
    say_batch(&r->stream, 6);
    (void)store(r);
    recording_file_note(&r->file, RECORDING_INTERRUPTED, XENRES_UNAVAILABLE, "the network is down");
    say_begin(&r->stream, (struct say_begin){ .feed = FEED_A });
    say_image(&r->stream, (struct say_image){ .sequence = 9 });
    const struct verification *v = verify_closed(r, "hole 4-5\nhole 7-9\n");

    assert_string_equal(v->findings[0].detail, "nothing says why");
    assert_string_equal(v->findings[1].detail, "the network is down");
    assert_int_equal(v->ledger.undeclared, 5);
}

/* The gateway tells again what came behind the checkpoint. */
static void what_is_told_again_counts_once(void **state)
{
    struct recorded *r = begun();

    (void)state;
    for (uint64_t i = 4; i <= 8; i++) {
        say_batch(&r->stream, i);
    }
    say_begin(&r->stream, (struct say_begin){ .feed = FEED_A, .resumed = true, .sequence = 3 });
    for (uint64_t i = 4; i <= 6; i++) {
        say_batch(&r->stream, i);
    }
    say_checkpoint(&r->stream, 6, "c6");
    say_changes(&r->stream, (struct say_changes){ .first = 7, .sequence = 10 });
    say_batch(&r->stream, 11);
    const struct verification *v = verify_closed(r, "");

    assert_int_equal(v->ledger.delivered, 8);
    assert_int_equal(v->ledger.streams, 2);
}

static void numbers_that_come_twice_are_nonsense(void **state)
{
    struct recorded *r = begun();

    (void)state;
    say_batch(&r->stream, 4);
    say_batch(&r->stream, 4);
    (void)verify_closed(r, "nonsense\n");
}

static void an_image_or_a_batch_that_was_cut_comes_again_or_is_missing(void **state)
{
    struct recorded *r = begin();

    (void)state;
    say_begin(&r->stream, (struct say_begin){ .feed = FEED_A });
    say_image(&r->stream, (struct say_image){ .sequence = 3, .len = 64, .more = true });
    say_begin(&r->stream, (struct say_begin){ .feed = FEED_A });
    say_image(&r->stream, (struct say_image){ .sequence = 4 });
    say_changes(&r->stream, (struct say_changes){
                                .sequence = 5, .more = true, .blocks = { 1 }, .block_count = 1 });
    say_begin(&r->stream, (struct say_begin){ .feed = FEED_A, .resumed = true, .sequence = 4 });
    say_batch(&r->stream, 5);
    (void)verify_closed(r, "");

    r = begun();
    say_changes(&r->stream, (struct say_changes){
                                .sequence = 4, .more = true, .blocks = { 1 }, .block_count = 1 });
    say_batch(&r->stream, 5);
    (void)verify_closed(r, "batch_cut\nhole 4-4\n");

    r = begin();
    say_begin(&r->stream, (struct say_begin){ .feed = FEED_A });
    say_image(&r->stream, (struct say_image){ .sequence = 3, .len = 64, .more = true });
    (void)verify_closed(r, "image_cut\n");
}

static void changes_need_an_image(void **state)
{
    struct recorded *r = begin();

    (void)state;
    say_begin(&r->stream, (struct say_begin){ .feed = FEED_A });
    say_batch(&r->stream, 4);
    say_batch(&r->stream, 5);
    (void)verify_closed(r, "no_image\nnonsense\nnonsense\n");

    r = begin();
    say_begin(&r->stream, (struct say_begin){ .feed = FEED_A, .resumed = true, .sequence = 7 });
    (void)verify_closed(r, "no_image\n");
}

static void blocks_beyond_the_image_are_nonsense(void **state)
{
    struct recorded *r = begun();

    (void)state;
    say_changes(&r->stream,
                (struct say_changes){ .sequence = 4, .blocks = { 63 }, .block_count = 1 });
    say_changes(&r->stream,
                (struct say_changes){ .sequence = 5, .blocks = { 64 }, .block_count = 1 });
    (void)verify_closed(r, "nonsense\n");
}

static void another_feed_is_a_loss_of_unknown_size(void **state)
{
    struct recorded *r = begun();

    (void)state;
    say_begin(&r->stream, (struct say_begin){ .feed = FEED_B });
    say_image(&r->stream, (struct say_image){ .sequence = 1 });
    (void)verify_closed(r, "new_feed\n");

    r = begun();
    recording_file_gap(
        &r->file,
        (xenres_watch_gap){ .reason = XENRES_GAP_NEW_FEED, .first_sequence = 4, .sequence = 9 });
    say_begin(&r->stream, (struct say_begin){ .feed = FEED_B });
    say_image(&r->stream, (struct say_image){ .sequence = 1 });
    (void)verify_closed(r, "gap 4-9? new_feed\n");
}

static void another_life_is_never_spliced(void **state)
{
    struct recorded *r = begun();

    (void)state;
    say_begin(&r->stream,
              (struct say_begin){ .feed = FEED_A, .life = LIFE_B, .resumed = true, .sequence = 3 });
    (void)verify_closed(r, "nonsense\n");
}

static void an_end_tells_what_is_missing_before_it(void **state)
{
    struct recorded *r = begun();

    (void)state;
    say_batch(&r->stream, 4);
    say_end(&r->stream, XENRES_END_MAPPER_GONE, 9, "");
    (void)verify_closed(r, "tail 5-9 mapper_gone\n");
}

static void merged_content_is_no_loss(void **state)
{
    struct recorded *r = begin();

    (void)state;
    say_begin(&r->stream, (struct say_begin){ .feed = FEED_A, .mode = XENRES_WATCH_FULL });
    say_image(&r->stream, (struct say_image){ .sequence = 3 });
    say_image(&r->stream, (struct say_image){ .first = 4, .sequence = 9 });
    say_begin(&r->stream, (struct say_begin){ .feed = FEED_A, .mode = XENRES_WATCH_FULL });
    say_image(&r->stream, (struct say_image){ .sequence = 12 });
    const struct verification *v = verify_closed(r, "");

    assert_int_equal(v->ledger.delivered, 9);
}

static void decoded_content_is_counted_as_well(void **state)
{
    struct recorded *r = begin();

    (void)state;
    say_begin(&r->stream, (struct say_begin){ .feed = FEED_A, .decode = true });
    say_decoded(&r->stream, 0, 3, true, true);
    say_decoded(&r->stream, 0, 3, true, false);
    say_decoded(&r->stream, 4, 4, false, false);
    say_begin(&r->stream,
              (struct say_begin){ .feed = FEED_A, .decode = true, .resumed = true, .sequence = 3 });
    say_gap(&r->stream, XENRES_GAP_RESUMED, 4, 5);
    say_decoded(&r->stream, 0, 5, true, false);
    (void)verify_closed(r, "gap 5-5 (7) resumed\n");
}

/* --- the file --- */

static void damage_costs_what_it_is_in(void **state)
{
    struct recorded *r = begun();
    size_t offset;

    (void)state;
    say_batch(&r->stream, 4);
    (void)store(r);
    offset = r->file.last_offset;
    say_batch(&r->stream, 5);
    (void)store(r);
    r->file.bytes.data[offset + RECORDING_HEAD_BYTES + 3] ^= 1;
    const struct verification *v = verify_closed(r, "damaged\nhole 4-4\n");

    assert_int_equal(v->findings[0].offset_bytes, offset);
    assert_true(v->findings[0].len_bytes > RECORDING_HEAD_BYTES);
    assert_non_null(strstr(v->findings[1].detail, "damaged"));
}

static void records_that_were_cut_out_are_missed(void **state)
{
    struct recorded *r = begun();

    (void)state;
    say_batch(&r->stream, 4);
    (void)store(r);
    r->file.bytes.len_bytes = r->file.last_offset;
    say_batch(&r->stream, 5);
    const struct verification *v = verify_closed(r, "records_missing 3-3\nhole 4-4\n");

    assert_non_null(strstr(v->findings[1].detail, "records are missing"));
}

static void a_torn_tail_and_no_close_are_told(void **state)
{
    struct recorded *r = begun();

    (void)state;
    (void)verify(r, "not_closed\n");
    r = begun();
    say_batch(&r->stream, 4);
    (void)store(r);
    r->file.bytes.len_bytes--;
    const struct verification *v = verify(r, "torn\nnot_closed\n");

    assert_int_equal(v->ledger.last, 3);
    r = begun();
    recording_file_close(&r->file);
    memset(buffer_extend(&r->file.bytes, 100), 7, 100);
    (void)verify(r, "unreadable\nnot_closed\n");
}

static void what_was_closed_in_an_interruption_may_lack_something(void **state)
{
    struct recorded *r = begun();

    (void)state;
    recording_file_note(&r->file, RECORDING_INTERRUPTED, XENRES_UNAVAILABLE, "the network is down");
    const struct verification *v = verify_closed(r, "cut_off\n");

    assert_non_null(strstr(v->findings[0].detail, "behind batch 3"));
    r = begun();
    recording_file_note(&r->file, RECORDING_INTERRUPTED, XENRES_UNAVAILABLE, "the network is down");
    say_begin(&r->stream, (struct say_begin){ .feed = FEED_A, .resumed = true, .sequence = 3 });
    (void)verify_closed(r, "");
}

static void what_a_failure_has_closed_may_lack_something(void **state)
{
    struct recorded *r = begun();

    (void)state;
    recording_file_note(&r->file, RECORDING_CLOSED, XENRES_RESOURCE_EXHAUSTED, "no room");
    (void)verify(r, "cut_off\n");
}

static void an_empty_recording_is_not_complete(void **state)
{
    (void)state;
    (void)verify(begin(), "empty\nnot_closed\n");
}

static void what_is_no_message_is_told(void **state)
{
    struct recorded *r = begun();

    (void)state;
    recording_file_add(&r->file, RECORDING_MESSAGE, "\xff\xff", 2);
    recording_file_add(&r->file, RECORDING_GAP, "\xff\xff", 2);
    recording_file_add(&r->file, RECORDING_INTERRUPTED, "\xff", 1);
    recording_file_add(&r->file, (enum recording_kind)4711, "later", 5);
    const struct verification *v = verify_closed(r, "nonsense\nnonsense\nnonsense\n");

    assert_int_equal(v->player.unknown_records, 1);
}

static void findings_have_a_maximum(void **state)
{
    (void)state;
    for (unsigned beyond = 0; beyond <= 1; beyond++) {
        VERIFICATION_AUTO w = { 0 };
        RECORDING_READER_AUTO reader = { 0 };

        struct recorded *r = begun();

        for (uint64_t i = 0; i < VERIFICATION_FINDINGS_MAX + beyond; i++) {
            say_batch(&r->stream, 5 + 2 * i); /* a hole before each */
        }
        (void)store(r);
        recording_file_close(&r->file);
        assert_int_equal(recording_reader_open(
                             &reader, recording_file_open(&r->file, r->file.bytes.len_bytes), NULL),
                         0);
        assert_int_equal(verification_run(&w, &reader, NULL), 0);
        assert_int_equal(w.finding_count, VERIFICATION_FINDINGS_MAX);
        assert_int_equal(w.left_off, beyond);
        recording_file_done(&r->file);
        buffer_done(&r->stream);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_missing),
        cmocka_unit_test(rest_of_a_batch_is_told_as_lost),
        cmocka_unit_test(told_losses_are_told),
        cmocka_unit_test(a_gap_within_a_batch_has_all_of_it),
        cmocka_unit_test(holes_are_found_with_their_excuse),
        cmocka_unit_test(what_is_told_again_counts_once),
        cmocka_unit_test(numbers_that_come_twice_are_nonsense),
        cmocka_unit_test(an_image_or_a_batch_that_was_cut_comes_again_or_is_missing),
        cmocka_unit_test(changes_need_an_image),
        cmocka_unit_test(blocks_beyond_the_image_are_nonsense),
        cmocka_unit_test(another_feed_is_a_loss_of_unknown_size),
        cmocka_unit_test(another_life_is_never_spliced),
        cmocka_unit_test(an_end_tells_what_is_missing_before_it),
        cmocka_unit_test(merged_content_is_no_loss),
        cmocka_unit_test(decoded_content_is_counted_as_well),
        cmocka_unit_test(damage_costs_what_it_is_in),
        cmocka_unit_test(records_that_were_cut_out_are_missed),
        cmocka_unit_test(a_torn_tail_and_no_close_are_told),
        cmocka_unit_test(what_was_closed_in_an_interruption_may_lack_something),
        cmocka_unit_test(what_a_failure_has_closed_may_lack_something),
        cmocka_unit_test(an_empty_recording_is_not_complete),
        cmocka_unit_test(what_is_no_message_is_told),
        cmocka_unit_test(findings_have_a_maximum),
    };

    return UNIT_RUN(tests);
}
