/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/reconnect.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "common/clock.h"

enum {
    OUTAGE_USUAL_MS = 300 * 1000,
    OUTAGE_MAX_MS = 24 * 3600 * 1000,
    LAST_TRY_MS = 1000, /* that a try may take at least */
};

/* --- a stream --- */

static uint64_t outage_ms(const struct reconnect *r)
{
    return r->cut_ns > 0 ? (clock_monotonic_ns() - r->cut_ns) / CLOCK_NS_PER_MS : 0;
}

/* How long a try may wait for a byte: not much beyond the outage's end. */
static uint32_t patience_ms(const struct reconnect *r)
{
    uint64_t until_ms = outage_ms(r) + LAST_TRY_MS;
    uint64_t left_ms = until_ms < r->outage_max_ms ? r->outage_max_ms - outage_ms(r) : LAST_TRY_MS;

    return r->handle->timeout_ms < left_ms ? r->handle->timeout_ms : (uint32_t)left_ms;
}

static int open_stream(struct reconnect *r, xenres_stream **out, struct fault *fault)
{
    if (r->ops->leads_astray != NULL && r->ops->leads_astray(r)) {
        r->place.cursor[0] = '\0';
    }
    BUFFER_AUTO(message, r->handle->message_max_bytes);

    if (!r->ops->pack(r, r->place.cursor, &message)) {
        return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory");
    }
    papers_note(&r->papers, r->handle);
    const struct stream_request request = {
        .method = r->method,
        .message = message.data,
        .len_bytes = message.len_bytes,
        .idle_timeout_ms = r->has_begun ? patience_ms(r) : r->handle->timeout_ms,
        .is_once = r->has_begun,
    };

    return stream_open(r->handle, &request, out, fault);
}

/* Until it is over, or fails. */
static int read_stream(struct reconnect *r, struct fault *fault)
{
    STREAM_AUTO stream = NULL;
    int result = open_stream(r, &stream, fault);

    while (result == 0 && !r->is_over) {
        REPLY_AUTO reply = NULL;

        result = stream_next(stream, &reply, fault);
        if (result == 0 && reply == NULL) {
            result = failure_set(&fault->failure, ERROR_UNAVAILABLE,
                                 "the stream ended without saying why");
        } else if (result == 0) {
            r->is_final = true;
            result = r->ops->take(r, stream, reply, fault);
        }
        r->is_final = r->is_final && result != 0;
    }
    return result;
}

/* --- after a cut --- */

static bool is_cut(const struct reconnect *r, int result, const struct fault *fault)
{
    switch (-result) {
    case ERROR_UNAVAILABLE:
    case ERROR_DEADLINE_EXCEEDED: return true;
    /* The gateway is full for now: who was cut off may be counted there still. */
    case ERROR_RESOURCE_EXHAUSTED: return !r->is_begun && fault->http_status != 0;
    default: return fault->is_cut;
    }
}

/* It cannot go on from where we were. Without a cursor it can. */
static bool is_of_cursor(const struct reconnect *r, int result, const struct fault *fault)
{
    if (r->is_begun || r->place.cursor[0] == '\0') {
        return false;
    }
    return result == -ERROR_OUT_OF_RANGE ||
           (result == -ERROR_INVALID_ARGUMENT && (r->has_begun || r->may_drop_cursor) &&
            strcmp(fault->failure.field, "cursor") == 0);
}

/* How long to wait before the next try; false: not again. */
static bool next_wait(const struct reconnect *r, uint64_t *wait_ms, const struct fault *fault)
{
    uint64_t so_far_ms = outage_ms(r);
    uint64_t asked_ms = fault->failure.retry_after_ms > r->retry_after_ms
                            ? fault->failure.retry_after_ms
                            : r->retry_after_ms;
    uint32_t chance = 0;

    if (so_far_ms + asked_ms >= r->outage_max_ms) {
        return false;
    }
    (void)!getrandom(&chance, sizeof(chance), GRND_NONBLOCK);
    *wait_ms = retry_wait_ms(r->handle->retry_wait_ms, r->tries + 1, chance);
    if (*wait_ms < asked_ms) {
        *wait_ms = asked_ms + chance % (asked_ms / 4 + 1);
    }
    if (*wait_ms > r->outage_max_ms - so_far_ms) {
        *wait_ms = r->outage_max_ms - so_far_ms;
    }
    return true;
}

static bool tell_cut(const struct reconnect *r, uint64_t wait_ms, int result,
                     const struct fault *fault)
{
    xenres_error error;
    const struct reconnect_cut cut = { .error = &error,
                                       .wait_ms = (uint32_t)wait_ms,
                                       .outage_ms = outage_ms(r) };

    (void)fault_export(result, fault, &error);
    return r->ops->tell_cut(r, &cut);
}

/* False: *result is what the caller gets. */
static bool wait_out(struct reconnect *r, int *result, struct fault *fault)
{
    uint64_t wait_ms;

    r->ops->cut(r);
    if (r->outage_max_ms == XENRES_NO_RECONNECT) {
        return false;
    }
    if (r->cut_ns == 0) {
        r->cut_ns = clock_monotonic_ns();
    } else if (r->tries < UINT32_MAX) {
        r->tries++;
    }
    if (!next_wait(r, &wait_ms, fault)) {
        return false;
    }
    if (!tell_cut(r, wait_ms, *result, fault)) {
        *result = reconnect_ended_by_callback(fault);
        return false;
    }
    *fault = (struct fault){ 0 };
    details_clear(&r->handle->details);
    if (cancel_sleep(&r->handle->cancel, clock_monotonic_ns() + wait_ms * CLOCK_NS_PER_MS)) {
        *result = cancel_fail(fault);
        return false;
    }
    return true;
}

static bool go_on(struct reconnect *r, int *result, struct fault *fault)
{
    if (r->is_final || *result == -ERROR_CANCELED) {
        return false;
    }
    if (is_of_cursor(r, *result, fault)) {
        r->place.cursor[0] = '\0';
        *fault = (struct fault){ 0 };
        details_clear(&r->handle->details);
        return true;
    }
    if (!r->has_begun) {
        return false;
    }
    /* Where that is no news any more, the waiting has a bound of its own. */
    if (!r->is_begun && *result == -ERROR_UNAUTHENTICATED) {
        return reconnect_is_renewed(r) && wait_out(r, result, fault);
    }
    if (!r->is_begun && r->ops->end_of(*result) != 0) {
        struct fault of_end = { 0 };

        *result = r->ops->tell_end(r, r->ops->end_of(*result), fault->failure.message, &of_end);
        *fault = of_end;
        return false;
    }
    return is_cut(r, *result, fault) && wait_out(r, result, fault);
}

int reconnect_run(struct reconnect *r, struct fault *fault)
{
    int result;

    r->asked_to_go_on = r->place.cursor[0] != '\0';
    do {
        r->is_begun = r->is_final = false;
        r->end_reason = r->retry_after_ms = 0;
        r->may_pass = false;
        result = read_stream(r, fault);
    } while (result != 0 && go_on(r, &result, fault));
    return result;
}

/* --- for the ops --- */

void reconnect_begun(struct reconnect *r, xenres_stream *stream, uint32_t silence_max_ms)
{
    r->has_begun = r->is_begun = true;
    r->asked_to_go_on = false;
    if (silence_max_ms > 0) {
        stream_set_idle_timeout(stream, silence_max_ms < RECONNECT_SILENCE_MAX_MS
                                            ? silence_max_ms
                                            : RECONNECT_SILENCE_MAX_MS);
    }
}

void reconnect_alive(struct reconnect *r)
{
    r->cut_ns = 0;
    r->tries = 0;
    r->looks = 0;
}

static uint32_t look_wait_ms(const struct reconnect *r)
{
    uint32_t ms = retry_wait_ms(r->handle->retry_wait_ms, r->looks, 0);

    return ms < RECONNECT_LOOK_WAIT_MAX_MS ? ms : RECONNECT_LOOK_WAIT_MAX_MS;
}

bool reconnect_is_renewed(struct reconnect *r)
{
    const xenres *handle = r->handle;
    bool are_files = handle->cert_file != NULL || handle->token_file != NULL;

    if (!are_files || r->outage_max_ms == XENRES_NO_RECONNECT) {
        return false;
    }
    while (r->looks < RECONNECT_LOOKS_MAX) {
        r->looks++;
        if (papers_changed(&r->papers, handle)) {
            r->handle->shows_anew = true;
            return true;
        }
        if (cancel_sleep(&handle->cancel,
                         clock_monotonic_ns() + look_wait_ms(r) * CLOCK_NS_PER_MS)) {
            return false;
        }
    }
    return false;
}

void reconnect_keep(struct reconnect *r, const char *cursor)
{
    r->place.is_ours = true;
    (void)snprintf(r->place.cursor, sizeof(r->place.cursor), "%s", cursor);
}

int reconnect_last_words(struct reconnect *r, xenres_stream *stream, struct fault *fault)
{
    REPLY_AUTO more = NULL;
    struct fault last = { 0 };

    stream_set_idle_timeout(stream, RECONNECT_LAST_WORDS_MS);
    int result = stream_next(stream, &more, &last);

    r->retry_after_ms = last.failure.retry_after_ms;
    r->may_pass = result == -ERROR_UNAVAILABLE;
    if (result == -ERROR_CANCELED) {
        *fault = last;
        return result;
    }
    return more == NULL ? 0 : reconnect_lie(fault, "goes on behind its last message");
}

int reconnect_again(struct reconnect *r, uint32_t end_reason, const char *why, struct fault *fault)
{
    r->end_reason = end_reason;
    r->is_final = false;
    int result = failure_set(&fault->failure, ERROR_UNAVAILABLE, "the gateway ended the stream");

    return failure_cause(&fault->failure, result, "%s", why);
}

int reconnect_ended_by_callback(struct fault *fault)
{
    return failure_set(&fault->failure, ERROR_CANCELED, "ended by a callback");
}

int reconnect_lie(struct fault *fault, const char *text, ...)
{
    char what[FAILURE_TEXT_MAX];
    va_list arguments;

    va_start(arguments, text);
    (void)vsnprintf(what, sizeof(what), text, arguments);
    va_end(arguments);
    int result = failure_set(&fault->failure, ERROR_INTERNAL, "the stream %s", what);

    failure_cause(&fault->failure, result, "a faulty gateway, or something between");
    return failure_next(&fault->failure, result, "what came before may be used; report it");
}

bool reconnect_is_cursor(const char *cursor)
{
    for (size_t i = 0; i < RECONNECT_CURSOR_BYTES; i++) {
        if (cursor[i] <= ' ' || cursor[i] > '~') {
            return cursor[i] == '\0';
        }
    }
    return false;
}

/* --- what surrounds it --- */

static int refuse(struct fault *fault, const char *field, const char *text)
{
    int result = failure_set(&fault->failure, ERROR_INVALID_ARGUMENT, "%s", text);

    return failure_field(&fault->failure, result, "%s", field);
}

int reconnect_take_options(struct reconnect *r, const char *cursor, uint32_t outage_max_ms,
                           struct fault *fault)
{
    if (cursor != NULL && strnlen(cursor, RECONNECT_CURSOR_BYTES) == RECONNECT_CURSOR_BYTES) {
        return refuse(fault, "cursor", "the cursor is none: it is too long");
    }
    if (outage_max_ms > OUTAGE_MAX_MS && outage_max_ms != XENRES_NO_RECONNECT) {
        return refuse(fault, "outage_max_ms", "outage_max_ms is above 86400000");
    }
    r->outage_max_ms = outage_max_ms > 0 ? outage_max_ms : OUTAGE_USUAL_MS;
    (void)snprintf(r->place.cursor, sizeof(r->place.cursor), "%s", cursor != NULL ? cursor : "");
    return 0;
}
