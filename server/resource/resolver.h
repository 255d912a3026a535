/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * From the spelling of a domain to its full identity, without waiting.
 *
 * Keeps the domains as last listed. The list is good until the mapper says that it changed; then,
 * and where a domain is not found in it, it is made anew, page by page, by one refresh for all who
 * ask meanwhile: a request is answered by a refresh that began after it came. What is missed is
 * looked for at most once per RESOLVER_MISS_NS in all, so that nobody makes the host list its
 * domains in a loop by asking for what is not there.
 *
 * Any thread. Lock: one, before those of the mapper client; no callback is called under it.
 */
#ifndef XENRES_RESOURCE_RESOLVER_H
#define XENRES_RESOURCE_RESOLVER_H

#include <sys/queue.h>

#include "common/clock.h"
#include "server/resource/domain_list.h"
#include "server/resource/mapper_client.h"

#define RESOLVER_MISS_NS (50 * CLOCK_NS_PER_MS)

struct resolver;

/* Owned by the caller; not touched by it while pending. */
struct resolver_request {
    struct domain_spelling spelling;
    struct domain_filter filter; /* called on any thread, also after resolver_start() */
    uint64_t deadline_ns;
    bool anew;               /* from a list that is made after now */
    bool only_list;          /* no domain is looked for: 0, as soon as there is a good list */
    void (*done)(void *arg); /* once, where resolver_start() says so; any thread */
    void *arg;

    /* The answer: 0 with `domain`, or what domain_list_find() says, or -ERROR_DEADLINE_EXCEEDED,
     * or why the mapper did not answer. */
    int result;
    struct domain_entry domain;
    struct failure failure;

    /* The resolver's own. */
    TAILQ_ENTRY(resolver_request) link;
    enum { RESOLVER_LINKED, RESOLVER_TAKEN, RESOLVER_ANSWERED, RESOLVER_EXPIRED } state;
    bool running; /* which list it is linked in */
    uint64_t wait;
    struct resolver *resolver;
};

int resolver_new(struct mapper_client *mapper, struct resolver **out, struct failure *f);
/* Nothing may be pending; the mapper client may be gone by then. NULL is fine. */
void resolver_free(struct resolver *r);

/* The list is no longer what it was. */
void resolver_changed(struct resolver *r);

/* True: the answer stands, and `done` is not called. False: it will be. */
bool resolver_start(struct resolver *r, struct resolver_request *request);

/* Whether that life of a domain goes on, and who it is now, whoever may see it: of a list as new as the one
 * that the last request was answered from, or newer. */
bool resolver_finds_life(struct resolver *r, const struct domain_identity *life,
                         struct domain_identity *now);

#endif
