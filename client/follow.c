/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/follow_message.h"

#include <string.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/text.h"

enum {
    OUTAGE_USUAL_MS = 300 * 1000,
    OUTAGE_MAX_MS = 24 * 3600 * 1000,
    LAST_TRY_MS = 1000, /* that a try may take at least */
};

/* --- a stream --- */

static uint64_t outage_ms(const struct follow *f)
{
    return f->cut_ns > 0 ? (clock_monotonic_ns() - f->cut_ns) / CLOCK_NS_PER_MS : 0;
}

/* How long a try may wait for a byte: not much beyond the outage's end. */
static uint32_t patience_ms(const struct follow *f)
{
    uint64_t until_ms = outage_ms(f) + LAST_TRY_MS;
    uint64_t left_ms = until_ms < f->outage_max_ms ? f->outage_max_ms - outage_ms(f) : LAST_TRY_MS;

    return f->handle->timeout_ms < left_ms ? f->handle->timeout_ms : (uint32_t)left_ms;
}

/* What decoded messages that merge say is what is different from a place: only who is at that very place
 * can take it. To others the content comes anew, which it does in any case. */
static bool leads_astray(const struct follow *f)
{
    const struct numbering *n = &f->numbering;

    return n->repeats && n->merges && n->is_known &&
           !(f->place.is_ours && f->place.sequence == n->delivered);
}

static int open_stream(struct follow *f, xenres_stream **out, struct fault *fault)
{
    if (leads_astray(f)) {
        f->place.cursor[0] = '\0';
    }
    BUFFER_AUTO(message, f->handle->message_max_bytes);

    if (!f->ops->pack(f, f->place.cursor, &message)) {
        return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory");
    }
    const struct stream_request request = {
        .method = f->ops->method,
        .message = message.data,
        .len_bytes = message.len_bytes,
        .idle_timeout_ms = f->has_begun ? patience_ms(f) : f->handle->timeout_ms,
        .is_once = f->has_begun,
    };

    return stream_open(f->handle, &request, out, fault);
}

/* Until it is over, or fails. */
static int read_stream(struct follow *f, struct fault *fault)
{
    STREAM_AUTO stream = NULL;
    int result = open_stream(f, &stream, fault);

    while (result == 0 && !f->is_over) {
        REPLY_AUTO reply = NULL;

        result = stream_next(stream, &reply, fault);
        if (result == 0 && reply == NULL) {
            result = failure_set(&fault->failure, ERROR_UNAVAILABLE,
                                 "the stream ended without saying why");
        } else if (result == 0) {
            f->is_final = true;
            result = follow_take(f, stream, reply, fault);
        }
        f->is_final = f->is_final && result != 0;
    }
    return result;
}

/* --- after a cut --- */

static bool is_cut(const struct follow *f, int result, const struct fault *fault)
{
    switch (-result) {
    case ERROR_UNAVAILABLE:
    case ERROR_DEADLINE_EXCEEDED: return true;
    /* The gateway is full for now: who was cut off may be counted there still. */
    case ERROR_RESOURCE_EXHAUSTED: return !f->is_begun && fault->http_status != 0;
    default: return fault->is_cut;
    }
}

/* It cannot go on from where we were. Without a cursor it can. */
static bool is_of_cursor(const struct follow *f, int result, const struct fault *fault)
{
    if (f->is_begun || f->place.cursor[0] == '\0') {
        return false;
    }
    return result == -ERROR_OUT_OF_RANGE || (result == -ERROR_INVALID_ARGUMENT && f->has_begun &&
                                             strcmp(fault->failure.field, "cursor") == 0);
}

/* How long to wait before the next try; false: not again. */
static bool next_wait(const struct follow *f, uint64_t *wait_ms, const struct fault *fault)
{
    uint64_t so_far_ms = outage_ms(f);
    uint64_t asked_ms = fault->failure.retry_after_ms > f->retry_after_ms
                            ? fault->failure.retry_after_ms
                            : f->retry_after_ms;
    uint32_t chance = 0;

    if (so_far_ms + asked_ms >= f->outage_max_ms) {
        return false;
    }
    (void)!getrandom(&chance, sizeof(chance), GRND_NONBLOCK);
    *wait_ms = retry_wait_ms(f->handle->retry_wait_ms, f->tries + 1, chance);
    if (*wait_ms < asked_ms) {
        *wait_ms = asked_ms + chance % (asked_ms / 4 + 1);
    }
    if (*wait_ms > f->outage_max_ms - so_far_ms) {
        *wait_ms = f->outage_max_ms - so_far_ms;
    }
    return true;
}

static bool tell_cut(const struct follow *f, bool is_unfinished, uint64_t wait_ms, int result,
                     const struct fault *fault)
{
    xenres_error error;
    const xenres_watch_interruption interruption = {
        .error = &error,
        .end_reason = f->end_reason,
        .tries = f->tries,
        .wait_ms = (uint32_t)wait_ms,
        .outage_ms = outage_ms(f),
        .unfinished = is_unfinished,
        .feed = f->numbering.feed,
        .sequence = f->numbering.delivered,
        .cursor = f->place.cursor,
    };

    (void)fault_export(result, fault, &error);
    return f->to.interrupted == NULL || f->to.interrupted(f->to.arg, &interruption) == 0;
}

/* False: *result is what the caller gets. */
static bool wait_out(struct follow *f, int *result, struct fault *fault)
{
    bool is_unfinished = numbering_cut(&f->numbering);
    uint64_t wait_ms;

    if (f->outage_max_ms == XENRES_NO_RECONNECT) {
        return false;
    }
    if (f->cut_ns == 0) {
        f->cut_ns = clock_monotonic_ns();
    } else if (f->tries < UINT32_MAX) {
        f->tries++;
    }
    if (!next_wait(f, &wait_ms, fault)) {
        return false;
    }
    if (!tell_cut(f, is_unfinished, wait_ms, *result, fault)) {
        *result = follow_ended_by_callback(fault);
        return false;
    }
    *fault = (struct fault){ 0 };
    details_clear(&f->handle->details);
    if (cancel_sleep(&f->handle->cancel, clock_monotonic_ns() + wait_ms * CLOCK_NS_PER_MS)) {
        *result = cancel_fail(fault);
        return false;
    }
    return true;
}

static bool go_on(struct follow *f, int *result, struct fault *fault)
{
    if (f->is_final || *result == -ERROR_CANCELED) {
        return false;
    }
    if (is_of_cursor(f, *result, fault)) {
        f->place.cursor[0] = '\0';
        *fault = (struct fault){ 0 };
        details_clear(&f->handle->details);
        return true;
    }
    if (!f->has_begun) {
        return false;
    }
    if (!f->is_begun && (*result == -ERROR_ABORTED || *result == -ERROR_NOT_FOUND)) {
        struct fault of_end = { 0 };

        *result = follow_tell_end(
            f, *result == -ERROR_ABORTED ? XENRES_END_INCARNATION_ENDED : XENRES_END_NOT_FOUND,
            fault->failure.message, &of_end);
        *fault = of_end;
        return false;
    }
    return is_cut(f, *result, fault) && wait_out(f, result, fault);
}

int follow_run(struct follow *f, struct fault *fault)
{
    int result;

    f->asked_to_go_on = f->place.cursor[0] != '\0';
    do {
        f->is_begun = f->is_final = false;
        f->end_reason = f->retry_after_ms = 0;
        result = read_stream(f, fault);
    } while (result != 0 && go_on(f, &result, fault));
    return result;
}

/* --- what surrounds it --- */

static int refuse(struct fault *fault, const char *field, const char *text)
{
    int result = failure_set(&fault->failure, ERROR_INVALID_ARGUMENT, "%s", text);

    return failure_field(&fault->failure, result, "%s", field);
}

int follow_take_options(struct follow *f, const char *cursor, const char *feed, uint64_t sequence,
                        uint32_t outage_max_ms, struct fault *fault)
{
    uint8_t feed_id[NUMBERING_FEED_CHARS / 2];

    if (cursor != NULL && strnlen(cursor, FOLLOW_CURSOR_BYTES) == FOLLOW_CURSOR_BYTES) {
        return refuse(fault, "cursor", "the cursor is none: it is too long");
    }
    if (feed != NULL && !text_to_hex(feed, feed_id, sizeof(feed_id))) {
        return refuse(fault, "feed", "a feed has 32 hexadecimal digits");
    }
    if (outage_max_ms > OUTAGE_MAX_MS && outage_max_ms != XENRES_NO_RECONNECT) {
        return refuse(fault, "outage_max_ms", "outage_max_ms is above 86400000");
    }
    f->outage_max_ms = outage_max_ms > 0 ? outage_max_ms : OUTAGE_USUAL_MS;
    (void)snprintf(f->place.cursor, sizeof(f->place.cursor), "%s", cursor != NULL ? cursor : "");
    if (feed != NULL) {
        text_from_hex(feed_id, sizeof(feed_id), f->numbering.feed);
        f->numbering.is_known = true;
        f->numbering.delivered = f->numbering.produced = sequence;
    }
    return 0;
}
