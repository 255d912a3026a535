/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Images of a feed: asked for once for all who need one at about the same time. */
#include "server/resource/feed.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/scope.h"
#include "server/resource/feed_keeper.h"

struct feed_image *feed_image_ref(struct feed_image *i)
{
    atomic_fetch_add_explicit(&i->refs, 1, memory_order_relaxed);
    return i;
}

void feed_image_unref(struct feed_image *i)
{
    if (i != NULL && atomic_fetch_sub_explicit(&i->refs, 1, memory_order_acq_rel) == 1) {
        mapper_slot_unref(i->slot);
        free(i);
    }
}

static int image_lies(struct failure *f, const char *what)
{
    int result = failure_set(f, ERROR_DATA_LOSS, "the mapper gave no image of this feed: %s", what);

    failure_cause(f, result, "a fault in the mapper; nothing of the image is used");
    return failure_next(f, result, "watch again; report it, with the log of both programs");
}

/* That the numbers of its frames are those of the source, and its place one of the spool's. */
static int check_image(const struct feed *y, const struct message_image_answer *a,
                       struct failure *f)
{
    const struct message_observation *o = &a->observation;
    const struct feed_source *source = &y->source;
    const struct ring_place place = { a->place_position, a->place_sequence, a->place_bytes };

    if (source->type != RESOURCE_VCPU_STATS) {
        uint64_t frames = (uint64_t)o->frame_count + a->status_frame_count;

        if (o->first_frame != source->first_frame ||
            (source->frame_count != MESSAGE_FRAMES_ALL && o->frame_count != source->frame_count)) {
            return image_lies(f, "other frames");
        }
        if (a->slot.len_bytes != frames * MESSAGE_FRAME_BYTES) {
            return image_lies(f, "another size than its frames");
        }
    }
    int found = ring_view_check(y->view, &place, f);

    if (found == RING_FUTURE || found == RING_NO_BOUNDARY) {
        return image_lies(f, "a place that is none of its spool");
    }
    return found < 0 ? found : 0;
}

static int keep_image(struct feed *y, const struct mapper_result *result, struct failure *f)
{
    const struct message_image_answer *a = &result->answer->image_answer;
    int checked = check_image(y, a, f);

    if (checked != 0) {
        return checked;
    }
    struct feed_image *i = malloc(sizeof(*i));

    if (i == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for an image");
    }
    *i = (struct feed_image){ .slot = mapper_slot_ref(result->slot),
                              .answer = *a,
                              .until_ns =
                                  clock_monotonic_ns() + FEED_IMAGE_KEPT_MS * CLOCK_NS_PER_MS };
    atomic_init(&i->refs, 1);
    feed_image_unref(y->image);
    y->image = i;
    feeds_look_by(y->feeds, i->until_ns);
    return 0;
}

static void image_done(void *arg, const struct mapper_result *result)
{
    struct feed *y = arg;
    struct failure failure = { 0 };
    int code;

    pthread_mutex_lock(&y->lock);
    if (result->failure != NULL) {
        failure = *result->failure;
        code = -failure.code;
    } else {
        code = y->is_gone ? 0 : keep_image(y, result, &failure);
    }
    y->is_image_asked = false;
    if (code != 0) {
        y->failed_round = y->image_round;
        if (y->image_failure == NULL) {
            y->image_failure = malloc(sizeof(failure));
        }
        if (y->image_failure != NULL) {
            *y->image_failure = failure;
        }
    }
    feed_wake_locked(y);
    pthread_mutex_unlock(&y->lock);
    feed_unref(y);
}

uint64_t feed_tend_image(struct feed *y, uint64_t now_ns)
{
    pthread_mutex_lock(&y->lock);
    if (y->image != NULL && now_ns >= y->image->until_ns) {
        feed_image_unref(scope_take_pointer(y->image));
    }
    uint64_t due_ns = y->image != NULL ? y->image->until_ns : UINT64_MAX;

    pthread_mutex_unlock(&y->lock);
    return due_ns;
}

/* With the lock. */
static bool has_image(const struct feed *y, const struct ring_place *from)
{
    if (y->image == NULL || clock_monotonic_ns() >= y->image->until_ns) {
        return false;
    }
    const struct message_image_answer *a = &y->image->answer;
    const struct ring_place place = { a->place_position, a->place_sequence, a->place_bytes };

    if (place.position < from->position) {
        return false;
    }
    int found = ring_view_check(y->view, &place, NULL);

    return found == RING_RECORD || found == RING_NOTHING;
}

/* With the lock. */
static int ask_image(struct feed *y, struct failure *f)
{
    union message m;

    memset(&m.image, 0, sizeof(m.image));
    m.head.type = MESSAGE_IMAGE;
    memcpy(m.image.feed_id, y->id, sizeof(m.image.feed_id));
    m.image.feed = y->number;
    y->is_image_asked = true;
    y->image_round++;
    feed_ref(y);
    /* Without a deadline: it is for all who will want it by then, each of whom has its own. */
    int result = mapper_client_call(feeds_mapper(y->feeds), &m, UINT64_MAX, image_done, y, f);

    if (result != 0) {
        y->is_image_asked = false;
        atomic_fetch_sub(&y->refs, 1); /* the asker has one */
    }
    return result;
}

int feed_get_image(struct feed *y, struct feed_member *m, const struct ring_place *from,
                   uint64_t *round, struct feed_image **out, struct failure *f)
{
    int result = FEED_IMAGE_WAIT;

    pthread_mutex_lock(&y->lock);
    if (has_image(y, from)) {
        *out = feed_image_ref(y->image);
        result = FEED_IMAGE_HERE;
    } else if (y->is_gone) {
        result = FEED_IMAGE_GONE;
    } else if (*round != 0 && y->failed_round >= *round) {
        result = y->image_failure != NULL ? -y->image_failure->code : -ERROR_RESOURCE_EXHAUSTED;
        if (f != NULL && y->image_failure != NULL) {
            *f = *y->image_failure;
        }
    } else if (!y->is_image_asked) {
        result = ask_image(y, f);
        result = result == -ERROR_RESOURCE_EXHAUSTED ? FEED_IMAGE_RETRY
                 : result == 0                       ? FEED_IMAGE_WAIT
                                                     : result;
    }
    if (result == -ERROR_UNAVAILABLE) { /* feed_go() comes, or has come */
        result = FEED_IMAGE_GONE;
    }
    if (result == FEED_IMAGE_WAIT) {
        *round = y->image_round;
        feed_arm_locked(y, m);
    } else {
        *round = 0;
    }
    pthread_mutex_unlock(&y->lock);
    return result;
}
