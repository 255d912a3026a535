/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A listener with exchanges that a test holds in its hand: what rpc does by itself (answer at once,
 * before run() has returned, later, never) happens here when the test says so. Defines the
 * exchange_*() functions; included by one file of a test program.
 *
 * Targets: /now/N, /sync/N, /later/N, /held/N answer with N bytes at once, through on_ready within
 * run(), through on_ready from another thread, and when rig_release() is called. /stream/N streams
 * them; /flood/N, too, all of it at once; /silent/N has nothing more to say then, nor an end. /refused has its reply before the body. /now/long/L/N has a header whose value has L bytes (at
 * most RIG_VALUE_MAX_BYTES), /now/split/N one whose value would be two lines.
 */
#ifndef XENRES_TESTS_LISTENER_RIG_H
#define XENRES_TESTS_LISTENER_RIG_H

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "auth/pki.h"
#include "common/clock.h"
#include "server/http/listener.h"
#include "server/rpc/exchange.h"
#include "tests/lib/anchors.h"
#include "tests/lib/tls_peer.h"
#include "tests/lib/unit.h"

enum {
    RIG_BODY_MAX_BYTES = 200000,
    RIG_REPLY_MAX_BYTES = 64 * 1024 * 1024,
    RIG_HELD_MAX = 8,
    RIG_VALUE_MAX_BYTES = 4000
};

struct exchange {
    struct exchange_reply reply;
    const struct identity *who;
    char target[256];
    char message[512];
    size_t got_bytes;
    bool stands;
    size_t streamed_bytes, reads; /* of /stream */
    bool read_later, waker_runs, is_silent, is_flood;
    pthread_t waker;
    void (*on_ready)(void *arg);
    void *arg;
};

static struct {
    char dir[64];
    struct access *access;
    bool certificate_optional; /* of the next listener */
    struct listener *listener;
    uint16_t port;
    void *reply; /* RIG_REPLY_MAX_BYTES of it */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    unsigned live; /* exchanges */
    unsigned seen; /* that began */
    unsigned remembered, recognised,
        forgotten; /* connections; exchanges behind their first; connections */
    struct exchange *held[RIG_HELD_MAX];
    size_t held_count;
    char last_body_len[32];
} rig = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void rig_forget(void *kept)
{
    pthread_mutex_lock(&rig.lock);
    rig.forgotten++;
    pthread_cond_broadcast(&rig.changed);
    pthread_mutex_unlock(&rig.lock);
    free(kept);
}

/* With the lock. */
static void rig_remember(struct exchange_memory *memory)
{
    if (memory->kept != NULL) {
        rig.recognised++;
        return;
    }
    rig.remembered++;
    *memory = (struct exchange_memory){ .kept = malloc(1), .release = rig_forget };
    assert_non_null(memory->kept);
}

struct exchange *exchange_new(struct rpc *rpc, const struct exchange_head *head)
{
    struct exchange *x = calloc(1, sizeof(*x));

    (void)rpc;
    (void)snprintf(x->target, sizeof(x->target), "%s", head->target);
    x->who = head->who;
    x->reply = (struct exchange_reply){
        .status = 200,
        .headers = { { "Content-Type", "application/octet-stream" } },
        .header_count = 1,
    };
    if (strncmp(x->target, "/now/long/", 10) == 0) {
        static char value[RIG_VALUE_MAX_BYTES + 1]; /* the end of it is as long as is wanted */
        size_t len = strtoul(x->target + 10, NULL, 10);

        memset(value, 'v', sizeof(value) - 1);
        assert_true(len <= RIG_VALUE_MAX_BYTES);
        x->reply.headers[x->reply.header_count++] =
            (struct exchange_header){ "X-Long", value + RIG_VALUE_MAX_BYTES - len };
    }
    if (strncmp(x->target, "/now/split/", 11) == 0) {
        x->reply.headers[x->reply.header_count++] =
            (struct exchange_header){ "X-Split", "one\r\nX-Other: two" };
    }
    if (head->who == NULL || strncmp(x->target, "/refused", 8) == 0) {
        x->stands = true;
        x->reply.status = head->who == NULL ? 401 : 403;
    }
    pthread_mutex_lock(&rig.lock);
    rig.live++;
    rig.seen++;
    rig_remember(head->memory);
    pthread_mutex_unlock(&rig.lock);
    return x;
}

void exchange_refuse(struct exchange *x, const struct failure *why)
{
    if (x->stands) {
        return;
    }
    x->stands = true;
    (void)snprintf(x->message, sizeof(x->message), "%s", why->message);
    x->reply.status = error_http_status(why->code);
    x->reply.body = x->message;
    x->reply.body_len_bytes = strlen(x->message);
    x->reply.close = true;
}

size_t exchange_body_max(const struct exchange *x)
{
    return x->stands ? 0 : RIG_BODY_MAX_BYTES;
}

bool exchange_body(struct exchange *x, const void *bytes, size_t len_bytes)
{
    (void)bytes;
    x->got_bytes += len_bytes;
    if (x->got_bytes > RIG_BODY_MAX_BYTES) {
        x->stands = true;
        x->reply.status = 429;
        return false;
    }
    return true;
}

static void *rig_later(void *arg)
{
    struct exchange *x = arg;

    x->on_ready(x->arg);
    return NULL;
}

bool exchange_run(struct exchange *x, void (*on_ready)(void *arg), void *arg)
{
    pthread_t thread;
    const char *slash = strrchr(x->target, '/');

    if (x->stands) {
        return true;
    }
    x->reply.body = rig.reply;
    x->reply.body_len_bytes = slash != NULL ? strtoul(slash + 1, NULL, 10) : 0;
    x->on_ready = on_ready;
    x->arg = arg;
    x->is_silent = strncmp(x->target, "/silent", 7) == 0;
    x->is_flood = strncmp(x->target, "/flood", 6) == 0;
    x->reply.streamed = x->is_silent || x->is_flood || strncmp(x->target, "/stream", 7) == 0;
    if (strncmp(x->target, "/sync", 5) == 0) {
        on_ready(arg);
        return false;
    }
    if (strncmp(x->target, "/later", 6) == 0) {
        pthread_create(&thread, NULL, rig_later, x);
        pthread_detach(thread);
        return false;
    }
    if (strncmp(x->target, "/held", 5) == 0) {
        pthread_mutex_lock(&rig.lock);
        rig.held[rig.held_count++] = x;
        pthread_cond_broadcast(&rig.changed);
        pthread_mutex_unlock(&rig.lock);
        return false;
    }
    return true;
}

const struct exchange_reply *exchange_reply(struct exchange *x)
{
    return &x->reply;
}

bool exchange_is_patient(struct exchange *x)
{
    (void)x;
    return false;
}

/* Every other read finds nothing, and is woken by another thread, or before it has returned. */
ssize_t exchange_read(struct exchange *x, void *out, size_t max_bytes)
{
    if (x->streamed_bytes == x->reply.body_len_bytes) {
        return x->is_silent ? EXCHANGE_READ_LATER : 0;
    }
    x->read_later = !x->is_flood && !x->read_later;
    if (x->read_later) {
        if (x->reads++ % 4 < 2) {
            x->on_ready(x->arg);
        } else {
            assert_int_equal(pthread_create(&x->waker, NULL, rig_later, x), 0);
            x->waker_runs = true;
        }
        return EXCHANGE_READ_LATER;
    }
    if (x->waker_runs) {
        pthread_join(x->waker, NULL);
        x->waker_runs = false;
    }
    size_t left = x->reply.body_len_bytes - x->streamed_bytes;
    size_t most = x->is_flood ? max_bytes : 1000;
    size_t taken = left < most ? left : most;

    taken = taken < max_bytes ? taken : max_bytes;
    memcpy(out, rig.reply, taken);
    x->streamed_bytes += taken;
    return (ssize_t)taken;
}

void exchange_free(struct exchange *x)
{
    if (x == NULL) {
        return;
    }
    if (x->waker_runs) {
        pthread_join(x->waker, NULL);
    }
    pthread_mutex_lock(&rig.lock);
    (void)snprintf(rig.last_body_len, sizeof(rig.last_body_len), "%zu", x->got_bytes);
    rig.live--;
    pthread_cond_broadcast(&rig.changed);
    pthread_mutex_unlock(&rig.lock);
    free(x);
}

/* --- what tests call ----------------------------------------------------------------------------- */

/* Waits until `*number` is `value`; fails the test after 30 s. */
static inline void rig_wait(const unsigned *number, unsigned value)
{
    struct timespec deadline;
    int waited = 0;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 30;
    pthread_mutex_lock(&rig.lock);
    while (*number != value && waited == 0) {
        waited = pthread_cond_timedwait(&rig.changed, &rig.lock, &deadline);
    }
    pthread_mutex_unlock(&rig.lock);
    assert_int_equal(waited, 0);
}

static inline void rig_wait_held(size_t count)
{
    pthread_mutex_lock(&rig.lock);
    while (rig.held_count != count) {
        pthread_cond_wait(&rig.changed, &rig.lock);
    }
    pthread_mutex_unlock(&rig.lock);
}

/* Answers everything that is held. */
static inline void rig_release(void)
{
    struct exchange *held[RIG_HELD_MAX];
    size_t count;

    pthread_mutex_lock(&rig.lock);
    count = rig.held_count;
    memcpy(held, rig.held, sizeof(held));
    rig.held_count = 0;
    pthread_mutex_unlock(&rig.lock);
    for (size_t i = 0; i < count; i++) {
        held[i]->on_ready(held[i]->arg);
    }
}

static inline void rig_issue(const char *ca, const char *name, bool server, int valid_days)
{
    static const char *const uris[] = { "spiffe://test/client", NULL };
    static const char *const addresses[] = { "127.0.0.1", NULL };
    const struct pki_subject subject = {
        .common_name = name,
        .uris = server ? NULL : uris,
        .addresses = server ? addresses : NULL,
        .server = server,
        .valid_days = valid_days,
    };
    struct failure f = { 0 };

    if (pki_issue(rig.dir, ca, name, &subject, &f) != 0) {
        fail_msg("%s", f.message);
    }
}

static inline int rig_make_pki(void **state)
{
    char path[128];
    struct failure f = { 0 };

    (void)state;
    (void)snprintf(rig.dir, sizeof(rig.dir), "/tmp/listener.XXXXXX");
    assert_non_null(mkdtemp(rig.dir));
    assert_int_equal(pki_make_ca(rig.dir, "ca", "test CA", 30, &f), 0);
    assert_int_equal(pki_make_ca(rig.dir, "other", "other CA", 30, &f), 0);
    rig_issue("ca", "server", true, 30);
    rig_issue("ca", "server2", true, 30);
    rig_issue("ca", "client", false, 30);
    rig_issue("ca", "expired", false, -1);
    rig_issue("other", "stranger", false, 30);
    (void)snprintf(path, sizeof(path), "%s/ca.crt", rig.dir);
    rig.access = anchors_in(path);
    rig.reply = calloc(1, RIG_REPLY_MAX_BYTES);
    assert_non_null(rig.reply);
    return 0;
}

static inline int rig_drop_pki(void **state)
{
    char command[128];

    (void)state;
    access_unref(rig.access);
    free(rig.reply);
    (void)snprintf(command, sizeof(command), "rm -rf %s", rig.dir);
    return system(command);
}

static inline size_t rig_slurp(const char *name, const char *extension, char *out, size_t max)
{
    char path[128];
    FILE *file;
    size_t n;

    (void)snprintf(path, sizeof(path), "%s/%s.%s", rig.dir, name, extension);
    file = fopen(path, "re");
    assert_non_null(file);
    n = fread(out, 1, max, file);
    fclose(file);
    return n;
}

struct rig_pem {
    char certificate[8192], key[8192];
};

static inline struct listener_pem rig_pem(const char *name, struct rig_pem *room)
{
    return (struct listener_pem){
        .certificate_len_bytes =
            rig_slurp(name, "crt", room->certificate, sizeof(room->certificate)),
        .certificate = room->certificate,
        .key_len_bytes = rig_slurp(name, "key", room->key, sizeof(room->key)),
        .key = room->key,
    };
}

static const struct listener_limits rig_limits = {
    .threads = 2,
    .connections = 64,
    .connections_per_address = 64,
    .handshake_timeout_s = 30,
    .idle_timeout_s = 30,
    .request_timeout_s = 30,
    .drain_min_bytes_per_s = 16384,
};

static inline void rig_start(const struct listener_limits *limits)
{
    struct rig_pem room;
    struct listener_door door = {
        .certificate = rig.certificate_optional ? LISTENER_OPTIONAL : LISTENER_REQUIRED,
        .token = LISTENER_OPTIONAL,
    };
    const struct listener_options options = {
        .doors = &door,
        .door_count = 1,
        .pem = rig_pem("server", &room),
        .access = rig.access,
        .limits = *limits,
    };
    struct failure f = { 0 };

    rig.seen = 0;
    assert_int_equal(listener_bind("127.0.0.1:0", &door.listen_fd, &f), 0);
    rig.port = listener_bound_port(door.listen_fd);
    if (listener_start(&options, &rig.listener, &f) != 0) {
        fail_msg("%s", f.message);
    }
}

/* Every exchange must have gone, one way or the other. */
static inline void rig_stop(void)
{
    listener_stop(rig.listener, 1000);
    rig_wait(&rig.live, 0);
}

static inline void rig_open(struct tls_peer *p)
{
    const struct tls_peer_options options = { .dir = rig.dir, .name = "client" };

    assert_true(tls_peer_open(p, rig.port, &options));
}

static inline uint64_t rig_refused(enum listener_refusal why)
{
    struct listener_counters counters;

    listener_counters(rig.listener, &counters);
    return counters.refused[why];
}

/* Asks for `target`, whose answer has to have so many bytes. */
static inline void rig_get(struct tls_peer *p, const char *target, size_t expected_bytes)
{
    char request[256];
    size_t len = 0;

    (void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", target);
    assert_true(tls_peer_say(p, request));
    assert_int_equal(tls_peer_response(p, &len), 200);
    assert_int_equal(len, expected_bytes);
}

#endif
