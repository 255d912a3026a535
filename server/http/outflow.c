/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/http/outflow.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    RECORD_BYTES = 16384, /* the most that TLS allows */
    VECTOR_MAX = 16,      /* pieces of a record that go at once */
};

/* GnuTLS' push function: as writev(), with errno. */
static ssize_t push(gnutls_transport_ptr_t arg, const giovec_t *pieces, int count)
{
    const struct outflow *o = arg;

    if (count == 1) { /* the rule, and the cheaper call */
        return send(o->fd, pieces->iov_base, pieces->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)pieces, /* only read */
                              .msg_iovlen = (size_t)(count < VECTOR_MAX ? count : VECTOR_MAX) };

    return sendmsg(o->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void outflow_begin(struct outflow *o, int fd, gnutls_session_t session)
{
    *o = (struct outflow){ .fd = fd };
    gnutls_transport_set_vec_push_function(session, push);
}

/* Of a value; 0 where it has a character that could end its line and begin another. */
static size_t plain_length(const char *text)
{
    size_t len = strcspn(text, "\r\n\t");

    return text[len] == '\0' ? len : 0;
}

/* False: no room, or it is no line; the daemon judges it then. */
static bool take_line(struct outflow *o, const struct exchange_header *line)
{
    size_t name_len = strlen(line->name), value_len = plain_length(line->value);
    size_t len = name_len + 2 + value_len + 2;
    uint8_t *at = o->held + o->line_bytes;

    if (name_len == 0 || value_len == 0 || len > (size_t)OUTFLOW_LINES_MAX_BYTES - o->line_bytes) {
        return false;
    }
    memcpy(at, line->name, name_len);
    memcpy(at + name_len, ": ", 2);
    memcpy(at + name_len + 2, line->value, value_len);
    memcpy(at + len - 2, "\r\n", 2);
    o->line_bytes = (uint16_t)(o->line_bytes + len);
    return true;
}

bool outflow_expect_header(struct outflow *o, bool with_body, const struct exchange_header *lines,
                           size_t count)
{
    bool taken = with_body && o->is_in_effect;

    o->header_waits = with_body;
    o->line_bytes = 0;
    for (size_t i = 0; i < count && taken; i++) {
        taken = take_line(o, &lines[i]);
    }
    if (!taken) {
        o->line_bytes = 0; /* all of them or none */
    }
    return taken;
}

/* Puts the lines into the daemon's header, before the empty line that ends it. */
static bool insert_lines(struct outflow *o, const uint8_t *header, size_t len_bytes)
{
    static const char end[] = { '\r', '\n', '\r', '\n' };
    size_t before_bytes = len_bytes - 2;

    if (len_bytes < sizeof(end) || len_bytes > OUTFLOW_DAEMON_MAX_BYTES ||
        memcmp(header + len_bytes - sizeof(end), end, sizeof(end)) != 0) {
        return false;
    }
    memmove(o->held + before_bytes, o->held, o->line_bytes);
    memcpy(o->held, header, before_bytes);
    memcpy(o->held + before_bytes + o->line_bytes, header + before_bytes, 2);
    return true;
}

/* Returns its length; 0: it does not wait. */
static ssize_t hold_header(struct outflow *o, const uint8_t *header, size_t len_bytes)
{
    if (o->line_bytes == 0) {
        if (len_bytes > sizeof(o->held)) {
            return 0;
        }
        memcpy(o->held, header, len_bytes);
    } else if (!insert_lines(o, header, len_bytes)) {
        return GNUTLS_E_INTERNAL_ERROR; /* without its lines it would be another reply: better none */
    }
    o->held_bytes = (uint16_t)(len_bytes + o->line_bytes);
    o->line_bytes = 0;
    return (ssize_t)len_bytes;
}

/* Ours are the sessions with two pointers; all others have one for both directions. */
static struct outflow *outflow_of(gnutls_session_t session)
{
    gnutls_transport_ptr_t in, out;

    gnutls_transport_get_ptr2(session, &in, &out);
    return in != out ? out : NULL;
}

/* A record that begins with what is held of a header. Returns the bytes of the body in it, which are
 * at least one, or GnuTLS' error. The record that waits for the socket is made again by the next
 * call: of the same bytes, as GnuTLS wants it. */
static ssize_t send_with_header(gnutls_session_t session, struct outflow *o, const uint8_t *body,
                                size_t len_bytes)
{
    uint8_t record[RECORD_BYTES] __attribute__((uninitialized));
    size_t room = sizeof(record) - o->held_bytes;
    size_t taken = len_bytes < room ? len_bytes : room;

    memcpy(record + o->held_bytes, body, taken);
    for (;;) {
        memcpy(record, o->held, o->held_bytes);
        ssize_t n = gnutls_record_send2(session, record, o->held_bytes + taken, 0, 0);

        if (n <= 0) {
            return n;
        }
        size_t of_header = (size_t)n < o->held_bytes ? (size_t)n : o->held_bytes;

        o->held_bytes = (uint16_t)(o->held_bytes - of_header);
        if (o->held_bytes == 0 && (size_t)n > of_header) {
            return n - (ssize_t)of_header;
        }
        /* The peer takes only short records (RFC 8449). */
        memmove(o->held, o->held + of_header, o->held_bytes);
        memmove(record + o->held_bytes, record + o->held_bytes + of_header, taken);
    }
}

/*
 * As GnuTLS defines it, but for how much one call may send. A record that waits for the socket
 * (GNUTLS_E_AGAIN) is taken up again by the next call, whose data begins where the bytes told here
 * end.
 */
__attribute__((visibility("default"))) ssize_t gnutls_record_send(gnutls_session_t session,
                                                                  const void *data,
                                                                  size_t len_bytes)
{
    const uint8_t *bytes = data;
    struct outflow *o = outflow_of(session);
    size_t sent_bytes = 0;

    if (o != NULL) {
        o->is_in_effect = true;
    }
    if (o != NULL && o->header_waits) {
        o->header_waits = false;
        ssize_t held = hold_header(o, data, len_bytes);

        if (held != 0) {
            return held;
        }
    }
    do {
        const uint8_t *at = bytes + sent_bytes;
        size_t left = len_bytes - sent_bytes;
        ssize_t n = o != NULL && o->held_bytes > 0 ? send_with_header(session, o, at, left)
                                                   : gnutls_record_send2(session, at, left, 0, 0);

        if (n <= 0) {
            return sent_bytes > 0 ? (ssize_t)sent_bytes : n;
        }
        sent_bytes += (size_t)n;
    } while (sent_bytes < len_bytes && sent_bytes < OUTFLOW_BURST_BYTES);
    return (ssize_t)sent_bytes;
}
