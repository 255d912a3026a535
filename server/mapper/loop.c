/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See loop.h. */
#include "server/mapper/loop.h"

#include <errno.h>
#include <poll.h>

#include "common/clock.h"
#include "common/log.h"
#include "server/mapper/feed_image.h"
#include "server/mapper/feed_table.h"
#include "server/mapper/feed_watch.h"
#include "server/mapper/inventory.h"
#include "server/mapper/notify.h"
#include "server/mapper/peer.h"
#include "server/mapper/request.h"
#include "server/mapper/snapshot.h"
#include "server/mapper/trace.h"
#include "server/mapper/trace_left.h"
#include "server/mapper/trace_request.h"

enum {
    ROW_SIGNAL,
    ROW_BACKEND,
    ROW_FEEDS,
    ROWS_FIXED,
    REQUESTS_A_TURN = 16, /* taken before copies and events get their turn again */
    CHECK_MS = 500,       /* how often domains with live mappings and feeds are looked at */
    WAIT_MAX_MS = 60000,
    ALIVE_TIMES = 4,      /* it is said so often in the time that the manager waits */
    LOOKED_AT_MAX = 4096, /* --mappings-max and --feeds-max are no more */
};
/* Where events do not come, somebody who follows the domains learns of them so late. */
#define LIST_AGE_MAX_NS (2 * CLOCK_NS_PER_S)

struct loop {
    struct mapper *m;
    const struct loop_options *options;
    struct inventory_announced announced;
    uint64_t check_ns;     /* when mapped domains are looked at again */
    uint64_t grace_end_ns; /* when the mappings of a peer that is gone go; UINT64_MAX: never */
    uint64_t left_ns;      /* when what could not be disabled, or crossed out, is tried again */
    uint64_t announce_ns;
    uint64_t alive_ns;  /* when the service manager is told that the loop goes on */
    uint64_t settle_ns; /* when a domain may be told of that was not so far */
    bool was_served;
    bool backend_has_events; /* or it cannot say */
    bool knocked;            /* someone connected, or one in the lobby may have spoken */
    bool directory_failed;   /* logged already */
};

static void log_once(struct loop *l, int result, const struct failure *f)
{
    if (result < 0 && !l->directory_failed) {
        log_failure(LOG_LEVEL_WARNING, "looking for changes of domains", f);
    }
    l->directory_failed = result < 0;
}

static void look_at(struct loop *l, uint16_t domid)
{
    struct failure f;
    const struct directory_entry *e;
    int result = directory_find(l->m->directory, domid, &e, &f);
    if (result < 0 && result != -ERROR_NOT_FOUND) {
        log_once(l, result, &f);
    }
}

static bool has_to_look(const struct loop *l)
{
    uint16_t any;
    return mapping_count(l->m->mappings) > 0 || feed_table_domids(l->m->feeds, &any, 1) > 0 ||
           feed_table_has_domains(l->m->feeds);
}

/*
 * Domains with live mappings must not die unnoticed, whatever became of the event: as long as we
 * hold a frame, Xen keeps the whole domain as a zombie. Nor those that somebody follows.
 */
static void look_after_domains(struct loop *l, uint64_t now_ns)
{
    if (now_ns < l->check_ns || !has_to_look(l)) {
        return;
    }
    l->check_ns = now_ns + CHECK_MS * CLOCK_NS_PER_MS;
    uint16_t domids[2 * LOOKED_AT_MAX];
    uint32_t count = mapping_domids(l->m->mappings, domids, LOOKED_AT_MAX);
    uint32_t of_mappings = count;
    count += feed_table_domids(l->m->feeds, domids + count, LOOKED_AT_MAX);
    for (uint32_t i = 0; i < count; i++) {
        bool is_known = false;
        for (uint32_t k = 0; k < of_mappings && i >= of_mappings && !is_known; k++) {
            is_known = domids[k] == domids[i];
        }
        if (!is_known) {
            look_at(l, domids[i]);
        }
    }
    if (feed_table_has_domains(l->m->feeds)) {
        struct failure f;
        log_once(l, directory_refresh(l->m->directory, LIST_AGE_MAX_NS, &f), &f);
    }
}

/* The peer is gone: what it had is freed now, live mappings and feeds after the grace period. */
static void end_service(struct loop *l)
{
    struct mapper *m = l->m;
    snapshot_abandon(m);
    feed_image_abandon(m);
    feed_watch_abandon(m);
    trace_request_abandon(m);
    arena_free(m->arena);
    m->arena = NULL;
    l->was_served = false;
    l->grace_end_ns = clock_monotonic_ns() + l->options->grace_ns;
    feed_table_let_go(m->feeds, l->grace_end_ns);
}

static void begin_service(struct loop *l, const union message *hello)
{
    mapping_drop_all(l->m->mappings); /* of these nothing goes over from one peer to the next */
    l->grace_end_ns = UINT64_MAX;
    l->announced = (struct inventory_announced){
        .generation = directory_generation(l->m->directory),
    };
    l->was_served = true;
    request_welcome(l->m, hello);
}

static void serve(struct loop *l)
{
    union message request __attribute__((uninitialized)); /* 15 KiB, of which requests are a few */
    /* Writable means that most of the socket's buffer is free: the answers of one turn fit. */
    if (!peer_is_writable(l->m->peer)) {
        return;
    }
    for (int i = 0; i < REQUESTS_A_TURN; i++) {
        ssize_t len = peer_receive(l->m->peer, &request);
        if (len <= 0) {
            return;
        }
        request_handle(l->m, &request, (size_t)len);
    }
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Waits for whatever comes first. False: told to stop. */
static bool wait_for_work(struct loop *l, bool busy)
{
    struct mapper *m = l->m;
    struct pollfd rows[ROWS_FIXED + PEER_POLL_MAX] = {
        [ROW_SIGNAL] = { .fd = l->options->signal_fd, .events = POLLIN },
        [ROW_BACKEND] = { .fd = m->ops->event_fd(m->backend), .events = POLLIN },
        [ROW_FEEDS] = { .fd = feed_table_fd(m->feeds), .events = POLLIN },
    };
    nfds_t count = ROWS_FIXED + peer_poll_rows(m->peer, rows + ROWS_FIXED);
    uint64_t deadline_ns = earliest(peer_deadline_ns(m->peer), l->grace_end_ns);
    deadline_ns = earliest(deadline_ns, mapping_idle_deadline_ns(m->mappings));
    deadline_ns = earliest(deadline_ns, l->announce_ns);
    deadline_ns = earliest(deadline_ns, l->settle_ns);
    deadline_ns = earliest(deadline_ns, l->alive_ns);
    deadline_ns = earliest(deadline_ns, feed_table_deadline_ns(m->feeds));
    deadline_ns = earliest(deadline_ns, feed_watch_deadline_ns(m->watches));
    deadline_ns = earliest(deadline_ns, trace_table_deadline_ns(m->traces));
    deadline_ns = earliest(deadline_ns, trace_request_deadline_ns(m->trace_requests));
    if (has_to_look(l)) {
        deadline_ns = earliest(deadline_ns, l->check_ns);
    }
    if (!journal_is_clear(m->journal)) {
        deadline_ns = earliest(deadline_ns, l->left_ns);
    }
    int timeout_ms = busy ? 0 : clock_poll_timeout_ms(deadline_ns, WAIT_MAX_MS);
    int ready = poll(rows, count, timeout_ms);
    l->backend_has_events = rows[ROW_BACKEND].fd < 0 || rows[ROW_BACKEND].revents != 0;
    l->knocked = rows[ROWS_FIXED].revents != 0 || peer_lobby_waits(m->peer);
    if (ready < 0 && errno != EINTR) {
        log_error("poll: %s", error_errno_name(errno));
    }
    return ready <= 0 || (rows[ROW_SIGNAL].revents & POLLIN) == 0;
}

/* In this order: see feed_table_fd(). */
static bool step_feeds(struct mapper *m)
{
    feed_table_hear(m->feeds);
    feed_watch_step(m);
    trace_table_step(m->traces, m->feeds);
    trace_request_step(m);
    bool busy = feed_image_step(m);
    feed_table_step(m->feeds);
    return busy;
}

static void keep_time(struct loop *l)
{
    struct mapper *m = l->m;
    uint64_t now_ns = clock_monotonic_ns();
    look_after_domains(l, now_ns);
    struct failure f;
    int result = directory_settle(m->directory, now_ns, &l->settle_ns, &f);
    if (result < 0) {
        log_once(l, result, &f);
    }
    mapping_drop_idle(m->mappings, now_ns);
    if (now_ns >= l->left_ns) {
        l->left_ns = now_ns + TRACE_LEFT_AGAIN_S * CLOCK_NS_PER_S;
        (void)trace_left_stop(m->ops, m->backend, m->journal, m->traces);
        journal_settle(m->journal);
    }
    if (now_ns >= l->grace_end_ns) {
        mapping_drop_all(m->mappings);
        l->grace_end_ns = UINT64_MAX;
    }
    l->announce_ns = inventory_announce(m, &l->announced);
    if (now_ns >= l->alive_ns) {
        l->alive_ns = now_ns + l->options->silence_ns / ALIVE_TIMES;
        notify_send("WATCHDOG=1");
    }
}

void loop_run(struct mapper *m, const struct loop_options *options)
{
    struct loop l = { .m = m,
                      .options = options,
                      .left_ns = clock_monotonic_ns() + TRACE_LEFT_AGAIN_S * CLOCK_NS_PER_S,
                      .grace_end_ns = UINT64_MAX,
                      .announce_ns = UINT64_MAX,
                      .alive_ns = options->silence_ns > 0 ? 0 : UINT64_MAX,
                      .settle_ns = UINT64_MAX };
    bool busy = false;
    while (wait_for_work(&l, busy)) {
        struct failure f;
        if (l.backend_has_events) {
            log_once(&l, directory_drain(m->directory, &f), &f);
        }
        union message hello;
        if (l.knocked && peer_admit(m->peer, &hello)) {
            begin_service(&l, &hello);
        }
        serve(&l);
        busy = snapshot_step(m);
        busy = step_feeds(m) || busy;
        keep_time(&l);
        if (l.was_served && !peer_is_served(m->peer)) {
            end_service(&l);
            busy = false;
            if (options->exit_with_peer) {
                break;
            }
        }
    }
    if (l.was_served) {
        end_service(&l);
    }
    mapping_drop_all(m->mappings);
}
