/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/transport.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "client/diagnose.h"
#include "common/clock.h"

/* An answer as it comes in. */
struct incoming {
    xenres *handle;
    const struct transport_request *request;
    struct buffer *refusal;
    struct fault *fault;
    size_t head_bytes;
    uint64_t body_bytes;
    uint64_t progress_ns;   /* when the last byte came or went */
    curl_off_t moved_bytes; /* both ways, by then */
    bool head_whole;        /* its empty line came */
    bool head_told;
    bool head_too_long;
    bool stalled;
    int result; /* of on_head and on_data; not 0: the request was ended by it */
};

const char *transport_header(xenres *handle, const char *name)
{
    struct curl_header *header = NULL;

    if (curl_easy_header(handle->curl, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK) {
        return NULL;
    }
    return header->amount == 1 ? header->value : NULL;
}

static int status_of(xenres *handle)
{
    long status = 0;

    (void)curl_easy_getinfo(handle->curl, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

static int tell_head(struct incoming *in)
{
    if (!in->head_told) {
        in->head_told = true;
        in->result = in->request->on_head(in->request->arg, in->fault);
    }
    return in->result;
}

/* Bounds the head, all of which libcurl keeps, and tells of it when it is whole: an empty line ends
 * it (and those of 1xx, and trailers). */
static size_t take_head_line(char *line, size_t size, size_t count, void *arg)
{
    struct incoming *in = arg;
    size_t len = size * count;

    if (len > TRANSPORT_HEADERS_MAX_BYTES - in->head_bytes) {
        in->head_too_long = true;
        return 0;
    }
    in->head_bytes += len;
    if (len == 2 && line[0] == '\r' && status_of(in->handle) >= 200) {
        in->head_whole = true;
        return status_of(in->handle) != 200 || tell_head(in) == 0 ? len : 0;
    }
    return len;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct incoming *in = arg;
    size_t len = size * count;

    in->body_bytes += len;
    if (status_of(in->handle) != 200) {
        (void)buffer_append(in->refusal, bytes, len);
        return in->body_bytes <= TRANSPORT_REFUSAL_MAX_BYTES ? len : 0;
    }
    if (tell_head(in) == 0 && len > 0) {
        in->result = in->request->on_data(in->request->arg, bytes, len, in->fault);
    }
    return in->result == 0 ? len : 0;
}

/* libcurl comes here at least once a second. Its own low-speed limit counts whole seconds of a
 * rate; what counts here is that something moves at all. */
static int watch_progress(void *arg, curl_off_t download_total, curl_off_t downloaded,
                          curl_off_t upload_total, curl_off_t uploaded)
{
    struct incoming *in = arg;
    uint64_t now_ns = clock_monotonic_ns();

    (void)download_total;
    (void)upload_total;
    if (downloaded + uploaded != in->moved_bytes) {
        in->moved_bytes = downloaded + uploaded;
        in->progress_ns = now_ns;
    }
    in->stalled = in->request->stall_ms > 0 &&
                  now_ns - in->progress_ns > in->request->stall_ms * CLOCK_NS_PER_MS;
    return in->stalled ? 1 : 0;
}

static void free_list(struct curl_slist **list)
{
    curl_slist_free_all(*list);
}

static bool add_headers(struct curl_slist **list, const struct transport_request *request)
{
    for (unsigned i = 0; i < TRANSPORT_HEADERS_MAX && request->headers[i] != NULL; i++) {
        struct curl_slist *longer = curl_slist_append(*list, request->headers[i]);

        if (longer == NULL) {
            return false;
        }
        *list = longer;
    }
    /* No "100 Continue" to wait for. */
    struct curl_slist *longer = curl_slist_append(*list, "Expect:");

    *list = longer != NULL ? longer : *list;
    return longer != NULL;
}

static bool set_request(xenres *handle, const struct transport_request *request, const char *url,
                        struct curl_slist *headers, struct incoming *in)
{
    CURL *c = handle->curl;
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
    return ok && curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_head_line) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HEADERDATA, in) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEDATA, in) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, watch_progress) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_XFERINFODATA, in) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
}

/*
 * Writing to a connection that the server closed must not end the program. libcurl sends with
 * MSG_NOSIGNAL from 7.88 on; before, OpenSSL wrote without. A SIGPIPE of ours is taken back, one
 * that was pending before is left.
 */
static CURLcode perform_without_sigpipe(CURL *curl)
{
    sigset_t only_pipe, pending, old;
    struct timespec at_once = { 0 };

    sigemptyset(&only_pipe);
    sigaddset(&only_pipe, SIGPIPE);
    sigemptyset(&pending);
    sigpending(&pending);
    bool was_pending = sigismember(&pending, SIGPIPE) == 1;
    bool is_blocked = pthread_sigmask(SIG_BLOCK, &only_pipe, &old) == 0;
    CURLcode code = curl_easy_perform(curl);

    if (is_blocked) {
        while (!was_pending && sigtimedwait(&only_pipe, NULL, &at_once) == -1 && errno == EINTR) {
        }
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    return code;
}

/* What curl_easy_perform() said, in the order of who knows best. */
static int conclude(struct incoming *in, CURLcode code)
{
    struct failure *f = &in->fault->failure;

    if (in->result != 0) {
        return in->result;
    }
    if (in->head_too_long) {
        return failure_set(f, ERROR_INTERNAL, "the answer of %s has more than %d bytes of headers",
                           in->handle->server, TRANSPORT_HEADERS_MAX_BYTES);
    }
    if (in->stalled) {
        int result = failure_set(f, ERROR_DEADLINE_EXCEEDED, "%s sent nothing for %u ms",
                                 in->handle->server, in->request->stall_ms);

        return failure_next(f, result, "ask again, or with a longer timeout");
    }
    if (code != CURLE_OK && in->body_bytes > TRANSPORT_REFUSAL_MAX_BYTES &&
        status_of(in->handle) != 200) {
        return 0; /* the status says enough, and what came of its body is kept */
    }
    if (code == CURLE_OK && !in->head_whole) {
        code = CURLE_PARTIAL_FILE; /* libcurl takes a head that was cut for one that ended */
    }
    return code == CURLE_OK ? 0 : diagnose(in->handle, code, in->fault);
}

int transport_perform(xenres *handle, const struct transport_request *request, int *status,
                      struct buffer *refusal, struct fault *fault)
{
    __attribute__((cleanup(free_list))) struct curl_slist *headers = NULL;
    BUFFER_AUTO(url, 32 * 1024);
    struct incoming in = {
        .handle = handle,
        .request = request,
        .refusal = refusal,
        .fault = fault,
        .progress_ns = clock_monotonic_ns(),
    };

    buffer_printf(&url, "%s%s", handle->server, request->target);
    if (url.failed) {
        return failure_set(&fault->failure, ERROR_INVALID_ARGUMENT,
                           "the request's URL is too long");
    }
    if (!add_headers(&headers, request) ||
        !set_request(handle, request, buffer_string(&url), headers, &in)) {
        return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory");
    }
    handle->curl_text[0] = '\0';
    int result = conclude(&in, perform_without_sigpipe(handle->curl));

    /* Nothing of this call may be used by a later one. */
    (void)curl_easy_setopt(handle->curl, CURLOPT_HTTPHEADER, NULL);
    (void)curl_easy_setopt(handle->curl, CURLOPT_POSTFIELDS, NULL);
    if (result == 0) {
        *status = status_of(handle);
    }
    fault->http_status = status_of(handle);
    return result;
}
