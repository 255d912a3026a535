/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/transport.h"

#include <assert.h>
#include <string.h>

#include "client/diagnose.h"
#include "client/sigpipe.h"
#include "client/token.h"
#include "common/clock.h"

enum { POLL_MAX_MS = 60 * 1000 };

const char *transport_header(xenres *handle, const char *name)
{
    struct curl_header *header = NULL;

    if (curl_easy_header(handle->curl, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK) {
        return NULL;
    }
    return header->amount == 1 ? header->value : NULL;
}

int transport_status(const struct transport *t)
{
    long status = 0;

    (void)curl_easy_getinfo(t->handle->curl, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

/* --- what libcurl brings --- */

static int tell_head(struct transport *t)
{
    if (!t->head_told) {
        t->head_told = true;
        t->result = t->request.on_head(t->request.arg, t->fault);
    }
    return t->result;
}

/* Bounds the head, all of which libcurl keeps, and tells of it when it is whole: an empty line ends
 * it (and those of 1xx, and trailers). */
static size_t take_head_line(char *line, size_t size, size_t count, void *arg)
{
    struct transport *t = arg;
    size_t len = size * count;

    t->progress_ns = clock_monotonic_ns();
    if (len > TRANSPORT_HEADERS_MAX_BYTES - t->head_bytes) {
        t->head_too_long = true;
        return 0;
    }
    t->head_bytes += len;
    if (len == 2 && line[0] == '\r' && transport_status(t) >= 200) {
        t->head_whole = true;
        return transport_status(t) != 200 || tell_head(t) == 0 ? len : 0;
    }
    return len;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct transport *t = arg;
    size_t len = size * count;

    if (transport_status(t) != 200) {
        t->body_bytes += len;
        t->progress_ns = clock_monotonic_ns();
        (void)buffer_append(t->refusal, bytes, len);
        return t->body_bytes <= TRANSPORT_REFUSAL_MAX_BYTES ? len : 0;
    }
    if (tell_head(t) == 0 && len > 0) {
        int taken = t->request.on_data(t->request.arg, bytes, len, t->fault);

        if (taken == TRANSPORT_HOLD) {
            t->is_held = true;
            return CURL_WRITEFUNC_PAUSE;
        }
        t->result = taken;
    }
    t->body_bytes += len;
    t->progress_ns = clock_monotonic_ns(); /* after a callback that may have taken its time */
    return t->result == 0 ? len : 0;
}

/* --- the request --- */

static bool add_header(struct curl_slist **list, const char *header)
{
    struct curl_slist *longer = curl_slist_append(*list, header);

    *list = longer != NULL ? longer : *list;
    return longer != NULL;
}

/* `token`: as of token_header(). */
static bool add_headers(struct curl_slist **list, const struct transport_request *request,
                        const char *token)
{
    for (unsigned i = 0; i < TRANSPORT_HEADERS_MAX && request->headers[i] != NULL; i++) {
        if (!add_header(list, request->headers[i])) {
            return false;
        }
    }
    /* No "100 Continue" to wait for. */
    return add_header(list, "Expect:") && (token[0] == '\0' || add_header(list, token));
}

static bool set_request(struct transport *t, const char *url)
{
    const struct transport_request *request = &t->request;
    CURL *c = t->handle->curl;
    bool ok = curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK;

    if (request->is_post) {
        ok = ok && curl_easy_setopt(c, CURLOPT_POST, 1L) == CURLE_OK &&
             curl_easy_setopt(c, CURLOPT_POSTFIELDS,
                              request->body_len_bytes > 0 ? request->body : "") == CURLE_OK &&
             curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE,
                              (curl_off_t)request->body_len_bytes) == CURLE_OK;
    } else {
        ok = ok && curl_easy_setopt(c, CURLOPT_HTTPGET, 1L) == CURLE_OK;
    }
    long is_fresh = t->handle->shows_anew ? 1 : 0;

    t->handle->shows_anew = false;
    return ok && curl_easy_setopt(c, CURLOPT_HTTPHEADER, t->headers) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, is_fresh) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_head_line) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HEADERDATA, t) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEDATA, t) == CURLE_OK;
}

int transport_begin(struct transport *t, xenres *handle, const struct transport_request *request,
                    struct buffer *refusal, struct fault *fault)
{
    BUFFER_AUTO(url, 32 * 1024);
    BUFFER_AUTO(token, TOKEN_HEADER_MAX_BYTES);
    int result;

    *t = (struct transport){
        .handle = handle,
        .request = *request,
        .refusal = refusal,
        .deadline_ns = UINT64_MAX,
    };
    result = token_header(handle, &token, fault);
    if (result != 0) {
        return result;
    }
    buffer_printf(&url, "%s%s", handle->server, request->target);
    if (url.failed) {
        return failure_set(&fault->failure, ERROR_INVALID_ARGUMENT,
                           "the request's URL is too long");
    }
    if (!add_headers(&t->headers, request, buffer_string(&token)) ||
        !set_request(t, buffer_string(&url)) ||
        curl_multi_add_handle(handle->multi, handle->curl) != CURLM_OK) {
        return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory");
    }
    handle->curl_text[0] = '\0';
    return 0;
}

void transport_end(struct transport *t)
{
    if (t->handle == NULL) {
        return;
    }
    SIGPIPE_BLOCKED(blocked);

    (void)curl_multi_remove_handle(t->handle->multi, t->handle->curl);
    /* Nothing of this request may be used by a later one. */
    (void)curl_easy_setopt(t->handle->curl, CURLOPT_HTTPHEADER, NULL);
    (void)curl_easy_setopt(t->handle->curl, CURLOPT_POSTFIELDS, NULL);
    curl_slist_free_all(t->headers);
    *t = (struct transport){ 0 };
}

/* --- driving it --- */

static void end_with(struct transport *t, CURLcode code)
{
    t->is_done = true;
    t->code = code;
}

/* As far as it goes without waiting. */
static void advance(struct transport *t)
{
    int running = 0, left = 0;
    const CURLMsg *message;

    if (curl_multi_perform(t->handle->multi, &running) != CURLM_OK) {
        end_with(t, CURLE_OUT_OF_MEMORY);
    }
    while ((message = curl_multi_info_read(t->handle->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            end_with(t, message->data.result);
        }
    }
}

static bool is_enough(const struct transport *t)
{
    return t->request.is_enough != NULL && t->request.is_enough(t->request.arg);
}

/* When this drive has waited long enough for a byte. */
static uint64_t stalled_at_ns(const struct transport *t)
{
    uint64_t at_ns = UINT64_MAX;

    if (t->request.stall_ms > 0) {
        at_ns = t->progress_ns + t->request.stall_ms * CLOCK_NS_PER_MS;
    }
    return at_ns < t->deadline_ns ? at_ns : t->deadline_ns;
}

static int stalled(const struct transport *t)
{
    int result = failure_set(&t->fault->failure, ERROR_DEADLINE_EXCEEDED,
                             "%s sent nothing for %u ms", t->handle->server, t->request.stall_ms);

    return failure_next(&t->fault->failure, result, "ask again, or with a longer timeout");
}

/* What it came to, in the order of who knows best. */
static int conclude(const struct transport *t)
{
    if (t->result < 0) {
        return t->result;
    }
    if (t->head_too_long) {
        return failure_set(&t->fault->failure, ERROR_INTERNAL,
                           "the answer of %s has more than %d bytes of headers", t->handle->server,
                           TRANSPORT_HEADERS_MAX_BYTES);
    }
    if (t->code != CURLE_OK && t->body_bytes > TRANSPORT_REFUSAL_MAX_BYTES &&
        transport_status(t) != 200) {
        return 0; /* the status says enough, and what came of its body is kept */
    }
    if (t->code == CURLE_OK && !t->head_whole) {
        /* libcurl takes a head that was cut for one that ended */
        return diagnose(t->handle, CURLE_PARTIAL_FILE, t->fault);
    }
    return t->code == CURLE_OK ? 0 : diagnose(t->handle, t->code, t->fault);
}

/* Sleeps until something happens: on the connection, at a timeout, or by xenres_cancel(). */
static void wait_for_more(const struct transport *t)
{
    struct curl_waitfd cancel = { .fd = t->handle->cancel.fd, .events = CURL_WAIT_POLLIN };

    (void)curl_multi_poll(t->handle->multi, &cancel, 1,
                          clock_poll_timeout_ms(stalled_at_ns(t), POLL_MAX_MS), NULL);
}

static int drive(struct transport *t)
{
    while (!t->is_done) {
        if (is_enough(t)) {
            return 0;
        }
        if (cancel_is_on(&t->handle->cancel)) {
            return cancel_fail(t->fault);
        }
        if (clock_monotonic_ns() >= stalled_at_ns(t)) {
            return stalled(t);
        }
        wait_for_more(t);
        advance(t);
    }
    return t->result == 0 && is_enough(t) ? 0 : conclude(t);
}

int transport_drive(struct transport *t, struct fault *fault)
{
    SIGPIPE_BLOCKED(blocked);

    t->fault = fault;
    t->progress_ns = clock_monotonic_ns();
    if (t->is_held) {
        t->is_held = false;
        CURLcode code = curl_easy_pause(t->handle->curl, CURLPAUSE_CONT); /* calls take_body() */

        if (code != CURLE_OK) {
            end_with(t, code);
        }
    }
    if (!t->is_done) {
        advance(t);
    }
    int result = drive(t);

    fault->http_status = transport_status(t);
    t->fault = NULL;
    return result;
}

int transport_perform(xenres *handle, const struct transport_request *request, int *status,
                      struct buffer *refusal, struct fault *fault)
{
    __attribute__((cleanup(transport_end))) struct transport t = { 0 };
    int result = transport_begin(&t, handle, request, refusal, fault);

    if (result == 0) {
        result = transport_drive(&t, fault);
    }
    if (result == 0) {
        *status = transport_status(&t);
    }
    return result;
}
