/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Services that need no mapper and answer at once, with a message of every kind of field, so that
 * what is common to all methods is tested apart from what they do. For fuzzers too: no cmocka here.
 *
 *      POST, GET  /test.v1.Echo/Unary      answers with its request, a zoo.Zoo
 *      POST       /test.v1.Echo/Stream     with that `a_uint32` times, at most ECHO_MESSAGES_MAX
 *      GET        /raw/{name}              with "raw"
 *
 * Both fail in the end with the code `an_int32`, where that is one, and give `strings` as trailers.
 */
#ifndef XENRES_TESTS_ECHO_RIG_H
#define XENRES_TESTS_ECHO_RIG_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "auth/policy_file.h"
#include "auth/quota.h"
#include "auth/seal.h"
#include "common/clock.h"
#include "proto/json/wellknown.h"
#include "server/resource/feeds.h"
#include "server/rpc/method.h"
#include "server/rpc/rpc.h"
#include "tests/proto/zoo.pb-c.h"

enum { ECHO_MESSAGES_MAX = 8, ECHO_METHODS_MAX = 32, ECHO_SPARE_MAX = 2, ECHO_CALLS = 16 };

#define ECHO_UNARY  "/test.v1.Echo/Unary"
#define ECHO_STREAM "/test.v1.Echo/Stream"

static inline int echo_prepare(struct call *c, struct failure *f)
{
    uint32_t *sent = pool_alloc(&c->pool, sizeof(*sent));

    c->state = sent;
    return sent != NULL ? 0 : call_no_memory(f);
}

/* What is said at the end. */
static inline int echo_end(struct call *c, struct failure *f)
{
    const Zoo__Zoo *zoo = (const void *)c->request;

    for (size_t i = 0; i < zoo->n_strings; i++) {
        (void)metadata_add(&c->trailers, &c->pool, "x-string", zoo->strings[i]);
    }
    if (zoo->an_int32 < 1 || zoo->an_int32 > ERROR_UNAUTHENTICATED) {
        return HANDLER_DONE;
    }
    int result = failure_set(f, (enum error_code)zoo->an_int32, "failed with %d", zoo->an_int32);

    return failure_field(f, result, "an_int32");
}

static inline int echo_respond(struct call *c, struct failure *f)
{
    c->response = c->request;
    return echo_end(c, f);
}

static inline int echo_next(struct call *c, struct pool *p, struct failure *f)
{
    uint32_t wanted = ((const Zoo__Zoo *)c->request)->a_uint32;
    uint32_t *sent = c->state;

    (void)p;
    if (*sent == (wanted < ECHO_MESSAGES_MAX ? wanted : ECHO_MESSAGES_MAX)) {
        return echo_end(c, f);
    }
    (*sent)++;
    c->response = c->request;
    return HANDLER_MESSAGE;
}

static inline int echo_raw(struct call *c, struct failure *f)
{
    struct exchange_reply *reply = c->reply;

    (void)f;
    reply->status = 200;
    reply->headers[reply->header_count++] =
        (struct exchange_header){ "Content-Type", "text/plain" };
    reply->body = "raw";
    reply->body_len_bytes = 3;
    return 0;
}

static const struct handler echo_unary_handler = { .prepare = echo_prepare,
                                                   .respond = echo_respond };
static const struct handler echo_stream_handler = { .prepare = echo_prepare, .next = echo_next };
static const struct handler echo_raw_handler = { .prepare = echo_prepare, .respond = echo_raw };

static const struct method echo_methods[] = {
    { .path = ECHO_UNARY,
      .kind = METHOD_UNARY,
      .request = &zoo__zoo__descriptor,
      .response = &zoo__zoo__descriptor,
      .no_side_effects = true,
      .open = true,
      .handler = &echo_unary_handler },
    { .path = ECHO_STREAM,
      .kind = METHOD_STREAM,
      .request = &zoo__zoo__descriptor,
      .response = &zoo__zoo__descriptor,
      .open = true,
      .handler = &echo_stream_handler },
    { .path = "/raw/{name}", .kind = METHOD_RAW, .open = true, .handler = &echo_raw_handler },
};

/* What may stand in an Any. */
static inline const ProtobufCMessageDescriptor *echo_find_type(void *context, const char *name)
{
    (void)context;
    return strcmp(name, zoo__zoo__descriptor.name) == 0    ? &zoo__zoo__descriptor
           : strcmp(name, zoo__leaf__descriptor.name) == 0 ? &zoo__leaf__descriptor
                                                           : NULL;
}

static const struct json_types echo_types = { .find = echo_find_type };

struct echo_rig {
    struct method methods[ECHO_METHODS_MAX]; /* ours, and those of the API */
    struct method *spare;                    /* the next of those that tests may fill */
    struct method_table table;
    struct cors *cors;
    struct mapper_client *mapper;
    struct feeds *feeds;
    struct quota *quota;
    struct seal *seal;
    struct rpc *rpc;
    struct identity who;
};

static inline void echo_check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static inline void echo_make_table(struct echo_rig *r)
{
    const size_t ours = sizeof(echo_methods) / sizeof(echo_methods[0]);

    echo_check(ours + services_table.count + ECHO_SPARE_MAX <= ECHO_METHODS_MAX);
    memcpy(r->methods, echo_methods, sizeof(echo_methods));
    memcpy(r->methods + ours, services_table.methods,
           services_table.count * sizeof(*services_table.methods));
    r->spare = r->methods + ours + services_table.count;
    for (int i = 0; i < ECHO_SPARE_MAX; i++) {
        r->spare[i] = echo_methods[0]; /* the table is not to grow once the services have it */
        r->spare[i].path = "/spare";
    }
    r->table = (struct method_table){ .methods = r->methods,
                                      .count = ours + services_table.count + ECHO_SPARE_MAX,
                                      .types = &echo_types };
}

/* One more method, of the test's own; at most ECHO_SPARE_MAX. */
static inline void echo_rig_add(struct echo_rig *r, const struct method *m)
{
    echo_check(r->spare < r->methods + r->table.count);
    *r->spare++ = *m;
}

/* The mapper is one that never comes. `origins` as in cors_parse(). */
static inline void echo_rig_init(struct echo_rig *r, uint32_t request_max_bytes,
                                 uint32_t response_max_bytes, const char *origins)
{
    static const char rule[] =
        "rule \"all\" { effect = allow identities = { \"cn:echo\" } domains = { \"all\" }"
        " types = { \"all\" } actions = { \"all\" } }\n";
    const struct quota_limits limits = { .each = { .calls = ECHO_CALLS } };
    const struct mapper_client_options mapper = { .socket_path = "/nonexistent/mapper",
                                                  .backoff_min_ms = 3600000,
                                                  .backoff_max_ms = 3600000 };
    char dir[] = "/tmp/echo.XXXXXX", key[64];
    char *text = strdup(rule);
    const struct feeds_options feeds = { .feeds_max = 8,
                                         .subscribers_max = 8,
                                         .subscribers_per_identity = 8 };
    struct policy *policy = NULL;
    BUFFER_AUTO(faults, 4096);

    *r = (struct echo_rig){ .who = { .text = "cn:echo" } };
    echo_make_table(r);
    echo_check(mkdtemp(dir) != NULL);
    (void)snprintf(key, sizeof(key), "%s/key", dir);
    echo_check(seal_load(key, &r->seal, NULL) == 0);
    (void)unlink(key);
    (void)rmdir(dir);
    echo_check(cors_parse(origins, &r->cors, NULL) == 0);
    echo_check(quota_new(&limits, &r->quota, NULL) == 0);
    echo_check(mapper_client_new(&mapper, &r->mapper, NULL) == 0);
    echo_check(feeds_new(r->mapper, &feeds, &r->feeds, NULL) == 0);
    echo_check(policy_file_parse("all", text, strlen(text), &policy, &faults, NULL) == 0);
    free(text);
    const struct rpc_options options = {
        .methods = &r->table,
        .cors = r->cors,
        .mapper = r->mapper,
        .feeds = r->feeds,
        .policy = policy,
        .quota = r->quota,
        .seal = r->seal,
        .request_timeout_ms = 60000,
        .request_max_bytes = request_max_bytes,
        .response_max_bytes = response_max_bytes,
        .heartbeat_ms = 60000,
    };

    echo_check(rpc_new(&options, &r->rpc, NULL) == 0);
    policy_unref(policy);
}

static inline void echo_rig_done(struct echo_rig *r)
{
    mapper_client_free(r->mapper);
    rpc_free(r->rpc);
    feeds_free(r->feeds);
    quota_free(r->quota); /* asserts that everything was given back */
    seal_free(r->seal);
    cors_free(r->cors);
}

/* --- one request, as text ------------------------------------------------------------------------- */

enum { ECHO_HEADERS_MAX = 16 };

/* "POST /path\nName: value\n\nbody", which is cut up in place. */
struct echo_request {
    char *method, *target;
    const uint8_t *body;
    size_t body_len_bytes;
    size_t header_count;
    struct exchange_header headers[ECHO_HEADERS_MAX];

    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned ready;
};

/* `text` has a NUL behind its end. */
static inline void echo_parse(struct echo_request *q, char *text, size_t len_bytes)
{
    char *end = text + len_bytes, *line = text, *rest;

    *q = (struct echo_request){ .method = text,
                                .target = end,
                                .lock = PTHREAD_MUTEX_INITIALIZER,
                                .changed = PTHREAD_COND_INITIALIZER };
    for (int number = 0; line < end; number++, line = rest) {
        char *newline = memchr(line, '\n', (size_t)(end - line));

        rest = newline != NULL ? newline + 1 : end;
        *(newline != NULL ? newline : end) = '\0';
        char *space = strchr(line, ' ');

        if (line[0] == '\0') {
            q->body = (const uint8_t *)rest;
            q->body_len_bytes = (size_t)(end - rest);
            break;
        }
        if (space != NULL && number == 0) {
            *space = '\0';
            q->target = space + 1;
        } else if (space != NULL && space > line && space[-1] == ':' &&
                   q->header_count < ECHO_HEADERS_MAX) {
            space[-1] = '\0';
            q->headers[q->header_count++] = (struct exchange_header){ line, space + 1 };
        }
    }
}

static inline const char *echo_header(void *arg, const char *name, unsigned *count)
{
    const struct echo_request *q = arg;
    const char *value = NULL;
    unsigned found = 0;

    for (size_t i = 0; i < q->header_count; i++) {
        if (strcasecmp(q->headers[i].name, name) == 0) {
            value = found++ == 0 ? q->headers[i].value : value;
        }
    }
    if (count != NULL) {
        *count = found;
    }
    return value;
}

static inline void echo_on_ready(void *arg)
{
    struct echo_request *q = arg;

    pthread_mutex_lock(&q->lock);
    q->ready++;
    pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

/* Runs it to its reply; exchange_free() is the caller's. Bodies come in two pieces. */
static inline struct exchange *echo_send(struct echo_rig *r, struct echo_request *q,
                                         const struct identity *who)
{
    const struct exchange_head head = {
        .method = q->method,
        .target = q->target,
        .header = echo_header,
        .arg = q,
        .who = who,
        .peer_address = "127.0.0.1",
        .received_ns = clock_monotonic_ns(),
    };
    struct exchange *x = exchange_new(r->rpc, &head);
    size_t half = q->body_len_bytes / 2;

    echo_check(x != NULL);
    if (exchange_body_max(x) > 0 && q->body_len_bytes > 0 &&
        (half == 0 || exchange_body(x, q->body, half))) {
        (void)exchange_body(x, q->body + half, q->body_len_bytes - half);
    }
    if (!exchange_run(x, echo_on_ready, q)) {
        pthread_mutex_lock(&q->lock);
        while (q->ready == 0) {
            pthread_cond_wait(&q->changed, &q->lock);
        }
        pthread_mutex_unlock(&q->lock);
        echo_check(q->ready == 1);
    }
    return x;
}

#endif
