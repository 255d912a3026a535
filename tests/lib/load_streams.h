/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Thousands of watches in one process, each on a TLS connection of its own: read as fast as they come,
 * or hardly, as the test says, and each message's numbers checked. One thread; every wait has a bound.
 */
#ifndef XENRES_TESTS_LOAD_STREAMS_H
#define XENRES_TESTS_LOAD_STREAMS_H

#include "tests/lib/unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "xenres/v1/resource.pb-c.h"

enum {
    LOAD_MESSAGE_BYTES = 1 << 20,
    LOAD_READ_BYTES = 16384,
    LOAD_ENVELOPE_BYTES = 5,
    LOAD_EVENTS = 256,
};

enum load_part { LOAD_HEAD, LOAD_SIZE, LOAD_CHUNK, LOAD_CHUNK_END, LOAD_OVER };

struct load_stream {
    SSL *ssl;
    int fd;
    enum load_part part;
    size_t chunk_left, line_len;
    char line[512];   /* of the head or of a chunk's size */
    uint8_t *message; /* as far as it is there, with its envelope */
    size_t message_len;
    int status;
    bool begun, has_content, is_due;
    uint64_t sequence; /* delivered or told as lost */
    uint64_t batches, gaps, lost, contents, heartbeats, holes;
    uint32_t gap_reason; /* of the last */
    char error[64];      /* of the stream's end: Connect's code */
    char said[256];      /* all of it, its beginning */
};

struct load {
    SSL_CTX *context;
    uint16_t port;
    int epoll_fd;
    char dir[128];
};

static inline void load_begin(struct load *l, const char *dir, uint16_t port)
{
    char path[256];

    l->port = port;
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->context = SSL_CTX_new(TLS_client_method());
    (void)snprintf(path, sizeof(path), "%s/ca.crt", dir);
    assert_int_equal(SSL_CTX_load_verify_locations(l->context, path, NULL), 1);
    SSL_CTX_set_verify(l->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(l->context, SSL_MODE_RELEASE_BUFFERS);
    (void)snprintf(path, sizeof(path), "%s/operator.crt", dir);
    assert_int_equal(SSL_CTX_use_certificate_chain_file(l->context, path), 1);
    (void)snprintf(path, sizeof(path), "%s/operator.key", dir);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(l->context, path, SSL_FILETYPE_PEM), 1);
}

static inline void load_end(struct load *l)
{
    SSL_CTX_free(l->context);
    (void)close(l->epoll_fd);
}

/* `frame_count` 0: all in use. */
static inline void load_ask(struct load_stream *s, const char *domain, uint32_t frame_count,
                            uint32_t period_ms)
{
    Xenres__V1__WatchRequest request;
    Google__Protobuf__Duration period;
    uint8_t body[4096];
    char head[512];

    xenres__v1__watch_request__init(&request);
    google__protobuf__duration__init(&period);
    period.seconds = period_ms / 1000;
    period.nanos = (int32_t)(period_ms % 1000) * 1000000;
    request.domain = (char *)(uintptr_t)domain;
    request.type = XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_GRANT_TABLE;
    request.period = &period;
    if (frame_count > 0) {
        request.frame_count_choice_case = XENRES__V1__WATCH_REQUEST__FRAME_COUNT_CHOICE_FRAME_COUNT;
        request.frame_count = frame_count;
    }
    size_t len = xenres__v1__watch_request__get_packed_size(&request);

    assert_true(len + LOAD_ENVELOPE_BYTES <= sizeof(body));
    memset(body, 0, LOAD_ENVELOPE_BYTES);
    body[3] = (uint8_t)(len >> 8);
    body[4] = (uint8_t)len;
    (void)xenres__v1__watch_request__pack(&request, body + LOAD_ENVELOPE_BYTES);
    len += LOAD_ENVELOPE_BYTES;
    int n = snprintf(head, sizeof(head),
                     "POST /xenres.v1.ResourceService/Watch HTTP/1.1\r\nHost: t\r\n"
                     "Content-Type: application/connect+proto\r\nContent-Length: %zu\r\n\r\n",
                     len);

    assert_int_equal(SSL_write(s->ssl, head, n), n);
    assert_int_equal(SSL_write(s->ssl, body, (int)len), (int)len);
}

/* `receive_bytes`: the kernel's buffer; 0: as usual. Not looked at until load_follow(). */
static inline void load_open(struct load *l, struct load_stream *s, int receive_bytes)
{
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons(l->port),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    memset(s, 0, sizeof(*s));
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_bytes > 0) {
        (void)setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
    }
    assert_int_equal(connect(s->fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    s->ssl = SSL_new(l->context);
    SSL_set_fd(s->ssl, s->fd);
    assert_int_equal(SSL_connect(s->ssl), 1);
    s->is_due = true;
}

/* From now on what comes is taken. */
static inline void load_follow(struct load *l, struct load_stream *s)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = s };

    assert_int_equal(fcntl(s->fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, s->fd, &event), 0);
}

static inline void load_close(struct load_stream *s)
{
    SSL_free(s->ssl);
    (void)close(s->fd);
    free(s->message);
    memset(s, 0, sizeof(*s));
    s->fd = -1;
}

/* --- messages ---------------------------------------------------------------------------------------- */

static inline void load_range(struct load_stream *s, uint64_t first, uint64_t sequence)
{
    s->holes += first != s->sequence + 1 || sequence < first;
    s->sequence = sequence;
}

static inline void load_image(struct load_stream *s, const Xenres__V1__WatchImage *m)
{
    if (!m->complete) {
        return;
    }
    s->holes +=
        s->has_content && m->sequence != s->sequence && m->first_sequence != s->sequence + 1;
    s->sequence = m->sequence;
    s->has_content = true;
    s->is_due = false;
    s->contents++;
}

static inline void load_message(struct load_stream *s, const uint8_t *bytes, size_t len)
{
    Xenres__V1__WatchResponse *m = xenres__v1__watch_response__unpack(NULL, len, bytes);

    assert_non_null(m);
    switch (m->content_case) {
    case XENRES__V1__WATCH_RESPONSE__CONTENT_BEGIN:
        s->begun = true;
        s->is_due = !m->begin->resumed;
        s->sequence = m->begin->sequence;
        s->has_content = m->begin->resumed != 0;
        break;
    case XENRES__V1__WATCH_RESPONSE__CONTENT_IMAGE: load_image(s, m->image); break;
    case XENRES__V1__WATCH_RESPONSE__CONTENT_CHANGES:
        if (!m->changes->more) {
            s->holes += s->is_due;
            load_range(s, m->changes->first_sequence, m->changes->sequence);
            s->batches++;
        }
        break;
    case XENRES__V1__WATCH_RESPONSE__CONTENT_GAP:
        load_range(s, m->gap->first_sequence, m->gap->sequence);
        s->lost += m->gap->sequence - m->gap->first_sequence + 1;
        s->gaps++;
        s->gap_reason = (uint32_t)m->gap->reason;
        s->is_due = true;
        break;
    case XENRES__V1__WATCH_RESPONSE__CONTENT_HEARTBEAT: s->heartbeats++; break;
    default: break;
    }
    xenres__v1__watch_response__free_unpacked(m, NULL);
}

static inline void load_take(struct load_stream *s, const uint8_t *bytes, size_t len)
{
    s->message = realloc(s->message, s->message_len + len);
    assert_true(s->message != NULL && s->message_len + len <= 2 * LOAD_MESSAGE_BYTES);
    memcpy(s->message + s->message_len, bytes, len);
    s->message_len += len;
    size_t at = 0;

    while (s->message_len - at >= LOAD_ENVELOPE_BYTES) {
        const uint8_t *e = s->message + at;
        size_t size = (size_t)e[1] << 24 | (size_t)e[2] << 16 | (size_t)e[3] << 8 | e[4];

        if (s->message_len - at - LOAD_ENVELOPE_BYTES < size) {
            break;
        }
        if (e[0] == 0) {
            load_message(s, e + LOAD_ENVELOPE_BYTES, size);
        } else {
            const char *code = memmem(e + LOAD_ENVELOPE_BYTES, size, "\"code\":\"", 8);

            (void)snprintf(s->error, sizeof(s->error), "%s", "ended");
            (void)snprintf(s->said, sizeof(s->said), "%.*s", (int)size,
                           (const char *)e + LOAD_ENVELOPE_BYTES);
            if (code != NULL) {
                (void)sscanf(code + 8, "%63[a-z_]", s->error);
            }
        }
        at += LOAD_ENVELOPE_BYTES + size;
    }
    memmove(s->message, s->message + at, s->message_len - at);
    s->message_len -= at;
}

/* --- HTTP -------------------------------------------------------------------------------------------- */

/* A byte of a line; true at its end. */
static inline bool load_line(struct load_stream *s, uint8_t byte)
{
    if (byte == '\n') {
        s->line[s->line_len] = '\0';
        s->line_len = 0;
        return true;
    }
    if (byte != '\r' && s->line_len < sizeof(s->line) - 1) {
        s->line[s->line_len++] = (char)byte;
    }
    return false;
}

static inline void load_byte(struct load_stream *s, uint8_t byte)
{
    if (!load_line(s, byte)) {
        return;
    }
    if (s->part == LOAD_HEAD && s->line[0] == '\0') {
        s->part = s->chunk_left > 0 ? LOAD_CHUNK : LOAD_SIZE; /* a length, or chunks */
    } else if (s->part == LOAD_HEAD) {
        (void)sscanf(s->line, "HTTP/1.1 %d", &s->status);
        (void)sscanf(s->line, "Content-Length: %zu", &s->chunk_left);
    } else if (s->part == LOAD_SIZE) {
        s->chunk_left = strtoul(s->line, NULL, 16);
        s->part = s->chunk_left > 0 ? LOAD_CHUNK : LOAD_OVER;
    } else if (s->part == LOAD_CHUNK_END) {
        s->part = LOAD_SIZE;
    }
}

static inline void load_bytes(struct load_stream *s, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        size_t n = 1;

        if (s->part == LOAD_CHUNK) {
            n = len < s->chunk_left ? len : s->chunk_left;
            load_take(s, bytes, n);
            s->chunk_left -= n;
            s->part = s->chunk_left > 0 ? LOAD_CHUNK : LOAD_CHUNK_END;
        } else {
            load_byte(s, *bytes);
        }
        bytes += n;
        len -= n;
    }
}

/* Reads what there is. False: it is over. */
static inline bool load_read(struct load_stream *s)
{
    uint8_t bytes[LOAD_READ_BYTES];
    int n;

    while ((n = SSL_read(s->ssl, bytes, sizeof(bytes))) > 0) {
        load_bytes(s, bytes, (size_t)n);
    }
    return SSL_get_error(s->ssl, n) == SSL_ERROR_WANT_READ;
}

/* Takes what comes within so long. */
static inline void load_poll(struct load *l, int limit_ms)
{
    struct epoll_event events[LOAD_EVENTS];
    int n = epoll_wait(l->epoll_fd, events, LOAD_EVENTS, limit_ms);

    for (int i = 0; i < n; i++) {
        struct load_stream *s = events[i].data.ptr;

        if (!load_read(s)) {
            (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
            s->part = LOAD_OVER;
        }
    }
}

#endif
