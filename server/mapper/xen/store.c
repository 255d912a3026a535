/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/mapper/xen/store.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/scope.h"
#include "server/mapper/explain.h"
#include "server/mapper/xen/store_thread.h"

_Static_assert((int)STORE_THREAD_VALUE_BYTES >= (int)MESSAGE_NAME_BYTES &&
                   (int)STORE_THREAD_VALUE_BYTES >= (int)BACKEND_TAGS_BYTES,
               "a value is a name, or tags");

enum { DOMIDS = EXPLAIN_DOMID_RESERVED };
enum { NODE_NAME, NODE_TAGS, NODES };

/* A registration in xenstored: its token has a serial of its own, so that what is left in the queue
 * of an earlier one under the same path is told apart. */
struct watch {
    uint32_t serial; /* of the registration; 0: none */
    bool wanted;
    bool fired; /* the event that the registration itself makes has come */
    bool due;   /* an event is to be reported without one from xenstored */
};

struct store {
    struct store_thread *thread;
    int epoll_fd; /* holds the connection's descriptor, which changes */
    bool connected;
    bool domains_due;  /* a DOMAINS event is to be reported */
    bool draining;     /* between the first next_event() and the one that returns false */
    int connect_errno; /* why there is no connection */
    const char *connect_call;
    uint64_t retry_ns;       /* not before this time */
    uint32_t serial;         /* the last one given */
    uint32_t unregistered;   /* wanted watches without a registration */
    uint32_t due_cursor;     /* of all nodes, one kind after the other: no `due` below */
    struct watch domains[2]; /* @introduceDomain, @releaseDomain */
    struct watch nodes[NODES][DOMIDS];
};

static const char *const domain_paths[2] = { "@introduceDomain", "@releaseDomain" };

/* What is watched of each domain. */
static const struct {
    const char *name;
    char token; /* 'd' is that of domains */
    unsigned event;
} nodes[NODES] = {
    [NODE_NAME] = { "name", 'n', BACKEND_EVENT_NAME },
    [NODE_TAGS] = { BACKEND_TAGS_NODE, 't', BACKEND_EVENT_TAGS },
};

static void node_path(uint32_t node, uint16_t domid, char out[STORE_THREAD_PATH_BYTES])
{
    snprintf(out, STORE_THREAD_PATH_BYTES, "/local/domain/%u/%s", domid, nodes[node].name);
}

/* Kind; number; serial. */
static void make_token(char kind, uint32_t number, uint32_t serial,
                       char out[STORE_THREAD_TOKEN_BYTES])
{
    snprintf(out, STORE_THREAD_TOKEN_BYTES, "%c%" PRIu32 ".%" PRIu32, kind, number, serial);
}

/* 0 or an errno. */
static int add_watch(struct store *s, struct watch *w, char kind, uint32_t number, const char *path)
{
    char token[STORE_THREAD_TOKEN_BYTES];
    uint32_t serial = ++s->serial != 0 ? s->serial : ++s->serial;
    int errnum;

    make_token(kind, number, serial, token);
    errnum = store_thread_watch(s->thread, path, token);
    if (errnum == 0) {
        w->serial = serial;
        w->fired = false;
    }
    return errnum;
}

/* --- connection ------------------------------------------------------------------------------- */

static void set_unconnected(struct store *s, const char *call, int errnum)
{
    s->connected = false;
    s->connect_call = call;
    s->connect_errno = errnum;
    s->retry_ns = clock_monotonic_ns() + STORE_RETRY_MS * CLOCK_NS_PER_MS;
}

/* What was registered is gone with the connection, and what happened since is unknown. */
static void lose_connection(struct store *s)
{
    set_unconnected(s, "xs_check_watch", ENOTCONN);
    s->domains_due = true;
    s->unregistered = 0;
    s->due_cursor = 0;
    s->domains[0].serial = s->domains[1].serial = 0;
    for (uint32_t i = 0; i < NODES * DOMIDS; i++) {
        struct watch *w = &s->nodes[i / DOMIDS][i % DOMIDS];

        if (w->wanted) {
            w->serial = 0;
            w->due = true;
            s->unregistered++;
        }
    }
}

static int connect_now(struct store *s, const char **call)
{
    struct epoll_event event = { .events = EPOLLIN };
    int fd = -1;
    int errnum;

    *call = "xs_open";
    errnum = store_thread_connect(s->thread, &fd);
    if (errnum != 0) {
        return errnum;
    }
    *call = "epoll_ctl";
    /* The one before has left the set by being closed. */
    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        return errno;
    }
    *call = "xs_watch";
    for (uint32_t i = 0; i < 2 && errnum == 0; i++) {
        errnum = add_watch(s, &s->domains[i], 'd', i, domain_paths[i]);
    }
    return errnum;
}

/* True when there is a connection, after a new attempt if one is due. */
static bool connected(struct store *s)
{
    const char *call;
    int errnum;

    if (s->connected || clock_monotonic_ns() < s->retry_ns) {
        return s->connected;
    }
    errnum = connect_now(s, &call);
    if (errnum != 0) {
        set_unconnected(s, call, errnum);
        return false;
    }
    s->connected = true;
    s->domains_due = true;
    return true;
}

int store_open(struct store **out, struct failure *f)
{
    struct store *s = calloc(1, sizeof(*s));
    int errnum = s != NULL ? store_thread_start(&s->thread) : ENOMEM;

    if (errnum == 0) {
        s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        errnum = s->epoll_fd < 0 ? errno : 0;
    }
    if (errnum != 0) {
        int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED,
                                 "no memory, thread or descriptor for xenstore");

        failure_call(f, result, "store_open", errnum);
        if (s != NULL) {
            store_thread_stop(s->thread);
        }
        free(s);
        return result;
    }
    (void)connected(s);     /* without one the reason is kept */
    s->domains_due = false; /* nobody knows a domain yet */
    *out = s;
    return 0;
}

void store_close(struct store *s)
{
    if (s == NULL) {
        return;
    }
    store_thread_stop(s->thread);
    (void)close(s->epoll_fd);
    free(s);
}

/* --- names and tags --------------------------------------------------------------------------- */

/* 0 or an errno, with the call that it is of. */
static int read_node(struct store *s, const char *path, char *value, size_t value_bytes, bool *cut,
                     const char **call)
{
    if (!connected(s)) {
        *call = s->connect_call;
        return s->connect_errno;
    }
    *call = "xs_read";
    return store_thread_read(s->thread, path, value, value_bytes, cut);
}

int store_name(struct store *s, uint16_t domid, char out[MESSAGE_NAME_BYTES], bool *cut,
               struct failure *f)
{
    const struct explain_subject subject = { .domid = domid, .type = EXPLAIN_NO_RESOURCE };
    char path[STORE_THREAD_PATH_BYTES];
    const char *call;
    int errnum;

    node_path(NODE_NAME, domid, path);
    errnum = read_node(s, path, out, MESSAGE_NAME_BYTES, cut, &call);
    if (errnum == ENOENT && s->connected) {
        memset(out, 0, MESSAGE_NAME_BYTES);
        *cut = false;
        return 0;
    }
    return errnum == 0 ? 0 : failure_xen(f, call, errnum, &subject);
}

/* Who may write the node, or the folder that it goes with. 0 or an errno; ENOENT is none. */
static int is_untrusted(struct store *s, const char *path, const char *folder, bool *out)
{
    const char *const paths[] = { path, folder };

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]) && !*out; i++) {
        int errnum = store_thread_is_open(s->thread, paths[i], out);

        if (errnum != 0 && errnum != ENOENT) {
            return errnum;
        }
    }
    return 0;
}

int store_tags(struct store *s, uint16_t domid, struct backend_tags *out, struct failure *f)
{
    const struct explain_subject subject = { .domid = domid, .type = EXPLAIN_NO_RESOURCE };
    char path[STORE_THREAD_PATH_BYTES], folder[STORE_THREAD_PATH_BYTES];
    struct backend_tags tags = { 0 };
    const char *call;
    int errnum;

    node_path(NODE_TAGS, domid, path);
    snprintf(folder, sizeof(folder), "/local/domain/%u", domid);
    errnum = read_node(s, path, tags.value, sizeof(tags.value), &tags.is_cut, &call);
    if (errnum == 0 || (errnum == ENOENT && s->connected)) {
        call = "xs_get_permissions";
        errnum = is_untrusted(s, path, folder, &tags.is_untrusted);
    }
    if (errnum != 0) {
        return failure_xen(f, call, errnum, &subject);
    }
    if (tags.is_untrusted) {
        memset(tags.value, 0, sizeof(tags.value));
    }
    *out = tags;
    return 0;
}

int store_check(struct store *s, struct failure *f)
{
    static const struct explain_subject about_host = {
        .domid = EXPLAIN_NO_DOMAIN,
        .type = EXPLAIN_NO_RESOURCE,
    };
    char value[MESSAGE_NAME_BYTES];
    const char *call;
    bool cut;
    int errnum = read_node(s, "/tool/xenstored", value, sizeof(value), &cut, &call);

    /* That there is no such node is an answer. */
    if (errnum == 0 || (errnum == ENOENT && s->connected)) {
        return 0;
    }
    return failure_xen(f, call, errnum, &about_host);
}

/* --- events ----------------------------------------------------------------------------------- */

int store_event_fd(const struct store *s)
{
    return s->epoll_fd;
}

static void register_node(struct store *s, uint32_t node, uint16_t domid)
{
    struct watch *w = &s->nodes[node][domid];
    char path[STORE_THREAD_PATH_BYTES];

    node_path(node, domid, path);
    if (add_watch(s, w, nodes[node].token, domid, path) == 0) {
        s->unregistered--;
    }
}

void store_watch_name(struct store *s, uint16_t domid)
{
    for (uint32_t node = 0; node < NODES && domid < DOMIDS; node++) {
        struct watch *w = &s->nodes[node][domid];

        if (w->wanted) {
            continue;
        }
        *w = (struct watch){ .wanted = true };
        s->unregistered++;
        if (connected(s)) {
            register_node(s, node, domid);
        }
    }
}

static void unwatch_node(struct store *s, uint32_t node, uint16_t domid)
{
    char path[STORE_THREAD_PATH_BYTES];
    char token[STORE_THREAD_TOKEN_BYTES];
    struct watch *w = &s->nodes[node][domid];

    if (w->serial == 0) {
        s->unregistered--;
    } else if (s->connected) {
        node_path(node, domid, path);
        make_token(nodes[node].token, domid, w->serial, token);
        /* Where this fails, events still come, and nobody knows their serial. */
        (void)store_thread_unwatch(s->thread, path, token);
    }
    *w = (struct watch){ 0 };
}

void store_unwatch_name(struct store *s, uint16_t domid)
{
    for (uint32_t node = 0; node < NODES && domid < DOMIDS; node++) {
        if (s->nodes[node][domid].wanted) {
            unwatch_node(s, node, domid);
        }
    }
}

/* Before a draining: connects and registers what is missing, and reports all that was unwatched,
 * also where it is watched from now on: a change may have been missed. */
static void begin_draining(struct store *s)
{
    bool usable;

    s->draining = true;
    if (s->connected && s->unregistered == 0) {
        return;
    }
    usable = connected(s);
    s->due_cursor = 0;
    for (uint32_t i = 0; i < NODES * DOMIDS && s->unregistered > 0; i++) {
        struct watch *w = &s->nodes[i / DOMIDS][i % DOMIDS];

        if (!w->wanted || w->serial != 0) {
            continue;
        }
        w->due = true;
        if (usable) {
            register_node(s, i / DOMIDS, (uint16_t)(i % DOMIDS));
            usable = w->serial != 0; /* one failure is enough: each may have to be waited for */
        }
    }
}

static bool next_due(struct store *s, unsigned *events, uint16_t *domid)
{
    if (s->domains_due) {
        s->domains_due = false;
        *events = BACKEND_EVENT_DOMAINS;
        *domid = 0;
        return true;
    }
    for (; s->due_cursor < NODES * DOMIDS; s->due_cursor++) {
        struct watch *w = &s->nodes[s->due_cursor / DOMIDS][s->due_cursor % DOMIDS];

        if (w->due) {
            w->due = false;
            *events = nodes[s->due_cursor / DOMIDS].event;
            *domid = (uint16_t)(s->due_cursor % DOMIDS);
            return true;
        }
    }
    return false;
}

/* The watch that a token belongs to, NULL for one of the past; and what its events say. */
static struct watch *watch_of_token(struct store *s, const char *token, unsigned *event,
                                    uint16_t *domid)
{
    uint32_t number;
    uint32_t serial;
    uint32_t node = 0;
    struct watch *w;
    char kind, end;

    if (sscanf(token, "%c%" SCNu32 ".%" SCNu32 "%c", &kind, &number, &serial, &end) != 3) {
        return NULL;
    }
    while (node < NODES && nodes[node].token != kind) {
        node++;
    }
    if (kind == 'd' && number < 2) {
        w = &s->domains[number];
        *event = BACKEND_EVENT_DOMAINS;
        *domid = 0;
    } else if (node < NODES && number < DOMIDS) {
        w = &s->nodes[node][number];
        *event = nodes[node].event;
        *domid = (uint16_t)number;
    } else {
        return NULL;
    }
    return w->serial == serial ? w : NULL;
}

/* 1: an event; 0: none left; -1: the connection is lost. */
static int next_from_xenstored(struct store *s, unsigned *events, uint16_t *domid)
{
    char token[STORE_THREAD_TOKEN_BYTES];
    int errnum;

    while ((errnum = store_thread_event(s->thread, token)) == 0) {
        struct watch *w = watch_of_token(s, token, events, domid);

        if (w == NULL) {
            continue;
        }
        if (!w->fired) {
            w->fired = true;
            continue;
        }
        return 1;
    }
    return errnum == EAGAIN ? 0 : -1;
}

bool store_next_event(struct store *s, unsigned *events, uint16_t *domid)
{
    int got;

    if (!s->draining) {
        begin_draining(s);
    }
    if (next_due(s, events, domid)) {
        return true;
    }
    /* Without a connection too: one that was given up half-way may have left events, and the
     * descriptor would stay readable. */
    got = next_from_xenstored(s, events, domid);
    if (got < 0 && s->connected) {
        lose_connection(s);
        return next_due(s, events, domid);
    }
    s->draining = got > 0;
    return got > 0;
}
