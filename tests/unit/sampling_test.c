/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A feed against the truth: in thousands of runs, each from a seed, a guest changes, grows, changes its
 * grant table's version and ends, calls fail, and time passes as the test says; and what a reader makes of
 * images and records is what the guest's pages were at each sample.
 */
#include "tests/lib/sampling_rig.h"

enum { RUNS = 10000, STEPS = 24 };

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
            fake_host.pages[at] ^= (uint8_t)(random() % 3 != 0);
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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_image_and_what_changed_are_the_guests_pages),
    };

    return cmocka_run_group_tests(tests, sampling_set_up, sampling_tear_down);
}
