/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The receiving thread and the life of the connection: down → (connect, hello sent) joining →
 * (hello answered, arena mapped) up → down. Parts: mapper_link (connection, arena, slots),
 * mapper_calls (calls in flight), mapper_answer (answers against questions), mapper_state (is there
 * a mapper).
 */
#include "server/resource/mapper_client.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/scope.h"
#include "server/resource/backoff.h"
#include "server/resource/mapper_calls.h"
#include "server/resource/mapper_link.h"
#include "server/resource/mapper_state.h"

enum {
    HELLO_SERIAL = 1,        /* no call has it: see mapper_calls */
    SEND_SERIAL = 1,         /* of what is not answered */
    HELLO_TIMEOUT_MS = 5000, /* a mapper that listens but does not speak */
    MESSAGES_PER_ROUND = 64, /* before deadlines and releases are looked at again */
};

struct mapper_client {
    struct mapper_client_options options;
    char *socket_path;
    pthread_t thread;
    int wake_fd;
    atomic_bool stop;
    struct mapper_calls *calls;
    struct mapper_state state;
    atomic_int doorbell_fd; /* -1: taken, or there is no mapper */

    /* The thread's own. */
    struct mapper_link *link; /* joining or up */
    bool joined;              /* up */
    bool proven;              /* this connection has answered something */
    struct backoff backoff;
    uint64_t up_ns;        /* since when it is up */
    uint64_t step_ns;      /* when to connect again (down), or to give up (joining) */
    struct failure logged; /* the last reason that was logged */
    union message received;
    void (*rest)(void *arg); /* mapper_client_at_rest()'s, or NULL */
    void *rest_arg;
};

static void put_doorbell(struct mapper_client *c, int fd)
{
    int before = atomic_exchange(&c->doorbell_fd, fd);

    scope_close_fd(&before);
}

static void wake(struct mapper_client *c)
{
    uint64_t one = 1;

    (void)!write(c->wake_fd, &one, sizeof(one)); /* full: it is awake already */
}

/* Says why there is no mapper, but not at every try the same. */
static void log_reason(struct mapper_client *c, const struct failure *why)
{
    if (strcmp(c->logged.message, why->message) == 0) {
        return;
    }
    c->logged = *why;
    log_failure(why->code == ERROR_UNAVAILABLE ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR,
                "connection to the mapper", why);
}

/* A mapper that worked and went is looked for at once; one that fails at once, or lies, is not. */
static bool has_been_of_use(const struct mapper_client *c, const struct failure *why)
{
    uint64_t lived_ns = clock_monotonic_ns() - c->up_ns;

    return why->code == ERROR_UNAVAILABLE &&
           (c->proven || lived_ns >= c->options.backoff_max_ms * CLOCK_NS_PER_MS);
}

/* Ends the connection, whatever state it is in. */
static void drop(struct mapper_client *c, const struct failure *why)
{
    struct failure told;
    bool was_up = c->joined;
    struct mapper_link *link = scope_take_pointer(c->link);

    mapper_state_unavailable(&told, why);
    mapper_state_set_down(&c->state, why);
    log_reason(c, why);
    if (was_up && has_been_of_use(c, why)) {
        backoff_reset(&c->backoff);
    }
    c->joined = false;
    put_doorbell(c, -1);
    if (link != NULL) {
        mapper_link_end(link); /* first: what is added from now on cannot be sent */
        mapper_calls_abandon(c->calls, false, &told);
        mapper_link_unref(link);
    }
    c->step_ns = clock_monotonic_ns() + backoff_next_ms(&c->backoff) * CLOCK_NS_PER_MS;
    if (was_up && c->options.on_connected != NULL) {
        c->options.on_connected(c->options.arg, false);
    }
}

static void join(struct mapper_client *c)
{
    struct failure f = { 0 };
    union message m;
    int result = mapper_link_open(c->socket_path, c->wake_fd, &c->link, &f);

    if (result == 0) {
        memset(&m.hello, 0, sizeof(m.hello));
        message_init(&m, MESSAGE_HELLO, HELLO_SERIAL);
        strncpy(m.hello.version, XENRES_VERSION, sizeof(m.hello.version) - 1);
        result = mapper_link_send(c->link, &m, &f);
    }
    if (result != 0) {
        drop(c, &f);
        return;
    }
    c->proven = false;
    c->step_ns = clock_monotonic_ns() + HELLO_TIMEOUT_MS * CLOCK_NS_PER_MS;
}

static void come_up(struct mapper_client *c, const struct message_hello_answer *hello)
{
    c->joined = true;
    c->up_ns = clock_monotonic_ns();
    c->logged.message[0] = '\0';
    mapper_state_set_up(&c->state, c->link, hello);
    if (c->options.on_connected != NULL) {
        c->options.on_connected(c->options.arg, true);
    }
    if (c->options.on_domains_changed != NULL) {
        c->options.on_domains_changed(c->options.arg, 0);
    }
}

/* The first message of a connection: the hello's answer, or why there is none. Takes the doorbell out
 * of `fds`. */
static int receive_hello(struct mapper_client *c, int *fds, struct failure *f)
{
    union message *m = &c->received;

    if (m->head.type == MESSAGE_FAILED) {
        *f = m->failed.failure;
        failure_sanitize(f);
        return -f->code;
    }
    if (m->head.type != (MESSAGE_HELLO | MESSAGE_ANSWER) || m->head.serial != HELLO_SERIAL ||
        m->hello_answer.requests_max == 0) {
        return failure_set(f, ERROR_INTERNAL, "what listens on %s is no mapper", c->socket_path);
    }
    int result = mapper_link_set_arena(c->link, &m->hello_answer, fds[0], f);

    if (result == 0) {
        put_doorbell(c, scope_take_fd(&fds[1]));
        come_up(c, &m->hello_answer);
    }
    return result;
}

/* Gives the answer to its call. Releases its slot where nobody waits any more. */
static int receive_answer(struct mapper_client *c, int fd, struct failure *f)
{
    union message *m = &c->received;
    const struct message_slot *named = mapper_answer_slot(m);
    struct mapper_slot *slot = NULL;
    struct mapper_call call;
    enum mapper_calls_found found = mapper_calls_take(c->calls, m->head.serial, &call);

    if (found == MAPPER_CALLS_NONE) {
        return failure_set(f, ERROR_INTERNAL, "the mapper answered what was not asked");
    }
    mapper_link_call_ends(c->link);
    int result = mapper_answer_check(&call.question, m, f);

    if (result == 0 && named != NULL) {
        result = mapper_link_take_slot(c->link, named, &slot, f);
    }
    if (m->head.type == MESSAGE_FAILED) {
        failure_sanitize(&m->failed.failure);
    }
    if (found == MAPPER_CALLS_LIVE) {
        const struct failure *failure = result != 0                      ? f
                                        : m->head.type == MESSAGE_FAILED ? &m->failed.failure
                                                                         : NULL;
        call.done(call.arg, &(struct mapper_result){ .failure = failure,
                                                     .answer = failure == NULL ? m : NULL,
                                                     .slot = slot,
                                                     .fd = failure == NULL ? fd : -1 });
    }
    mapper_slot_unref(slot);
    c->proven = true;
    return result == -ERROR_RESOURCE_EXHAUSTED ? 0 : result; /* our memory, not its fault */
}

static int receive_one(struct mapper_client *c, int fd, struct failure *f)
{
    union message *m = &c->received;

    if (m->head.type == MESSAGE_EVENT_DOMAINS) {
        if (c->options.on_domains_changed != NULL) {
            c->options.on_domains_changed(c->options.arg, m->event_domains.generation);
        }
        return 0;
    }
    if (m->head.type != MESSAGE_FAILED && (m->head.type & MESSAGE_ANSWER) == 0) {
        return failure_set(f, ERROR_INTERNAL, "the mapper sent a request");
    }
    return receive_answer(c, fd, f);
}

/* What has arrived, with its descriptors, of which those that are kept become -1. */
static int accept_message(struct mapper_client *c, ssize_t len_bytes, int *fds, size_t fd_count,
                          struct failure *f)
{
    int result = len_bytes < 0 ? (int)len_bytes : message_check(&c->received, (size_t)len_bytes, f);

    if (result != 0) {
        return result;
    }
    /* Else a mapper that was taken over could fill our table of descriptors, or make us guess. */
    if (fd_count != mapper_answer_fd_count(&c->received)) {
        return failure_set(f, ERROR_INTERNAL, "%zu descriptors came with a message %#x", fd_count,
                           (unsigned)c->received.head.type);
    }
    return c->joined ? receive_one(c, fd_count > 0 ? fds[0] : -1, f) : receive_hello(c, fds, f);
}

/* True where another message may be waiting. */
static bool receive(struct mapper_client *c)
{
    struct failure f = { 0 };
    int fds[CHANNEL_FDS_MAX];
    size_t fd_count = 0;
    ssize_t got = mapper_link_receive(c->link, &c->received, fds, &fd_count, &f);

    if (got == 0) {
        return false;
    }
    int result = accept_message(c, got, fds, fd_count, &f);

    for (size_t i = 0; i < fd_count; i++) {
        scope_close_fd(&fds[i]);
    }
    if (result != 0) {
        drop(c, &f);
        return false;
    }
    /* Without calls in flight nothing but an event can come: poll() tells of that. */
    return mapper_link_calls(c->link) > 0;
}

/* What is due without a message: connecting, giving up on a hello. */
static void step(struct mapper_client *c)
{
    struct failure f = { 0 };

    if (c->joined || clock_monotonic_ns() < c->step_ns) {
        return;
    }
    if (c->link == NULL) {
        join(c);
        return;
    }
    failure_set(&f, ERROR_UNAVAILABLE, "what listens on %s says nothing", c->socket_path);
    drop(c, &f);
}

/* What is there, and then what was to be done behind it. */
static void receive_all(struct mapper_client *c)
{
    for (int i = 0; i < MESSAGES_PER_ROUND && c->link != NULL && receive(c); i++) {
    }
    if (c->rest != NULL) {
        void (*rest)(void *arg) = c->rest;

        c->rest = NULL;
        rest(c->rest_arg);
    }
}

/* Waits and receives; false where nothing came. */
static bool wait_for_work(struct mapper_client *c, uint64_t next_ns,
                          const struct mapper_link_wants *wants)
{
    struct pollfd fds[2] = { { .fd = c->wake_fd, .events = POLLIN }, { .fd = -1 } };
    uint64_t until_ns = !c->joined && c->step_ns < next_ns ? c->step_ns : next_ns;
    int timeout_ms = -1;
    uint64_t count;

    if (c->link != NULL) {
        fds[1].fd = mapper_link_fd(c->link);
        fds[1].events = (short)(POLLIN | (wants->writable ? POLLOUT : 0));
    }
    if (until_ns != MAPPER_CALLS_NEVER) {
        timeout_ms = clock_poll_timeout_ms(until_ns, 60 * 1000);
    }
    if (wants->timeout_ms >= 0 && (timeout_ms < 0 || timeout_ms > wants->timeout_ms)) {
        timeout_ms = wants->timeout_ms;
    }
    bool idle = poll(fds, 2, timeout_ms) == 0;

    if (fds[0].revents != 0) {
        (void)!read(c->wake_fd, &count, sizeof(count));
    }
    if (fds[1].fd >= 0 && (fds[1].revents & ~POLLOUT) != 0) {
        receive_all(c);
    }
    return !idle;
}

static enum mapper_link_pace pace_of(bool idle, uint64_t last_ns, uint64_t now_ns)
{
    if (idle) {
        return MAPPER_LINK_IDLE;
    }
    return now_ns - last_ns < MAPPER_LINK_GATHER_MS * CLOCK_NS_PER_MS ? MAPPER_LINK_BUSY
                                                                      : MAPPER_LINK_CALM;
}

static void *run(void *arg)
{
    struct mapper_client *c = arg;
    struct failure late, stopping;
    bool idle = true;
    uint64_t last_ns = 0;

    failure_set(&late, ERROR_DEADLINE_EXCEEDED, "the answer did not come in time");
    failure_cause(&late, 0, "the mapper or the hypervisor is slow, or the time allowed short");
    failure_next(&late, 0, "try again, or allow more time");
    while (!atomic_load(&c->stop)) {
        struct mapper_link_wants wants = { .timeout_ms = -1 };

        step(c);
        uint64_t now_ns = clock_monotonic_ns();
        uint64_t next_ns = mapper_calls_expire(c->calls, now_ns, &late);

        if (c->link != NULL) {
            wants = mapper_link_tend(c->link, pace_of(idle, last_ns, now_ns));
        }
        last_ns = now_ns;
        idle = !wait_for_work(c, next_ns, &wants);
    }
    failure_set(&stopping, ERROR_UNAVAILABLE, "the gateway is stopping");
    failure_next(&stopping, 0, "try again when it is back");
    mapper_state_set_down(&c->state, &stopping);
    if (c->link != NULL) {
        mapper_link_flush(c->link);
        mapper_link_end(c->link);
    }
    mapper_calls_abandon(c->calls, true, &stopping);
    mapper_link_unref(scope_take_pointer(c->link));
    return NULL;
}

static int start_thread(struct mapper_client *c, struct failure *f)
{
    int errnum = pthread_create(&c->thread, NULL, run, c);

    if (errnum == 0) {
        (void)pthread_setname_np(c->thread, "mapper-client");
        return 0;
    }
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no thread: %s", strerror(errnum));

    return failure_call(f, result, "pthread_create", errnum);
}

static void free_client(struct mapper_client *c)
{
    mapper_calls_free(c->calls);
    scope_close_fd(&c->wake_fd);
    put_doorbell(c, -1);
    mapper_state_done(&c->state);
    free(c->socket_path);
    free(c);
}

int mapper_client_new(const struct mapper_client_options *options, struct mapper_client **out,
                      struct failure *f)
{
    struct mapper_client *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the mapper's client");
    }
    c->options = *options;
    atomic_init(&c->doorbell_fd, -1);
    backoff_init(&c->backoff, options->backoff_min_ms, options->backoff_max_ms);
    c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->socket_path = strdup(options->socket_path);
    mapper_state_init(&c->state);
    int result = c->wake_fd >= 0 && c->socket_path != NULL
                     ? mapper_calls_new(&c->calls, f)
                     : failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory or no descriptor");

    if (result == 0) {
        result = start_thread(c, f);
    }
    if (result != 0) {
        free_client(c);
        return result;
    }
    *out = c;
    return 0;
}

void mapper_client_free(struct mapper_client *c)
{
    if (c == NULL) {
        return;
    }
    atomic_store(&c->stop, true);
    wake(c);
    pthread_join(c->thread, NULL);
    free_client(c);
}

/* Sends what is in the table. 0 also where the call was completed meanwhile: then the connection
 * went or its deadline came, and `done` has been told. */
static int send_call(struct mapper_client *c, struct mapper_link *link, const union message *m,
                     struct failure *f)
{
    struct failure sending = { 0 };
    int result = mapper_link_send(link, m, &sending);

    if (result == 0) {
        return 0;
    }
    bool ours = mapper_calls_withdraw(c->calls, m->head.serial);

    mapper_link_call_ends(link);
    mapper_link_flush(link); /* a release may have counted on this call's answer */
    if (!ours) {
        return 0;
    }
    if (result == -ERROR_RESOURCE_EXHAUSTED) {
        failure_set(f, ERROR_RESOURCE_EXHAUSTED, "the mapper does not take more requests now");
        failure_retry(f, 0, FAILURE_RETRY_SOON_MS);
        failure_cause(f, 0, "it stalls, or more is asked at once than it can do");
        return failure_next(f, result, "try again in a moment");
    }
    return mapper_state_unavailable(f, &sending);
}

int mapper_client_call(struct mapper_client *c, union message *request, uint64_t deadline_ns,
                       mapper_done *done, void *arg, struct failure *f)
{
    struct mapper_link *link = NULL;
    unsigned max = 0;
    bool earlier = false;
    uint64_t serial = 0;
    const struct mapper_call call = { .done = done,
                                      .arg = arg,
                                      .question = mapper_question_of(request) };
    int result = mapper_state_take(&c->state, &link, &max, f);

    if (result != 0) {
        return result;
    }
    mapper_link_call_begins(link);
    result = mapper_calls_add(c->calls, &call, deadline_ns, max, &serial, &earlier, f);
    if (result != 0) {
        mapper_link_call_ends(link);
        mapper_link_flush(link);
    } else {
        if (earlier) {
            wake(c);
        }
        message_init(request, request->head.type, serial);
        result = send_call(c, link, request, f);
    }
    mapper_link_unref(link);
    return result;
}

int mapper_client_send(struct mapper_client *c, union message *m, struct failure *f)
{
    struct mapper_link *link = NULL;
    unsigned max = 0;
    int result = mapper_state_take(&c->state, &link, &max, f);

    if (result == 0) {
        message_init(m, m->head.type, SEND_SERIAL);
        result = mapper_link_send(link, m, f);
        mapper_link_unref(link);
    }
    return result;
}

void mapper_client_at_rest(struct mapper_client *c, void (*rest)(void *arg), void *arg)
{
    assert(c->rest == NULL);
    c->rest = rest;
    c->rest_arg = arg;
}

int mapper_client_take_doorbell(struct mapper_client *c)
{
    return atomic_exchange(&c->doorbell_fd, -1);
}

int mapper_client_wait(struct mapper_client *c, uint64_t deadline_ns, mapper_done *done, void *arg,
                       uint64_t *wait, struct failure *f)
{
    const struct mapper_call call = { .done = done, .arg = arg };
    bool earlier = false;
    int result = mapper_calls_add(c->calls, &call, deadline_ns, 0, wait, &earlier, f);

    if (result == 0 && earlier) {
        wake(c);
    }
    return result;
}

bool mapper_client_end_wait(struct mapper_client *c, uint64_t wait)
{
    return mapper_calls_withdraw(c->calls, wait);
}

bool mapper_client_hello(struct mapper_client *c, struct message_hello_answer *out)
{
    return mapper_state_hello(&c->state, out);
}

uint64_t mapper_client_restarts(struct mapper_client *c)
{
    return mapper_state_restarts(&c->state);
}
