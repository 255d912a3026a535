/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/http/outflow.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { VECTOR_MAX = 16 }; /* pieces of a record that go at once */

static bool hold(struct outflow *o, const giovec_t *pieces, int count, size_t len_bytes)
{
    if (!o->header_waits || len_bytes > sizeof(o->held) - o->held_bytes) {
        o->header_waits = false;
        return false;
    }
    for (int i = 0; i < count; i++) {
        memcpy(o->held + o->held_bytes, pieces[i].iov_base, pieces[i].iov_len);
        o->held_bytes = (uint16_t)(o->held_bytes + pieces[i].iov_len);
    }
    o->header_waits = false;
    return true;
}

/* Takes what was held out of what was sent: the rest, or -1 where nothing of the record went. */
static ssize_t without_held(struct outflow *o, size_t sent_bytes)
{
    if (sent_bytes <= o->held_bytes) {
        o->held_bytes = (uint16_t)(o->held_bytes - sent_bytes);
        memmove(o->held, o->held + sent_bytes, o->held_bytes);
        errno = EAGAIN;
        return -1;
    }
    sent_bytes -= o->held_bytes;
    o->held_bytes = 0;
    return (ssize_t)sent_bytes;
}

/* GnuTLS' push function: as writev(), with errno. */
static ssize_t push(gnutls_transport_ptr_t arg, const giovec_t *pieces, int count)
{
    struct outflow *o = arg;
    struct iovec vector[1 + VECTOR_MAX] = { { .iov_base = o->held, .iov_len = o->held_bytes } };
    struct msghdr message = { .msg_iov = vector, .msg_iovlen = 1 };
    size_t len_bytes = 0;
    ssize_t sent;

    for (int i = 0; i < count; i++) {
        len_bytes += pieces[i].iov_len;
    }
    if (hold(o, pieces, count, len_bytes)) {
        return (ssize_t)len_bytes;
    }
    for (int i = 0; i < count && i < VECTOR_MAX; i++) {
        vector[message.msg_iovlen++] = (struct iovec){ pieces[i].iov_base, pieces[i].iov_len };
    }
    sent = sendmsg(o->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent > 0 && o->held_bytes > 0 ? without_held(o, (size_t)sent) : sent;
}

void outflow_begin(struct outflow *o, int fd, gnutls_session_t session)
{
    *o = (struct outflow){ .fd = fd };
    gnutls_transport_set_ptr2(session, (gnutls_transport_ptr_t)(intptr_t)fd, o);
    gnutls_transport_set_vec_push_function(session, push);
}

void outflow_expect_header(struct outflow *o, bool with_body)
{
    o->header_waits = with_body;
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
    size_t sent_bytes = 0;

    do {
        ssize_t n = gnutls_record_send2(session, bytes + sent_bytes, len_bytes - sent_bytes, 0, 0);

        if (n <= 0) {
            return sent_bytes > 0 ? (ssize_t)sent_bytes : n;
        }
        sent_bytes += (size_t)n;
    } while (sent_bytes < len_bytes && sent_bytes < OUTFLOW_BURST_BYTES);
    return (ssize_t)sent_bytes;
}
