/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See inventory.h. */
#include "server/mapper/inventory.h"

#include <string.h>

#include "common/clock.h"
#include "server/mapper/peer.h"

/* Later pages of a list may be of one that is so old: it is then the same list. */
#define PAGE_AGE_MAX_NS CLOCK_NS_PER_S

void inventory_host(struct mapper *m, const struct message_plain *request, union message *out)
{
    memset(&out->host_answer, 0, sizeof(out->host_answer));
    uint64_t serial = request->head.serial;
    m->ops->host(m->backend, &out->host_answer);
    message_init(out, MESSAGE_HOST | MESSAGE_ANSWER, serial);
}

struct message_domain inventory_domain(const struct directory_entry *e)
{
    return (struct message_domain){
        .identity = e->identity,
        .type = e->domain.type,
        .state = e->domain.dying ? DOMAIN_DYING : e->domain.state,
        .online_vcpus = e->domain.online_vcpus,
        .max_vcpus = e->domain.max_vcpus,
        .memory_kib = e->domain.memory_kib,
        .cpu_time_ns = e->domain.cpu_time_ns,
    };
}

int inventory_domains(struct mapper *m, const struct message_domains *request, union message *out,
                      struct failure *f)
{
    uint32_t first_domid = request->first_domid;
    uint64_t serial = request->head.serial;
    int result = directory_refresh(m->directory, first_domid == 0 ? 0 : PAGE_AGE_MAX_NS, f);
    if (result < 0) {
        return result;
    }

    struct message_domains_answer *a = &out->domains_answer;
    memset(a, 0, sizeof(*a));
    message_init(out, MESSAGE_DOMAINS | MESSAGE_ANSWER, serial);
    a->generation = directory_generation(m->directory);
    uint32_t count;
    const struct directory_entry *entries = directory_entries(m->directory, &count);
    for (uint32_t i = 0; i < count; i++) {
        const struct directory_entry *e = &entries[i];
        if (e->domain.domid < first_domid || e->is_untold) {
            continue;
        }
        if (!export_allows_any(m->export, &e->identity, EXPORT_LIST)) {
            continue;
        }
        if (a->domain_count == MESSAGE_DOMAINS_MAX) {
            a->more = 1;
            break;
        }
        a->domains[a->domain_count++] = inventory_domain(e);
    }
    return 0;
}

uint64_t inventory_announce(struct mapper *m, struct inventory_announced *last)
{
    uint64_t generation = directory_generation(m->directory);
    if (generation == last->generation || !peer_is_served(m->peer)) {
        return UINT64_MAX;
    }
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t due_ns = last->sent_ns + INVENTORY_EVENT_MS * CLOCK_NS_PER_MS;
    /* A peer that does not read is not dropped for an event: it is told when it reads again. */
    if (now_ns < due_ns) {
        return due_ns;
    }
    if (!peer_is_writable(m->peer)) {
        return now_ns + INVENTORY_EVENT_MS * CLOCK_NS_PER_MS;
    }
    union message event;
    memset(&event.event_domains, 0, sizeof(event.event_domains));
    message_init(&event, MESSAGE_EVENT_DOMAINS, 0);
    event.event_domains.generation = generation;
    peer_send(m->peer, &event, NULL, 0);
    last->generation = generation;
    last->sent_ns = now_ns;
    return UINT64_MAX;
}
