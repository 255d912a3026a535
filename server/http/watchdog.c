/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/http/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

struct lingering {
    int fd;
    uint64_t until_ns;
    size_t left_bytes;
};

struct watchdog {
    struct connections *connections;
    struct tally *tally;
    struct listener_limits limits;
    int wake_fd;
    pthread_t thread;
    atomic_bool stopping;
    atomic_uint questions, answered; /* watchdog_is_well()'s */
    atomic_bool has_stuck;           /* as of the last look */

    pthread_mutex_t lock; /* of what follows; nothing else is taken with it */
    struct lingering lingering[WATCHDOG_LINGER_MAX];
    size_t lingering_count;
};

/* --- time limits ------------------------------------------------------------------------------- */

static void end(struct watchdog *w, struct connection *c, enum listener_refusal why)
{
    c->ended = true;
    c->ended_ns = clock_monotonic_ns();
    tally_refuse(w->tally, why, c->peer, NULL);
    (void)shutdown(c->fd, SHUT_RDWR);
}

/* What the kernel still holds for a reader that does not read is dropped with it. */
static void end_reader(struct watchdog *w, struct connection *c)
{
    const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    end(w, c, LISTENER_ENDED_SLOW_READER);
}

/* Compares what the peer has acknowledged, window by window: who read fast once has no credit. */
static void look_at_reader(struct watchdog *w, struct connection *c, uint64_t now_ns)
{
    uint64_t phase = atomic_load_explicit(&c->phase, memory_order_relaxed);
    uint64_t acked_bytes;

    if (w->limits.drain_min_bytes_per_s == 0 || !socket_acked_bytes(c->fd, &acked_bytes)) {
        return;
    }
    if (c->watched_phase == phase) {
        if (now_ns - c->watched_since_ns < WATCHDOG_DRAIN_WINDOW_S * CLOCK_NS_PER_S) {
            return;
        }
        if (acked_bytes - c->watched_acked_bytes <
            (uint64_t)w->limits.drain_min_bytes_per_s * WATCHDOG_DRAIN_WINDOW_S) {
            end_reader(w, c);
            return;
        }
    }
    c->watched_phase = phase; /* a reply, or a window, begins */
    c->watched_since_ns = now_ns;
    c->watched_acked_bytes = acked_bytes;
}

static bool is_older(uint64_t since_ns, uint64_t now_ns, uint32_t limit_s)
{
    return now_ns > since_ns && now_ns - since_ns > limit_s * CLOCK_NS_PER_S;
}

struct look {
    struct watchdog *watchdog;
    bool has_stuck;
};

static void look_at(struct connection *c, void *arg)
{
    struct look *look = arg;
    struct watchdog *w = look->watchdog;
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t since_ns;

    if (c->ended) {
        look->has_stuck = look->has_stuck || is_older(c->ended_ns, now_ns, WATCHDOG_STUCK_S);
        return;
    }
    switch (connection_phase(c, &since_ns)) {
    case CONNECTION_HANDSHAKE:
        if (is_older(since_ns, now_ns, w->limits.handshake_timeout_s)) {
            end(w, c, LISTENER_REFUSED_HANDSHAKE_TIMEOUT);
        }
        break;
    case CONNECTION_IDLE:
        /* The daemon ends what is silent, and says good-bye; here is who sends a request line
         * byte by byte. */
        if (is_older(since_ns, now_ns, w->limits.idle_timeout_s + 1)) {
            end(w, c, LISTENER_ENDED_SLOW_REQUEST);
        }
        break;
    case CONNECTION_RECEIVING:
        if (is_older(since_ns, now_ns, w->limits.request_timeout_s)) {
            end(w, c, LISTENER_ENDED_SLOW_REQUEST);
        }
        break;
    case CONNECTION_RUNNING:
    case CONNECTION_WAITING: break;
    case CONNECTION_SENDING: look_at_reader(w, c, now_ns); break;
    }
}

void watchdog_look(struct watchdog *w)
{
    struct look look = { .watchdog = w };

    connections_each(w->connections, look_at, &look);
    atomic_store(&w->has_stuck, look.has_stuck);
}

bool watchdog_is_well(struct watchdog *w)
{
    unsigned questions = atomic_load(&w->questions);
    bool is_well = atomic_load(&w->answered) == questions && !atomic_load(&w->has_stuck);

    atomic_store(&w->questions, questions + 1);
    watchdog_wake(w);
    return is_well;
}

/* --- lingering --------------------------------------------------------------------------------- */

void watchdog_linger(struct watchdog *w, int fd)
{
    int kept = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    bool taken = false;

    if (kept < 0) {
        return;
    }
    (void)shutdown(kept, SHUT_WR);
    (void)pthread_mutex_lock(&w->lock);
    if (w->lingering_count < WATCHDOG_LINGER_MAX) {
        w->lingering[w->lingering_count++] = (struct lingering){
            .fd = kept,
            .until_ns = clock_monotonic_ns() + WATCHDOG_LINGER_MS * CLOCK_NS_PER_MS,
            .left_bytes = WATCHDOG_LINGER_MAX_BYTES,
        };
        taken = true;
    }
    (void)pthread_mutex_unlock(&w->lock);
    if (taken) {
        watchdog_wake(w);
    } else {
        (void)close(kept);
    }
}

/* Throws away what came. False: the peer is done, or has had its time. */
static bool still_lingers(struct lingering *l, uint64_t now_ns)
{
    char bytes[4096];
    ssize_t n;

    while ((n = recv(l->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
        if ((size_t)n >= l->left_bytes) {
            return false;
        }
        l->left_bytes -= (size_t)n;
    }
    return n < 0 && errno == EAGAIN && now_ns < l->until_ns;
}

/* Fills `fds` with those that go on. */
static size_t sweep_lingering(struct watchdog *w, struct pollfd *fds)
{
    uint64_t now_ns = clock_monotonic_ns();
    size_t kept = 0;

    (void)pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->lingering_count; i++) {
        if (still_lingers(&w->lingering[i], now_ns)) {
            w->lingering[kept] = w->lingering[i];
            fds[kept] = (struct pollfd){ .fd = w->lingering[kept].fd, .events = POLLIN };
            kept++;
        } else {
            (void)close(w->lingering[i].fd);
        }
    }
    w->lingering_count = kept;
    (void)pthread_mutex_unlock(&w->lock);
    return kept;
}

/* --- the thread -------------------------------------------------------------------------------- */

static void *watch(void *arg)
{
    struct watchdog *w = arg;
    struct pollfd fds[1 + WATCHDOG_LINGER_MAX];
    uint64_t look_at_ns = clock_monotonic_ns() + WATCHDOG_PERIOD_MS * CLOCK_NS_PER_MS;
    uint64_t wakes;

    while (!atomic_load(&w->stopping)) {
        size_t lingering = sweep_lingering(w, fds + 1);
        bool idle = lingering == 0 && connections_count(w->connections) == 0;
        int timeout_ms = idle ? -1 : clock_poll_timeout_ms(look_at_ns, WATCHDOG_PERIOD_MS);

        fds[0] = (struct pollfd){ .fd = w->wake_fd, .events = POLLIN };
        (void)poll(fds, (nfds_t)(1 + lingering), timeout_ms);
        (void)!read(w->wake_fd, &wakes, sizeof(wakes)); /* non-blocking; only wakes */
        atomic_store(&w->answered, atomic_load(&w->questions));
        if (clock_monotonic_ns() >= look_at_ns) {
            watchdog_look(w);
            look_at_ns = clock_monotonic_ns() + WATCHDOG_PERIOD_MS * CLOCK_NS_PER_MS;
        }
    }
    return NULL;
}

void watchdog_wake(struct watchdog *w)
{
    uint64_t one = 1;

    (void)!write(w->wake_fd, &one, sizeof(one)); /* full: it is awake already */
}

int watchdog_start(struct connections *connections, struct tally *tally,
                   const struct listener_limits *limits, struct watchdog **out, struct failure *f)
{
    struct watchdog *w = calloc(1, sizeof(*w));
    int errnum;

    if (w == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory");
    }
    w->connections = connections;
    w->tally = tally;
    w->limits = *limits;
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->wake_fd < 0) {
        int r = failure_call(f, failure_set(f, ERROR_RESOURCE_EXHAUSTED, "cannot start a watchdog"),
                             "eventfd", errno);
        free(w);
        return r;
    }
    (void)pthread_mutex_init(&w->lock, NULL);
    errnum = pthread_create(&w->thread, NULL, watch, w);
    if (errnum != 0) {
        (void)pthread_mutex_destroy(&w->lock);
        (void)close(w->wake_fd);
        free(w);
        return failure_call(f, failure_set(f, ERROR_RESOURCE_EXHAUSTED, "cannot start a watchdog"),
                            "pthread_create", errnum);
    }
    *out = w;
    return 0;
}

void watchdog_stop(struct watchdog *w)
{
    if (w == NULL) {
        return;
    }
    atomic_store(&w->stopping, true);
    watchdog_wake(w);
    (void)pthread_join(w->thread, NULL);
    for (size_t i = 0; i < w->lingering_count; i++) {
        (void)close(w->lingering[i].fd);
    }
    (void)pthread_mutex_destroy(&w->lock);
    (void)close(w->wake_fd);
    free(w);
}
