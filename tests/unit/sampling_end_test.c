/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What ends a feed and what does not, and what stays mapped meanwhile. */
#include "tests/lib/sampling_rig.h"

static void ended_with(enum feed_end_reason reason)
{
    reader_follow();
    assert_int_equal(reader.end.reason, reason);
    assert_true(sampling.is_over);
    assert_int_equal(fake_host.mapped, 0);
    ring_view_close(reader.view);
    reader.view = NULL;
    sampling_done(&sampling);
}

static void ten_failures_in_a_row_end_it_and_nine_do_not(void **state)
{
    (void)state;
    fake_host_init(2, 1);
    begin(RESOURCE_GRANT_TABLE, 0, 0);
    step();
    reader_begin();
    for (int i = 0; i < SAMPLING_FAILURES_MAX - 1; i++) {
        fake_host.fails[FAKE_SIZE] = 1;
        step();
    }
    assert_false(sampling.is_over);
    step();
    for (int i = 0; i < SAMPLING_FAILURES_MAX; i++) {
        assert_false(sampling.is_over);
        fake_host.fails[FAKE_SIZE] = 1;
        step();
    }
    reader_follow();
    assert_int_equal(reader.end.failure.xen_errno, EIO);
    ended_with(FEED_END_FAILED);
}

static void a_first_sample_that_fails_is_over_without_a_word(void **state)
{
    static const enum fake_call calls[] = { FAKE_FIND, FAKE_SIZE, FAKE_MAP };

    (void)state;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        fake_host_init(2, 1);
        fake_host.fails[calls[i]] = 1;
        begin(RESOURCE_GRANT_TABLE, 0, 0);
        step();
        assert_true(sampling.is_over);
        assert_false(sampling.has_begun);
        assert_int_equal(sampling.failure.xen_errno, EIO);
        assert_null(sampling.spool.ring);
        assert_int_equal(fake_host.mapped, 0);
        sampling_done(&sampling);
        assert_int_equal(allowance_used(&memory), 0);
    }
}

static void a_server_that_is_no_more_is_the_resources_end(void **state)
{
    (void)state;
    fake_host_init(1, 1);
    begin(RESOURCE_IOREQ_SERVER, 0, SNAPSHOT_SPARSE);
    step();
    reader_begin();
    fake_host.ioreq_present = 2;
    step();
    reader_follow();
    assert_int_equal(reader.begin.reason, FEED_BEGIN_REMADE);
    assert_int_equal(reader.begin.frames_present, 2);
    fake_host.ioreq_present = 0;
    step();
    reader_follow();
    assert_int_equal(reader.end.failure.xen_errno, ENOENT);
    ended_with(FEED_END_RESOURCE);
}

static void nothing_but_shared_frames_stays_mapped(void **state)
{
    (void)state;
    fake_host_init(3, 2);
    begin(RESOURCE_GRANT_TABLE, 0, SNAPSHOT_WITH_STATUS);
    for (int i = 0; i < 5; i++) {
        step();
        assert_int_equal(fake_host.mapped, 1);
    }
    assert_int_equal(fake_host.maps, 1 + 5); /* the status frames each time */
    fake_host.frames_in_use = 9;
    step();
    assert_int_equal(fake_host.mapped, 1);
    assert_int_equal(tools.mapped_frames, 9);
    reader_begin();
    sampling_end(&sampling, &tools, now_ns, now_ns, FEED_END_RENAMED);
    ended_with(FEED_END_RENAMED);
    begin(RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS, 0);
    step();
    step();
    assert_int_equal(fake_host.mapped, 0);
    reader_begin();
    fake_host.version = 1;
    step();
    step();
    ended_with(FEED_END_RESOURCE);
}

static void a_range_is_kept_while_the_table_grows(void **state)
{
    (void)state;
    fake_host_init(4, 1);
    begin_at(RESOURCE_GRANT_TABLE, 0, 1, 2, 0);
    step();
    reader_begin();
    fake_host.frames_in_use = 8;
    fake_host.pages[MESSAGE_FRAME_BYTES + 5] = 1;
    fake_host.pages[7 * MESSAGE_FRAME_BYTES] = 1; /* another frame */
    step();
    struct source_image image;

    sampling.source->ops->image(sampling.source, &image);
    assert_int_equal(image.size.frames_in_use, 8);
    assert_int_equal(image.frame_count, 2);
    reader_follow();
    assert_int_equal(reader.begins, 1);
    assert_int_equal(sampling.spool.blocks, 1);
    fake_host.frames_in_use = 2; /* a guest cannot; but it is not believed to be there */
    step();
    ended_with(FEED_END_RESOURCE);
}

static void an_image_has_to_fit_the_allowance(void **state)
{
    (void)state;
    fake_host_init(8, 1);
    assert_int_equal(allowance_take(&memory, (64 << 20) - 7 * MESSAGE_FRAME_BYTES, NULL), 0);
    begin(RESOURCE_GRANT_TABLE, 0, 0);
    step();
    assert_true(sampling.is_over);
    assert_int_equal(sampling.failure.code, ERROR_RESOURCE_EXHAUSTED);
    sampling_done(&sampling);
    allowance_give(&memory, (64 << 20) - 7 * MESSAGE_FRAME_BYTES);
    assert_int_equal(allowance_used(&memory), 0);
}

/* The place of the image is that of its segment until another one is told. */
static void run_times_of_more_vcpus_that_cannot_be_read_change_nothing(void **state)
{
    struct source_image before, after;
    uint8_t bytes[16 * sizeof(struct message_vcpu)];

    (void)state;
    fake_host_init(2, 1);
    memset(fake_host.run_time_ns, 0x55, sizeof(fake_host.run_time_ns));
    begin(RESOURCE_VCPU_STATS, 0, 0);
    step();
    reader_begin();
    reader_follow();
    sampling.source->ops->image(sampling.source, &before);
    assert_true(before.len_bytes <= sizeof(bytes));
    memcpy(bytes, before.bytes, before.len_bytes);
    uint64_t used_bytes = allowance_used(&memory);

    fake_host.domains[1].domain.max_vcpus = 16;
    fake_host.fails[FAKE_VCPUS] = 1;
    step();
    assert_int_equal(sampling.failures, 1);
    sampling.source->ops->image(sampling.source, &after);
    assert_int_equal(after.len_bytes, before.len_bytes);
    assert_memory_equal(after.bytes, bytes, before.len_bytes);
    assert_int_equal(allowance_used(&memory), used_bytes);
    reader_follow();
    assert_int_equal(reader.segment, 0);
    step();
    reader_follow();
    assert_int_equal(reader.segment, 1);
    assert_int_equal(reader.begin.reason, FEED_BEGIN_RESIZED);
    assert_true(reader.image_bytes > before.len_bytes);
    assert_int_equal(reader.image[offsetof(struct message_vcpu, run_time_ns)], 0x55);
    sampling_end(&sampling, &tools, now_ns, now_ns, FEED_END_RELEASED);
    ended_with(FEED_END_RELEASED);
    assert_int_equal(allowance_used(&memory), 0);
}

static void who_is_told_to_stop_does_not_fail(void **state)
{
    (void)state;
    fake_host_init(8, 1);
    begin(RESOURCE_GRANT_TABLE, 0, 0);
    step();
    reader_begin();
    stop = true;
    step();
    stop = false;
    assert_int_equal(sampling.failed, 0);
    assert_false(sampling.is_over);
    sampling_end(&sampling, &tools, now_ns, now_ns, FEED_END_RELEASED);
    sampling_end(&sampling, &tools, now_ns, now_ns, FEED_END_STOPPED); /* once */
    step();
    ended_with(FEED_END_RELEASED);
}

/* --- between two calls ----------------------------------------------------------------------------- */

enum { ANOTHERS = 0xee };

static unsigned calls_left; /* until it is another domain that has the number */

/* What is mapped live keeps the domain's frames, and its number, from becoming another's. */
static void become_another(enum fake_call call)
{
    size_t shared = (size_t)FAKE_HOST_FRAMES_MAX * MESSAGE_FRAME_BYTES;
    size_t rest = (size_t)(FAKE_HOST_STATUS_MAX + IOREQ_FRAMES) * MESSAGE_FRAME_BYTES;

    (void)call;
    if (calls_left == 0 || --calls_left > 0) {
        return;
    }
    if (fake_host.mapped == 0) {
        memset(fake_host.pages, ANOTHERS, shared);
    }
    memset(fake_host_status(), ANOTHERS, rest);
    memset(fake_host.run_time_ns, ANOTHERS, sizeof(fake_host.run_time_ns));
    fake_host.domains[1].domain.uuid[0]++;
}

static bool has_anothers(const void *bytes, size_t len_bytes)
{
    return bytes != NULL && memchr(bytes, ANOTHERS, len_bytes) != NULL;
}

/* Neither image nor record has a byte of the other domain's. */
static void expect_nothing_of_another(void)
{
    struct source_image image;
    struct ring_record found;

    if (!sampling.has_begun) {
        assert_null(sampling.spool.ring);
        return;
    }
    sampling.source->ops->image(sampling.source, &image);
    assert_false(has_anothers(image.bytes, image.len_bytes));
    reader_begin();
    while (ring_view_read(reader.view, &reader.place, reader.bytes, sizeof(reader.bytes), &found,
                          NULL) == RING_RECORD) {
        assert_int_equal(
            feed_record_check(found.kind, reader.bytes, found.len_bytes, &reader.record, NULL), 0);
        if (found.kind == FEED_RECORD_CHANGES) {
            assert_false(
                has_anothers(reader.record.contents,
                             (size_t)reader.record.changes->block_count * FEED_BLOCK_BYTES));
        }
    }
    ring_view_close(reader.view);
    reader.view = NULL;
}

/* True: before the sample was over. */
static bool is_another_at_call(uint32_t type, uint32_t id, uint32_t flags, unsigned samples,
                               unsigned call)
{
    fake_host_init(2, 2);
    fake_host.pages[0] = 1;
    begin(type, id, flags);
    for (unsigned i = 0; i < samples; i++) {
        step();
    }
    calls_left = call;
    fake_host.on_call = become_another;
    step();
    bool is_another = calls_left == 0;

    calls_left = is_another ? 0 : 1;
    step();
    assert_true(sampling.is_over || (type == RESOURCE_GRANT_TABLE && id == GRANT_TABLE_SHARED));
    expect_nothing_of_another();
    fake_host.on_call = NULL;
    sampling_end(&sampling, &tools, now_ns, now_ns, FEED_END_RELEASED);
    sampling_done(&sampling);
    return is_another;
}

static void nothing_is_told_of_another_domain(void **state)
{
    static const struct {
        uint32_t type, id, flags;
    } kinds[] = {
        { RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED, 0 },
        { RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS, 0 },
        { RESOURCE_IOREQ_SERVER, 0, 0 },
        { RESOURCE_IOREQ_SERVER, 0, SNAPSHOT_SPARSE },
        { RESOURCE_VCPU_STATS, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        for (unsigned samples = 0; samples < 2; samples++) {
            unsigned call = 1;

            while (is_another_at_call(kinds[i].type, kinds[i].id, kinds[i].flags, samples, call)) {
                call++;
            }
            assert_true(call > 1);
        }
    }
    assert_int_equal(allowance_used(&memory), 0);
}

static void go_back_to_version_1(enum fake_call call)
{
    fake_host.version = call == FAKE_MAP ? 1 : fake_host.version;
}

static void a_table_that_changes_while_it_is_copied_begins_nothing(void **state)
{
    (void)state;
    fake_host_init(2, 2);
    fake_host.on_call = go_back_to_version_1;
    begin(RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED, 0);
    step();
    fake_host.on_call = NULL;
    assert_false(sampling.has_begun); /* as if it were of version 2 */
    assert_int_equal(sampling.failure.code, ERROR_ABORTED);
    sampling_done(&sampling);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_failures_in_a_row_end_it_and_nine_do_not),
        cmocka_unit_test(a_first_sample_that_fails_is_over_without_a_word),
        cmocka_unit_test(a_server_that_is_no_more_is_the_resources_end),
        cmocka_unit_test(nothing_but_shared_frames_stays_mapped),
        cmocka_unit_test(a_range_is_kept_while_the_table_grows),
        cmocka_unit_test(an_image_has_to_fit_the_allowance),
        cmocka_unit_test(run_times_of_more_vcpus_that_cannot_be_read_change_nothing),
        cmocka_unit_test(who_is_told_to_stop_does_not_fail),
        cmocka_unit_test(nothing_is_told_of_another_domain),
        cmocka_unit_test(a_table_that_changes_while_it_is_copied_begins_nothing),
    };

    return cmocka_run_group_tests(tests, sampling_set_up, sampling_tear_down);
}
