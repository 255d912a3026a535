/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Images and changed blocks, decoded: what appears, changes and goes away, each once, in messages that
 * have room. */
#include "server/rpc/watch_decode.h"

#include <stdlib.h>
#include <string.h>

#include "common/layout.h"
#include "tests/lib/unit.h"

enum { V1 = LAYOUT_GRANT_V1_BYTES, V2 = LAYOUT_GRANT_V2_BYTES, FRAME = LAYOUT_FRAME_BYTES };

#define KIND(name)  XENRES__V1__GRANT_CHANGE_KIND__GRANT_CHANGE_KIND_##name
#define STATE(name) XENRES__V1__IOREQ_STATE__IOREQ_STATE_##name

/* A decoder, the source that it is told of, and what it said last. */
struct rig {
    struct watch_decoder *decoder;
    uint8_t *source, *sent; /* as it is, and as it was last given to the decoder */
    size_t len_bytes;
    struct message_image_answer answer;
    struct pool pool;
    Xenres__V1__WatchDecoded *said;
};

static struct rig begin(uint32_t type, uint32_t frames, uint32_t status_frames, uint32_t version)
{
    struct rig r = { .len_bytes = (size_t)(frames + status_frames) * FRAME };

    r.decoder = watch_decoder_new(type, 4);
    r.source = calloc(1, r.len_bytes);
    r.sent = calloc(1, r.len_bytes);
    assert_true(r.decoder != NULL && r.source != NULL && r.sent != NULL);
    r.answer.observation.frame_count = frames;
    r.answer.observation.grant_version = version;
    r.answer.status_frame_count = status_frames;
    r.answer.frames_present = 3;
    pool_init(&r.pool, NULL, 0, 16 << 20);
    return r;
}

static void end(struct rig *r)
{
    pool_done(&r->pool);
    watch_decoder_free(r->decoder);
    free(r->source);
    free(r->sent);
}

/* The next message. */
static Xenres__V1__WatchDecoded *tell(struct rig *r)
{
    pool_done(&r->pool);
    pool_init(&r->pool, NULL, 0, 16 << 20);
    r->said = pool_alloc(&r->pool, sizeof(*r->said));
    xenres__v1__watch_decoded__init(r->said);
    watch_decoder_tell(r->decoder, &r->pool, r->said);
    assert_false(r->pool.failed);
    return r->said;
}

static Xenres__V1__WatchDecoded *image(struct rig *r)
{
    assert_int_equal(watch_decoder_image(r->decoder, &r->answer, r->source, r->len_bytes, NULL), 0);
    memcpy(r->sent, r->source, r->len_bytes);
    return tell(r);
}

/* Gives the decoder what has changed since it was given something last, `a_part` blocks at a time. */
static Xenres__V1__WatchDecoded *changes(struct rig *r, uint32_t a_part)
{
    uint32_t blocks[256], count = 0;
    uint8_t contents[256 * FEED_BLOCK_BYTES];

    for (uint32_t block = 0; block < r->len_bytes / FEED_BLOCK_BYTES; block++) {
        const uint8_t *at = r->source + (size_t)block * FEED_BLOCK_BYTES;

        if (memcmp(r->sent + (size_t)block * FEED_BLOCK_BYTES, at, FEED_BLOCK_BYTES) != 0) {
            memcpy(contents + (size_t)count * FEED_BLOCK_BYTES, at, FEED_BLOCK_BYTES);
            blocks[count++] = block;
        }
    }
    for (uint32_t i = 0; i < count; i += a_part) {
        uint32_t some = count - i < a_part ? count - i : a_part;

        assert_int_equal(watch_decoder_blocks(r->decoder, blocks + i,
                                              contents + (size_t)i * FEED_BLOCK_BYTES, some, NULL),
                         0);
    }
    memcpy(r->sent, r->source, r->len_bytes);
    return tell(r);
}

static void put_v1(struct rig *r, uint32_t reference, uint16_t flags, uint16_t domid,
                   uint64_t frame)
{
    const struct layout_grant g = { .flags = flags, .domid = domid, .frame = frame };

    layout_put_grant_v1(r->source + (size_t)reference * V1, &g);
}

static void put_v2(struct rig *r, uint32_t reference, uint16_t flags, uint16_t status,
                   uint64_t frame)
{
    const struct layout_grant g = { .flags = flags, .status = status, .domid = 7, .frame = frame };
    uint8_t *statuses = r->source + (size_t)r->answer.observation.frame_count * FRAME;

    layout_put_grant_v2(r->source + (size_t)reference * V2,
                        statuses + (size_t)reference * LAYOUT_GRANT_STATUS_BYTES, &g);
}

static void expect_grant(const struct rig *r, size_t index, int kind, uint32_t reference)
{
    assert_in_range(index, 0, r->said->n_grants - 1);
    const Xenres__V1__GrantChange *change = r->said->grants[index];

    assert_int_equal(change->kind, kind);
    assert_int_equal(change->entry->reference, reference);
    assert_int_equal(change->before != NULL, kind != KIND(APPEARED));
    if (change->before != NULL) {
        assert_int_equal(change->before->reference, reference);
    }
}

/* --- grants ----------------------------------------------------------------------------------------- */

static void an_image_tells_all_grants_that_are_in_use(void **state)
{
    struct rig r = begin(RESOURCE_GRANT_TABLE, 2, 0, 1);

    (void)state;
    put_v1(&r, 8, LAYOUT_GRANT_PERMIT_ACCESS, 0, 0x1234);
    put_v1(&r, 1023, LAYOUT_GRANT_ACCEPT_TRANSFER, 5, 0);
    (void)image(&r);
    assert_true(r.said->whole);
    assert_false(r.said->more);
    assert_int_equal(r.said->grant_version, 1);
    assert_int_equal(r.said->n_grants, 2);
    expect_grant(&r, 0, KIND(APPEARED), 8);
    expect_grant(&r, 1, KIND(APPEARED), 1023);
    assert_int_equal(r.said->grants[0]->entry->frame, 0x1234);
    end(&r);
}

static void grants_appear_change_and_go_away(void **state)
{
    struct rig r = begin(RESOURCE_GRANT_TABLE, 1, 0, 1);

    (void)state;
    put_v1(&r, 3, LAYOUT_GRANT_PERMIT_ACCESS, 0, 1);
    put_v1(&r, 4, LAYOUT_GRANT_PERMIT_ACCESS, 0, 2);
    put_v1(&r, 5, LAYOUT_GRANT_PERMIT_ACCESS, 0, 3);
    (void)image(&r);
    put_v1(&r, 2, LAYOUT_GRANT_PERMIT_ACCESS, 9, 4);
    put_v1(&r, 3, LAYOUT_GRANT_PERMIT_ACCESS | LAYOUT_GTF_READING, 0, 1);
    put_v1(&r, 5, LAYOUT_GRANT_UNUSED, 0, 3);
    (void)changes(&r, 1);
    assert_false(r.said->whole);
    assert_int_equal(r.said->n_grants, 3);
    expect_grant(&r, 0, KIND(APPEARED), 2);
    expect_grant(&r, 1, KIND(CHANGED), 3);
    expect_grant(&r, 2, KIND(WENT_AWAY), 5);
    assert_true(r.said->grants[1]->entry->reading);
    assert_false(r.said->grants[1]->before->reading);
    assert_int_equal(r.said->grants[2]->before->frame, 3);
    end(&r);
}

/* Merged batches may say a block twice over that ends as it was; and what is not in use may be filled. */
static void what_is_as_it_was_is_not_told(void **state)
{
    struct rig r = begin(RESOURCE_GRANT_TABLE, 1, 0, 1);

    (void)state;
    put_v1(&r, 3, LAYOUT_GRANT_PERMIT_ACCESS, 0, 1);
    (void)image(&r);
    memset(r.sent, 0xff, FEED_BLOCK_BYTES); /* so that the block is given again */
    (void)changes(&r, 1);
    assert_int_equal(r.said->n_grants, 0);
    put_v1(&r, 100, LAYOUT_GRANT_UNUSED, 3, 77);
    (void)changes(&r, 1);
    assert_int_equal(r.said->n_grants, 0);
    end(&r);
}

/* Of version 2, use is in the status frames: such a grant changes although its entry does not; and where
 * both do, it is told once, however the batch was cut. */
static void a_grants_status_is_a_part_of_it(void **state)
{
    for (uint32_t a_part = 1; a_part <= 2; a_part++) {
        struct rig r = begin(RESOURCE_GRANT_TABLE, 1, 1, 2);

        (void)state;
        put_v2(&r, 10, LAYOUT_GRANT_PERMIT_ACCESS, 0, 1);
        put_v2(&r, 11, LAYOUT_GRANT_PERMIT_ACCESS, 0, 2);
        put_v2(&r, 200, LAYOUT_GRANT_PERMIT_ACCESS, 0, 2);
        (void)image(&r);
        assert_int_equal(r.said->n_grants, 3);
        put_v2(&r, 10, LAYOUT_GRANT_PERMIT_ACCESS, LAYOUT_GTF_READING, 1);
        (void)changes(&r, a_part);
        assert_int_equal(r.said->n_grants, 1);
        expect_grant(&r, 0, KIND(CHANGED), 10);
        assert_true(r.said->grants[0]->entry->reading);
        put_v2(&r, 11, LAYOUT_GRANT_PERMIT_ACCESS, LAYOUT_GTF_WRITING, 5);
        put_v2(&r, 200, LAYOUT_GRANT_PERMIT_ACCESS, LAYOUT_GTF_WRITING, 2);
        (void)changes(&r, a_part);
        assert_int_equal(r.said->n_grants, 2);
        expect_grant(&r, 0, KIND(CHANGED), 11);
        expect_grant(&r, 1, KIND(CHANGED), 200);
        assert_int_equal(r.said->grants[0]->entry->frame, 5);
        assert_true(r.said->grants[0]->entry->writing);
        end(&r);
    }
}

/* Frames from the middle of a table, whose status frames begin before them. */
static void references_are_those_of_the_whole_table(void **state)
{
    struct rig r = begin(RESOURCE_GRANT_TABLE, 1, 1, 2);
    uint8_t *status = r.source + FRAME;

    (void)state;
    r.answer.observation.first_frame = 3; /* from reference 768 on */
    put_v2(&r, 1, LAYOUT_GRANT_PERMIT_ACCESS, 0, 1);
    memset(status, 0, FRAME);
    (void)image(&r);
    expect_grant(&r, 0, KIND(APPEARED), 769);
    status[(size_t)769 * LAYOUT_GRANT_STATUS_BYTES] = LAYOUT_GTF_READING;
    status[(size_t)5 * LAYOUT_GRANT_STATUS_BYTES] = LAYOUT_GTF_READING; /* not of these frames */
    (void)changes(&r, 8);
    assert_int_equal(r.said->n_grants, 1);
    expect_grant(&r, 0, KIND(CHANGED), 769);
    end(&r);
}

/* As many as one message has, and one more; each once. */
static void more_than_one_message_has_goes_into_the_next(void **state)
{
    for (uint32_t count = WATCH_ENTRIES_MAX - 40; count <= WATCH_ENTRIES_MAX + 40; count += 80) {
        struct rig r = begin(RESOURCE_GRANT_TABLE, 4, 0, 1);
        size_t told = 0;

        (void)state;
        for (uint32_t i = 0; i < count; i++) {
            put_v1(&r, i, LAYOUT_GRANT_PERMIT_ACCESS, 0, i);
        }
        (void)image(&r);
        for (;;) {
            assert_true(r.said->whole);
            assert_in_range(r.said->n_grants, 1, WATCH_ENTRIES_MAX);
            for (size_t i = 0; i < r.said->n_grants; i++) {
                assert_int_equal(r.said->grants[i]->entry->reference, told++);
            }
            if (!r.said->more) {
                break;
            }
            (void)tell(&r);
        }
        assert_int_equal(told, count);
        end(&r);
    }
}

/* A new segment has another size; what was told before is forgotten. */
static void another_image_begins_anew(void **state)
{
    struct rig r = begin(RESOURCE_GRANT_TABLE, 1, 0, 1);
    struct rig larger = begin(RESOURCE_GRANT_TABLE, 3, 0, 1);

    (void)state;
    put_v1(&r, 3, LAYOUT_GRANT_PERMIT_ACCESS, 0, 1);
    (void)image(&r);
    put_v1(&larger, 3, LAYOUT_GRANT_PERMIT_ACCESS, 0, 1);
    put_v1(&larger, 1500, LAYOUT_GRANT_PERMIT_ACCESS, 0, 1);
    assert_int_equal(
        watch_decoder_image(r.decoder, &larger.answer, larger.source, larger.len_bytes, NULL), 0);
    (void)tell(&r);
    assert_true(r.said->whole);
    assert_int_equal(r.said->n_grants, 2);
    expect_grant(&r, 1, KIND(APPEARED), 1500);
    end(&r);
    end(&larger);
}

/* --- ioreqs, run times ------------------------------------------------------------------------------ */

static void put_ioreq(struct rig *r, uint32_t vcpu, enum layout_ioreq_state state)
{
    const struct layout_ioreq q = { .address = 0x3f8,
                                    .count = 1,
                                    .size_bytes = 1,
                                    .state = (uint8_t)state,
                                    .type = LAYOUT_IOREQ_PIO };

    layout_put_ioreq(r->source + FRAME + (size_t)vcpu * LAYOUT_IOREQ_BYTES, &q);
}

static void a_request_goes_from_state_to_state(void **state)
{
    struct rig r = begin(RESOURCE_IOREQ_SERVER, 2, 0, 0);

    (void)state;
    put_ioreq(&r, 1, LAYOUT_IOREQ_READY);
    (void)image(&r);
    assert_int_equal(r.said->n_ioreqs, 4); /* as many as vCPUs */
    assert_int_equal(r.said->ioreqs[1]->ioreq->state, STATE(READY));
    assert_int_equal(r.said->ioreqs[1]->before_state, STATE(UNSPECIFIED));
    assert_non_null(r.said->buffered);
    put_ioreq(&r, 1, LAYOUT_IOREQ_INPROCESS);
    put_ioreq(&r, 9, LAYOUT_IOREQ_READY); /* of no vCPU */
    (void)changes(&r, 1);
    assert_int_equal(r.said->n_ioreqs, 1);
    assert_int_equal(r.said->ioreqs[0]->ioreq->vcpu, 1);
    assert_int_equal(r.said->ioreqs[0]->ioreq->state, STATE(IN_PROCESS));
    assert_int_equal(r.said->ioreqs[0]->before_state, STATE(READY));
    assert_null(r.said->buffered);
    end(&r);
}

static void the_queue_is_told_where_it_changed(void **state)
{
    struct rig r = begin(RESOURCE_IOREQ_SERVER, 2, 0, 0);
    const struct layout_buffered_ioreq q = { .address = 0xa0000, .data = 7, .size_bytes = 4 };

    (void)state;
    (void)image(&r);
    (void)layout_put_buffered_ioreq(r.source, 0, &q);
    layout_put_buffered_pointers(r.source, 0, 1);
    (void)changes(&r, 1);
    assert_int_equal(r.said->n_ioreqs, 0);
    assert_non_null(r.said->buffered);
    assert_int_equal(r.said->buffered->n_requests, 1);
    assert_int_equal(r.said->buffered->requests[0]->data, 7);
    end(&r);
}

static void a_page_that_is_not_there_is_not_told(void **state)
{
    struct rig r = begin(RESOURCE_IOREQ_SERVER, 2, 0, 0);

    (void)state;
    r.answer.frames_present = 1U << IOREQ_FRAME_SYNCHRONOUS;
    (void)image(&r);
    assert_null(r.said->buffered);
    assert_int_equal(r.said->n_ioreqs, 4);
    end(&r);
}

static void run_times_are_told_of_those_that_ran(void **state)
{
    struct message_vcpu vcpus[8] = { { .vcpu = 0, .flags = VCPU_ONLINE, .run_time_ns = 5 },
                                     { .vcpu = 1, .run_time_ns = 6 },
                                     { .vcpu = 2, .flags = VCPU_UNREADABLE },
                                     { .vcpu = 3 },
                                     { .vcpu = 4, .flags = VCPU_ONLINE } }; /* rounded up */
    struct watch_decoder *d = watch_decoder_new(RESOURCE_VCPU_STATS, 5);
    struct rig r = { .decoder = d };
    const uint32_t first = 0;

    (void)state;
    assert_int_equal(watch_decoder_image(d, &r.answer, vcpus, sizeof(vcpus), NULL), 0);
    (void)tell(&r);
    assert_true(r.said->whole);
    assert_int_equal(r.said->n_vcpus, 5);
    assert_true(r.said->vcpus[2]->unreadable);
    vcpus[1].run_time_ns = 60;
    assert_int_equal(watch_decoder_blocks(d, &first, (const void *)vcpus, 1, NULL), 0);
    (void)tell(&r);
    assert_int_equal(r.said->n_vcpus, 1);
    assert_int_equal(r.said->vcpus[0]->vcpu, 1);
    assert_int_equal(r.said->vcpus[0]->run_time_ns, 60);
    end(&r);
}

/* --- a mapper that lies ----------------------------------------------------------------------------- */

static void what_is_no_image_is_refused(void **state)
{
    struct rig r = begin(RESOURCE_GRANT_TABLE, 2, 0, 1);
    struct failure f = { 0 };

    (void)state;
    assert_int_equal(watch_decoder_image(r.decoder, &r.answer, r.source, FRAME, &f),
                     -ERROR_DATA_LOSS);
    assert_int_equal(watch_decoder_image(r.decoder, &r.answer, r.source, 0, &f), -ERROR_DATA_LOSS);
    r.answer.observation.frame_count = UINT32_MAX;
    r.answer.status_frame_count = 3; /* 2 to who counts in 32 bits */
    assert_int_equal(watch_decoder_image(r.decoder, &r.answer, r.source, r.len_bytes, &f),
                     -ERROR_DATA_LOSS);
    assert_true(f.next_step[0] != '\0');
    end(&r);
}

static void a_block_beyond_the_image_is_refused_and_nothing_of_it_is_taken(void **state)
{
    struct rig r = begin(RESOURCE_GRANT_TABLE, 1, 0, 1);
    const uint32_t blocks[] = { 0, FEED_BLOCKS_A_FRAME };
    uint8_t contents[2 * FEED_BLOCK_BYTES];

    (void)state;
    memset(contents, 0xff, sizeof(contents));
    assert_int_equal(watch_decoder_blocks(r.decoder, blocks, contents, 1, NULL),
                     -ERROR_DATA_LOSS); /* before an image */
    (void)image(&r);
    assert_int_equal(watch_decoder_blocks(r.decoder, blocks, contents, 2, NULL), -ERROR_DATA_LOSS);
    (void)tell(&r);
    assert_int_equal(r.said->n_grants, 0);
    end(&r);
}

/* Any bytes, of any version: never outside of what is there. */
static void any_content_decodes(void **state)
{
    (void)state;
    srand(1);
    for (uint32_t version = 0; version < 4; version++) {
        struct rig r = begin(RESOURCE_GRANT_TABLE, 1, 1, version);

        r.answer.observation.first_frame = UINT32_MAX - version;
        r.answer.first_status_frame = UINT32_MAX / 2;
        for (int round = 0; round < 20; round++) {
            for (size_t i = 0; i < r.len_bytes; i++) {
                r.source[i] = (uint8_t)rand();
            }
            (void)image(&r);
            while (r.said->more) {
                (void)tell(&r);
            }
            memset(r.source + (size_t)round * FEED_BLOCK_BYTES, round, 5 * FEED_BLOCK_BYTES);
            (void)changes(&r, 2);
            while (r.said->more) {
                (void)tell(&r);
            }
        }
        end(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_tells_all_grants_that_are_in_use),
        cmocka_unit_test(grants_appear_change_and_go_away),
        cmocka_unit_test(what_is_as_it_was_is_not_told),
        cmocka_unit_test(a_grants_status_is_a_part_of_it),
        cmocka_unit_test(references_are_those_of_the_whole_table),
        cmocka_unit_test(more_than_one_message_has_goes_into_the_next),
        cmocka_unit_test(another_image_begins_anew),
        cmocka_unit_test(a_request_goes_from_state_to_state),
        cmocka_unit_test(the_queue_is_told_where_it_changed),
        cmocka_unit_test(a_page_that_is_not_there_is_not_told),
        cmocka_unit_test(run_times_are_told_of_those_that_ran),
        cmocka_unit_test(what_is_no_image_is_refused),
        cmocka_unit_test(a_block_beyond_the_image_is_refused_and_nothing_of_it_is_taken),
        cmocka_unit_test(any_content_decodes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
