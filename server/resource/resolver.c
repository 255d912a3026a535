/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/resource/resolver.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

TAILQ_HEAD(requests, resolver_request);

struct resolver {
    struct mapper_client *mapper;
    pthread_mutex_t lock;
    struct domain_list *list; /* NULL until the first refresh */
    uint64_t list_begun_ns;   /* when its refresh began */
    uint64_t list_epoch;
    uint64_t epoch; /* counts changes: the list is good while both are equal */
    bool refreshing;
    struct requests running; /* answered by the refresh that runs */
    struct requests next;    /* by the one after it */

    /* Of the refresh that runs: who made its last step hands it on through the mapper client. */
    struct domain_list *fresh;
    uint64_t fresh_begun_ns, fresh_epoch;
    uint64_t page_deadline_ns;
};

int resolver_new(struct mapper_client *mapper, struct resolver **out, struct failure *f)
{
    struct resolver *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the list of domains");
    }
    r->mapper = mapper;
    r->epoch = 1;
    pthread_mutex_init(&r->lock, NULL);
    TAILQ_INIT(&r->running);
    TAILQ_INIT(&r->next);
    *out = r;
    return 0;
}

void resolver_free(struct resolver *r)
{
    if (r == NULL) {
        return;
    }
    assert(TAILQ_EMPTY(&r->running) && TAILQ_EMPTY(&r->next) && !r->refreshing);
    domain_list_unref(r->list);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

void resolver_changed(struct resolver *r)
{
    pthread_mutex_lock(&r->lock);
    r->epoch++;
    pthread_mutex_unlock(&r->lock);
}

/* Answers from `list`. */
static void answer(struct resolver_request *q, const struct domain_list *list)
{
    if (q->only_list) {
        q->result = 0;
        return;
    }
    q->result = domain_list_find(list, &q->spelling, &q->filter, &q->domain, &q->failure);
}

/* After an answer was written into a request that this thread has taken: true where the deadline's
 * callback does not come, or came before, so that the caller has to finish the request. */
static bool settle(struct resolver *r, struct resolver_request *q)
{
    if (mapper_client_end_wait(r->mapper, q->wait)) {
        return true;
    }
    pthread_mutex_lock(&r->lock);
    bool expired = q->state == RESOLVER_EXPIRED;

    q->state = RESOLVER_ANSWERED; /* its callback, which is about to come, finishes it */
    pthread_mutex_unlock(&r->lock);
    return expired;
}

/* Answers all that wait for the refresh: from `list`, or with `f` where that is NULL. `own` is not
 * called back: true where it is finished. */
static bool finish_running(struct resolver *r, const struct domain_list *list,
                           const struct failure *f, struct resolver_request *own)
{
    bool own_finished = false;

    for (;;) {
        pthread_mutex_lock(&r->lock);
        struct resolver_request *q = TAILQ_FIRST(&r->running);

        if (q != NULL) {
            TAILQ_REMOVE(&r->running, q, link);
            q->state = RESOLVER_TAKEN;
        }
        pthread_mutex_unlock(&r->lock);
        if (q == NULL) {
            return own_finished;
        }
        if (list != NULL) {
            answer(q, list);
        } else {
            q->failure = *f;
            q->result = -f->code;
        }
        if (!settle(r, q)) {
            continue;
        }
        if (q == own) {
            own_finished = true;
        } else {
            q->done(q->arg);
        }
    }
}

static void on_deadline(void *arg, const struct mapper_result *result)
{
    struct resolver_request *q = arg;
    struct resolver *r = q->resolver;
    bool finish = true;

    pthread_mutex_lock(&r->lock);
    if (q->state == RESOLVER_LINKED) {
        TAILQ_REMOVE(q->running ? &r->running : &r->next, q, link);
        q->failure = *result->failure;
        q->result = -q->failure.code;
    } else if (q->state == RESOLVER_TAKEN) {
        q->state = RESOLVER_EXPIRED; /* whoever took it finishes it */
        finish = false;
    }
    pthread_mutex_unlock(&r->lock);
    if (finish) {
        q->done(q->arg);
    }
}

/* Under the lock: makes those who wait the ones that the next refresh answers. False: nobody
 * waits. */
static bool begin(struct resolver *r)
{
    struct resolver_request *q;

    assert(TAILQ_EMPTY(&r->running));
    r->page_deadline_ns = 0;
    while ((q = TAILQ_FIRST(&r->next)) != NULL) {
        TAILQ_REMOVE(&r->next, q, link);
        TAILQ_INSERT_TAIL(&r->running, q, link);
        q->running = true;
        if (q->deadline_ns > r->page_deadline_ns) {
            r->page_deadline_ns = q->deadline_ns;
        }
    }
    r->refreshing = !TAILQ_EMPTY(&r->running);
    r->fresh_epoch = r->epoch;
    r->fresh_begun_ns = clock_monotonic_ns();
    return r->refreshing;
}

static void on_page(void *arg, const struct mapper_result *result);

static int ask_page(struct resolver *r, uint32_t first_domid, struct failure *f)
{
    union message m;

    memset(&m.domains, 0, sizeof(m.domains));
    m.head.type = MESSAGE_DOMAINS;
    m.domains.first_domid = first_domid;
    return mapper_client_call(r->mapper, &m, r->page_deadline_ns, on_page, r, f);
}

/* One refresh after the other, until nobody waits or the mapper takes a call. `own`, and what is
 * returned, as in finish_running(). */
static bool refresh(struct resolver *r, struct resolver_request *own)
{
    bool own_finished = false;

    for (;;) {
        struct failure f;
        int result = domain_list_new(&r->fresh, &f);

        if (result == 0) {
            result = ask_page(r, 0, &f);
            if (result == 0) {
                return own_finished; /* on_page() goes on; r is not ours any more */
            }
            domain_list_unref(r->fresh);
        }
        r->fresh = NULL;
        own_finished |= finish_running(r, NULL, &f, own);
        pthread_mutex_lock(&r->lock);
        bool again = begin(r);

        pthread_mutex_unlock(&r->lock);
        if (!again) {
            return own_finished;
        }
    }
}

static void publish(struct resolver *r, struct domain_list *list)
{
    pthread_mutex_lock(&r->lock);
    struct domain_list *old = r->list;

    r->list = domain_list_ref(list);
    r->list_epoch = r->fresh_epoch;
    r->list_begun_ns = r->fresh_begun_ns;
    pthread_mutex_unlock(&r->lock);
    domain_list_unref(old);
}

static void end_refresh(struct resolver *r, int result, const struct failure *f)
{
    struct domain_list *list = r->fresh;

    r->fresh = NULL;
    if (result == 0) {
        publish(r, list);
    }
    finish_running(r, result == 0 ? list : NULL, f, NULL);
    domain_list_unref(list);
    pthread_mutex_lock(&r->lock);
    bool again = begin(r);

    pthread_mutex_unlock(&r->lock);
    if (again) {
        refresh(r, NULL);
    }
}

static void on_page(void *arg, const struct mapper_result *result)
{
    struct resolver *r = arg;
    struct failure f;
    int added;

    if (result->failure != NULL) {
        end_refresh(r, -result->failure->code, result->failure);
        return;
    }
    const struct message_domains_answer *a = &result->answer->domains_answer;

    added = domain_list_add(r->fresh, a->domains, a->domain_count, &f);
    if (added == 0 && a->more != 0) { /* never behind an empty page: message_check() */
        added = ask_page(r, a->domains[a->domain_count - 1].identity.domid + 1U, &f);
        if (added == 0) {
            return;
        }
    } else if (added == 0) {
        added = domain_list_index(r->fresh, &f);
    }
    end_refresh(r, added, &f);
}

/* True: the answer stands, from the list as it is. */
static bool answer_from_list(struct resolver *r, struct resolver_request *q)
{
    pthread_mutex_lock(&r->lock);
    bool good = r->list != NULL && r->list_epoch == r->epoch && !q->anew;
    struct domain_list *list = good ? domain_list_ref(r->list) : NULL;
    uint64_t begun_ns = r->list_begun_ns;

    pthread_mutex_unlock(&r->lock);
    if (!good) {
        return false;
    }
    answer(q, list);
    domain_list_unref(list);
    return q->result != -ERROR_NOT_FOUND || clock_monotonic_ns() - begun_ns < RESOLVER_MISS_NS;
}

bool resolver_start(struct resolver *r, struct resolver_request *q)
{
    if (answer_from_list(r, q)) {
        return true;
    }
    q->resolver = r;
    q->state = RESOLVER_LINKED;
    q->running = false;
    pthread_mutex_lock(&r->lock);
    /* Under the lock: the deadline may pass before this returns; its callback takes the lock. */
    q->result =
        mapper_client_wait(r->mapper, q->deadline_ns, on_deadline, q, &q->wait, &q->failure);
    if (q->result != 0) {
        pthread_mutex_unlock(&r->lock);
        return true;
    }
    TAILQ_INSERT_TAIL(&r->next, q, link);
    bool first = !r->refreshing && begin(r);

    pthread_mutex_unlock(&r->lock);
    return first && refresh(r, q);
}

bool resolver_finds_life(struct resolver *r, const struct domain_identity *life,
                         struct domain_identity *now)
{
    pthread_mutex_lock(&r->lock);
    struct domain_list *list = r->list != NULL ? domain_list_ref(r->list) : NULL;

    pthread_mutex_unlock(&r->lock);
    const struct domain_entry *e = list != NULL ? domain_list_at(list, life->domid) : NULL;
    bool lives = e != NULL &&
                 memcmp(e->identity.incarnation, life->incarnation, sizeof(life->incarnation)) == 0;

    if (lives) {
        *now = e->identity;
    }
    domain_list_unref(list);
    return lives;
}
