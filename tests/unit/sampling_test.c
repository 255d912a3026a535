/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A feed against the truth: in thousands of runs, each from a seed, a guest changes, grows, changes its
 * grant table's version and ends, calls fail, and time passes as the test says; and what a reader makes of
 * images and records is what the guest's pages were at each sample.
 */
#include "server/mapper/sampling.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/ring_view.h"
#include "server/mapper/copy.h"
#include "server/mapper/source_frames.h"
#include "server/mapper/source_stats.h"
#include "tests/lib/fake_host.h"

enum {
    RUNS = 10000,
    STEPS = 24,
    SPOOL_BYTES = 128 << 10,
    IMAGE_MAX_BYTES = (FAKE_HOST_FRAMES_MAX + 8) * MESSAGE_FRAME_BYTES,
};

static struct allowance memory;
static struct backend handle;
static struct source_tools tools;
static struct sampling sampling;
static uint64_t now_ns;
static atomic_bool stop;

static uint64_t fake_now(void *arg)
{
    (void)arg;
    return now_ns;
}

static int set_up(void **state)
{
    static const struct clock_source still = { fake_now, fake_now, NULL };

    (void)state;
    clock_set_source(&still);
    allowance_init(&memory, 64 << 20);
    tools = (struct source_tools){ .ops = &fake_host_ops, .backend = &handle, .memory = &memory };
    tools.page = aligned_alloc(MESSAGE_FRAME_BYTES, MESSAGE_FRAME_BYTES);
    return copy_init(NULL) == 0 && tools.page != NULL &&
                   diff_init(&tools.changes, spool_batch_room(SPOOL_BYTES))
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    diff_done(&tools.changes);
    free(tools.page);
    fake_host_done();
    clock_set_source(NULL);
    return 0;
}

static struct message_snapshot wanted;

static void begin_at(uint32_t type, uint32_t id, uint32_t first, uint32_t count, uint32_t flags)
{
    const struct backend_domain *known = &fake_host.domains[1].domain;
    struct source *source = NULL;

    wanted = (struct message_snapshot){
        .type = type, .id = id, .first_frame = first, .frame_count = count, .flags = flags
    };
    wanted.domain.domid = 1;
    int result = type == RESOURCE_VCPU_STATS ? source_stats_new(known, &source, NULL)
                                             : source_frames_new(&wanted, known, &source, NULL);

    assert_int_equal(result, 0);
    sampling_init(&sampling, source, SPOOL_BYTES, &memory);
}

static void begin(uint32_t type, uint32_t id, uint32_t flags)
{
    begin_at(type, id, 0, MESSAGE_FRAMES_ALL, flags);
}

static void step(void)
{
    now_ns += 10 * CLOCK_NS_PER_MS;
    sampling_step(&sampling, &tools, now_ns, now_ns, &stop);
}

/* --- a reader -------------------------------------------------------------------------------------- */

static struct reader {
    struct ring_view *view;
    struct ring_place place;
    struct feed_record record;
    _Alignas(8) uint8_t bytes[SPOOL_BYTES];
    uint8_t image[IMAGE_MAX_BYTES];
    uint64_t image_bytes, batch, blocks;
    uint32_t segment, begins;
    bool has_image;
    struct feed_begin begin;
    struct feed_end end; /* reason 0: none yet */
} reader;

static void reader_begin(void)
{
    ring_view_close(reader.view);
    memset(&reader, 0, sizeof(reader));
    assert_int_equal(ring_view_open(ring_fd(sampling.spool.ring), SPOOL_BYTES, &reader.view, NULL),
                     0);
}

/* As IMAGE does: the image, and the place of the next record. */
static void reader_fetch(void)
{
    struct source_image image;

    sampling.source->ops->image(sampling.source, &image);
    assert_true(image.len_bytes <= IMAGE_MAX_BYTES);
    memcpy(reader.image, image.bytes, image.len_bytes);
    reader.image_bytes = image.len_bytes;
    reader.place = ring_next(sampling.spool.ring);
    reader.batch = sampling.spool.batch;
    reader.blocks = sampling.spool.blocks;
    reader.segment = sampling.spool.segment;
    reader.has_image = true;
}

static void take_changes(const struct feed_changes *c)
{
    assert_int_equal(c->segment, reader.segment);
    assert_int_equal(c->blocks_before, reader.blocks);
    assert_true(c->batch == reader.batch || c->batch == reader.batch + 1);
    for (uint32_t i = 0; i < c->block_count && reader.has_image; i++) {
        uint64_t at = (uint64_t)reader.record.blocks[i] * FEED_BLOCK_BYTES;

        assert_true(at + FEED_BLOCK_BYTES <= reader.image_bytes);
        memcpy(reader.image + at, reader.record.contents + (size_t)i * FEED_BLOCK_BYTES,
               FEED_BLOCK_BYTES);
    }
    reader.batch = c->batch;
    reader.blocks += c->block_count;
}

static void take_record(void)
{
    switch (reader.record.kind) {
    case FEED_RECORD_BEGIN:
        reader.begin = *reader.record.begin;
        assert_int_equal(reader.begin.segment, reader.begins++);
        assert_true(reader.begin.batch >= reader.batch &&
                    reader.begin.blocks_before >= reader.blocks);
        assert_int_equal(reader.begin.batch > reader.batch,
                         reader.begin.reason == FEED_BEGIN_TOO_MANY);
        reader.batch = reader.begin.batch;
        reader.blocks = reader.begin.blocks_before;
        reader.segment = reader.begin.segment;
        reader.has_image = false;
        break;
    case FEED_RECORD_CHANGES: take_changes(reader.record.changes); break;
    case FEED_RECORD_END: reader.end = *reader.record.end; break;
    default: break;
    }
}

/* Everything that there is; then an image, if it has to have another. */
static void reader_follow(void)
{
    struct ring_record found;
    struct failure f;
    int answer;

    while ((answer = ring_view_read(reader.view, &reader.place, reader.bytes, sizeof(reader.bytes),
                                    &found, NULL)) == RING_RECORD) {
        assert_int_equal(reader.end.reason, 0); /* nothing is behind the end */
        if (feed_record_check(found.kind, reader.bytes, found.len_bytes, &reader.record, &f) < 0) {
            fail_msg("%s", f.message);
        }
        take_record();
    }
    assert_int_equal(answer, RING_NOTHING);
    if (!reader.has_image && reader.end.reason == 0) {
        reader_fetch();
    }
}

/* --- the truth -------------------------------------------------------------------------------------- */

static uint8_t truth[IMAGE_MAX_BYTES], truth_before[IMAGE_MAX_BYTES];
static uint64_t truth_bytes;

static void add_truth(const void *bytes, uint64_t len_bytes)
{
    memcpy(truth + truth_bytes, bytes, len_bytes);
    truth_bytes += len_bytes;
}

static void make_truth(void)
{
    static const uint8_t zeros[MESSAGE_FRAME_BYTES];

    memcpy(truth_before, truth, truth_bytes);
    truth_bytes = 0;
    if (wanted.type == RESOURCE_VCPU_STATS) {
        for (uint32_t i = 0; i < 5; i++) {
            const struct message_vcpu v = { .vcpu = i, .run_time_ns = fake_host.run_time_ns[i] };

            add_truth(&v, sizeof(v));
        }
        add_truth(zeros, 3 * sizeof(struct message_vcpu));
        return;
    }
    for (uint32_t i = 0; i < 2 && wanted.type == RESOURCE_IOREQ_SERVER; i++) {
        add_truth((fake_host.ioreq_present >> i & 1) != 0
                      ? fake_host_ioreqs() + (size_t)i * MESSAGE_FRAME_BYTES
                      : zeros,
                  MESSAGE_FRAME_BYTES);
    }
    if (wanted.type == RESOURCE_GRANT_TABLE && wanted.id == GRANT_TABLE_SHARED) {
        add_truth(fake_host.pages, (uint64_t)fake_host.frames_in_use * MESSAGE_FRAME_BYTES);
    }
    bool has_status = wanted.id == GRANT_TABLE_STATUS ||
                      ((wanted.flags & SNAPSHOT_WITH_STATUS) != 0 && fake_host.version == 2);

    if (wanted.type == RESOURCE_GRANT_TABLE && has_status) {
        add_truth(fake_host_status(), (uint64_t)fake_host_in_use(1) * MESSAGE_FRAME_BYTES);
    }
}

static uint32_t truths_differences(void)
{
    uint32_t count = 0;

    for (uint64_t at = 0; at < truth_bytes; at += FEED_BLOCK_BYTES) {
        count += memcmp(truth + at, truth_before + at, FEED_BLOCK_BYTES) != 0;
    }
    return count;
}

/* --- runs ------------------------------------------------------------------------------------------- */

static void mutate(void)
{
    size_t bytes =
        (size_t)(FAKE_HOST_FRAMES_MAX + FAKE_HOST_STATUS_MAX + IOREQ_FRAMES) * MESSAGE_FRAME_BYTES;
    size_t in_use = (size_t)fake_host.frames_in_use * MESSAGE_FRAME_BYTES;

    for (long i = random() % 6; i > 0; i--) {
        fake_host.pages[(size_t)random() % in_use] ^= (uint8_t)random();
        fake_host_status()[(size_t)random() % MESSAGE_FRAME_BYTES] ^= (uint8_t)random();
        fake_host_ioreqs()[(size_t)random() % (2 * MESSAGE_FRAME_BYTES)] ^= (uint8_t)random();
        fake_host.run_time_ns[random() % 5] += (uint64_t)random();
    }
    if (random() % 30 == 0) {
        for (size_t at = 0; at < bytes; at += FEED_BLOCK_BYTES) {
            fake_host.pages[at] ^= random() % 3 != 0;
        }
    }
}

static void grow(void)
{
    uint32_t by = 1 + (uint32_t)random() % (random() % 4 == 0 ? 32 : 2);

    if (fake_host.frames_in_use + by <= 4 * 8) {
        fake_host.frames_in_use += by;
    }
}

/* A version 2 table whose status frames somebody follows ends that with version 1. */
static bool version_ends_it;

static void upset(void)
{
    long what = random() % 40;

    version_ends_it = false;
    if (what < 3) {
        grow();
    } else if (what == 3) {
        fake_host.version = 3 - fake_host.version;
        version_ends_it = wanted.id == GRANT_TABLE_STATUS && fake_host.version == 1;
    } else if (what < 7) {
        fake_host.fails[random() % FAKE_CALLS] = (uint32_t)random() % 3;
    } else if (what == 7) {
        fake_host.ioreq_present = 1 + (uint32_t)random() % 3;
    }
}

/* In the midst of a sample: what it has copied by then is of a table that is no longer so. */
static uint32_t upsets_left;

static void upset_at_call(enum fake_call call)
{
    if (call == FAKE_SIZE && upsets_left > 0 && random() % 4 == 0) {
        upsets_left--;
        grow();
        mutate();
    }
}

static void check_sample(uint64_t batch, uint64_t blocks, uint32_t begins)
{
    bool same_segment = reader.begins == begins;

    make_truth();
    assert_int_equal(reader.image_bytes, truth_bytes);
    assert_memory_equal(reader.image, truth, truth_bytes);
    if (same_segment || reader.begin.reason == FEED_BEGIN_TOO_MANY) {
        uint32_t changed = truths_differences();

        assert_int_equal(sampling.spool.blocks - blocks, changed);
        assert_int_equal(sampling.spool.batch - batch, changed > 0);
    }
    assert_int_equal(sampling.spool.last.monotonic_ns, now_ns);
}

/* The image is the feed's own; that it is the guest's the next sample shows. */
static void take_for_truth(void)
{
    struct source_image image;

    sampling.source->ops->image(sampling.source, &image);
    assert_int_equal(reader.image_bytes, image.len_bytes);
    assert_memory_equal(reader.image, image.bytes, image.len_bytes);
    truth_bytes = image.len_bytes;
    memcpy(truth, image.bytes, image.len_bytes);
}

static void choose_source(void)
{
    static const struct {
        uint32_t type, id, flags;
    } kinds[] = {
        { RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED, 0 },
        { RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED, SNAPSHOT_WITH_STATUS },
        { RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS, 0 },
        { RESOURCE_IOREQ_SERVER, 0, SNAPSHOT_SPARSE },
        { RESOURCE_VCPU_STATS, 0, 0 },
    };
    size_t i = (size_t)random() % (sizeof(kinds) / sizeof(kinds[0]));

    fake_host_init(1 + (uint32_t)random() % 4, kinds[i].id == 1 ? 2 : 1 + (uint32_t)random() % 2);
    begin(kinds[i].type, kinds[i].id, kinds[i].flags);
}

static void end_run(void)
{
    enum feed_end_reason reason = FEED_END_INCARNATION;

    switch (random() % 3) {
    case 0: fake_host.domains[1].domain.dying = true; break;
    case 1: fake_host.domains[1].domain.uuid[3] = 9; break;
    default: reason = FEED_END_STOPPED; break;
    }
    memset(fake_host.fails, 0, sizeof(fake_host.fails));
    fake_host.on_call = NULL;
    bool is_mapped = fake_host.mapped > 0;

    if (reason == FEED_END_STOPPED || is_mapped) { /* the loop's to know */
        sampling_end(&sampling, &tools, now_ns, now_ns, reason);
    } else {
        step();
    }
    reader_follow();
    assert_int_equal(reader.end.reason, reason);
    assert_int_equal(reader.end.batch, reader.batch);
    assert_int_equal(reader.end.blocks_before, reader.blocks);
}

static bool run_steps(void)
{
    for (int i = 0; i < STEPS; i++) {
        uint64_t batch = sampling.spool.batch, blocks = sampling.spool.blocks;
        uint64_t taken = sampling.taken;
        uint32_t begins = reader.begins;

        mutate();
        upset();
        upsets_left = random() % 8 == 0;
        fake_host.on_call = upsets_left > 0 ? upset_at_call : NULL;
        bool was_upset = upsets_left > 0;

        step();
        reader_follow();
        if (sampling.is_over) {
            assert_true(version_ends_it || reader.end.reason == FEED_END_RESOURCE);
            return false;
        }
        /* What moved in the midst of it: the copy has it or not, so that only that it is whole counts. */
        if (sampling.taken > taken && !(was_upset && upsets_left == 0)) {
            check_sample(batch, blocks, begins);
        } else if (sampling.taken > taken) {
            take_for_truth();
        }
        if (random() % 8 == 0) {
            reader_fetch();
        }
    }
    return true;
}

static void the_image_and_what_changed_are_the_guests_pages(void **state)
{
    uint64_t batches = 0, segments = 0, failed = 0, parts = 0;

    (void)state;
    for (unsigned seed = 0; seed < RUNS; seed++) {
        srandom(seed);
        choose_source();
        truth_bytes = 0;
        mutate();
        step();
        assert_false(sampling.is_over);
        reader_begin();
        reader_follow();
        make_truth();
        assert_int_equal(reader.begin.image_bytes, truth_bytes);
        if (run_steps()) {
            end_run();
        }
        assert_true(sampling.is_over);
        assert_int_equal(fake_host.mapped, 0);
        assert_int_equal(tools.mapped, 0);
        assert_int_equal(tools.mapped_frames, 0);
        assert_int_equal(fake_host.maps_beyond, 0);
        batches += sampling.spool.batch;
        segments += reader.begins;
        failed += sampling.failed;
        parts += reader.begin.reason == FEED_BEGIN_TOO_MANY;
        sampling_done(&sampling);
        assert_int_equal(allowance_used(&memory), 0);
    }
    print_message("%llu batches, %llu segments, %llu failed samples, %llu too many\n",
                  (unsigned long long)batches, (unsigned long long)segments,
                  (unsigned long long)failed, (unsigned long long)parts);
    assert_true(batches > RUNS && segments > RUNS && failed > RUNS / 10 && parts > 0);
    ring_view_close(reader.view);
    reader.view = NULL;
}

/* --- one by one ------------------------------------------------------------------------------------- */

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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_image_and_what_changed_are_the_guests_pages),
        cmocka_unit_test(ten_failures_in_a_row_end_it_and_nine_do_not),
        cmocka_unit_test(a_first_sample_that_fails_is_over_without_a_word),
        cmocka_unit_test(a_server_that_is_no_more_is_the_resources_end),
        cmocka_unit_test(nothing_but_shared_frames_stays_mapped),
        cmocka_unit_test(a_range_is_kept_while_the_table_grows),
        cmocka_unit_test(an_image_has_to_fit_the_allowance),
        cmocka_unit_test(who_is_told_to_stop_does_not_fail),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
