/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/http/streaming.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <linux/sockios.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { CHUNK_HEAD_BYTES = 6 }; /* "3ff8\r\n" */

_Static_assert(STREAMING_PIECE_BYTES <= 0xffff, "four digits");

static struct streaming *streaming_of(struct pump_entry *e)
{
    return (struct streaming *)(void *)((char *)e - offsetof(struct streaming, entry));
}

void streaming_init(struct streaming *s, struct pump *pump, struct connection *connection,
                    struct exchange *exchange, bool is_chunked)
{
    s->pump = pump;
    s->connection = connection;
    s->exchange = exchange;
    s->is_chunked = is_chunked;
}

void streaming_done(struct streaming *s)
{
    free(s->rest);
    s->rest = NULL;
}

/* --- to the pump, and back ----------------------------------------------------------------------- */

/* The daemon has corked the socket, for a body that it will not send. */
static void uncork(const struct connection *c)
{
    int off = 0;

    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_CORK, &off, sizeof(off)); /* in vain where not TCP */
}

/* With the lock, without which no turn begins. */
static bool park(struct streaming *s)
{
    struct connection *c = s->connection;

    if (atomic_load(&c->table->abandoning)) {
        return false;
    }
    connection_enter(c, CONNECTION_WAITING);
    uncork(c);
    if (!pump_enter(s->pump, &s->entry, c->fd)) {
        return false;
    }
    c->parked = s;
    MHD_suspend_connection(c->mhd);
    return true;
}

ssize_t streaming_read(struct streaming *s)
{
    struct connection *c = s->connection;

    (void)pthread_mutex_lock(&c->lock);
    if (s->state == STREAMING_GOES_ON && !park(s)) {
        s->state = STREAMING_CUT;
    }
    int state = (int)s->state;

    (void)pthread_mutex_unlock(&c->lock);
    if (state == STREAMING_GOES_ON) {
        return 0;
    }
    connection_enter(c, CONNECTION_SENDING);
    return state == STREAMING_ENDED ? MHD_CONTENT_READER_END_OF_STREAM
                                    : MHD_CONTENT_READER_END_WITH_ERROR;
}

void streaming_wake(struct streaming *s)
{
    if (s->connection->parked == s) {
        pump_wake(&s->entry);
    }
}

/* Gives the connection back to the daemon, which may be done with it, and with `s`, before this
 * returns. */
static enum pump_verdict leave(struct streaming *s, int state)
{
    struct connection *c = s->connection;

    (void)pthread_mutex_lock(&c->lock);
    s->state = state;
    c->parked = NULL;
    pump_leave(&s->entry);
    MHD_resume_connection(c->mhd);
    (void)pthread_mutex_unlock(&c->lock);
    return PUMP_LEFT;
}

/* --- sending ------------------------------------------------------------------------------------- */

enum { SEND_FULL = 0, SEND_FAILED = -1 };

/* How many bytes went, or one of those. After SEND_FULL the same bytes have to be tried again. */
static ssize_t send_bytes(const struct connection *c, const uint8_t *bytes, size_t len_bytes)
{
    ssize_t n;

    if (c->tls == NULL) {
        n = send(c->fd, bytes, len_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        return n > 0 ? n : n < 0 && (errno == EAGAIN || errno == EINTR) ? SEND_FULL : SEND_FAILED;
    }
    do {
        n = gnutls_record_send(c->tls, bytes, len_bytes); /* outflow.c's */
    } while (n == GNUTLS_E_INTERRUPTED);
    return n > 0 ? n : n == GNUTLS_E_AGAIN ? SEND_FULL : SEND_FAILED;
}

/* Sends as far as the socket takes it: how many bytes that is, or SEND_FAILED. */
static ssize_t send_all(const struct connection *c, const uint8_t *bytes, size_t len_bytes)
{
    size_t at = 0;

    while (at < len_bytes) {
        ssize_t n = send_bytes(c, bytes + at, len_bytes - at);

        if (n == SEND_FULL) {
            break;
        }
        if (n < 0) {
            return SEND_FAILED;
        }
        at += (size_t)n;
    }
    return (ssize_t)at;
}

static bool keep_rest(struct streaming *s, const uint8_t *bytes, size_t len_bytes)
{
    s->rest = malloc(len_bytes);
    if (s->rest == NULL) {
        return false;
    }
    memcpy(s->rest, bytes, len_bytes);
    s->rest_at = 0;
    s->rest_bytes = len_bytes;
    return true;
}

/* True: it is with the kernel. */
static bool send_rest(struct streaming *s, bool *failed)
{
    ssize_t n = send_all(s->connection, s->rest + s->rest_at, s->rest_bytes - s->rest_at);

    if (n < 0) {
        *failed = true;
        return false;
    }
    s->rest_at += (size_t)n;
    if (s->rest_at < s->rest_bytes) {
        return false;
    }
    streaming_done(s);
    return true;
}

/* Puts a chunk's frame around what is behind its head. */
static size_t frame(uint8_t *chunk, size_t piece_bytes, uint8_t **begin)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t *at = chunk + CHUNK_HEAD_BYTES;

    memcpy(at + piece_bytes, "\r\n", 2);
    *--at = '\n';
    *--at = '\r';
    for (size_t left = piece_bytes; left > 0; left >>= 4) {
        *--at = (uint8_t)digits[left & 0xf];
    }
    *begin = at;
    return (size_t)(chunk + CHUNK_HEAD_BYTES - at) + piece_bytes + 2;
}

enum step { STEP_MORE, STEP_LATER, STEP_FULL, STEP_END, STEP_FAILED };

/* Makes the next piece, and sends it. */
static enum step send_piece(struct streaming *s, size_t *sent_bytes)
{
    uint8_t record[STREAMING_RECORD_BYTES] __attribute__((uninitialized));
    uint8_t *begin = record + CHUNK_HEAD_BYTES;
    ssize_t piece = exchange_read(s->exchange, begin, STREAMING_PIECE_BYTES);

    if (piece <= 0) {
        return piece == 0 ? STEP_END : STEP_LATER;
    }
    size_t len = s->is_chunked ? frame(record, (size_t)piece, &begin) : (size_t)piece;
    ssize_t n = send_all(s->connection, begin, len);

    if (n < 0) {
        return STEP_FAILED;
    }
    *sent_bytes += (size_t)n;
    if ((size_t)n == len) {
        return STEP_MORE;
    }
    return keep_rest(s, begin + n, len - (size_t)n) ? STEP_FULL : STEP_FAILED;
}

/* Not where something is on its way: that will do, and the record might have to wait for room. False:
 * it is in vain. Without TLS nothing can be sent that is nothing; it takes the next message. */
static bool probe(struct streaming *s)
{
    const struct connection *c = s->connection;
    int unread_bytes = 0;

    if (c->tls == NULL || c->outflow.held_bytes > 0 || ioctl(c->fd, SIOCOUTQ, &unread_bytes) != 0 ||
        unread_bytes > 0) {
        return true;
    }
    return gnutls_session_key_update(c->tls, 0) == 0;
}

/* A burst of them; STEP_MORE: that is over. */
static enum step send_burst(struct streaming *s, size_t burst_bytes)
{
    size_t sent_bytes = 0;
    bool failed = false;
    enum step step = STEP_MORE;

    if (s->rest != NULL && !send_rest(s, &failed)) {
        return failed ? STEP_FAILED : STEP_FULL;
    }
    while (step == STEP_MORE && sent_bytes < burst_bytes) {
        step = send_piece(s, &sent_bytes);
    }
    return step;
}

/* --- a turn -------------------------------------------------------------------------------------- */

/* For the watchdog, who looks whether a reader takes what there is for it: unless that is its own. */
static enum pump_verdict rest(struct streaming *s, bool is_full)
{
    enum connection_phase phase =
        is_full && !exchange_is_patient(s->exchange) ? CONNECTION_SENDING : CONNECTION_WAITING;
    uint64_t since_ns;

    if (connection_phase(s->connection, &since_ns) != phase) {
        connection_enter(s->connection, phase);
    }
    return PUMP_RESTS;
}

/* It is parked as a whole before its first turn begins. */
static bool is_abandoned(struct streaming *s)
{
    struct connection *c = s->connection;

    (void)pthread_mutex_lock(&c->lock);
    bool abandoned = atomic_load(&c->table->abandoning);

    (void)pthread_mutex_unlock(&c->lock);
    return abandoned;
}

/* What the pump's thread has heard of the socket may still name the entry: it alone lets go of it. */
static enum pump_verdict finish(struct streaming *s, const struct pump_news *news, int state)
{
    if (news->is_help) {
        s->leaves_as = state;
        return PUMP_GOES_ON;
    }
    return leave(s, state);
}

enum pump_verdict streaming_turn(struct pump_entry *e, const struct pump_news *news)
{
    struct streaming *s = streaming_of(e);

    if (s->leaves_as != STREAMING_GOES_ON) {
        return finish(s, news, s->leaves_as);
    }
    if (is_abandoned(s) || news->peer_left) {
        return finish(s, news, STREAMING_CUT);
    }
    enum step step = send_burst(s, news->is_help ? STREAMING_BRIEF_BYTES : OUTFLOW_BURST_BYTES);

    if (step == STEP_LATER && news->peer_is_done && !s->is_probed) {
        s->is_probed = true;
        step = probe(s) ? STEP_LATER : STEP_FAILED;
    }
    switch (step) {
    case STEP_MORE: return PUMP_GOES_ON;
    case STEP_LATER: return rest(s, false);
    case STEP_FULL: return rest(s, true);
    case STEP_END: return finish(s, news, STREAMING_ENDED);
    case STEP_FAILED: break;
    }
    return finish(s, news, STREAMING_CUT);
}
