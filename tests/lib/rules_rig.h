/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A real listener with TLS and the services of echo_rig.h, and rules that are open to all, or shut to
 * some, and are exchanged under clients: Bob is on the deny list then, Dora's token is withdrawn, and the
 * policy denies Carol what she watches; Alice, with a certificate, and Erin, with a token, are let in by
 * both. Included by one file of a test program.
 */
#ifndef XENRES_TESTS_RULES_RIG_H
#define XENRES_TESTS_RULES_RIG_H

#include "tests/lib/unit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "auth/opaque_file.h"
#include "auth/pki.h"
#include "server/http/listener.h"
#include "tests/lib/echo_rig.h"
#include "tests/lib/folder.h"

enum { RULES_PEM_BYTES = 8192, RULES_LIMIT_S = 60 };

#define RULES_WATCH "/test.v1.Rules/Watch"

/* --- a method that watches the rules ------------------------------------------------------------- */

static atomic_uint rules_exchanges; /* that have begun; what a stream said last is one more */

static inline int rules_prepare(struct call *c, struct failure *f)
{
    c->state = pool_alloc(&c->pool, sizeof(unsigned));
    return c->state != NULL ? 0 : call_no_memory(f);
}

/* A message at its beginning, and one for each exchange, or several. */
static inline int rules_next(struct call *c, struct pool *p, struct failure *f)
{
    unsigned *said = c->state, number = atomic_load(&rules_exchanges) + 1;

    (void)p, (void)f;
    c->response = c->request;
    if (*said == number) {
        return HANDLER_WAIT;
    }
    *said = number;
    return HANDLER_MESSAGE;
}

static inline int rules_leave(struct call *c, struct pool *p, const struct failure *why)
{
    (void)c, (void)p, (void)why;
    return HANDLER_DONE;
}

static const struct handler rules_handler = { .prepare = rules_prepare,
                                              .next = rules_next,
                                              .leave = rules_leave };
static const struct method rules_method = { .path = RULES_WATCH,
                                            .kind = METHOD_STREAM,
                                            .request = &zoo__zoo__descriptor,
                                            .response = &zoo__zoo__descriptor,
                                            .action = ACTION_WATCH,
                                            .handler = &rules_handler };

/* --- the rules, which are open to all, or shut to some ----------------------------------------- */

static const char rules_policy_open[] =
    "rule \"all\" { effect = allow identities = { \"all\" } domains = { \"all\" }"
    " types = { \"all\" } actions = { \"watch\" } }\n";
static const char rules_policy_shut[] =
    "rule \"all\" { effect = allow identities = { \"all\" } domains = { \"all\" }"
    " types = { \"all\" } actions = { \"watch\" } }\n"
    "rule \"carol\" { effect = deny identities = { \"spiffe:spiffe://test/carol\" }"
    " domains = { \"all\" } types = { \"all\" } actions = { \"watch\" } }\n";

static struct {
    struct echo_rig echo;
    struct folder dir;
    struct listener *listener;
    uint16_t port;
    struct listener_pem pem;
    char certificate[RULES_PEM_BYTES], key[RULES_PEM_BYTES];
    char erin[OPAQUE_TOKEN_BYTES], dora[OPAQUE_TOKEN_BYTES];
} rules;

static inline struct access *rules_access(bool is_shut)
{
    const struct access_options options = {
        .trusts = { { .ca = folder_path(&rules.dir, "ca.crt") } },
        .trust_count = 1,
        .tokens = { .file = folder_path(&rules.dir, is_shut ? "tokens.shut" : "tokens.open") },
        .deny = folder_path(&rules.dir, is_shut ? "deny.shut" : "deny.open"),
    };
    struct access *access = NULL;
    BUFFER_AUTO(faults, 4096);

    if (access_load(&options, &access, &faults, NULL) != 0) {
        fail_msg("%s", buffer_string(&faults));
    }
    return access;
}

static inline struct policy *rules_policy(bool is_shut)
{
    char *text = strdup(is_shut ? rules_policy_shut : rules_policy_open);
    struct policy *policy = NULL;
    BUFFER_AUTO(faults, 4096);

    assert_non_null(text);
    assert_int_equal(policy_file_parse("test", text, strlen(text), &policy, &faults, NULL), 0);
    free(text);
    return policy;
}

/* By a reload, or as when a file has changed; freshly read each time, so that the old ones go. */
static inline void rules_exchange(bool is_shut, bool is_reload)
{
    struct access *access = rules_access(is_shut);

    atomic_fetch_add(&rules_exchanges, 1);
    if (is_reload) {
        struct policy *policy = rules_policy(is_shut);

        assert_int_equal(listener_reload(rules.listener, &rules.pem, access, NULL), 0);
        rpc_set_rules(rules.echo.rpc, policy, access);
        policy_unref(policy);
    } else {
        assert_int_equal(listener_set_access(rules.listener, access, NULL), 0);
        rpc_set_access(rules.echo.rpc, access);
    }
    access_unref(access);
    rpc_expire(rules.echo.rpc, (int64_t)(clock_wall_ns() / CLOCK_NS_PER_S));
    rpc_look_again(rules.echo.rpc);
    rpc_judge_traces(rules.echo.rpc);
}

/* --- files, and the listener ------------------------------------------------------------------- */

static inline size_t rules_slurp(const char *name, char out[RULES_PEM_BYTES])
{
    FILE *file = fopen(folder_path(&rules.dir, name), "re");

    assert_non_null(file);
    size_t n = fread(out, 1, RULES_PEM_BYTES, file);

    (void)fclose(file);
    return n;
}

static inline void rules_issue(const char *name, bool is_server)
{
    char uri[64];
    const char *const uris[] = { uri, NULL };
    static const char *const addresses[] = { "127.0.0.1", NULL };
    const struct pki_subject subject = { .common_name = name,
                                         .uris = is_server ? NULL : uris,
                                         .addresses = is_server ? addresses : NULL,
                                         .server = is_server,
                                         .valid_days = 2 };

    (void)snprintf(uri, sizeof(uri), "spiffe://test/%s", name);
    assert_int_equal(pki_issue(rules.dir.path, "ca", name, &subject, NULL), 0);
}

static inline void rules_write_files(void)
{
    static const char deny[] = "identity:spiffe:spiffe://test/bob\n";
    int64_t later_s = (int64_t)(clock_wall_ns() / CLOCK_NS_PER_S) + 86400;
    char tokens[RULES_PEM_BYTES];

    rules.dir = folder_make();
    assert_int_equal(pki_make_ca(rules.dir.path, "ca", "test", 2, NULL), 0);
    rules_issue("server", true);
    rules_issue("alice", false);
    rules_issue("bob", false);
    rules_issue("carol", false);
    folder_write(folder_path(&rules.dir, "deny.open"), "# nobody\n", 9);
    folder_write(folder_path(&rules.dir, "deny.shut"), deny, sizeof(deny) - 1);
    assert_int_equal(opaque_file_add(folder_path(&rules.dir, "tokens.shut"), "erin", "", later_s,
                                     rules.erin, NULL),
                     0);
    size_t len = rules_slurp("tokens.shut", tokens);

    folder_write(folder_path(&rules.dir, "tokens.open"), tokens, len);
    assert_int_equal(opaque_file_add(folder_path(&rules.dir, "tokens.open"), "dora", "", later_s,
                                     rules.dora, NULL),
                     0);
}

/* With open rules. */
static inline void rules_start(void)
{
    struct listener_door door = { .certificate = LISTENER_OPTIONAL, .token = LISTENER_OPTIONAL };
    struct listener_options options = {
        .doors = &door,
        .door_count = 1,
        .limits = { .threads = 2,
                    .connections = 64,
                    .connections_per_address = 64,
                    .handshake_timeout_s = RULES_LIMIT_S,
                    .idle_timeout_s = RULES_LIMIT_S,
                    .request_timeout_s = RULES_LIMIT_S },
    };

    rules_write_files();
    echo_rig_init(&rules.echo, 4096, 65536, "");
    echo_rig_add(&rules.echo, &rules_method);
    rules.pem = (struct listener_pem){
        .certificate_len_bytes = rules_slurp("server.crt", rules.certificate),
        .certificate = rules.certificate,
        .key_len_bytes = rules_slurp("server.key", rules.key),
        .key = rules.key,
    };
    options.pem = rules.pem;
    options.rpc = rules.echo.rpc;
    options.access = rules_access(false);
    assert_int_equal(listener_bind("127.0.0.1:0", &door.listen_fd, NULL), 0);
    rules.port = listener_bound_port(door.listen_fd);
    assert_int_equal(listener_start(&options, &rules.listener, NULL), 0);
    access_unref(options.access);
    rules_exchange(false, true);
}

/* As the service stops: streams are told to, then the listener ends. */
static inline void rules_stop(void)
{
    rpc_drain(rules.echo.rpc);
    listener_stop(rules.listener, 1000);
}

static inline void rules_done(void)
{
    echo_rig_done(&rules.echo);
    folder_done(&rules.dir);
}

#endif
