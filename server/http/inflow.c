/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/http/inflow.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { HEAD_BYTES = 5 }; /* of a record (RFC 8446, 5.1): no encrypted record has so short a rest */

static size_t left_ahead(const struct inflow *i)
{
    return (size_t)(i->ahead_end - i->ahead_at);
}

/*
 * GnuTLS' pull function: as recv(), with errno. Read ahead is with heads alone: so what was read
 * ahead begins with a record, and its whole records decrypt to less than its length, which is no
 * more than the room. Of the one that is cut off GnuTLS takes all that is there, and keeps for
 * itself what is beyond the room.
 */
static ssize_t pull(gnutls_transport_ptr_t arg, void *to, size_t max_bytes)
{
    struct inflow *i = arg;

    if (i->held) {
        errno = EAGAIN;
        return -1;
    }
    if (left_ahead(i) == 0) {
        if (max_bytes != HEAD_BYTES || i->room_bytes < HEAD_BYTES) {
            return recv(i->fd, to, max_bytes, MSG_DONTWAIT);
        }
        ssize_t n = recv(i->fd, i->ahead, i->room_bytes, MSG_DONTWAIT);

        if (n <= 0) {
            return n;
        }
        i->ahead_at = 0;
        i->ahead_end = (uint16_t)n;
    }
    size_t taken = max_bytes < left_ahead(i) ? max_bytes : left_ahead(i);

    memcpy(to, i->ahead + i->ahead_at, taken);
    i->ahead_at = (uint16_t)(i->ahead_at + taken);
    return (ssize_t)taken;
}

static int pull_timeout(gnutls_transport_ptr_t arg, unsigned ms)
{
    const struct inflow *i = arg;

    return gnutls_system_recv_timeout((gnutls_transport_ptr_t)(intptr_t)i->fd, ms);
}

void inflow_begin(struct inflow *i, int fd, gnutls_session_t session)
{
    *i = (struct inflow){ .fd = fd };
    gnutls_transport_set_pull_function(session, pull);
    gnutls_transport_set_pull_timeout_function(session, pull_timeout);
}

/* Ours are the sessions with two pointers; all others have one for both directions. */
static struct inflow *inflow_of(gnutls_session_t session)
{
    gnutls_transport_ptr_t in, out;

    gnutls_transport_get_ptr2(session, &in, &out);
    return in != out ? in : NULL;
}

static ssize_t receive(gnutls_session_t session, void *data, size_t max_bytes)
{
    unsigned char sequence[8]; /* of no interest: it makes this another function of the library */

    return gnutls_record_recv_seq(session, data, max_bytes, sequence);
}

/*
 * As GnuTLS defines it, but for records: one call may give several. What comes behind a good one and
 * is an end or a failure, GnuTLS tells again at the next call: which the daemon makes when the socket
 * has something to read. So that it has, though nothing will come any more, it is ended for reading.
 */
__attribute__((visibility("default"))) ssize_t gnutls_record_recv(gnutls_session_t session,
                                                                  void *data, size_t max_bytes)
{
    struct inflow *i = inflow_of(session);
    size_t got_bytes = 0, left_before;
    ssize_t n;

    if (i == NULL) {
        return receive(session, data, max_bytes);
    }
    if (i->held) { /* also where the end of TLS came with the request, which GnuTLS tells without pull() */
        return GNUTLS_E_AGAIN;
    }
    do {
        size_t room = max_bytes - got_bytes;

        left_before = left_ahead(i);
        i->room_bytes = (uint16_t)(room < sizeof(i->ahead) ? room : sizeof(i->ahead));
        n = receive(session, (uint8_t *)data + got_bytes, room);
        i->room_bytes = 0;
        got_bytes += n > 0 ? (size_t)n : 0;
        /* An empty record may end a call with GNUTLS_E_AGAIN. */
    } while ((n > 0 || n == GNUTLS_E_AGAIN) && got_bytes < max_bytes && left_ahead(i) > 0 &&
             left_ahead(i) != left_before);
    if (got_bytes > 0 && (n == 0 || (n < 0 && gnutls_error_is_fatal((int)n) != 0))) {
        (void)shutdown(i->fd, SHUT_RD);
    }
    return got_bytes > 0 ? (ssize_t)got_bytes : n;
}
