/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Names and events from an xenstored that is a thread of the test: it speaks the protocol of
 * <xen/io/xs_wire.h> on a socket, and can be absent, silent, or gone.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <xen/io/xs_wire.h>

#include "common/clock.h"
#include "server/mapper/xen/store.h"
#include "server/mapper/xen/store_thread.h"
#include "tests/lib/descriptors.h"
#include "tests/lib/unit.h"

enum { NODES = 8, WATCHES = 64, PAYLOAD = 4096, LIMIT_MS = 20000 };

struct node {
    char path[64];
    char value[PAYLOAD];
    uint32_t len;
};

/* The server. The thread answers; tests change it, under the lock. */
static struct {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char path[108];
    int listen_fd, fd;          /* fd: the one connection; -1 none */
    bool silent;                /* answers nothing until it is false again */
    bool waiting;               /* a request is held back */
    uint32_t requests;
    uint32_t connections;
    struct node nodes[NODES];
    struct { char path[64], token[64]; } watches[WATCHES];
    uint32_t watch_count;
} server = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER,
             .listen_fd = -1, .fd = -1 };

/* --- the server ------------------------------------------------------------------------------- */

static void put_message(uint32_t type, uint32_t request, const void *body, uint32_t len)
{
    struct xsd_sockmsg head = { .type = type, .req_id = request, .len = len };

    (void)send(server.fd, &head, sizeof(head), MSG_NOSIGNAL);
    (void)send(server.fd, body, len, MSG_NOSIGNAL);
}

static void put_event(const char *path, const char *token)
{
    char body[256];
    size_t path_len = strlen(path) + 1;

    memcpy(body, path, path_len);
    memcpy(body + path_len, token, strlen(token) + 1);
    put_message(XS_WATCH_EVENT, 0, body, (uint32_t)(path_len + strlen(token) + 1));
}

static void put_error(uint32_t request, const char *name)
{
    put_message(XS_ERROR, request, name, (uint32_t)strlen(name) + 1);
}

static void answer_read(uint32_t request, const char *path)
{
    for (int i = 0; i < NODES; i++) {
        if (strcmp(server.nodes[i].path, path) == 0) {
            put_message(XS_READ, request, server.nodes[i].value, server.nodes[i].len);
            return;
        }
    }
    put_error(request, "ENOENT");
}

static void answer_watch(uint32_t type, uint32_t request, const char *path, const char *token)
{
    uint32_t i = 0;

    while (i < server.watch_count && (strcmp(server.watches[i].path, path) != 0 ||
                                      strcmp(server.watches[i].token, token) != 0)) {
        i++;
    }
    if (type == XS_UNWATCH) {
        if (i == server.watch_count) {
            put_error(request, "ENOENT");
            return;
        }
        server.watches[i] = server.watches[--server.watch_count];
        put_message(type, request, "OK", 3);
        return;
    }
    assert(i == server.watch_count && i < WATCHES);
    assert(strlen(path) < sizeof(server.watches[i].path));
    assert(strlen(token) < sizeof(server.watches[i].token));
    memcpy(server.watches[i].path, path, strlen(path) + 1);
    memcpy(server.watches[i].token, token, strlen(token) + 1);
    server.watch_count++;
    put_message(type, request, "OK", 3);
    put_event(path, token);
}

static bool receive_all(int fd, void *to, size_t len)
{
    return len == 0 || recv(fd, to, len, MSG_WAITALL) == (ssize_t)len;
}

static void serve_connection(int fd)
{
    struct xsd_sockmsg head;
    static char body[PAYLOAD + 1];

    while (receive_all(fd, &head, sizeof(head)) && head.len <= PAYLOAD &&
           receive_all(fd, body, head.len)) {
        body[head.len] = '\0';
        pthread_mutex_lock(&server.lock);
        server.requests++;
        server.waiting = server.silent;
        pthread_cond_broadcast(&server.changed);
        while (server.silent) {
            pthread_cond_wait(&server.changed, &server.lock);
        }
        server.waiting = false;
        if (head.type == XS_READ) {
            answer_read(head.req_id, body);
        } else {
            answer_watch(head.type, head.req_id, body, body + strlen(body) + 1);
        }
        pthread_mutex_unlock(&server.lock);
    }
}

static void *serve(void *argument)
{
    (void)argument;
    for (;;) {
        int fd = accept(server.listen_fd, NULL, NULL);

        if (fd < 0) {
            return NULL;
        }
        pthread_mutex_lock(&server.lock);
        server.fd = fd;
        server.watch_count = 0;
        server.connections++;
        pthread_mutex_unlock(&server.lock);
        serve_connection(fd);
        pthread_mutex_lock(&server.lock);
        server.fd = -1;
        close(fd);
        pthread_cond_broadcast(&server.changed);
        pthread_mutex_unlock(&server.lock);
    }
}

static void server_start(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", server.path);
    (void)unlink(server.path);
    server.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server.listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server.listen_fd, 1), 0);
    assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static void server_hang_up(void)
{
    pthread_mutex_lock(&server.lock);
    server.silent = false;
    pthread_cond_broadcast(&server.changed);
    if (server.fd >= 0) {
        (void)shutdown(server.fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&server.lock);
}

static void server_stop(void)
{
    if (server.listen_fd < 0) {
        return;
    }
    (void)shutdown(server.listen_fd, SHUT_RDWR);
    server_hang_up();
    pthread_join(server.thread, NULL);
    close(server.listen_fd);
    server.listen_fd = -1;
    (void)unlink(server.path);
}

static void server_be_silent(bool silent)
{
    pthread_mutex_lock(&server.lock);
    server.silent = silent;
    pthread_cond_broadcast(&server.changed);
    pthread_mutex_unlock(&server.lock);
}

/* A node in place i; events to those who watch it. */
static void server_write(int i, const char *path, const char *value, size_t len)
{
    pthread_mutex_lock(&server.lock);
    snprintf(server.nodes[i].path, sizeof(server.nodes[i].path), "%s", path);
    memcpy(server.nodes[i].value, value, len);
    server.nodes[i].len = (uint32_t)len;
    for (uint32_t w = 0; w < server.watch_count; w++) {
        if (strcmp(server.watches[w].path, path) == 0) {
            put_event(path, server.watches[w].token);
        }
    }
    pthread_mutex_unlock(&server.lock);
}

static void server_fire(const char *path, const char *token)
{
    pthread_mutex_lock(&server.lock);
    put_event(path, token);
    pthread_mutex_unlock(&server.lock);
}

/* --- helpers ---------------------------------------------------------------------------------- */

static struct store *store;
static uint64_t moved_ns;       /* added to the kernel's time */

static uint64_t moved_clock_ns(void *argument)
{
    struct timespec now;

    (void)argument;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec + moved_ns;
}

static int start(void **state)
{
    (void)state;
    memset(server.nodes, 0, sizeof(server.nodes));
    server.requests = 0;
    server.connections = 0;
    server_start();
    server_write(0, "/local/domain/1/name", "one", 3);
    server_write(1, "/local/domain/2/name", "two", 3);
    return store_open(&store, NULL);
}

static int stop(void **state)
{
    (void)state;
    server_be_silent(false);
    store_close(store);
    store = NULL;
    server_stop();
    return 0;
}

static void assert_name(uint16_t domid, const char *expected)
{
    char name[MESSAGE_NAME_BYTES];
    struct failure f = { 0 };
    bool cut = true;

    if (store_name(store, domid, name, &cut, &f) != 0) {
        fail_msg("%s: %s", f.message, f.cause);
    }
    assert_string_equal(name, expected);
    assert_false(cut);
}

static void assert_no_name(uint16_t domid, enum error_code code, int errnum)
{
    char name[MESSAGE_NAME_BYTES] = "as before";
    struct failure f = { 0 };
    bool cut = true;

    assert_int_equal(store_name(store, domid, name, &cut, &f), -(int)code);
    assert_int_equal(f.xen_errno, errnum);
    assert_true(f.cause[0] != '\0' && f.next_step[0] != '\0');
    assert_string_equal(name, "as before");
}

struct drained {
    unsigned events;
    uint32_t name_count;
    uint16_t domids[WATCHES];
};

/* A question first: what xenstored had to tell comes before its answer. */
static struct drained drain(void)
{
    struct drained all = { 0 };
    char name[MESSAGE_NAME_BYTES];
    unsigned events;
    uint16_t domid;
    bool cut;

    (void)store_name(store, 1, name, &cut, NULL);
    while (store_next_event(store, &events, &domid)) {
        all.events |= events;
        if ((events & BACKEND_EVENT_NAME) != 0) {
            assert_true(all.name_count < WATCHES);
            all.domids[all.name_count++] = domid;
        }
    }
    return all;
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd one = { .fd = fd, .events = POLLIN };

    return poll(&one, 1, timeout_ms) == 1;
}

/* --- tests ------------------------------------------------------------------------------------ */

static void a_name_is_what_was_written(void **state)
{
    (void)state;
    assert_name(1, "one");
    assert_name(2, "two");
    assert_name(3, "");
    assert_int_equal(store_check(store, NULL), 0);
}

static void a_name_may_fill_the_room_and_hold_any_byte_but_nul(void **state)
{
    static char longest[MESSAGE_NAME_BYTES];
    char name[MESSAGE_NAME_BYTES];
    bool cut = false;

    (void)state;
    memset(longest, 0x9b, sizeof(longest) - 1);
    server_write(0, "/local/domain/1/name", longest, sizeof(longest) - 1);
    assert_name(1, longest);
    server_write(0, "/local/domain/1/name", longest, sizeof(longest));      /* its NUL as well */
    assert_int_equal(store_name(store, 1, name, &cut, NULL), 0);
    assert_true(cut);
    assert_string_equal(name, "");
    server_write(0, "/local/domain/1/name", "dom\0ain", 7);
    cut = false;
    assert_int_equal(store_name(store, 1, name, &cut, NULL), 0);
    assert_true(cut);
    assert_string_equal(name, "");
    memset(server.nodes[0].value, 'x', PAYLOAD);
    server_write(0, "/local/domain/1/name", server.nodes[1].value, 0);
    assert_name(1, "");
    server.nodes[0].len = PAYLOAD;
    cut = false;
    assert_int_equal(store_name(store, 1, name, &cut, NULL), 0);
    assert_true(cut);
}

static void a_registration_alone_is_no_event(void **state)
{
    (void)state;
    store_watch_name(store, 1);
    store_watch_name(store, 2);
    assert_int_equal(drain().events, 0);
}

static void a_rewritten_name_is_an_event_of_its_domain(void **state)
{
    struct drained all;

    (void)state;
    store_watch_name(store, 1);
    store_watch_name(store, 2);
    (void)drain();
    assert_false(is_readable(store_event_fd(store), 0));
    server_write(1, "/local/domain/2/name", "zwei", 4);
    assert_true(is_readable(store_event_fd(store), LIMIT_MS));
    all = drain();
    assert_int_equal(all.events, BACKEND_EVENT_NAME);
    assert_int_equal(all.name_count, 1);
    assert_int_equal(all.domids[0], 2);
    assert_false(is_readable(store_event_fd(store), 0));
}

/* The name changes between the registration and its first event: both events come, one counts. */
static void a_change_right_after_the_registration_is_told(void **state)
{
    (void)state;
    store_watch_name(store, 1);
    server_write(0, "/local/domain/1/name", "uno", 3);
    assert_int_equal(drain().name_count, 1);
}

static void what_is_no_longer_watched_is_not_told(void **state)
{
    (void)state;
    store_watch_name(store, 1);
    server_write(0, "/local/domain/1/name", "uno", 3);
    store_unwatch_name(store, 1);
    assert_int_equal(drain().events, 0);
    assert_int_equal(server.watch_count, 2);        /* those of all domains */
    store_watch_name(store, 1);
    assert_int_equal(drain().events, 0);
    store_unwatch_name(store, 1);
    store_unwatch_name(store, 1);
    store_unwatch_name(store, 2);
    assert_int_equal(server.watch_count, 2);
}

static void domains_coming_and_going_are_told(void **state)
{
    struct drained all;

    (void)state;
    assert_int_equal(drain().events, 0);
    server_write(2, "@introduceDomain", "", 0);
    all = drain();
    assert_int_equal(all.events, BACKEND_EVENT_DOMAINS);
    server_write(2, "@releaseDomain", "", 0);
    all = drain();
    assert_int_equal(all.events, BACKEND_EVENT_DOMAINS);
}

static void events_with_tokens_that_are_not_ours_are_dropped(void **state)
{
    static const char *const tokens[] = {
        "", "n", "n1", "n1.", "n1.0", "n1.99999", "n32752.1", "n4294967295.1", "d2.1", "x1.1", "n1.3x",
        "n99999999999999999999.1", "a token that is longer than any that was ever given",
    };

    (void)state;
    store_watch_name(store, 1);
    (void)drain();
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        server_fire("/local/domain/1/name", tokens[i]);
    }
    assert_int_equal(drain().events, 0);
}

static void numbers_that_no_domain_has_are_not_watched(void **state)
{
    (void)state;
    store_watch_name(store, 0x7ff0);
    store_watch_name(store, 0xffff);
    store_unwatch_name(store, 0xffff);
    assert_int_equal(drain().events, 0);
    assert_int_equal(server.watch_count, 2);
    store_watch_name(store, 0x7fef);
    assert_int_equal(server.watch_count, 3);
}

static void an_absent_xenstored_is_told_and_found_later(void **state)
{
    struct failure f = { 0 };
    uint64_t begun_ns = moved_clock_ns(NULL);
    struct drained all;

    (void)state;
    assert_int_equal(store_open(&store, NULL), 0);
    assert_no_name(1, ERROR_UNAVAILABLE, ENOENT);
    assert_int_equal(store_check(store, &f), -ERROR_UNAVAILABLE);
    assert_non_null(strstr(f.next_step, "xenstored"));
    store_watch_name(store, 1);
    store_watch_name(store, 2);
    for (int i = 0; i < 2; i++) {                   /* each time: nobody watches for us */
        all = drain();
        assert_int_equal(all.name_count, 2);
    }
    assert_true(moved_clock_ns(NULL) - begun_ns < CLOCK_NS_PER_S / 2);

    server_start();
    server_write(0, "/local/domain/1/name", "one", 3);
    assert_no_name(1, ERROR_UNAVAILABLE, ENOENT);   /* not before its time */
    moved_ns += STORE_RETRY_MS * CLOCK_NS_PER_MS;
    assert_name(1, "one");
    all = drain();
    assert_int_equal(all.events, BACKEND_EVENT_DOMAINS | BACKEND_EVENT_NAME);
    assert_int_equal(all.name_count, 2);
    assert_int_equal(drain().events, 0);
    assert_int_equal(server.watch_count, 4);
}

static void a_lost_connection_is_told_and_made_again(void **state)
{
    struct drained all = { 0 };
    int fd = store_event_fd(store);

    (void)state;
    store_watch_name(store, 1);
    store_watch_name(store, 2);
    (void)drain();
    server_hang_up();
    for (int tries = 0; tries < LIMIT_MS && (all.events & BACKEND_EVENT_DOMAINS) == 0; tries++) {
        all = drain();
        (void)poll(NULL, 0, 1);
    }
    assert_int_equal(all.events, BACKEND_EVENT_DOMAINS | BACKEND_EVENT_NAME);
    assert_int_equal(all.name_count, 2);
    assert_no_name(1, ERROR_UNAVAILABLE, ENOTCONN);
    assert_int_equal(drain().name_count, 2);        /* still nobody watches */

    moved_ns += STORE_RETRY_MS * CLOCK_NS_PER_MS;
    all = drain();
    assert_int_equal(all.events, BACKEND_EVENT_DOMAINS | BACKEND_EVENT_NAME);
    assert_int_equal(all.name_count, 2);
    assert_int_equal(drain().events, 0);
    assert_int_equal(server.connections, 2);
    assert_int_equal(store_event_fd(store), fd);
    server_write(1, "/local/domain/2/name", "zwei", 4);
    assert_true(is_readable(fd, LIMIT_MS));
    assert_int_equal(drain().domids[0], 2);
}

static void a_silent_xenstored_takes_one_wait_and_no_more(void **state)
{
    uint64_t begun_ns;
    uint64_t waited_ns;
    int tries = 0;
    char name[MESSAGE_NAME_BYTES];
    bool cut;

    (void)state;
    assert_name(1, "one");
    server_be_silent(true);
    begun_ns = moved_clock_ns(NULL);
    assert_no_name(1, ERROR_UNAVAILABLE, ETIMEDOUT);
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(store_name(store, 1, name, &cut, NULL), -ERROR_UNAVAILABLE);
    }
    store_watch_name(store, 2);
    assert_int_equal(drain().name_count, 1);
    waited_ns = moved_clock_ns(NULL) - begun_ns;
    assert_true(waited_ns >= STORE_THREAD_WAIT_MS * CLOCK_NS_PER_MS);
    assert_true(waited_ns < 3 * STORE_THREAD_WAIT_MS * CLOCK_NS_PER_MS);

    /* The late answer about domain 1 is nobody's; the next question has its own. */
    server_be_silent(false);
    while (store_name(store, 2, name, &cut, NULL) != 0 && tries++ < LIMIT_MS) {
        (void)poll(NULL, 0, 1);
    }
    assert_string_equal(name, "two");
    assert_name(1, "one");
    assert_int_equal(drain().name_count, 1);        /* watched from here on */
    assert_int_equal(drain().name_count, 0);
}

static void closing_does_not_wait_for_a_silent_xenstored(void **state)
{
    uint64_t begun_ns;

    (void)state;
    server_be_silent(true);
    assert_no_name(1, ERROR_UNAVAILABLE, ETIMEDOUT);
    begun_ns = moved_clock_ns(NULL);
    store_close(store);
    store = NULL;
    assert_true(moved_clock_ns(NULL) - begun_ns < CLOCK_NS_PER_S / 2);
    /* The thread ends by itself, and closes its connection, when the answer comes. */
    pthread_mutex_lock(&server.lock);
    server.silent = false;
    pthread_cond_broadcast(&server.changed);
    while (server.fd >= 0) {
        pthread_cond_wait(&server.changed, &server.lock);
    }
    pthread_mutex_unlock(&server.lock);
}

static void descriptors_are_given_back(void **state)
{
    size_t before = descriptors_open();

    (void)state;
    for (int i = 0; i < 5; i++) {
        store_close(store);
        assert_int_equal(store_open(&store, NULL), 0);
        store_watch_name(store, 1);
        assert_name(2, "two");
    }
    store_close(store);
    assert_int_equal(store_open(&store, NULL), 0);
    assert_true(descriptors_open() <= before + 1);  /* the server may be a moment behind */
    assert_true(descriptor_is_cloexec(store_event_fd(store)));
}

static void every_number_of_a_domain_can_be_watched(void **state)
{
    struct drained all;

    (void)state;
    for (uint16_t domid = 0; domid < WATCHES - 2; domid++) {
        store_watch_name(store, (uint16_t)(0x7fef - domid));
    }
    assert_int_equal(server.watch_count, WATCHES);
    assert_int_equal(drain().events, 0);
    server_write(2, "/local/domain/32751/name", "last", 4);
    all = drain();
    assert_int_equal(all.name_count, 1);
    assert_int_equal(all.domids[0], 0x7fef);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    static const struct clock_source clock = { moved_clock_ns, moved_clock_ns, NULL };
    const char *parent = getenv("TMPDIR");
    const struct CMUnitTest tests[] = {
        WITH_SERVER(a_name_is_what_was_written),
        WITH_SERVER(a_name_may_fill_the_room_and_hold_any_byte_but_nul),
        WITH_SERVER(a_registration_alone_is_no_event),
        WITH_SERVER(a_rewritten_name_is_an_event_of_its_domain),
        WITH_SERVER(a_change_right_after_the_registration_is_told),
        WITH_SERVER(what_is_no_longer_watched_is_not_told),
        WITH_SERVER(domains_coming_and_going_are_told),
        WITH_SERVER(events_with_tokens_that_are_not_ours_are_dropped),
        WITH_SERVER(numbers_that_no_domain_has_are_not_watched),
        cmocka_unit_test_teardown(an_absent_xenstored_is_told_and_found_later, stop),
        WITH_SERVER(a_lost_connection_is_told_and_made_again),
        WITH_SERVER(a_silent_xenstored_takes_one_wait_and_no_more),
        WITH_SERVER(closing_does_not_wait_for_a_silent_xenstored),
        WITH_SERVER(descriptors_are_given_back),
        WITH_SERVER(every_number_of_a_domain_can_be_watched),
    };

    snprintf(server.path, sizeof(server.path), "%s/xr.%ld", parent != NULL ? parent : "/tmp",
             (long)getpid());
    setenv("XENSTORED_PATH", server.path, 1);       /* libxenstore's own */
    clock_set_source(&clock);
    return UNIT_RUN(tests);
}
