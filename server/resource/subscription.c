/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/resource/subscription.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/scope.h"

/* --- its life ----------------------------------------------------------------------------------------- */

static int check_cursor(const struct feed_source *source, const struct feed_cursor *c,
                        struct failure *f)
{
    static const uint8_t none[sizeof(c->incarnation)];
    const uint8_t *incarnation = source->is_domains ? none : source->domain.incarnation;

    if (memcmp(c->incarnation, incarnation, sizeof(c->incarnation)) == 0 &&
        (source->is_domains ||
         (c->type == source->type && c->id == source->id && c->first_frame == source->first_frame &&
          c->frame_count == source->frame_count && c->flags == source->flags &&
          memcmp(c->trace_id, source->trace_id, sizeof(c->trace_id)) == 0))) {
        return 0;
    }
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "the cursor is of something else");

    failure_cause(f, result, "it is of another domain, of another life of it, or of other frames");
    failure_field(f, result, "cursor");
    return failure_next(f, result, "watch without a cursor");
}

int subscription_begin(struct feeds *s, const struct subscription_request *request,
                       struct subscription **out, struct failure *f)
{
    const struct feed_cursor *cursor = request->cursor;
    int result = subscription_check_append(request, f);

    if (result == 0 && cursor != NULL) {
        result = check_cursor(&request->source, cursor, f);
    }
    if (result != 0) {
        return result;
    }
    struct subscription *u = calloc(1, sizeof(*u));

    if (u != NULL && cursor != NULL) {
        u->cursor = malloc(sizeof(*cursor));
    }
    if (u == NULL || (cursor != NULL && u->cursor == NULL)) {
        free(u);
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for a stream");
    }
    if (cursor != NULL) {
        *u->cursor = *cursor;
    }
    u->feeds = s;
    u->mode = request->mode;
    u->is_image_needed = request->is_image_needed;
    u->deadline_ns = request->deadline_ns;
    u->member.period_ns = request->period_ns;
    u->member.wake = request->wake;
    u->member.arg = request->arg;
    result = feeds_join(s, request, &u->member, &u->feed, f);
    if (result != 0) {
        free(u->cursor);
        free(u);
        return result;
    }
    *out = u;
    return 0;
}

/* What the last item held. */
static void drop_held(struct subscription *u)
{
    feed_piece_unref(scope_take_pointer(u->piece));
    scope_free(&u->merged);
    u->merged = NULL;
    if (u->step != STEP_IN_HAND) {
        feed_image_unref(scope_take_pointer(u->image));
    }
}

void subscription_end(struct subscription *u)
{
    if (u == NULL) {
        return;
    }
    feeds_leave(u->feeds, u->feed, &u->member);
    u->step = STEP_OVER;
    drop_held(u);
    free(u->last);
    free(u->cursor);
    free(u);
}

int subscription_wait(struct subscription_item *out, uint64_t wake_ns)
{
    out->kind = SUBSCRIPTION_NOTHING;
    out->wake_ns = wake_ns;
    return 0;
}

/* --- its beginning ------------------------------------------------------------------------------------ */

int subscription_begun(struct subscription *u, bool resumed, const struct feed_position *at,
                       struct subscription_item *out)
{
    u->is_begun = true;
    out->kind = SUBSCRIPTION_BEGUN;
    memcpy(out->begun.feed_id, u->feed->id, sizeof(out->begun.feed_id));
    out->begun.period_ns = u->period_ns;
    out->begun.resumed = resumed;
    out->begun.batch = at->batch;
    out->begun.segment = at->segment;
    out->begun.at = subscription_offset(at);
    return 0;
}

int subscription_anew(const struct subscription *u, struct failure *f, int result)
{
    failure_field(f, result, "cursor");
    return failure_next(f, result, "watch without a cursor: it begins with %s",
                        u->feed->kind == FEED_APPEND ? "what is held" : "an image");
}

static int out_of_range(const struct subscription *u, struct failure *f, const char *cause)
{
    int result = failure_set(f, ERROR_OUT_OF_RANGE, "this cursor cannot be gone on from");

    failure_cause(f, result, "%s", cause);
    return subscription_anew(u, f, result);
}

/* How much is missing between a cursor and the oldest record. */
static int out_of_spool(struct subscription *u, const struct feed_cursor *c, struct failure *f)
{
    struct feed_position oldest;
    int result = subscription_find_oldest(u, &oldest, f);

    if (result != 0) {
        return result;
    }
    if (u->feed->kind == FEED_APPEND) {
        return subscription_out_of_bytes(u, &oldest, f);
    }
    result = failure_set(f, ERROR_OUT_OF_RANGE, "%s %llu to %llu are no longer held",
                         u->feed->kind == FEED_DOMAINS ? "events" : "batches",
                         (unsigned long long)c->batch + 1, (unsigned long long)oldest.batch);
    failure_cause(
        f, result,
        "%llu blocks in %llu records were overwritten since; the oldest that is held is number "
        "%llu, at %llu",
        (unsigned long long)(oldest.blocks - c->blocks_before),
        (unsigned long long)(oldest.place.sequence - c->place.sequence),
        (unsigned long long)oldest.batch + 1, (unsigned long long)oldest.place.position);
    return subscription_anew(u, f, result);
}

static int resume(struct subscription *u, struct subscription_item *out, struct failure *f)
{
    SCOPE_FREE struct feed_cursor *c = scope_take_pointer(u->cursor);

    if (memcmp(c->feed_id, u->feed->id, sizeof(c->feed_id)) != 0) {
        return out_of_range(u, f,
                            "its feed is over, and this is another: the mapper started again, or "
                            "nobody watched for a while; how much was missed nobody knows");
    }
    int found = ring_view_check(u->feed->view, &c->place, f);

    u->position = (struct feed_position){ .place = c->place,
                                          .batch = c->batch,
                                          .blocks = c->blocks_before,
                                          .offset = c->offset,
                                          .segment = c->segment,
                                          .epoch = c->epoch,
                                          .image_bytes = c->image_bytes };
    if (found == RING_OVERTAKEN) {
        return out_of_spool(u, c, f);
    }
    if (found == RING_FUTURE || found == RING_NO_BOUNDARY) {
        return out_of_range(u, f, "no record of the feed begins there");
    }
    if (found < 0) {
        return found;
    }
    u->from = c->place;
    u->gap_reason = u->is_image_needed ? FEED_GAP_RESUMED : 0;
    u->step = u->is_image_needed ? STEP_IMAGE : STEP_READING;
    return subscription_begun(u, true, &u->position, out);
}

static int just_ended(struct failure *f)
{
    int result = failure_set(f, ERROR_UNAVAILABLE, "the feed has just ended");

    failure_retry(f, result, FAILURE_RETRY_SOON_MS);
    return failure_next(f, result, "try again in a moment");
}

static int begin_domains(struct subscription *u, struct subscription_item *out, struct failure *f)
{
    struct feed_last last;
    int result = subscription_find_last(u, &last, f);

    if (result == 0 && last.has_end) {
        result = just_ended(f);
    }
    if (result != 0) {
        return result;
    }
    u->position = last.position;
    u->step = STEP_READING;
    return subscription_begun(u, false, &u->position, out);
}

static int is_late(const struct subscription *u, struct failure *f)
{
    if (u->deadline_ns == 0 || clock_monotonic_ns() < u->deadline_ns) {
        return 0;
    }
    int result = failure_set(f, ERROR_DEADLINE_EXCEEDED, "the stream did not begin in time");

    failure_cause(f, result, "the mapper or the hypervisor is slow, or the time allowed short");
    return failure_next(f, result, "try again, or allow more time");
}

static uint64_t first_deadline(const struct subscription *u)
{
    return u->is_begun || u->deadline_ns == 0 ? UINT64_MAX : u->deadline_ns;
}

static int start(struct subscription *u, struct subscription_item *out, struct failure *f)
{
    struct feed *y = u->feed;

    if (feed_arm(y, &u->member, NULL)) {
        int late = is_late(u, f);

        return late != 0 ? late : subscription_wait(out, first_deadline(u));
    }
    int refused = feed_refusal(y, f);

    if (refused != 0) {
        return refused;
    }
    u->period_ns = u->member.period_ns > y->least_period_ns || y->kind == FEED_DOMAINS
                       ? u->member.period_ns
                       : y->least_period_ns;
    if (u->cursor != NULL) {
        return resume(u, out, f);
    }
    switch (y->kind) {
    case FEED_DOMAINS: return begin_domains(u, out, f);
    case FEED_APPEND: return subscription_begin_append(u, out, f);
    case FEED_FRAMES: break;
    }
    return subscription_get_image(u, 0, NULL, out, f);
}

/* --- images ------------------------------------------------------------------------------------------- */

void subscription_gap(struct subscription *u, unsigned reason, uint64_t batch, uint64_t blocks,
                      struct subscription_item *out)
{
    struct feeds_sums *sums = feeds_sums(u->feeds);

    out->kind = SUBSCRIPTION_GAP;
    out->gap.reason = reason;
    out->gap.first_batch = u->position.batch + 1;
    out->gap.batch = batch;
    out->gap.blocks = blocks - u->position.blocks;
    feeds_add(&sums->gaps[reason], 1);
    feeds_add(&sums->lost_batches, batch - u->position.batch);
    feeds_add(&sums->lost_blocks, out->gap.blocks);
}

/* The image in hand. */
static int give_image(struct subscription *u, uint64_t first_batch, struct subscription_item *out)
{
    const struct message_image_answer *a = &u->image->answer;
    struct feeds_sums *sums = feeds_sums(u->feeds);

    out->kind = SUBSCRIPTION_IMAGE;
    out->image.slot = u->image->slot;
    out->image.answer = *a;
    out->image.first_batch = first_batch;
    out->image.wall_ns = a->observation.wall_ns;
    u->position = feed_position_of_image(a);
    u->step = STEP_READING;
    u->gap_reason = 0;
    u->due_ns = clock_monotonic_ns() + u->period_ns;
    feeds_add(&sums->images, 1);
    if (first_batch != 0) {
        feeds_add(&sums->delivered_batches, a->batch - first_batch + 1);
    }
    return 0;
}

/* An image is there: what is to be said before it? */
static int take_image(struct subscription *u, struct subscription_item *out, struct failure *f)
{
    const struct message_image_answer *a = &u->image->answer;

    if (!u->is_begun) {
        struct feed_position at = feed_position_of_image(a);

        u->step = STEP_IN_HAND;
        u->position = at;
        return subscription_begun(u, false, &at, out);
    }
    int result = feed_position_check_image(&u->position, a, f);

    if (result != 0) {
        return result;
    }
    bool is_missing = a->batch > u->position.batch;

    if (is_missing && u->gap_reason != 0 && u->mode == SUBSCRIPTION_DELTA) {
        subscription_gap(u, u->gap_reason, a->batch, a->blocks_before, out);
        u->step = STEP_IN_HAND;
        return 0;
    }
    if (!is_missing && u->gap_reason == FEED_GAP_TOO_SLOW && a->segment == u->position.segment) {
        u->position = feed_position_of_image(a); /* nothing but samples without changes */
        u->gap_reason = 0;
        u->step = STEP_READING;
        feed_image_unref(scope_take_pointer(u->image));
        return subscription_read(u, out, f);
    }
    return give_image(u, is_missing ? u->position.batch + 1 : 0, out);
}

static int mapper_is_gone(struct failure *f)
{
    int result = failure_set(f, ERROR_UNAVAILABLE, "the mapper is gone");

    failure_retry(f, result, FAILURE_RETRY_SOON_MS);
    return failure_next(f, result, "try again when it is back");
}

/* It was over before it had begun here: why, as the mapper would have refused it a moment later. */
static int fail_by_end(const struct subscription *u, const struct feed_end *end, struct failure *f)
{
    uint32_t domid = u->feed->source.domain.domid;
    struct failure why = end->failure;
    int result;

    switch (end->reason) {
    case FEED_END_INCARNATION:
    case FEED_END_RENAMED:
        result = failure_set(f, ERROR_ABORTED, "domain %u changed before the stream began", domid);
        failure_cause(f, result, "%s",
                      end->reason == FEED_END_RENAMED
                          ? "it has another name, or other tags"
                          : "it is no more, or another life of it began");
        return failure_next(f, result, "see the list of domains, and watch the one meant");
    case FEED_END_RESOURCE:
    case FEED_END_FAILED:
        if (why.code == 0) {
            result =
                failure_set(f, ERROR_FAILED_PRECONDITION,
                            "the resource of domain %u was gone before the stream began", domid);
            return failure_next(f, result, "see the list of its resources");
        }
        failure_sanitize(&why);
        if (f != NULL) {
            *f = why;
        }
        return -why.code;
    default: return just_ended(f); /* the mapper stops, or thought that nobody wanted it */
    }
}

/* The feed is over, says its mapper, or that is gone. */
static int end_without_image(struct subscription *u, struct subscription_item *out,
                             struct failure *f)
{
    struct feed_last last;

    if (u->is_begun) {
        return subscription_finish(u, out, f);
    }
    int result = subscription_find_last(u, &last, f);

    if (result != 0) {
        return result;
    }
    return last.has_end ? fail_by_end(u, &last.end, f) : mapper_is_gone(f);
}

/* The mapper has no image. Where it knows no such feed, the end of that is there, or about to be. */
static int miss_image(struct subscription *u, int result, struct subscription_item *out,
                      struct failure *f)
{
    struct feed_last last;

    if (subscription_find_last(u, &last, NULL) == 0 && last.has_end) {
        return end_without_image(u, out, f);
    }
    bool may_end = result == -ERROR_NOT_FOUND && u->misses++ < SUBSCRIPTION_MISSES_MAX;
    bool may_pass =
        result == -ERROR_RESOURCE_EXHAUSTED && u->is_begun; /* no room in the arena now */

    return may_end || may_pass ? subscription_wait(out, clock_monotonic_ns() +
                                                            FAILURE_RETRY_SOON_MS * CLOCK_NS_PER_MS)
                               : result;
}

static int wait_image(struct subscription *u, struct subscription_item *out, struct failure *f)
{
    /* Who comes back without a cursor may have had all that there is: not an image of before that. */
    if (!u->is_begun && !u->has_from) {
        u->from = (struct ring_place){ .position = ring_view_committed(u->feed->view) };
        u->has_from = true;
    }
    int result = feed_get_image(u->feed, &u->member, &u->from, &u->image_round, &u->image, f);
    int late = result != FEED_IMAGE_HERE && !u->is_begun ? is_late(u, f) : 0;

    if (late != 0) {
        return late;
    }
    switch (result) {
    case FEED_IMAGE_HERE: return take_image(u, out, f);
    case FEED_IMAGE_WAIT: return subscription_wait(out, first_deadline(u));
    case FEED_IMAGE_RETRY:
        return subscription_wait(out, clock_monotonic_ns() + FEED_RETRY_MS * CLOCK_NS_PER_MS);
    case FEED_IMAGE_GONE: return end_without_image(u, out, f);
    default: return miss_image(u, result, out, f);
    }
}

int subscription_get_image(struct subscription *u, unsigned gap_reason,
                           const struct ring_place *from, struct subscription_item *out,
                           struct failure *f)
{
    u->step = STEP_IMAGE;
    u->gap_reason = gap_reason;
    if (from != NULL) {
        u->from = *from;
    }
    return wait_image(u, out, f);
}

/* --- its end ------------------------------------------------------------------------------------------ */

/* `end` NULL: the mapper is gone. */
static int give_end(struct subscription *u, const struct feed_end *end, uint64_t batch,
                    struct subscription_item *out)
{
    out->kind = SUBSCRIPTION_ENDED;
    out->ended.mapper_gone = end == NULL;
    out->ended.end = end != NULL ? *end : (struct feed_end){ 0 };
    out->ended.batch = batch;
    out->ended.bytes = u->feed->kind == FEED_APPEND ? u->position.blocks : 0;
    u->step = STEP_OVER;
    u->is_cut = end == NULL && !u->position.is_in_batch && u->position.batch == batch;
    if (end != NULL) {
        feeds_retire(u->feeds, u->feed);
    }
    return 0;
}

int subscription_end_with(struct subscription *u, const struct feed_end *end,
                          struct subscription_item *out)
{
    return give_end(u, end, u->position.batch, out);
}

int subscription_finish(struct subscription *u, struct subscription_item *out, struct failure *f)
{
    struct feed_last last;
    int result = subscription_find_last(u, &last, f);

    if (result != 0) {
        return result;
    }
    if (last.position.batch < u->position.batch || last.position.blocks < u->position.blocks) {
        return failure_set(f, ERROR_DATA_LOSS, "the feed ends before what was read of it");
    }
    const struct feed_end *end = last.has_end ? &last.end : NULL;

    if (last.position.batch == u->position.batch) {
        return give_end(u, end, last.position.batch, out);
    }
    u->last = malloc(sizeof(last));
    if (u->last == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for a feed's end");
    }
    *u->last = last;
    subscription_gap(u, u->gap_reason != 0 ? u->gap_reason : FEED_GAP_TOO_SLOW, last.position.batch,
                     last.position.blocks, out);
    u->step = STEP_ENDING;
    return 0;
}

/* --- what is asked of it ------------------------------------------------------------------------------ */

static int next(struct subscription *u, struct subscription_item *out, struct failure *f)
{
    switch (u->step) {
    case STEP_STARTING: return start(u, out, f);
    case STEP_IMAGE: return wait_image(u, out, f);
    case STEP_IN_HAND: return give_image(u, 0, out);
    case STEP_READING: return subscription_read(u, out, f);
    case STEP_ENDING:
        return give_end(u, u->last->has_end ? &u->last->end : NULL, u->last->position.batch, out);
    case STEP_OVER: break;
    }
    return subscription_wait(out, UINT64_MAX);
}

int subscription_next(struct subscription *u, struct subscription_item *out, struct failure *f)
{
    drop_held(u);
    int result = next(u, out, f);

    if (result != 0) {
        u->step = STEP_OVER;
        u->is_cut = false;
        drop_held(u);
    }
    return result;
}

bool subscription_cursor(const struct subscription *u, struct feed_cursor *out)
{
    const struct feed_source *source = &u->feed->source;
    bool is_whole = u->step == STEP_READING || (u->step == STEP_IMAGE && u->gap_reason == 0);

    bool is_within = u->position.is_in_batch || u->position.seam != FEED_SEAM_NONE;

    if (!u->is_begun || is_within || !(is_whole || u->is_cut)) {
        return false;
    }
    *out = (struct feed_cursor){
        .segment = u->position.segment,
        .place = u->position.place,
        .batch = u->position.batch,
        .blocks_before = u->position.blocks,
        .wall_ns = clock_wall_ns(),
        .image_bytes = u->position.image_bytes,
        .epoch = u->position.epoch,
        .offset = u->position.offset,
    };
    memcpy(out->feed_id, u->feed->id, sizeof(out->feed_id));
    if (!source->is_domains) {
        memcpy(out->incarnation, source->domain.incarnation, sizeof(out->incarnation));
        out->type = source->type;
        out->id = source->id;
        out->first_frame = source->first_frame;
        out->frame_count = source->frame_count;
        out->flags = source->flags;
        memcpy(out->trace_id, source->trace_id, sizeof(out->trace_id));
    }
    return true;
}

uint64_t subscription_lag(const struct subscription *u)
{
    if (!u->is_begun) {
        return 0;
    }
    uint64_t committed = ring_view_committed(u->feed->view), at = u->position.place.position;

    return committed > at ? committed - at : 0;
}

struct shared_bytes *subscription_shared(struct subscription *u, unsigned variant)
{
    assert(variant < FEEDS_VARIANTS);
    return u->piece != NULL ? feed_shared(u->feed, u->piece, variant) : NULL;
}

struct shared_bytes *subscription_share(struct subscription *u, unsigned variant, const void *bytes,
                                        size_t len_bytes)
{
    assert(variant < FEEDS_VARIANTS);
    struct shared_bytes *b = shared_bytes_new(bytes, len_bytes);

    return b != NULL && u->piece != NULL ? feed_share(u->feed, u->piece, variant, b) : b;
}
