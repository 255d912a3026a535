/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What decides who is let in and what he may is exchanged, over and over, under clients that ask, watch,
 * come and go. When an exchange has returned, no answer is by what was before; nobody else notices
 * anything. For the thread sanitizer above all.
 */
#include "tests/lib/rules_rig.h"

#include <signal.h>

#include "tests/lib/tls_peer.h"

enum {
    ROUNDS = 24,
    QUESTIONS = 20,        /* on one connection */
    EXCHANGES_AT_ONCE = 4, /* of which nobody waits for the one before */
    WAIT_S = 15,           /* less than TLS_PEER_WAIT_S, so that who has not noticed is named */
    SAID_BYTES = 65536,
};

static struct {
    pthread_rwlock_t opening; /* nobody connects to a listener that stops */
    bool stopping;            /* to write it takes both locks */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned number; /* under `lock`, as is what clients say of themselves; even: open, odd: shut */
    bool settled;    /* no exchange is under way */
} rig = { .opening = PTHREAD_RWLOCK_INITIALIZER,
          .lock = PTHREAD_MUTEX_INITIALIZER,
          .changed = PTHREAD_COND_INITIALIZER };

/* --- clients ----------------------------------------------------------------------------------- */

struct client {
    const char *certificate, *token; /* NULL: none */
    bool watches, is_shut_out;       /* the latter where the rules are shut */
    pthread_t thread;
    /* Under the rig's lock. */
    const char *wrong;
    unsigned answered, refused, opened, withdrawn;
    size_t said_bytes;
};

static struct client clients[] = {
    { .certificate = "alice" },
    { .token = rules.erin },
    { .certificate = "bob", .is_shut_out = true },
    { .token = rules.dora, .is_shut_out = true },
    { .certificate = "alice", .watches = true },
    { .token = rules.erin, .watches = true },
    { .certificate = "bob", .watches = true, .is_shut_out = true },
    { .token = rules.dora, .watches = true, .is_shut_out = true },
    { .certificate = "carol", .watches = true, .is_shut_out = true },
};
enum { CLIENTS = sizeof(clients) / sizeof(clients[0]) };

static void tell(unsigned *count)
{
    (void)pthread_mutex_lock(&rig.lock);
    ++*count;
    (void)pthread_cond_broadcast(&rig.changed);
    (void)pthread_mutex_unlock(&rig.lock);
}

/* The first thing that goes wrong ends the test: main() sees it. */
static void tell_wrong(struct client *c, const char *what)
{
    (void)pthread_mutex_lock(&rig.lock);
    c->wrong = c->wrong != NULL ? c->wrong : what;
    (void)pthread_cond_broadcast(&rig.changed);
    (void)pthread_mutex_unlock(&rig.lock);
}

static bool is_stopping(void)
{
    (void)pthread_rwlock_rdlock(&rig.opening);
    bool stopping = rig.stopping;

    (void)pthread_rwlock_unlock(&rig.opening);
    return stopping;
}

/* False: the listener stops. Whether the client is let in shows with the first answer. */
static bool connect_to(struct client *c, struct tls_peer *p)
{
    const struct tls_peer_options options = { .dir = rules.dir.path, .name = c->certificate };

    (void)pthread_rwlock_rdlock(&rig.opening);
    bool goes_on = !rig.stopping;

    if (goes_on) {
        (void)tls_peer_open(p, rules.port, &options);
    }
    (void)pthread_rwlock_unlock(&rig.opening);
    return goes_on;
}

static bool say(const struct client *c, struct tls_peer *p, const char *path, const char *type,
                const void *body, size_t body_bytes)
{
    char head[512];
    int len = snprintf(head, sizeof(head),
                       "POST %s HTTP/1.1\r\nHost: t\r\nContent-Type: application/%s\r\n"
                       "Content-Length: %zu\r\n%s%s%s\r\n",
                       path, type, body_bytes, c->token != NULL ? "Authorization: Bearer " : "",
                       c->token != NULL ? c->token : "", c->token != NULL ? "\r\n" : "");

    return tls_peer_send(p, head, (size_t)len) && tls_peer_send(p, body, body_bytes);
}

/* Which rules are in force for certain; false: they are being exchanged. */
static bool look(unsigned *number)
{
    (void)pthread_mutex_lock(&rig.lock);
    bool settled = rig.settled;

    *number = rig.number;
    (void)pthread_mutex_unlock(&rig.lock);
    return settled;
}

static void wait_for_others(unsigned number)
{
    (void)pthread_mutex_lock(&rig.lock);
    while (rig.number == number && !rig.stopping) {
        (void)pthread_cond_wait(&rig.changed, &rig.lock);
    }
    (void)pthread_mutex_unlock(&rig.lock);
}

/* One question, and whether its answer is by the rules that were in force all the time. No answer at all
 * is the handshake's, `is_new` where that was by the same. */
static int ask(struct client *c, struct tls_peer *p, bool is_new)
{
    unsigned before, after;
    bool settled = look(&before);
    int status = say(c, p, ECHO_UNARY, "json", "{}", 2) ? tls_peer_response(p, NULL) : 0;

    settled = look(&after) && settled && before == after;
    if (is_stopping()) {
        return 0;
    }
    bool is_out = c->is_shut_out && before % 2 == 1;

    if (!c->is_shut_out && status != 200) {
        tell_wrong(c, "was refused, whom all rules let in");
    } else if (status != 200 && status != 401 && status != 0) {
        tell_wrong(c, "was answered otherwise than by 200 or 401");
    } else if (settled && is_out && status == 200) {
        tell_wrong(c, "was let in by rules of before");
    } else if (settled && !is_out && (status == 401 || (status == 0 && is_new))) {
        tell_wrong(c, "was refused by rules of before");
    }
    tell(status == 200 ? &c->answered : &c->refused);
    return status;
}

static void *ask_on_and_on(void *arg)
{
    struct client *c = arg;
    struct tls_peer p;
    unsigned number, opened_in;
    bool settled = look(&opened_in);

    while (connect_to(c, &p)) {
        int status = 200;

        for (int i = 0; i < QUESTIONS && status == 200; i++) {
            bool is_new = i == 0 && look(&number) && settled && number == opened_in;

            status = ask(c, &p, is_new);
        }
        tls_peer_close(&p);
        (void)look(&number);
        if (status != 200 && c->is_shut_out && number % 2 == 1) {
            wait_for_others(number);
        }
        settled = look(&opened_in);
    }
    return NULL;
}

/* Reads to the stream's end. */
static void read_stream(struct client *c, struct tls_peer *p)
{
    char said[SAID_BYTES];
    size_t len = 0, n;

    while (len < sizeof(said) && (n = tls_peer_read(p, said + len, sizeof(said) - len)) > 0) {
        len += n;
        (void)pthread_mutex_lock(&rig.lock);
        c->said_bytes += n;
        (void)pthread_cond_broadcast(&rig.changed);
        (void)pthread_mutex_unlock(&rig.lock);
        if (memmem(said, len, "\"error\"", 7) != NULL) {
            break;
        }
    }
    bool is_withdrawn = memmem(said, len, "\"permission_denied\"", 19) != NULL;

    if (is_withdrawn) {
        tell(&c->withdrawn);
    }
    if (!is_stopping() && (!is_withdrawn || !c->is_shut_out)) {
        tell_wrong(c, "had its stream ended");
    }
}

static void *watch_on_and_on(void *arg)
{
    static const char request[] = "\0\0\0\0\2{}";
    struct client *c = arg;
    struct tls_peer p;
    unsigned number;

    while (connect_to(c, &p)) {
        (void)look(&number);
        int status = say(c, &p, RULES_WATCH, "connect+json", request, sizeof(request) - 1)
                         ? tls_peer_head(&p)
                         : 0;

        if (status == 200 && tls_peer_header(&p, "Content-Length") == NULL) {
            tell(&c->opened);
            read_stream(c, &p);
        } else if (!c->is_shut_out && !is_stopping()) {
            tell_wrong(c, "may not watch");
        }
        tls_peer_close(&p);
        if (c->is_shut_out && number % 2 == 1) {
            wait_for_others(number);
        }
    }
    return NULL;
}

/* --- the test ---------------------------------------------------------------------------------- */

static void start(void)
{
    rules_start();
    rig.settled = true;
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(pthread_create(&clients[i].thread, NULL,
                                        clients[i].watches ? watch_on_and_on : ask_on_and_on,
                                        &clients[i]),
                         0);
    }
}

/* With the lock. */
static void fail_if_wrong(void)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        if (clients[i].wrong != NULL) {
            fail_msg("%s, client %zu, %s", clients[i].certificate, i, clients[i].wrong);
        }
    }
}

/* What each has come to since the rules are others: who is shut out knows it, all others go on. */
static bool has_noticed(const struct client *c, const struct client *before, bool is_shut)
{
    if (!c->watches) {
        return c->is_shut_out && is_shut ? c->refused > before->refused
                                         : c->answered > before->answered;
    }
    return !c->is_shut_out ? c->said_bytes > before->said_bytes
           : is_shut       ? c->withdrawn >= c->opened && c->opened > 0
                           : c->opened > c->withdrawn;
}

static void await_all(const struct client *before, bool is_shut)
{
    struct timespec until;
    int waited = 0;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    (void)pthread_mutex_lock(&rig.lock);
    for (size_t i = 0; i < CLIENTS; i++) {
        while (waited == 0 && !has_noticed(&clients[i], &before[i], is_shut)) {
            fail_if_wrong();
            waited = pthread_cond_timedwait(&rig.changed, &rig.lock, &until);
        }
        if (waited != 0) {
            fail_msg("client %zu has not noticed in time that the rules are %s", i,
                     is_shut ? "shut" : "open");
        }
    }
    fail_if_wrong();
    (void)pthread_mutex_unlock(&rig.lock);
}

static void each_exchange_is_in_force_when_it_returns(void)
{
    static struct client before[CLIENTS];

    await_all(before, false); /* all have begun */
    for (unsigned round = 1; round <= ROUNDS; round++) {
        bool is_shut = round % 2 == 1;

        (void)pthread_mutex_lock(&rig.lock);
        rig.settled = false;
        memcpy(before, clients, sizeof(before));
        (void)pthread_mutex_unlock(&rig.lock);
        for (int i = 0; i < EXCHANGES_AT_ONCE; i++) {
            rules_exchange(i == EXCHANGES_AT_ONCE - 1 ? is_shut : i % 2 == 0, true);
        }
        rules_exchange(is_shut, false);
        (void)pthread_mutex_lock(&rig.lock);
        rig.number = round;
        rig.settled = true;
        (void)pthread_cond_broadcast(&rig.changed);
        (void)pthread_mutex_unlock(&rig.lock);
        await_all(before, is_shut);
    }
}

/* In the midst of it: clients ask, and streams are open. */
static void stop(void)
{
    (void)pthread_rwlock_wrlock(&rig.opening);
    (void)pthread_mutex_lock(&rig.lock);
    rig.stopping = true;
    (void)pthread_cond_broadcast(&rig.changed);
    (void)pthread_mutex_unlock(&rig.lock);
    (void)pthread_rwlock_unlock(&rig.opening);
    rules_exchange(false, true);
    rules_stop();
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(pthread_join(clients[i].thread, NULL), 0);
    }
    rules_done();
}

static void rules_are_exchanged_under_clients_that_ask_and_watch(void **state)
{
    (void)state;
    start();
    each_exchange_is_in_force_when_it_returns();
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_exchanged_under_clients_that_ask_and_watch),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return UNIT_RUN(tests);
}
