/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/http/health.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/http/heading.h"
#include "server/http/socket.h"

enum {
    CONNECTIONS_MAX = 16,
    CONNECTION_MEMORY_BYTES = 4096,
    TIMEOUT_S = 5,
    REASONS_MAX_BYTES = 4096,
};

struct health {
    struct MHD_Daemon *daemon;
    struct health_options options;
};

int health_check(const char *where, struct failure *f)
{
    return where[0] == '\0' || where[0] == '/' ? 0 : socket_check_address(where, true, f);
}

int health_bind(const char *where, int *listen_fd, struct failure *f)
{
    int result = health_check(where, f);

    if (result < 0 || where[0] == '\0') {
        return result;
    }
    return where[0] == '/' ? socket_listen_unix(where, listen_fd, f)
                           : socket_listen_tcp(where, listen_fd, f);
}

static const char plain[] = "text/plain; charset=utf-8";

static enum MHD_Result reply(struct MHD_Connection *mhd, unsigned status, struct buffer *text,
                             const char *content_type, const char *allow)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(text->len_bytes, text->data, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result = MHD_NO;

    if (response == NULL) {
        return MHD_NO;
    }
    if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type) == MHD_YES &&
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") == MHD_YES &&
        (allow == NULL ||
         MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allow) == MHD_YES)) {
        result = MHD_queue_response(mhd, status, response);
    }
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result reply_ready(const struct health *h, struct MHD_Connection *mhd)
{
    BUFFER_AUTO(text, REASONS_MAX_BYTES);

    if (!h->options.ready(h->options.arg, &text)) {
        return reply(mhd, MHD_HTTP_SERVICE_UNAVAILABLE, &text, plain, NULL);
    }
    buffer_append_string(&text, "ready\n"); /* behind what is to be noted all the same */
    return reply(mhd, MHD_HTTP_OK, &text, plain, NULL);
}

static enum MHD_Result reply_metrics(const struct health *h, struct MHD_Connection *mhd)
{
    BUFFER_AUTO(text, HEALTH_METRICS_MAX_BYTES);
    const char *accept = heading_find(mhd, MHD_HTTP_HEADER_ACCEPT).value;
    const char *content_type = h->options.metrics(h->options.arg, accept, &text);

    if (content_type == NULL || text.failed) { /* a part of them would be taken for all */
        buffer_reset(&text);
        buffer_append_string(&text, content_type == NULL ? "stopping\n" : "no memory\n");
        return reply(mhd, MHD_HTTP_SERVICE_UNAVAILABLE, &text, plain, NULL);
    }
    return reply(mhd, MHD_HTTP_OK, &text, content_type, NULL);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *len_bytes, void **seen)
{
    struct health *h = arg;
    BUFFER_AUTO(text, REASONS_MAX_BYTES);

    (void)version, (void)bytes;
    if (*seen == NULL) { /* the head; a reply now would end the connection */
        *seen = h;
        return MHD_YES;
    }
    if (*len_bytes > 0) {
        *len_bytes = 0;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        buffer_append_string(&text, "only GET and HEAD\n");
        return reply(mhd, MHD_HTTP_METHOD_NOT_ALLOWED, &text, plain, "GET, HEAD");
    }
    if (strcmp(url, "/healthz") == 0) {
        buffer_append_string(&text, "serving\n");
        return reply(mhd, MHD_HTTP_OK, &text, plain, NULL);
    }
    if (strcmp(url, "/readyz") == 0) {
        return reply_ready(h, mhd);
    }
    if (strcmp(url, "/metrics") == 0) {
        return reply_metrics(h, mhd);
    }
    buffer_append_string(&text, "here are /healthz, /readyz and /metrics\n");
    return reply(mhd, MHD_HTTP_NOT_FOUND, &text, plain, NULL);
}

int health_start(const struct health_options *options, struct health **out, struct failure *f)
{
    struct health *h;
    int result = socket_prepare(options->listen_fd, f);

    if (result != 0) {
        return result;
    }
    if (!socket_is_local(options->listen_fd)) {
        /* It has neither TLS nor authentication. */
        return failure_set(f, ERROR_INVALID_ARGUMENT,
                           "the health listener must be on a loopback address or a unix socket");
    }
    h = calloc(1, sizeof(*h));
    if (h == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory");
    }
    h->options = *options;
    h->daemon =
        MHD_start_daemon(MHD_USE_POLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ITC, 0, NULL,
                         NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET, h->options.listen_fd,
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
                         MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S, MHD_OPTION_END);
    if (h->daemon == NULL) {
        free(h);
        return failure_set(f, ERROR_INTERNAL, "cannot start the health listener");
    }
    *out = h;
    return 0;
}

void health_stop(struct health *h)
{
    if (h == NULL) {
        return;
    }
    (void)MHD_quiesce_daemon(h->daemon);
    MHD_stop_daemon(h->daemon);
    (void)close(h->options.listen_fd);
    free(h);
}
