/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A refused connection is closed in three moves: the answer is sent, nothing more is taken from it,
 * and what had come is read away. Closing with unread messages would reset the connection, and the
 * one refused would see that instead of the answer.
 */
#include "server/mapper/peer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/clock.h"
#include "common/log.h"
#include "server/mapper/patience.h"

enum { SEND_BUFFER_BYTES = 1 << 20, DRAIN_MAX = 64 };

struct waiting {
    struct channel channel; /* fd -1: this place is free */
    uint64_t deadline_ns;
    uid_t uid;
    pid_t pid;
};

struct peer {
    int listen_fd;
    uid_t users[PEER_USERS_MAX];
    size_t user_count;
    struct waiting lobby[PEER_LOBBY_MAX];
    struct channel channel; /* of the peer; fd -1: nobody is served */
    pid_t pid;
    uint64_t stalled_since_ns; /* its socket has been full since then; 0: it is not */
};

int peer_new(int listen_fd, const uid_t *users, size_t user_count, struct peer **out,
             struct failure *f)
{
    assert(user_count > 0 && user_count <= PEER_USERS_MAX);
    struct peer *p = calloc(1, sizeof(*p));
    if (!p) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for connections");
    }
    p->listen_fd = listen_fd;
    memcpy(p->users, users, user_count * sizeof(*users));
    p->user_count = user_count;
    p->channel.fd = -1;
    for (size_t i = 0; i < PEER_LOBBY_MAX; i++) {
        p->lobby[i].channel.fd = -1;
    }
    patience_init();
    *out = p;
    return 0;
}

/* Discards what has come and was not read, too. */
static void hang_up(struct channel *c)
{
    if (c->fd >= 0) {
        patience_begin();
        channel_close(c);
        patience_end();
    }
}

void peer_free(struct peer *p)
{
    if (!p) {
        return;
    }
    for (size_t i = 0; i < PEER_LOBBY_MAX; i++) {
        hang_up(&p->lobby[i].channel);
    }
    hang_up(&p->channel);
    close(p->listen_fd);
    free(p);
}

nfds_t peer_poll_rows(const struct peer *p, struct pollfd *rows)
{
    nfds_t count = 0;
    rows[count++] = (struct pollfd){ .fd = p->listen_fd, .events = POLLIN };
    if (p->channel.fd >= 0) {
        short wanted = p->stalled_since_ns ? POLLOUT : POLLIN;
        rows[count++] = (struct pollfd){ .fd = p->channel.fd, .events = wanted };
    }
    for (size_t i = 0; i < PEER_LOBBY_MAX; i++) {
        if (p->lobby[i].channel.fd >= 0) {
            rows[count++] = (struct pollfd){ .fd = p->lobby[i].channel.fd, .events = POLLIN };
        }
    }
    return count;
}

uint64_t peer_deadline_ns(const struct peer *p)
{
    uint64_t first = UINT64_MAX;
    for (size_t i = 0; i < PEER_LOBBY_MAX; i++) {
        if (p->lobby[i].channel.fd >= 0 && p->lobby[i].deadline_ns < first) {
            first = p->lobby[i].deadline_ns;
        }
    }
    if (p->stalled_since_ns) {
        uint64_t end = p->stalled_since_ns + PEER_STALL_TIMEOUT_MS * CLOCK_NS_PER_MS;
        if (end < first) {
            first = end;
        }
    }
    return first;
}

/* Says why, and closes as described above. */
static void refuse(struct waiting *w, uint64_t serial, const struct failure *failure)
{
    union message m;
    memset(&m, 0, sizeof(m));
    message_init(&m, MESSAGE_FAILED, serial ? serial : 1);
    m.failed.failure = *failure;
    struct failure ignored; /* who was refused and is gone already needs no answer */
    channel_send(&w->channel, &m, m.head.len_bytes, NULL, 0, &ignored);
    shutdown(w->channel.fd, SHUT_RD);
    patience_begin();
    for (int i = 0; i < DRAIN_MAX; i++) {
        ssize_t len = channel_receive(&w->channel, &m, sizeof(m), NULL, NULL, &ignored);
        if (len <= 0 && len != -ERROR_DATA_LOSS) {
            break;
        }
    }
    patience_end();
    log_warning("refused process %d of uid %u: %s", (int)w->pid, w->uid, failure->message);
    hang_up(&w->channel);
}

static bool user_is_allowed(const struct peer *p, uid_t uid)
{
    for (size_t i = 0; i < p->user_count; i++) {
        if (p->users[i] == uid) {
            return true;
        }
    }
    return false;
}

static struct waiting *lobby_place(struct peer *p)
{
    struct waiting *oldest = &p->lobby[0];
    for (size_t i = 0; i < PEER_LOBBY_MAX; i++) {
        if (p->lobby[i].channel.fd < 0) {
            return &p->lobby[i];
        }
        if (p->lobby[i].deadline_ns < oldest->deadline_ns) {
            oldest = &p->lobby[i];
        }
    }
    /* A flood of silent connections must not keep the one out that has something to say. */
    hang_up(&oldest->channel);
    return oldest;
}

static void accept_all(struct peer *p)
{
    for (int i = 0; i < PEER_LOBBY_MAX; i++) {
        struct channel channel = { .fd = -1 };
        uid_t uid;
        pid_t pid;
        struct failure f;
        int result = channel_accept(p->listen_fd, &channel, &uid, &pid, &f);
        if (result < 0) {
            if (result != -ERROR_UNAVAILABLE) {
                log_failure(LOG_LEVEL_ERROR, "accepting a peer", &f);
            }
            return;
        }
        *lobby_place(p) = (struct waiting){
            .channel = channel,
            .uid = uid,
            .pid = pid,
            .deadline_ns = clock_monotonic_ns() + PEER_HELLO_TIMEOUT_MS * CLOCK_NS_PER_MS,
        };
    }
}

static int check_hello(const struct peer *p, const struct waiting *w, const union message *m,
                       ssize_t len, struct failure *f)
{
    if (!user_is_allowed(p, w->uid)) {
        /* SO_PEERCRED is the kernel's word: no other local user gets to the parser of requests. */
        int result =
            failure_set(f, ERROR_PERMISSION_DENIED, "user %u is not served by this mapper", w->uid);
        return failure_next(f, result, "run xenresd as the user of --peer-user");
    }
    int result = message_check(m, (size_t)len, f);
    if (result < 0) {
        return result;
    }
    if (m->head.type != MESSAGE_HELLO) {
        return failure_set(f, ERROR_FAILED_PRECONDITION,
                           "the first message has type %#x, and not hello", m->head.type);
    }
    if (p->channel.fd >= 0) {
        result = failure_set(f, ERROR_UNAVAILABLE, "the mapper serves another process (%d) already",
                             (int)p->pid);
        failure_cause(f, result, "a mapper serves one xenresd at a time");
        return failure_next(f, result, "stop the other xenresd");
    }
    return 0;
}

static bool has_hung_up(const struct channel *c)
{
    struct pollfd row = { .fd = c->fd };
    return c->fd >= 0 && poll(&row, 1, 0) == 1 && (row.revents & POLLHUP) != 0;
}

/* Hears one of the lobby. True: it is the peer now. */
static bool hear(struct peer *p, struct waiting *w, union message *hello)
{
    /* A peer that is gone and not yet seen off must not have its successor refused. */
    if (has_hung_up(&p->channel)) {
        return false;
    }
    struct failure f;
    if (channel_brings_descriptors(&w->channel)) {
        failure_set(&f, ERROR_INVALID_ARGUMENT, "descriptors came with the hello");
        refuse(w, 0, &f);
        return false;
    }
    ssize_t len = channel_receive(&w->channel, hello, sizeof(*hello), NULL, NULL, &f);
    if (len == 0 && clock_monotonic_ns() < w->deadline_ns) {
        return false;
    }
    if (len <= 0 && len != -ERROR_DATA_LOSS) {
        hang_up(&w->channel);
        return false;
    }
    int result = len < 0 ? (int)len : check_hello(p, w, hello, len, &f);
    if (result < 0) {
        refuse(w, len >= (ssize_t)sizeof(hello->head) ? hello->head.serial : 0, &f);
        return false;
    }
    p->channel = w->channel;
    p->pid = w->pid;
    p->stalled_since_ns = 0;
    w->channel.fd = -1;
    /* Answers to as many requests as may be in flight fit, where the kernel's limit lets them. */
    int bytes = SEND_BUFFER_BYTES;
    setsockopt(p->channel.fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    log_info("serving process %d of uid %u", (int)w->pid, w->uid);
    return true;
}

bool peer_admit(struct peer *p, union message *hello)
{
    accept_all(p);
    bool admitted = false;
    for (size_t i = 0; i < PEER_LOBBY_MAX && !admitted; i++) {
        if (p->lobby[i].channel.fd >= 0) {
            admitted = hear(p, &p->lobby[i], hello);
        }
    }
    return admitted;
}

bool peer_lobby_waits(const struct peer *p)
{
    for (size_t i = 0; i < PEER_LOBBY_MAX; i++) {
        if (p->lobby[i].channel.fd >= 0) {
            return true;
        }
    }
    return false;
}

bool peer_is_served(const struct peer *p)
{
    return p->channel.fd >= 0;
}

bool peer_is_writable(struct peer *p)
{
    if (p->channel.fd < 0) {
        return false;
    }
    struct pollfd row = { .fd = p->channel.fd, .events = POLLOUT };
    bool writable = poll(&row, 1, 0) == 1;
    if (row.revents & POLLHUP) { /* nobody is there for the answers to what it still wants */
        peer_drop(p, "it has closed the connection");
        return false;
    }
    uint64_t now_ns = clock_monotonic_ns();
    if (writable) {
        p->stalled_since_ns = 0;
    } else if (p->stalled_since_ns == 0) {
        p->stalled_since_ns = now_ns;
    } else if (now_ns - p->stalled_since_ns > PEER_STALL_TIMEOUT_MS * CLOCK_NS_PER_MS) {
        peer_drop(p, "it reads nothing");
    }
    return writable;
}

ssize_t peer_receive(struct peer *p, union message *out)
{
    if (p->channel.fd < 0) {
        return -1;
    }
    if (channel_brings_descriptors(&p->channel)) { /* seen before they are ours to close */
        peer_drop(p, "it sent descriptors, and no request takes any");
        return -1;
    }
    struct failure f;
    ssize_t len = channel_receive(&p->channel, out, sizeof(*out), NULL, NULL, &f);
    if (len < 0) {
        peer_drop(p, len == -ERROR_UNAVAILABLE ? "it has closed the connection" : f.message);
        return -1;
    }
    return len;
}

void peer_send(struct peer *p, const union message *m, const int *fds, size_t fd_count)
{
    if (p->channel.fd < 0) {
        return;
    }
    struct failure f;
    int result = channel_send(&p->channel, m, m->head.len_bytes, fds, fd_count, &f);
    if (result == -ERROR_RESOURCE_EXHAUSTED) {
        peer_drop(p, "it does not read its answers");
    } else if (result < 0) {
        peer_drop(p, f.message);
    }
}

void peer_send_failure(struct peer *p, uint64_t serial, const struct failure *failure)
{
    union message m;
    memset(&m.failed, 0, sizeof(m.failed));
    message_init(&m, MESSAGE_FAILED, serial);
    m.failed.failure = *failure;
    peer_send(p, &m, NULL, 0);
}

void peer_drop(struct peer *p, const char *why)
{
    if (p->channel.fd < 0) {
        return;
    }
    log_info("process %d is no longer served: %s", (int)p->pid, why);
    hang_up(&p->channel);
    p->stalled_since_ns = 0;
}
