/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See counters.h. */
#include "server/mapper/counters.h"

#include <string.h>

#include "server/mapper/snapshot.h"

static const struct directory_entry *entry_of(const struct directory *d, uint16_t domid)
{
    uint32_t count;
    const struct directory_entry *entries = directory_entries(d, &count);
    uint32_t low = 0;
    while (low < count) {
        uint32_t middle = low + (count - low) / 2;
        if (entries[middle].domain.domid == domid) {
            return &entries[middle];
        }
        if (entries[middle].domain.domid < domid) {
            low = middle + 1;
        } else {
            count = middle;
        }
    }
    return NULL;
}

static bool is_dead(const struct directory *d, const struct mapping_key *key)
{
    const struct directory_entry *e = entry_of(d, key->domid);
    return !e || e->domain.dying ||
           memcmp(e->identity.incarnation, key->incarnation, sizeof(key->incarnation)) != 0;
}

/* Is there a mapping of the same incarnation before this one? */
static bool is_counted(const struct mapping_cache *mappings, const struct mapping_key *key)
{
    uint32_t at = 0;
    const struct mapping_key *before = mapping_next(mappings, &at);
    while (before != key &&
           memcmp(before->incarnation, key->incarnation, sizeof(key->incarnation)) != 0) {
        before = mapping_next(mappings, &at);
    }
    return before != key;
}

uint32_t counters_zombies(const struct mapping_cache *mappings, const struct directory *directory)
{
    uint32_t zombies = 0;
    uint32_t at = 0;
    const struct mapping_key *key;
    while ((key = mapping_next(mappings, &at)) != NULL) {
        zombies += is_dead(directory, key) && !is_counted(mappings, key);
    }
    return zombies;
}

static uint32_t listable_domains(const struct mapper *m)
{
    uint32_t count;
    const struct directory_entry *entries = directory_entries(m->directory, &count);
    uint32_t listable = 0;
    for (uint32_t i = 0; i < count; i++) {
        listable += export_allows_any(m->export, &entries[i].identity, EXPORT_LIST);
    }
    return listable;
}

void counters_read(const struct mapper *m, const struct message_plain *request, union message *out)
{
    struct message_counters_answer *a = &out->counters_answer;
    uint64_t serial = request->head.serial;
    struct arena_usage arena = arena_usage(m->arena);
    struct mapping_usage mappings = mapping_usage(m->mappings);
    memset(a, 0, sizeof(*a));
    message_init(out, MESSAGE_COUNTERS | MESSAGE_ANSWER, serial);
    a->requests = m->requests;
    a->hypercalls = m->ops->hypercalls(m->backend);
    a->ceiling_refusals = m->ceiling.refusals;
    a->maps = mappings.made + m->brief_maps;
    a->mapped_frames = mappings.frame_count;
    a->arena_bytes = arena_bytes(m->arena);
    a->arena_used_bytes = arena.used_bytes;
    a->false_releases = arena.false_releases;
    a->arena_slots = arena.slot_count;
    a->mappings = mappings.count;
    a->zombies = counters_zombies(m->mappings, m->directory);
    a->copies = snapshot_count(m->jobs);
    a->domains = listable_domains(m);
}
