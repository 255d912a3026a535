/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The mapper's end of the channel, played by a test: it accepts, reads requests and sends whatever
 * the test wants, lies included. Used by the test's own thread; every wait has a bound, and a wait
 * in vain fails the test. The arena's frame n holds n + 1 in each byte.
 */
#ifndef XENRES_TESTS_FAKE_MAPPER_H
#define XENRES_TESTS_FAKE_MAPPER_H

#include "common/message_tags.h"
#include "tests/lib/unit.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/clock.h"
#include "common/doorbell.h"
#include "common/scope.h"
#include "server/resource/mapper_client.h"
#include "tests/lib/folder.h"

enum {
    FAKE_ARENA_FRAMES = 1024,
    FAKE_WAIT_MS = 10000,
};
#define FAKE_SEALS (F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE)

struct fake_mapper {
    struct folder folder;
    char path[FOLDER_PATH_BYTES];
    int listen_fd;
    struct channel peer;
    int arena_fd;
    uint8_t *arena;
    struct doorbell doorbell;
    int seals;                         /* of the next arena */
    struct message_hello_answer hello; /* of the next fake_mapper_join() */
    uint32_t next_slot;
};

static inline void fake_mapper_init(struct fake_mapper *m)
{
    *m = (struct fake_mapper){
        .listen_fd = -1,
        .peer = { .fd = -1 },
        .arena_fd = -1,
        .doorbell = { -1, -1 },
        .seals = FAKE_SEALS,
    };
    m->folder = folder_make();
    memcpy(m->path, folder_path(&m->folder, "socket"), FOLDER_PATH_BYTES);
    m->hello = (struct message_hello_answer){
        .version = "0",
        .backend = "fake",
        .mapper_id = { 1 },
        .requests_max = 2048,
        .arena_bytes = (uint64_t)FAKE_ARENA_FRAMES * MESSAGE_FRAME_BYTES,
        .slot_max_bytes = (uint64_t)FAKE_ARENA_FRAMES * MESSAGE_FRAME_BYTES / 2,
        .trace_pauses_per_second = 400,
        .pauses_per_second = 5000,
    };
}

static inline void fake_mapper_listen(struct fake_mapper *m)
{
    assert_int_equal(channel_listen(m->path, &m->listen_fd, NULL), 0);
}

static inline void fake_wait_readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    assert_int_equal(poll(&p, 1, FAKE_WAIT_MS), 1);
}

static inline void fake_mapper_accept(struct fake_mapper *m)
{
    uid_t uid;
    pid_t pid;

    fake_wait_readable(m->listen_fd);
    assert_int_equal(channel_accept(m->listen_fd, &m->peer, &uid, &pid, NULL), 0);
}

/* The next message from xenresd. */
static inline void fake_mapper_receive(struct fake_mapper *m, union message *out)
{
    struct failure f = { 0 };

    fake_wait_readable(m->peer.fd);
    ssize_t got = channel_receive(&m->peer, out, sizeof(*out), NULL, NULL, &f);

    assert_true(got > 0);
    assert_int_equal(message_check(out, (size_t)got, &f), 0);
}

/* The next one that is no RELEASE. */
static inline void fake_mapper_request(struct fake_mapper *m, union message *out)
{
    do {
        fake_mapper_receive(m, out);
    } while (out->head.type == MESSAGE_RELEASE);
}

static inline void fake_mapper_send(struct fake_mapper *m, union message *answer, uint16_t type,
                                    uint64_t serial)
{
    struct pollfd p = { .fd = m->peer.fd, .events = POLLOUT };
    int result;

    message_init(answer, type, serial);
    do {
        assert_int_equal(poll(&p, 1, FAKE_WAIT_MS), 1);
        result = channel_send(&m->peer, answer, message_size(type), NULL, 0, NULL);
    } while (result == -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(result, 0);
}

static inline void fake_mapper_make_arena(struct fake_mapper *m)
{
    size_t bytes = (size_t)FAKE_ARENA_FRAMES * MESSAGE_FRAME_BYTES;

    m->arena_fd = memfd_create("fake-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(m->arena_fd >= 0);
    assert_int_equal(ftruncate(m->arena_fd, (off_t)bytes), 0);
    m->arena = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->arena_fd, 0);
    assert_true(m->arena != MAP_FAILED);
    for (size_t i = 0; i < FAKE_ARENA_FRAMES; i++) {
        memset(m->arena + i * MESSAGE_FRAME_BYTES, (int)((i + 1) & 0xff), MESSAGE_FRAME_BYTES);
    }
    if (m->seals != 0) {
        assert_int_equal(fcntl(m->arena_fd, F_ADD_SEALS, m->seals), 0);
    }
}

static inline void fake_mapper_drop_arena(struct fake_mapper *m)
{
    if (m->arena != NULL) {
        (void)munmap(m->arena, (size_t)FAKE_ARENA_FRAMES * MESSAGE_FRAME_BYTES);
        (void)close(m->arena_fd);
    }
    m->arena = NULL;
    m->arena_fd = -1;
}

/* `fd` for the arena's; -1: no descriptor comes along. */
static inline void fake_mapper_answer_hello(struct fake_mapper *m, int fd)
{
    union message hello, answer;

    doorbell_close(&m->doorbell);
    assert_int_equal(doorbell_open(&m->doorbell, NULL), 0);
    const int fds[] = { fd, m->doorbell.wait_fd };

    fake_mapper_receive(m, &hello);
    assert_int_equal(hello.head.type, MESSAGE_HELLO);
    answer.hello_answer = m->hello;
    message_init(&answer, MESSAGE_HELLO | MESSAGE_ANSWER, hello.head.serial);
    assert_int_equal(
        channel_send(&m->peer, &answer, sizeof(answer.hello_answer), fds, fd >= 0 ? 2 : 0, NULL),
        0);
    scope_close_fd(&m->doorbell.wait_fd);
}

/* Accepts and says hello, with an arena of its own. */
static inline void fake_mapper_join(struct fake_mapper *m)
{
    fake_mapper_accept(m);
    fake_mapper_make_arena(m);
    fake_mapper_answer_hello(m, m->arena_fd);
}

/* The connection's end; the mapper's memory goes as well. */
static inline void fake_mapper_leave(struct fake_mapper *m)
{
    channel_close(&m->peer);
    doorbell_close(&m->doorbell);
    fake_mapper_drop_arena(m);
}

/* Until xenresd has ended the connection. */
static inline void fake_mapper_wait_end(struct fake_mapper *m)
{
    union message any;
    ssize_t got;

    do {
        fake_wait_readable(m->peer.fd);
        got = channel_receive(&m->peer, &any, sizeof(any), NULL, NULL, NULL);
    } while (got > 0);
    assert_int_equal(got, -ERROR_UNAVAILABLE);
}

static inline void fake_mapper_done(struct fake_mapper *m)
{
    fake_mapper_leave(m);
    if (m->listen_fd >= 0) {
        (void)close(m->listen_fd);
    }
    folder_done(&m->folder);
}

static inline void fake_mapper_refuse(struct fake_mapper *m, uint64_t serial,
                                      const struct failure *why)
{
    union message answer;

    memset(&answer.failed, 0, sizeof(answer.failed));
    answer.failed.failure = *why;
    fake_mapper_send(m, &answer, MESSAGE_FAILED, serial);
}

static inline void fake_mapper_failed(struct fake_mapper *m, uint64_t serial, enum error_code code,
                                      int errnum)
{
    struct failure why = { 0 };

    failure_set(&why, code, "the fake mapper refuses");
    why.xen_errno = errnum;
    fake_mapper_refuse(m, serial, &why);
}

/* An honest answer to a snapshot: `frame_count` frames from `arena_frame` of the arena on. */
static inline void fake_snapshot(struct fake_mapper *m, const union message *request,
                                 uint32_t arena_frame, uint32_t frame_count, union message *answer)
{
    struct message_snapshot_answer *a = &answer->snapshot_answer;
    const struct message_snapshot *r = &request->snapshot;
    bool grants = r->type == RESOURCE_GRANT_TABLE;

    memset(a, 0, sizeof(*a));
    a->slot = (struct message_slot){
        .index = m->next_slot++,
        .generation = 7,
        .offset_bytes = (uint64_t)arena_frame * MESSAGE_FRAME_BYTES,
        .len_bytes = (uint64_t)frame_count * MESSAGE_FRAME_BYTES,
    };
    a->observation = (struct message_observation){
        .wall_ns = UINT64_C(1700000000123456789),
        .monotonic_ns = 42,
        .copy_duration_ns = 5,
        .first_frame = r->first_frame,
        .frame_count = frame_count,
        .frames_in_use = r->first_frame + frame_count,
        .frames_max = 64,
        .grant_version = grants ? 1 : 0,
        .consistency = SNAPSHOT_ALIGNED_8_BYTES,
        .digest = { 0xab, 0xcd },
    };
    if (a->observation.frames_in_use > a->observation.frames_max) {
        a->observation.frames_max = a->observation.frames_in_use;
    }
}

static inline void fake_mapper_snapshot(struct fake_mapper *m, const union message *request,
                                        uint32_t arena_frame, uint32_t frame_count)
{
    union message answer;

    fake_snapshot(m, request, arena_frame, frame_count, &answer);
    fake_mapper_send(m, &answer, MESSAGE_SNAPSHOT | MESSAGE_ANSWER, request->head.serial);
}

/* A domain as the lists of the tests have it. */
static inline struct message_domain fake_domain(uint16_t domid, const char *name, uint8_t uuid,
                                                uint8_t incarnation)
{
    struct message_domain d = {
        .identity = { .domid = domid, .uuid = { uuid }, .incarnation = { incarnation } },
        .type = DOMAIN_PVH,
        .state = DOMAIN_RUNNING,
        .online_vcpus = 2,
        .max_vcpus = 2,
    };

    strncpy(d.identity.name, name, sizeof(d.identity.name) - 1);
    (void)domain_tag_add(&d.identity, "fake");
    return d;
}

static inline void fake_mapper_domains(struct fake_mapper *m, uint64_t serial,
                                       const struct message_domain *domains, uint32_t count,
                                       bool more)
{
    union message answer;

    memset(&answer.domains_answer, 0, sizeof(answer.domains_answer));
    memcpy(answer.domains_answer.domains, domains, count * sizeof(*domains));
    answer.domains_answer.domain_count = count;
    answer.domains_answer.more = more;
    fake_mapper_send(m, &answer, MESSAGE_DOMAINS | MESSAGE_ANSWER, serial);
}

/* --- what came of a call ---------------------------------------------------------------------- */

struct outcome {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned count; /* how often it came */
    int code;       /* of the last; 0: success */
    struct failure failure;
    union message answer;
    struct mapper_slot *slot; /* a reference */
};

#define OUTCOME_INIT                                                                               \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                     \
    }

static inline void outcome_done(void *arg, const struct mapper_result *result)
{
    struct outcome *o = arg;

    pthread_mutex_lock(&o->lock);
    o->count++;
    o->code = result->failure != NULL ? result->failure->code : 0;
    if (result->failure != NULL) {
        o->failure = *result->failure;
    } else {
        memcpy(&o->answer, result->answer, message_size(result->answer->head.type));
    }
    if (result->slot != NULL) {
        o->slot = mapper_slot_ref(result->slot);
    }
    pthread_cond_broadcast(&o->changed);
    pthread_mutex_unlock(&o->lock);
}

/* Counts only: for what many threads share. */
static inline void outcome_tick(struct outcome *o)
{
    pthread_mutex_lock(&o->lock);
    o->count++;
    pthread_cond_broadcast(&o->changed);
    pthread_mutex_unlock(&o->lock);
}

static inline void outcome_wait(struct outcome *o, unsigned count)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += FAKE_WAIT_MS / 1000;
    pthread_mutex_lock(&o->lock);
    while (o->count < count && pthread_cond_timedwait(&o->changed, &o->lock, &until) == 0) {
    }
    assert_int_equal(o->count, count);
    pthread_mutex_unlock(&o->lock);
}

/* So often, or more. */
static inline void outcome_wait_at_least(struct outcome *o, unsigned count)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += FAKE_WAIT_MS / 1000;
    pthread_mutex_lock(&o->lock);
    while (o->count < count && pthread_cond_timedwait(&o->changed, &o->lock, &until) == 0) {
    }
    assert_true(o->count >= count);
    pthread_mutex_unlock(&o->lock);
}

/* --- a client ---------------------------------------------------------------------------------- */

static inline void fake_on_connected(void *arg, bool connected)
{
    if (connected) {
        outcome_tick(arg);
    }
}

/* One that tries again soon; `connected` counts its connections. */
static inline struct mapper_client *fake_mapper_client(struct fake_mapper *m,
                                                       struct outcome *connected)
{
    const struct mapper_client_options options = {
        .socket_path = m->path,
        .backoff_min_ms = 1,
        .backoff_max_ms = 5,
        .on_connected = fake_on_connected,
        .arg = connected,
    };
    struct mapper_client *client = NULL;

    assert_int_equal(mapper_client_new(&options, &client, NULL), 0);
    return client;
}

static inline uint64_t fake_deadline(uint32_t ms)
{
    return clock_monotonic_ns() + ms * CLOCK_NS_PER_MS;
}

#endif
