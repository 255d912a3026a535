/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See counters.h. */
#include "server/mapper/counters.h"

#include <string.h>

#include "server/mapper/feed_image.h"
#include "server/mapper/feed_table.h"
#include "server/mapper/snapshot.h"
#include "server/mapper/trace.h"

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

struct subject {
    uint16_t domid;
    const uint8_t *incarnation; /* NULL: there are no more */
};

static bool is_dead(const struct directory *d, struct subject s)
{
    const struct directory_entry *e = entry_of(d, s.domid);
    return !e || e->domain.dying || memcmp(e->identity.incarnation, s.incarnation, 16) != 0;
}

/* Whose frames are mapped, of the cache and then of feeds. */
struct walk {
    const struct mapping_cache *mappings;
    const struct feed_table *feeds;
    uint32_t mapping_at, feed_at;
};

static struct subject next_mapped(struct walk *w)
{
    struct subject s = { 0 };
    const struct mapping_key *key = mapping_next(w->mappings, &w->mapping_at);
    if (key) {
        return (struct subject){ key->domid, key->incarnation };
    }
    if (w->feeds) {
        s.incarnation = feed_table_next_mapped(w->feeds, &w->feed_at, &s.domid);
    }
    return s;
}

/* Is the same incarnation there before this one? */
static bool is_counted(struct walk from, struct subject s)
{
    struct subject before = next_mapped(&from);
    while (before.incarnation && before.incarnation != s.incarnation &&
           memcmp(before.incarnation, s.incarnation, 16) != 0) {
        before = next_mapped(&from);
    }
    return before.incarnation != s.incarnation;
}

uint32_t counters_zombies(const struct mapping_cache *mappings, const struct feed_table *feeds,
                          const struct directory *directory)
{
    const struct walk start = { .mappings = mappings, .feeds = feeds };
    struct walk w = start;
    uint32_t zombies = 0;
    for (struct subject s = next_mapped(&w); s.incarnation; s = next_mapped(&w)) {
        zombies += is_dead(directory, s) && !is_counted(start, s);
    }
    return zombies;
}

static uint32_t listable_domains(const struct mapper *m)
{
    uint32_t count;
    const struct directory_entry *entries = directory_entries(m->directory, &count);
    uint32_t listable = 0;
    for (uint32_t i = 0; i < count; i++) {
        listable += !entries[i].is_untold &&
                    export_allows_any(m->export, &entries[i].identity, EXPORT_LIST);
    }
    return listable;
}

void counters_read(const struct mapper *m, const struct message_plain *request, union message *out)
{
    struct message_counters_answer *a = &out->counters_answer;
    uint64_t serial = request->head.serial;
    struct arena_usage arena = arena_usage(m->arena);
    struct mapping_usage mappings = mapping_usage(m->mappings);
    struct feed_table_counts feeds;
    feed_table_count(m->feeds, &feeds);
    struct trace_counts traces = trace_table_count(m->traces);
    memset(a, 0, sizeof(*a));
    message_init(out, MESSAGE_COUNTERS | MESSAGE_ANSWER, serial);
    a->requests = m->requests;
    a->hypercalls = m->ops->hypercalls(m->backend) + feeds.sampled.hypercalls;
    a->ceiling_refusals = m->refusals;
    a->maps = mappings.made + m->brief_maps + feeds.sampled.maps;
    a->mapped_frames = mappings.frame_count + feeds.sampled.mapped_frames;
    a->arena_bytes = arena_bytes(m->arena);
    a->arena_used_bytes = arena.used_bytes;
    a->false_releases = arena.false_releases;
    a->arena_slots = arena.slot_count;
    a->mappings = mappings.count + feeds.sampled.mapped;
    a->zombies = counters_zombies(m->mappings, m->feeds, m->directory);
    a->copies = snapshot_count(m->jobs) + feed_image_count(m->images);
    a->domains = listable_domains(m);
    a->feeds = feeds.feeds;
    a->spool_bytes = feeds.spool_bytes;
    a->samples = feeds.sampled.samples;
    a->sample_failures = feeds.sampled.failures;
    a->samples_late = feeds.sampled.late;
    a->sampled_bytes = feeds.sampled.sampled_bytes;
    a->produced_batches = feeds.sampled.produced_batches;
    a->produced_blocks = feeds.sampled.produced_blocks;
    a->produced_events = feeds.events;
    a->produced_bytes = feeds.sampled.produced_bytes;
    a->lost_bytes = feeds.sampled.lost_bytes;
    a->open_losses = feeds.sampled.open_losses;
    a->vcpu_pauses = m->ops->pauses(m->backend) + feeds.sampled.pauses;
    a->pause_refusals = feeds.sampled.pause_refusals;
    a->traces = traces.traces;
    a->traced_vcpus = traces.vcpus;
    a->tags_ignored = directory_tags_ignored(m->directory);
}
