/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What is written of a feed, read as its readers do; and that a source which appends bytes fits. */
#include "server/mapper/spool.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/ring_view.h"
#include "server/mapper/sampling.h"
#include "tests/lib/unit.h"

#define MIB (UINT64_C(1) << 20)

static struct allowance memory;
static struct spool spool;
static struct ring_view *view;
static struct ring_place place;
static _Alignas(8) uint8_t bytes[MIB];
static struct feed_record record;
static struct diff changes;

static int set_up(void **state)
{
    (void)state;
    allowance_init(&memory, 8 * MIB);
    spool_init(&spool, MIB, &memory);
    view = NULL;
    place = (struct ring_place){ 0 };
    return diff_init(&changes, 65536) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    ring_view_close(view);
    spool_done(&spool);
    diff_done(&changes);
    assert_int_equal(allowance_used(&memory), 0);
    return 0;
}

static struct feed_stamp at(unsigned ms)
{
    return (struct feed_stamp){ .wall_ns = 1000 + ms,
                                .monotonic_ns = (1000 + ms) * CLOCK_NS_PER_MS,
                                .duration_ns = ms };
}

static bool next_of(const struct ring *ring)
{
    struct ring_record found;
    struct failure f;

    if (view == NULL) {
        assert_int_equal(ring_view_open(ring_fd(ring), MIB, &view, NULL), 0);
    }
    int answer = ring_view_read(view, &place, bytes, sizeof(bytes), &found, NULL);

    if (answer == RING_NOTHING) {
        return false;
    }
    assert_int_equal(answer, RING_RECORD);
    if (feed_record_check(found.kind, bytes, found.len_bytes, &record, &f) < 0) {
        fail_msg("%s", f.message);
    }
    return true;
}

static bool next(void)
{
    return next_of(spool.ring);
}

static void begin(unsigned ms, uint32_t image_bytes)
{
    const struct feed_stamp stamp = at(ms);
    const struct feed_begin shape = { .reason = FEED_BEGIN_START, .image_bytes = image_bytes };

    assert_int_equal(spool_begin(&spool, &stamp, &shape, 0, NULL), 0);
    assert_true(next());
    assert_int_equal(record.kind, FEED_RECORD_BEGIN);
}

static void change(unsigned ms, uint32_t count)
{
    const struct feed_stamp stamp = at(ms);

    diff_reset(&changes, count);
    changes.count = count;
    for (uint32_t i = 0; i < count; i++) {
        changes.blocks[i] = 2 * i;
        memset(changes.contents + (size_t)i * FEED_BLOCK_BYTES, (int)i, FEED_BLOCK_BYTES);
    }
    assert_int_equal(spool_changes(&spool, &stamp, &changes, NULL), 0);
}

static void a_spool_is_twice_its_image_within_bounds(void **state)
{
    static const struct {
        uint64_t most, image, capacity;
    } rows[] = {
        { MIB, 64, 128 << 10 },
        { MIB, 64 << 10, 128 << 10 },
        { MIB, (64 << 10) + 64, 256 << 10 },
        { MIB, 512 << 10, MIB },
        { MIB, 40 * MIB, MIB },
        { MIB + 4096, 40 * MIB, MIB }, /* a power of two */
        { 1, 64, 128 << 10 },
        { MIB, 0, MIB }, /* appended to */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        spool_done(&spool);
        spool_init(&spool, rows[i].most, &memory);
        ring_view_close(view);
        view = NULL;
        place = (struct ring_place){ 0 };
        begin(0, (uint32_t)rows[i].image);
        assert_int_equal(spool.capacity_bytes, rows[i].capacity);
        assert_int_equal(allowance_used(&memory), rows[i].capacity);
        assert_int_equal(ring_view_capacity(view), rows[i].capacity);
    }
}

static void without_memory_there_is_none(void **state)
{
    const struct feed_stamp stamp = at(0);
    const struct feed_begin shape = { .reason = FEED_BEGIN_START, .image_bytes = 64 };
    struct failure f;

    (void)state;
    assert_int_equal(allowance_take(&memory, 8 * MIB - (128 << 10) + 1, NULL), 0);
    assert_int_equal(spool_begin(&spool, &stamp, &shape, 0, &f), -ERROR_RESOURCE_EXHAUSTED);
    assert_true(f.next_step[0] != '\0');
    assert_null(spool.ring);
    allowance_give(&memory, 1);
    assert_int_equal(spool_begin(&spool, &stamp, &shape, 0, &f), 0);
    assert_int_equal(allowance_used(&memory), 8 * MIB);
    assert_int_equal(allowance_take(&memory, 1, NULL), -ERROR_RESOURCE_EXHAUSTED);
    allowance_give(&memory, 8 * MIB - (128 << 10));
}

static void one_that_was_made_before_it_was_needed_is_used(void **state)
{
    (void)state;
    spool_prepare(&spool);
    assert_int_equal(allowance_used(&memory), MIB);
    assert_null(spool.ring); /* nothing was written yet */
    const struct ring *ready = spool.ready;

    begin(0, 0);
    assert_ptr_equal(spool.ring, ready);
    assert_int_equal(allowance_used(&memory), MIB);
    spool_done(&spool);
    ring_view_close(view);
    view = NULL;
    place = (struct ring_place){ 0 };
    spool_init(&spool, MIB, &memory);
    spool_prepare(&spool);
    spool_done(&spool); /* or is not needed at all */
    assert_int_equal(allowance_used(&memory), 0);
    assert_int_equal(allowance_take(&memory, 8 * MIB, NULL), 0);
    spool_init(&spool, MIB, &memory);
    spool_prepare(&spool); /* there is no room: who begins hears of it */
    assert_null(spool.ready);
    allowance_give(&memory, 8 * MIB);
    begin(0, 0);
}

static void batches_have_numbers_and_their_time(void **state)
{
    (void)state;
    begin(0, 4096);
    assert_int_equal(record.begin->batch, 0);
    assert_int_equal(record.begin->stamp.since_monotonic_ns, 0);
    change(10, 3);
    change(20, 0); /* nothing: no batch */
    change(30, 2);
    assert_true(next());
    assert_int_equal(record.changes->batch, 1);
    assert_int_equal(record.changes->blocks_before, 0);
    assert_int_equal(record.changes->block_count, 3);
    assert_int_equal(record.changes->samples, 1);
    assert_int_equal(record.changes->stamp.since_monotonic_ns, 1000 * CLOCK_NS_PER_MS);
    assert_int_equal(record.blocks[2], 4);
    assert_int_equal(record.contents[2 * FEED_BLOCK_BYTES + 63], 2);
    assert_true(next());
    assert_int_equal(record.changes->batch, 2);
    assert_int_equal(record.changes->blocks_before, 3);
    assert_int_equal(record.changes->samples, 2);
    assert_int_equal(record.changes->stamp.since_monotonic_ns, 1020 * CLOCK_NS_PER_MS);
    assert_false(next());
}

static void large_batches_are_in_parts_and_half_the_ring_is_the_most(void **state)
{
    (void)state;
    begin(0, 4096);
    uint32_t most = spool_batch_most(&spool);

    assert_true(most < changes.room);
    for (uint32_t count = most - 1; count <= most; count++) {
        uint64_t before = spool.blocks;
        uint32_t blocks = 0, parts = 0;

        change(10, count);
        do {
            assert_true(next());
            assert_int_equal(record.changes->batch, spool.batch);
            assert_int_equal(record.changes->blocks_before, before + blocks);
            assert_int_equal(record.blocks[0], 2 * blocks);
            assert_int_equal(record.contents[0], blocks & 0xff);
            assert_int_equal(record.changes->samples, parts == 0);
            blocks += record.changes->block_count;
            parts++;
        } while (record.changes->more);
        assert_int_equal(blocks, count);
        assert_int_equal(parts, 2);
        assert_false(next());
    }
    struct ring_place oldest;

    change(20, most); /* two such batches stay in the ring */
    assert_int_equal(ring_view_find(view, RING_OLDEST, &oldest, NULL), 0);
    assert_true(oldest.sequence <= 3);
}

static void silence_is_told_of_every_five_seconds(void **state)
{
    (void)state;
    begin(0, 4096);
    for (unsigned ms = 1000; ms < 5000; ms += 1000) {
        change(ms, 0);
    }
    assert_false(next());
    change(5000, 0);
    assert_true(next());
    assert_int_equal(record.kind, FEED_RECORD_STILL);
    assert_int_equal(record.still->samples, 5);
    assert_int_equal(record.still->failures, 0);
    assert_int_equal(record.still->stamp.monotonic_ns, 6000 * CLOCK_NS_PER_MS);
    assert_int_equal(record.still->stamp.since_monotonic_ns, 5000 * CLOCK_NS_PER_MS);
    change(9999, 0);
    assert_false(next());
    /* So is that nobody could look. */
    assert_int_equal(spool_failed(&spool, 10500 * CLOCK_NS_PER_MS, NULL), 0);
    assert_false(next());
    assert_int_equal(spool_failed(&spool, 11000 * CLOCK_NS_PER_MS, NULL), 0);
    assert_true(next());
    assert_int_equal(record.still->samples, 1);
    assert_int_equal(record.still->failures, 2);
    assert_int_equal(record.still->stamp.monotonic_ns, (1000 + 9999) * CLOCK_NS_PER_MS);
    change(16000, 0);
    assert_true(next());
    assert_int_equal(record.still->failures, 0);
}

static void a_batch_without_room_is_counted_in_the_next_segment(void **state)
{
    const struct feed_stamp stamp = at(20);
    const struct feed_begin shape = { .reason = FEED_BEGIN_TOO_MANY, .image_bytes = 4096 };

    (void)state;
    begin(0, 4096);
    change(10, 3);
    assert_int_equal(spool_begin(&spool, &stamp, &shape, 60, NULL), 0);
    change(30, 1);
    assert_true(next());
    assert_true(next());
    assert_int_equal(record.begin->segment, 1);
    assert_int_equal(record.begin->batch, 2);
    assert_int_equal(record.begin->blocks_before, 63);
    assert_true(next());
    assert_int_equal(record.changes->segment, 1);
    assert_int_equal(record.changes->batch, 3);
    assert_int_equal(record.changes->blocks_before, 63);
}

static void the_end_says_all_there_was(void **state)
{
    struct feed_end shape = {
        .wall_ns = 7, .monotonic_ns = 8, .reason = FEED_END_SHUTDOWN, .detail = 3
    };

    (void)state;
    assert_int_equal(spool_end(&spool, &shape, NULL), 0); /* no ring */
    begin(0, 4096);
    change(10, 3);
    failure_set(&shape.failure, ERROR_INTERNAL, "broken");
    assert_int_equal(spool_end(&spool, &shape, NULL), 0);
    assert_true(next());
    assert_true(next());
    assert_int_equal(record.end->reason, FEED_END_SHUTDOWN);
    assert_int_equal(record.end->detail, 3);
    assert_int_equal(record.end->batch, 1);
    assert_int_equal(record.end->blocks_before, 3);
    assert_int_equal(record.end->wall_ns, 7);
    assert_int_equal(record.end->monotonic_ns, 8);
    assert_string_equal(record.end->failure.message, "broken");
}

/* --- a source that appends ----------------------------------------------------------------------- */

/* Each sample brings, by chance, bytes, exact losses, losses of at least so many, behind which a segment
 * begins, or a reset, with which one begins. */
struct tape {
    struct source base;
    uint64_t written; /* bytes so far, those lost included: each is what its number makes it */
    bool has_begun;
    uint32_t epoch, open_losses, samples; /* samples: behind the first */
};

static uint8_t byte_of(uint64_t number)
{
    return (uint8_t)(number * 37 + (number >> 8) * 11);
}

static int put_bytes(struct tape *s, struct source_sample *now, const struct feed_stamp *stamp,
                     size_t len, struct failure *f)
{
    static uint8_t block[MIB];

    for (size_t i = 0; i < len; i++) {
        block[i] = byte_of(s->written + i);
    }
    s->written += len;
    const struct spool_run run = { block, len, (int64_t)(s->written % 3 == 0 ? len / 2 : 0) - 1,
                                   s->written };

    return spool_bytes(now->spool, stamp, &run, f);
}

static int sample_tape(struct source *source, struct source_tools *t, struct source_sample *now,
                       struct failure *f)
{
    struct tape *s = (struct tape *)source;
    const struct feed_stamp stamp = source_stamp(now);
    struct feed_begin shape = { .reason = FEED_BEGIN_START };
    int result = 0;

    (void)t;
    if (!s->has_begun) {
        s->has_begun = true;
        return spool_begin(now->spool, &stamp, &shape, 0, f);
    }
    size_t len = 1 + (size_t)random() % (MIB / 2);

    s->samples++;
    switch (random() % 6) {
    case 0:
        s->written += len;
        result = spool_loss(now->spool, &stamp, FEED_LOSS_LAPPED, len, false, f);
        break;
    case 1:
        s->written += len;
        result = spool_loss(now->spool, &stamp, FEED_LOSS_PAUSED, len, true, f);
        s->open_losses++;
        shape.reason = FEED_BEGIN_LOSS;
        if (result == 0) {
            result = spool_begin(now->spool, &stamp, &shape, 0, f);
        }
        break;
    case 2: return spool_still(now->spool, &stamp, f);
    case 3:
        shape.reason = FEED_BEGIN_RESET;
        s->epoch++;
        result = spool_begin(now->spool, &stamp, &shape, 0, f);
        break;
    default: break;
    }
    return result < 0 ? result : put_bytes(s, now, &stamp, len, f);
}

static void unmap_tape(struct source *source, struct source_tools *t)
{
    (void)source, (void)t;
}

static void free_tape(struct source *source)
{
    (void)source;
}

static const struct source_ops tape_ops = { .sample = sample_tape,
                                            .unmap = unmap_tape,
                                            .free = free_tape };

struct books {
    uint64_t total, offset;
    uint32_t segment, epoch, begins, open_losses, samples;
};

static void account(struct books *b)
{
    switch (record.kind) {
    case FEED_RECORD_BEGIN:
        assert_int_equal(record.begin->segment, b->begins++);
        assert_int_equal(record.begin->blocks_before, b->total);
        assert_int_equal(record.begin->batch, b->open_losses);
        b->segment = record.begin->segment;
        b->epoch = record.begin->epoch;
        b->offset = 0;
        break;
    case FEED_RECORD_BYTES:
        assert_int_equal(record.bytes->segment, b->segment);
        assert_int_equal(record.bytes->epoch, b->epoch);
        assert_int_equal(record.bytes->offset, b->offset);
        assert_int_equal(record.bytes->bytes_before, b->total);
        assert_int_equal(record.bytes->open_losses, b->open_losses);
        for (uint32_t i = 0; i < record.bytes->len_bytes; i++) {
            assert_int_equal(record.contents[i], byte_of(b->total + i));
        }
        b->offset += record.bytes->len_bytes;
        b->total += record.bytes->len_bytes;
        b->samples += record.bytes->samples;
        break;
    case FEED_RECORD_LOSS:
        assert_int_equal(record.loss->offset, b->offset);
        assert_int_equal(record.loss->bytes_before, b->total);
        assert_int_equal(record.loss->epoch, b->epoch);
        assert_int_equal(record.loss->open_losses, b->open_losses);
        b->offset += record.loss->len_bytes;
        b->total += record.loss->len_bytes;
        b->open_losses += record.loss->at_least;
        b->samples += record.loss->samples;
        break;
    case FEED_RECORD_STILL:
        assert_int_equal(record.still->offset, b->offset);
        assert_int_equal(record.still->epoch, b->epoch);
        assert_int_equal(record.still->blocks_before, b->total);
        assert_int_equal(record.still->batch, b->open_losses);
        b->samples += record.still->samples;
        break;
    default: break;
    }
}

static void a_source_that_appends_fits(void **state)
{
    struct tape tape = { .base.ops = &tape_ops };
    struct sampling s;
    struct source_tools tools = { 0 };
    struct books books = { 0 };
    atomic_bool stop = false;
    uint64_t now_ns = CLOCK_NS_PER_S;

    (void)state;
    srandom(11);
    sampling_init(&s, &tape.base, MIB, &memory);
    for (int i = 0; i < 300; i++) {
        sampling_step(&s, &tools, now_ns, now_ns, &stop);
        assert_false(s.is_over);
        now_ns += CLOCK_NS_PER_S;
        while (next_of(s.spool.ring)) {
            account(&books);
        }
        assert_int_equal(books.total, tape.written); /* delivered and declared lost: all of it */
        assert_int_equal(books.open_losses, tape.open_losses);
        assert_int_equal(books.epoch, tape.epoch);
        assert_int_equal(books.samples + s.spool.samples, tape.samples + 1);
    }
    assert_true(books.open_losses > 10 && books.epoch > 10);
    sampling_end(&s, &tools, 1, 2, FEED_END_STOPPED);
    assert_true(next_of(s.spool.ring));
    assert_int_equal(record.end->blocks_before, books.total);
    sampling_done(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_spool_is_twice_its_image_within_bounds, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_memory_there_is_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_was_made_before_it_was_needed_is_used, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(batches_have_numbers_and_their_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_batches_are_in_parts_and_half_the_ring_is_the_most,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(silence_is_told_of_every_five_seconds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_batch_without_room_is_counted_in_the_next_segment, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_end_says_all_there_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_source_that_appends_fits, set_up, tear_down),
    };

    return UNIT_RUN(tests);
}
