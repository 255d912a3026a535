/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * All services with a fake mapper behind them: a test sends a request as http would, plays the
 * mapper, and looks at the reply. Callers: "cn:alice" may do everything, "cn:viewer" may list
 * web-*, "cn:nobody" nothing.
 */
#ifndef XENRES_TESTS_RPC_RIG_H
#define XENRES_TESTS_RPC_RIG_H

#include "tests/lib/fake_mapper.h"

#include <protobuf-c/protobuf-c.h>
#include <stdlib.h>
#include <strings.h>

#include "auth/policy_file.h"
#include "auth/quota.h"
#include "auth/seal.h"
#include "common/base64.h"
#include "server/resource/feeds.h"
#include "server/rpc/exchange.h"
#include "server/rpc/method.h"
#include "server/rpc/rpc.h"
#include "xenres/v1/failure.pb-c.h"

enum {
    RPC_RIG_REQUEST_MAX_BYTES = 4096,
    RPC_RIG_RESPONSE_MAX_BYTES = 64 * 1024,
    RPC_RIG_CALLS = 4,
    RPC_RIG_ARENA_FRAMES = 16, /* of one identity */
    RPC_RIG_HEADERS_MAX = 8,
    RPC_RIG_SUBSCRIBERS = 8,
    RPC_RIG_HEARTBEAT_MS = 50,
};

static const char rpc_rig_policy[] =
    "rule \"all\" { effect = allow identities = { \"cn:alice\" } domains = { \"all\" }"
    " types = { \"all\" } actions = { \"list\", \"snapshot\", \"watch\", \"decode\" } }\n"
    "rule \"vault\" { effect = deny identities = { \"cn:alice\" }"
    " domains = { \"uuid:33000000-0000-0000-0000-000000000000\" }"
    " types = { \"all\" } actions = { \"all\" } }\n"
    "rule \"some\" { effect = allow identities = { \"cn:viewer\" } domains = { \"name:web-*\" }"
    " types = { \"grant_table\" } actions = { \"list\" } }\n";

struct rpc_rig {
    struct fake_mapper mapper;
    struct outcome connected;
    struct mapper_client *client;
    struct feeds *feeds;
    struct quota *quota;
    struct seal *seal;
    struct rpc *rpc;
    struct identity alice, viewer, nobody;
};

static inline void rpc_rig_on_connected(void *arg, bool connected)
{
    if (connected) {
        outcome_tick(arg);
    }
}

static inline struct policy *rpc_rig_parse_policy(const char *text)
{
    struct policy *policy = NULL;
    BUFFER_AUTO(faults, 65536);
    char *copy = strdup(text);

    int result = policy_file_parse("test", copy, strlen(copy), &policy, &faults, NULL);

    if (result != 0) {
        print_message("%s\n", buffer_string(&faults));
    }
    assert_int_equal(result, 0);
    free(copy);
    return policy;
}

struct rpc_rig_limits {
    uint32_t response_max_bytes;
    uint32_t arena_frames; /* of one identity */
};

static const struct rpc_rig_limits rpc_rig_usual = { .response_max_bytes =
                                                         RPC_RIG_RESPONSE_MAX_BYTES,
                                                     .arena_frames = RPC_RIG_ARENA_FRAMES };

/* Services whose mapper is at `socket_path`; NULL: the fake one. */
static inline void rpc_rig_init_limited(struct rpc_rig *r, const char *socket_path,
                                        const struct rpc_rig_limits *at_most)
{
    const struct quota_limits limits = {
        .each = { .calls = RPC_RIG_CALLS,
                  .arena_bytes = (uint64_t)at_most->arena_frames * MESSAGE_FRAME_BYTES },
    };

    *r = (struct rpc_rig){ .connected = OUTCOME_INIT,
                           .alice = { .text = "cn:alice" },
                           .viewer = { .text = "cn:viewer" },
                           .nobody = { .text = "cn:nobody" } };
    fake_mapper_init(&r->mapper);
    const struct mapper_client_options mapper = {
        .socket_path = socket_path != NULL ? socket_path : r->mapper.path,
        .backoff_min_ms = 1,
        .backoff_max_ms = 5,
        .on_connected = rpc_rig_on_connected,
        .arg = &r->connected,
    };

    assert_int_equal(mapper_client_new(&mapper, &r->client, NULL), 0);
    const struct feeds_options feeds = { .feeds_max = RPC_RIG_SUBSCRIBERS,
                                         .subscribers_max = RPC_RIG_SUBSCRIBERS,
                                         .subscribers_per_identity = RPC_RIG_SUBSCRIBERS };

    assert_int_equal(feeds_new(r->client, &feeds, &r->feeds, NULL), 0);
    assert_int_equal(quota_new(&limits, &r->quota, NULL), 0);
    assert_int_equal(seal_load(folder_path(&r->mapper.folder, "key"), &r->seal, NULL), 0);
    struct policy *policy = rpc_rig_parse_policy(rpc_rig_policy);
    const struct rpc_options options = {
        .methods = &services_table,
        .mapper = r->client,
        .feeds = r->feeds,
        .policy = policy,
        .quota = r->quota,
        .seal = r->seal,
        .machine_uuid = { 0xcd },
        .boot_uuid = { 0xb0 },
        .request_timeout_ms = FAKE_WAIT_MS,
        .request_max_bytes = RPC_RIG_REQUEST_MAX_BYTES,
        .response_max_bytes = at_most->response_max_bytes,
        .heartbeat_ms = RPC_RIG_HEARTBEAT_MS,
    };

    assert_int_equal(rpc_new(&options, &r->rpc, NULL), 0);
    policy_unref(policy);
}

static inline void rpc_rig_init_at(struct rpc_rig *r, const char *socket_path)
{
    rpc_rig_init_limited(r, socket_path, &rpc_rig_usual);
}

/* The fake mapper comes. */
static inline void rpc_rig_join(struct rpc_rig *r)
{
    fake_mapper_listen(&r->mapper);
    fake_mapper_join(&r->mapper);
    outcome_wait(&r->connected, 1);
}

static inline void rpc_rig_init(struct rpc_rig *r, bool with_mapper)
{
    rpc_rig_init_at(r, NULL);
    if (with_mapper) {
        rpc_rig_join(r);
    }
}

static inline void rpc_rig_done(struct rpc_rig *r)
{
    mapper_client_free(r->client);
    rpc_free(r->rpc);
    feeds_free(r->feeds);
    quota_free(r->quota); /* asserts that everything was given back */
    seal_free(r->seal);
    fake_mapper_done(&r->mapper);
}

/* --- one request ------------------------------------------------------------------------------ */

struct flight {
    struct exchange *exchange;
    struct exchange_header headers[RPC_RIG_HEADERS_MAX]; /* of the request */
    size_t header_count;
    struct outcome ready;
    bool at_once;
    const struct exchange_reply *reply;
};

static inline const char *flight_header(void *arg, const char *name, unsigned *count)
{
    const struct flight *f = arg;
    const char *value = NULL;
    unsigned found = 0;

    for (size_t i = 0; i < f->header_count; i++) {
        if (strcasecmp(f->headers[i].name, name) == 0) {
            value = found++ == 0 ? f->headers[i].value : value;
        }
    }
    if (count != NULL) {
        *count = found;
    }
    return value;
}

static inline void flight_add(struct flight *f, const char *name, const char *value)
{
    f->headers[f->header_count++] = (struct exchange_header){ name, value };
}

static inline void flight_on_ready(void *arg)
{
    outcome_tick(arg);
}

/* Sends it; `f` may have headers. */
static inline void flight_send(struct rpc_rig *r, struct flight *f, const struct identity *who,
                               const char *method, const char *target, const void *body,
                               size_t body_len_bytes)
{
    const struct exchange_head head = {
        .method = method,
        .target = target,
        .header = flight_header,
        .arg = f,
        .who = who,
        .peer_address = "127.0.0.1",
        .received_ns = clock_monotonic_ns(),
    };

    f->ready = (struct outcome)OUTCOME_INIT;
    f->exchange = exchange_new(r->rpc, &head);
    assert_non_null(f->exchange);
    if (exchange_body_max(f->exchange) > 0 && body_len_bytes > 0) {
        (void)exchange_body(f->exchange, body, body_len_bytes);
    }
    f->at_once = exchange_run(f->exchange, flight_on_ready, &f->ready);
}

/* A unary call. */
static inline void flight_call(struct rpc_rig *r, struct flight *f, const struct identity *who,
                               const char *method, const ProtobufCMessage *request)
{
    uint8_t body[RPC_RIG_REQUEST_MAX_BYTES];
    char target[128];
    size_t len = protobuf_c_message_get_packed_size(request);

    assert_true(len <= sizeof(body));
    protobuf_c_message_pack(request, body);
    snprintf(target, sizeof(target), "/xenres.v1.%s", method);
    flight_add(f, "Content-Type", "application/proto");
    flight_send(r, f, who, "POST", target, body, len);
}

static inline const struct exchange_reply *flight_reply(struct flight *f)
{
    if (!f->at_once) {
        outcome_wait(&f->ready, 1);
    } else {
        assert_int_equal(f->ready.count, 0);
    }
    f->reply = exchange_reply(f->exchange);
    assert_ptr_equal(f->reply, exchange_reply(f->exchange));
    return f->reply;
}

static inline const char *flight_reply_header(const struct flight *f, const char *name)
{
    for (size_t i = 0; i < f->reply->header_count; i++) {
        if (strcasecmp(f->reply->headers[i].name, name) == 0) {
            return f->reply->headers[i].value;
        }
    }
    return NULL;
}

static inline void flight_done(struct flight *f)
{
    exchange_free(f->exchange);
    *f = (struct flight){ .exchange = NULL };
}

/* Unpacks the reply, which has to be a success. */
static inline void *flight_message(struct flight *f, const ProtobufCMessageDescriptor *type)
{
    const struct exchange_reply *reply = flight_reply(f);

    if (reply->status != 200) {
        print_message("%d: %.*s\n", reply->status, (int)reply->body_len_bytes,
                      (const char *)reply->body);
    }
    assert_int_equal(reply->status, 200);
    assert_string_equal(flight_reply_header(f, "Content-Type"), "application/proto");
    assert_string_equal(flight_reply_header(f, "Cache-Control"), "no-store");
    void *m = protobuf_c_message_unpack(type, NULL, reply->body_len_bytes, reply->body);

    assert_non_null(m);
    return m;
}

/* The reply has to be this error: with a message, a cause and a next step. Its errno's name goes to
 * `errno_name`, where that is not NULL. Ends the flight. */
static inline void flight_error(struct flight *f, int status, const char *code,
                                const char *errno_name)
{
    const struct exchange_reply *reply = flight_reply(f);
    char *text = strndup(reply->body, reply->body_len_bytes);
    char wanted[64];
    BUFFER_AUTO(packed, 4096);

    snprintf(wanted, sizeof(wanted), "{\"code\":\"%s\",\"message\":\"", code);
    if (reply->status != status || strncmp(text, wanted, strlen(wanted)) != 0) {
        print_message("%d: %s\n", reply->status, text);
    }
    assert_int_equal(reply->status, status);
    assert_memory_equal(text, wanted, strlen(wanted));
    assert_string_equal(flight_reply_header(f, "Content-Type"), "application/json");
    assert_string_equal(flight_reply_header(f, "Cache-Control"), "no-store");
    const char *value = strstr(text, "\"type\":\"xenres.v1.XenFailure\",\"value\":\"");

    assert_non_null(value);
    value = strstr(value, "\"value\":\"") + strlen("\"value\":\"");
    assert_true(base64_decode(&packed, value, strcspn(value, "\"")));
    assert_null(memchr(value, '=', strcspn(value, "\"")));
    Xenres__V1__XenFailure *detail =
        xenres__v1__xen_failure__unpack(NULL, packed.len_bytes, packed.data);

    assert_non_null(detail);
    assert_true(detail->cause[0] != '\0' && detail->next_step[0] != '\0');
    if (errno_name != NULL) {
        assert_string_equal(detail->errno_name, errno_name);
    }
    xenres__v1__xen_failure__free_unpacked(detail, NULL);
    free(text);
    flight_done(f);
}

/* --- the mapper's part ------------------------------------------------------------------------ */

/* The domains of these tests. */
static inline void rpc_rig_send_domains(struct rpc_rig *r, uint64_t serial)
{
    const struct message_domain domains[] = {
        fake_domain(1, "web-1", 0x11, 1),
        fake_domain(2, "web-2", 0x22, 2),
        fake_domain(3, "vault", 0x33, 3),
        fake_domain(4, "db\n", 0x44, 4),
    };

    fake_mapper_domains(&r->mapper, serial, domains, sizeof(domains) / sizeof(domains[0]), false);
}

static inline void rpc_rig_domains(struct rpc_rig *r)
{
    union message request;

    fake_mapper_request(&r->mapper, &request);
    assert_int_equal(request.head.type, MESSAGE_DOMAINS);
    rpc_rig_send_domains(r, request.head.serial);
}

static inline bool rpc_rig_is_ready(struct flight *f)
{
    pthread_mutex_lock(&f->ready.lock);
    bool ready = f->at_once || f->ready.count > 0;

    pthread_mutex_unlock(&f->ready.lock);
    return ready;
}

/* Until the reply stands; lists the domains where that is asked for (a miss looks again, but not
 * soon after a list was made: which of the two it is depends on the machine). */
static inline void rpc_rig_list_if_asked(struct rpc_rig *r, struct flight *f)
{
    while (!rpc_rig_is_ready(f)) {
        struct pollfd p = { .fd = r->mapper.peer.fd, .events = POLLIN };

        if (poll(&p, 1, 5) == 1) {
            rpc_rig_domains(r);
        }
    }
}

/* Answers the next request with frames. */
static inline void rpc_rig_frames(struct rpc_rig *r, uint32_t arena_frame, uint32_t frame_count)
{
    union message request;

    fake_mapper_request(&r->mapper, &request);
    assert_int_equal(request.head.type, MESSAGE_SNAPSHOT);
    fake_mapper_snapshot(&r->mapper, &request, arena_frame, frame_count);
}

#endif
