/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/bearer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/log.h"
#include "server/rpc/admission.h"
#include "server/rpc/query.h"

enum { LOG_PERIOD_S = 10, LOGGED_MAX = 100 };

#define CHALLENGE         "Bearer"
#define CHALLENGE_REFUSED "Bearer error=\"invalid_token\""

/* RFC 6750, 2.3 allows it, and 5.3 says why not: addresses get into logs and histories. */
static int check_target(struct exchange *x)
{
    const char *query = strchr(x->head.target, '?');
    struct query q = { .count = 0 };
    struct failure ignored;
    bool has_token = query != NULL && query_parse(query + 1, &q, &ignored) == 0 &&
                     query_find(&q, "access_token") != NULL;

    query_done(&q);
    if (!has_token) {
        return 0;
    }
    int result = failure_set(&x->failure, ERROR_INVALID_ARGUMENT,
                             "a token in the URL is not accepted, whatever it is");

    failure_cause(&x->failure, result, "URLs are kept in logs and histories");
    return failure_next(
        &x->failure, result,
        "send it as \"Authorization: Bearer …\"; replace it if others may have seen "
        "the URL");
}

static int refuse_nobody(struct exchange *x)
{
    struct failure *f = &x->failure;
    int result = failure_set(f, ERROR_UNAUTHENTICATED, "nobody is known on this connection");

    if (x->head.is_anonymous) {
        failure_cause(f, result, "neither a client certificate nor a bearer token was shown");
        return failure_next(f, result, "show a token, or connect with a client certificate");
    }
    failure_cause(f, result,
                  "no client certificate was shown, or it has expired, or its authority is not "
                  "trusted any more");
    return failure_next(f, result, "connect with a client certificate of this gateway's authority");
}

/* Where it came in, tokens are not what makes him somebody, or only they are. */
static int check_door(struct exchange *x, unsigned count)
{
    struct failure *f = &x->failure;

    if (x->head.tokens == EXCHANGE_TOKENS_REFUSED && count > 0) {
        int result =
            failure_set(f, ERROR_UNAUTHENTICATED, "bearer tokens are not taken at this address");

        failure_cause(f, result, "its listener takes client certificates only");
        return failure_next(f, result,
                            "leave the token out, or use an address of the gateway that takes "
                            "tokens; replace it if others may have seen it");
    }
    if (x->head.tokens == EXCHANGE_TOKENS_DEMANDED && count == 0) {
        int result = failure_set(f, ERROR_UNAUTHENTICATED, "no bearer token was shown");

        failure_cause(f, result, "the listener at this address demands one of everybody");
        return failure_next(f, result, "send \"Authorization: Bearer TOKEN\"");
    }
    return 0;
}

/* "Bearer TOKEN", and nothing else. NULL with `f`. */
static const char *read_header(const char *value, struct failure *f)
{
    static const char scheme[] = "Bearer ";
    const char *token = value + strlen(scheme);

    if (strncasecmp(value, scheme, strlen(scheme)) != 0) {
        int result = failure_set(f, ERROR_UNAUTHENTICATED,
                                 "the request is authorised in a way that is not known here");

        failure_cause(f, result, "its header Authorization has another scheme than Bearer");
        failure_next(f, result, "send \"Authorization: Bearer TOKEN\", or no such header");
        return NULL;
    }
    token += strspn(token, " ");
    return token;
}

/* Any stranger may send as many as he likes: of each ten seconds so many get into the log. */
static bool may_log(struct rpc *rpc)
{
    uint64_t period = clock_monotonic_ns() / (LOG_PERIOD_S * CLOCK_NS_PER_S) << 8;
    uint64_t seen = atomic_load(&rpc->refusals_logged);
    uint64_t next = seen >= period ? seen + 1 : period + 1;

    return next - period <= LOGGED_MAX &&
           atomic_compare_exchange_strong(&rpc->refusals_logged, &seen, next);
}

void bearer_refused(struct exchange *x, enum token_fault why)
{
    x->refused = token_fault_name(why);
    atomic_fetch_add_explicit(&x->rpc->tokens_refused[why], 1, memory_order_relaxed);
}

/* The log learns what exactly was wrong; the answer has its class. */
static int refuse_token(struct exchange *x)
{
    struct failure *f = &x->failure;

    if (f->code == ERROR_UNAUTHENTICATED) {
        bearer_refused(x, token_fault_of(f));
        if (may_log(x->rpc)) {
            log_info("%s: refused a bearer token: %s", x->head.peer_address,
                     f->cause[0] != '\0' ? f->cause : f->message);
        }
        failure_cause(f, -f->code,
                      "what exactly is wrong with it, the gateway tells its log alone");
        failure_next(f, -f->code,
                     "get a new token, and look at the gateway's log for what is wrong");
    }
    return -f->code;
}

/* Nothing of it was looked at, so this says nothing about it. */
static int refuse_for_now(struct exchange *x, uint64_t wait_ns)
{
    struct failure *f = &x->failure;
    uint64_t wait_ms = wait_ns / CLOCK_NS_PER_MS + 1;
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED,
                             "too many bearer tokens of your address were not accepted");

    failure_retry(f, result, (uint32_t)(wait_ms < UINT32_MAX ? wait_ms : UINT32_MAX));
    failure_cause(f, result,
                  "the limit handshakes_per_s_per_address: each counts as a handshake that failed");
    return failure_next(f, result, "try again in %llu ms, with a token that is good",
                        (unsigned long long)wait_ms);
}

/* --- of those that were accepted ------------------------------------------------------------------- */

static struct bearer *bearer_ref(struct bearer *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void bearer_unref(struct bearer *b)
{
    if (b != NULL && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1) {
        explicit_bzero(b->text, b->text_len_bytes);
        free(b);
    }
}

static void release(void *kept)
{
    bearer_unref(kept);
}

/* As the next request's, if it shows the same. */
static void keep(struct exchange_memory *memory, struct bearer *b)
{
    bearer_unref(memory->kept);
    memory->kept = bearer_ref(b);
    memory->release = release;
}

/* The one that the request before has shown, where nothing but time has passed since; else NULL. */
static struct bearer *find_kept(const struct exchange *x, const char *token, size_t len,
                                int64_t now_s)
{
    static const struct identity nobody;
    const struct identity *certificate = x->head.who != NULL ? x->head.who : &nobody;
    struct bearer *b = x->head.memory != NULL ? x->head.memory->kept : NULL;

    return b != NULL && b->access_number == x->access_number && b->token.who.not_after_s >= now_s &&
                   b->text_len_bytes == len && token_is_same(b->text, token, len) &&
                   memcmp(b->token.who.fingerprint, certificate->fingerprint,
                          sizeof(certificate->fingerprint)) == 0
               ? bearer_ref(b)
               : NULL;
}

/* 0 with a reference in *out, or `x->failure`. */
static int verify(struct exchange *x, const char *text, size_t len, int64_t now_s,
                  struct bearer **out)
{
    struct token token;

    if (access_token(x->access, text, len, x->head.who, now_s, &token, &x->failure) != 0) {
        if (x->failure.code == ERROR_UNAUTHENTICATED && x->head.token_refused != NULL &&
            x->head.token_refused(x->head.arg)) {
            x->reply.close = true;
        }
        return refuse_token(x);
    }
    struct bearer *b = malloc(sizeof(*b) + len);

    if (b == NULL) {
        return failure_set(&x->failure, ERROR_RESOURCE_EXHAUSTED, "no memory");
    }
    atomic_init(&b->refs, 1);
    b->access_number = x->access_number;
    b->token = token;
    b->text_len_bytes = len;
    memcpy(b->text, text, len);
    *out = b;
    return 0;
}

static int take(struct exchange *x, const char *token)
{
    int64_t now_s = (int64_t)(clock_wall_ns() / CLOCK_NS_PER_S);
    size_t len = strlen(token);

    x->bearer = find_kept(x, token, len, now_s);
    if (x->bearer == NULL) {
        uint64_t wait_ns = x->head.token_wait_ns != NULL ? x->head.token_wait_ns(x->head.arg) : 0;

        if (wait_ns > 0 && !access_token_is_cheap(x->access, token, len, now_s)) {
            return refuse_for_now(x, wait_ns);
        }
        if (verify(x, token, len, now_s, &x->bearer) != 0) {
            return -x->failure.code;
        }
        if (x->head.memory != NULL) {
            keep(x->head.memory, x->bearer);
        }
    }
    x->call.who = &x->bearer->token.who;
    return 0;
}

int bearer_take(struct exchange *x)
{
    unsigned count = 0;
    const char *header = NULL;

    admission_take(x);
    if (x->access != NULL) {
        header = x->head.header(x->head.arg, "Authorization", &count);
        x->challenge = count > 0                                   ? CHALLENGE_REFUSED
                       : x->head.tokens == EXCHANGE_TOKENS_REFUSED ? NULL
                       : access_takes_tokens(x->access)            ? CHALLENGE
                                                                   : NULL;
    }
    if (x->access != NULL && (check_target(x) != 0 || check_door(x, count) != 0)) {
        return -x->failure.code;
    }
    if (count > 1) {
        return failure_set(&x->failure, ERROR_INVALID_ARGUMENT,
                           "the request has the header Authorization twice");
    }
    /* One that was known and is not any more is not made somebody by a token. */
    if (x->head.who == NULL && (count == 0 || header == NULL || !x->head.is_anonymous)) {
        return refuse_nobody(x);
    }
    if (header == NULL) {
        return 0;
    }
    const char *token = read_header(header, &x->failure);

    return token != NULL ? take(x, token) : -x->failure.code;
}
