/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/resource/domain_rows.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "server/resource/domain_list.h"

/* References: the owner's, and that of the call under way. The rows are the call's until it is ready. */
struct domain_rows {
    struct mapper_client *mapper;
    uint64_t deadline_ns;
    struct buffer rows;
    uint64_t generation;
    uint32_t next_domid;
    unsigned tries;

    pthread_mutex_t lock; /* of what follows */
    unsigned refs;
    bool ready, abandoned;
    int result;
    struct failure failure;
    void (*done)(void *arg);
    void *arg;
};

static void unref(struct domain_rows *r)
{
    (void)pthread_mutex_lock(&r->lock);
    bool is_last = --r->refs == 0;

    (void)pthread_mutex_unlock(&r->lock);
    if (is_last) {
        buffer_done(&r->rows);
        (void)pthread_mutex_destroy(&r->lock);
        free(r);
    }
}

static void finish(struct domain_rows *r, int result, const struct failure *f)
{
    (void)pthread_mutex_lock(&r->lock);
    r->result = result;
    if (result != 0) {
        r->failure = *f;
    }
    r->ready = true;
    if (!r->abandoned) {
        r->done(r->arg);
    }
    (void)pthread_mutex_unlock(&r->lock);
    unref(r);
}

static int begin_anew(struct domain_rows *r, struct failure *f)
{
    if (++r->tries == DOMAIN_ROWS_TRIES) {
        int result = failure_set(f, ERROR_UNAVAILABLE, "the host's domains change too fast");

        failure_cause(f, result, "they were others each of the %d times that they were listed",
                      (int)DOMAIN_ROWS_TRIES);
        failure_retry(f, result, FAILURE_RETRY_SOON_MS);
        return failure_next(f, result, "try again in a moment");
    }
    buffer_reset(&r->rows);
    r->next_domid = 0;
    return 0;
}

/* 1: there is more to ask for. */
static int take_page(struct domain_rows *r, const struct message_domains_answer *a,
                     struct failure *f)
{
    if (r->next_domid > 0 && a->generation != r->generation) {
        int result = begin_anew(r, f);

        return result != 0 ? result : 1;
    }
    r->generation = a->generation;
    if (a->domain_count > 0 &&
        !buffer_append(&r->rows, a->domains, a->domain_count * sizeof(a->domains[0]))) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the list of domains");
    }
    if (a->more == 0 || a->domain_count == 0) {
        return 0;
    }
    r->next_domid = a->domains[a->domain_count - 1].identity.domid + 1U;
    return 1;
}

static int ask_page(struct domain_rows *r, struct failure *f);

static void on_page(void *arg, const struct mapper_result *result)
{
    struct domain_rows *r = arg;
    struct failure f = { 0 };
    int next;

    (void)pthread_mutex_lock(&r->lock);
    bool abandoned = r->abandoned;

    (void)pthread_mutex_unlock(&r->lock);
    if (result->failure != NULL) {
        f = *result->failure;
        next = -f.code;
    } else {
        next = take_page(r, &result->answer->domains_answer, &f);
    }
    if (next > 0 && !abandoned) {
        next = ask_page(r, &f);
        if (next == 0) {
            return;
        }
    }
    finish(r, next, &f);
}

static int ask_page(struct domain_rows *r, struct failure *f)
{
    union message m __attribute__((uninitialized)); /* 27 KiB, of which requests are a few */

    memset(&m.domains, 0, sizeof(m.domains));
    m.head.type = MESSAGE_DOMAINS;
    m.domains.first_domid = r->next_domid;
    return mapper_client_call(r->mapper, &m, r->deadline_ns, on_page, r, f);
}

int domain_rows_ask(struct mapper_client *mapper, uint64_t deadline_ns, void (*done)(void *arg),
                    void *arg, struct domain_rows **out, struct failure *f)
{
    struct domain_rows *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the list of domains");
    }
    r->mapper = mapper;
    r->deadline_ns = deadline_ns;
    r->done = done;
    r->arg = arg;
    r->refs = 2;
    buffer_init(&r->rows, (size_t)DOMAIN_LIST_MAX * sizeof(struct message_domain));
    (void)pthread_mutex_init(&r->lock, NULL);
    int result = ask_page(r, f);

    if (result != 0) {
        r->refs = 1;
        unref(r);
        return result;
    }
    *out = r;
    return 0;
}

void domain_rows_free(struct domain_rows *r)
{
    if (r != NULL) {
        (void)pthread_mutex_lock(&r->lock);
        r->abandoned = true;
        (void)pthread_mutex_unlock(&r->lock);
        unref(r);
    }
}

bool domain_rows_ready(struct domain_rows *r, int *result, struct failure *f)
{
    (void)pthread_mutex_lock(&r->lock);
    bool ready = r->ready;

    if (ready) {
        *result = r->result;
        if (r->result != 0) {
            *f = r->failure;
        }
    }
    (void)pthread_mutex_unlock(&r->lock);
    return ready;
}

const struct message_domain *domain_rows_all(const struct domain_rows *r, size_t *count,
                                             uint64_t *generation)
{
    *count = r->rows.len_bytes / sizeof(struct message_domain);
    *generation = r->generation;
    return (const void *)r->rows.data;
}
