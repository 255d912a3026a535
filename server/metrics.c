/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/metrics.h"

#include "common/clock.h"

enum metric_id {
#define METRIC(id, name, kind, unit, help) METRIC_##id,
#include "server/metrics.def"
#undef METRIC
};

static const struct exposition_family families[] = {
#define METRIC(id, name, kind, unit, help)                                                         \
    [METRIC_##id] = { (name), EXPOSITION_##kind, (unit), (help) },
#include "server/metrics.def"
#undef METRIC
};

static const uint64_t duration_bounds_ns[] = METER_BOUNDS_NS;
static const uint64_t lag_bounds_ns[] = WATCH_LAG_BOUNDS_NS;

void metrics_init(struct metrics *m)
{
    *m = (struct metrics){ .started_ns = clock_wall_ns() };
    atomic_init(&m->reloaded_ns, m->started_ns);
}

void metrics_reloaded(struct metrics *m, bool success)
{
    atomic_fetch_add(success ? &m->reloads : &m->reload_failures, 1);
    atomic_store(&m->reload_failed, !success);
    if (success) {
        atomic_store(&m->access_reload_failed, false); /* that was among it */
        atomic_store(&m->reloaded_ns, clock_wall_ns());
    }
}

void metrics_access_reloaded(struct metrics *m, bool success)
{
    atomic_fetch_add(success ? &m->access_reloads : &m->access_reload_failures, 1);
    atomic_store(&m->access_reload_failed, !success);
}

/* A family that has one sample, without labels. */
static void write_one(struct exposition *e, enum metric_id id, uint64_t value)
{
    exposition_family(e, &families[id]);
    exposition_count(e, value);
}

static void write_process(struct exposition *e, const struct metrics *m)
{
    exposition_family(e, &families[METRIC_BUILD]);
    exposition_label(e, "version", XENRES_VERSION);
    exposition_count(e, 1);
    exposition_family(e, &families[METRIC_START]);
    exposition_seconds(e, m->started_ns);
}

/* --- requests ----------------------------------------------------------------------------------- */

/* Of each method: that it succeeded, however rarely; of the other codes those that have come. */
static void write_codes(struct exposition *e, const struct meter_row *row)
{
    for (int code = 0; code < METER_CODES; code++) {
        if (code == ERROR_OK || row->codes[code] > 0) {
            exposition_label(e, "method", row->method);
            exposition_label(e, "code", code == ERROR_OK ? "ok" : error_connect_code(code));
            exposition_count(e, row->codes[code]);
        }
    }
}

static void write_duration(struct exposition *e, const struct meter_row *row)
{
    const struct exposition_histogram h = {
        .bounds_ns = duration_bounds_ns,
        .buckets = row->buckets,
        .bucket_count = METER_BUCKETS,
        .sum_ns = row->duration_sum_ns,
    };

    exposition_label(e, "method", row->method);
    exposition_histogram(e, &h);
}

static void write_body_bytes(struct exposition *e, const struct meter_row *row)
{
    exposition_label(e, "method", row->method);
    exposition_count(e, row->body_bytes);
}

static void write_by_method(struct exposition *e, enum metric_id id, const struct meter *meter,
                            void (*write)(struct exposition *e, const struct meter_row *row))
{
    struct meter_row row;

    exposition_family(e, &families[id]);
    for (size_t i = 0; i < meter_rows(meter); i++) {
        meter_read(meter, i, &row);
        write(e, &row);
    }
}

static void write_requests(struct exposition *e, const struct metrics_sources *s)
{
    write_by_method(e, METRIC_REQUESTS, s->meter, write_codes);
    write_one(e, METRIC_IN_FLIGHT, s->requests_in_flight);
    write_by_method(e, METRIC_DURATION, s->meter, write_duration);
    write_by_method(e, METRIC_BODY_BYTES, s->meter, write_body_bytes);
    write_one(e, METRIC_HTTP_REQUESTS, s->connections.requests);
}

/* Those of auth/quota.h, and those that who watches has with feeds. */
static void write_limit_hits(struct exposition *e, const struct metrics_sources *s)
{
    const struct {
        const char *limit;
        uint64_t hits;
    } rows[] = { { "streams", s->feeds.refused_streams },
                 { "streams_in_all", s->feeds.refused_streams_in_all },
                 { "feeds_in_all", s->feeds.refused_feeds },
                 { "spool_bytes", s->feeds.refused_spools } };

    exposition_family(e, &families[METRIC_LIMIT_HITS]);
    for (int limit = 0; limit < QUOTA_LIMIT_COUNT; limit++) {
        exposition_label(e, "limit", quota_limit_name((enum quota_limit)limit));
        exposition_count(e, s->limit_hits[limit]);
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        exposition_label(e, "limit", rows[i].limit);
        exposition_count(e, rows[i].hits);
    }
}

/* --- connections -------------------------------------------------------------------------------- */

/* The reasons from `first` to before `end`. */
static void write_reasons(struct exposition *e, enum metric_id id,
                          const struct listener_counters *counters, int first, int end)
{
    exposition_family(e, &families[id]);
    for (int why = first; why < end; why++) {
        exposition_label(e, "reason", listener_refusal_name((enum listener_refusal)why));
        exposition_count(e, counters->refused[why]);
    }
}

static void write_connections(struct exposition *e, const struct listener_counters *c)
{
    write_one(e, METRIC_CONNECTIONS, c->open);
    write_one(e, METRIC_ACCEPTED, c->accepted);
    write_reasons(e, METRIC_REFUSED, c, 0, LISTENER_REFUSED_TLS_VERSION);
    write_reasons(e, METRIC_ENDED, c, LISTENER_ENDED_SLOW_REQUEST, LISTENER_REFUSAL_COUNT);
    write_one(e, METRIC_HANDSHAKES, c->handshakes_done);
    write_reasons(e, METRIC_TLS_FAILURES, c, LISTENER_REFUSED_TLS_VERSION,
                  LISTENER_ENDED_SLOW_REQUEST);
}

static void write_tokens(struct exposition *e, const uint64_t *refused)
{
    exposition_family(e, &families[METRIC_TOKENS_REFUSED]);
    for (int why = 0; why < TOKEN_FAULT_COUNT; why++) {
        exposition_label(e, "reason", token_fault_name((enum token_fault)why));
        exposition_count(e, refused[why]);
    }
}

/* --- streams ------------------------------------------------------------------------------------ */

static void write_ends(struct exposition *e, const struct watch_counters *w)
{
    exposition_family(e, &families[METRIC_STREAM_ENDS]);
    for (int why = 0; why < WATCH_END_COUNT; why++) {
        exposition_label(e, "reason", watch_end_name((enum watch_end)why));
        exposition_count(e, w->ends[why]);
    }
}

static void write_gaps(struct exposition *e, const struct feeds_counters *c)
{
    const struct {
        const char *reason;
        uint64_t count;
    } rows[] = { { "too_slow", c->gaps_too_slow },
                 { "too_many", c->gaps_too_many },
                 { "new_segment", c->gaps_segment },
                 { "resumed", c->gaps_resumed } };

    exposition_family(e, &families[METRIC_GAPS]);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        exposition_label(e, "reason", rows[i].reason);
        exposition_count(e, rows[i].count);
    }
}

static void write_losses(struct exposition *e, enum metric_id id, const uint64_t *counts)
{
    exposition_family(e, &families[id]);
    for (int why = 0; why < WATCH_LOSS_COUNT; why++) {
        exposition_label(e, "reason", watch_loss_name((enum watch_loss)why));
        exposition_count(e, counts[why]);
    }
}

static void write_traces(struct exposition *e, const struct metrics_sources *s)
{
    write_one(e, METRIC_DELIVERED_BYTES, s->feeds.delivered_bytes);
    write_losses(e, METRIC_TRACE_GAPS, s->watches.losses);
    write_losses(e, METRIC_LOST_BYTES, s->watches.lost_bytes);
    write_one(e, METRIC_RENEWALS, s->watches.trace_renewals);
}

static void write_streams(struct exposition *e, const struct metrics_sources *s)
{
    const struct exposition_histogram lag = {
        .bounds_ns = lag_bounds_ns,
        .buckets = s->watches.lags,
        .bucket_count = WATCH_LAG_BUCKETS,
        .sum_ns = s->watches.lag_sum_ns,
    };

    write_one(e, METRIC_STREAMS, s->watches.open);
    write_ends(e, &s->watches);
    exposition_family(e, &families[METRIC_LAG]);
    exposition_histogram(e, &lag);
    write_one(e, METRIC_HEARTBEATS, s->watches.heartbeats);
    write_one(e, METRIC_FEEDS, s->feeds.feeds);
    write_one(e, METRIC_SUBSCRIBERS, s->feeds.subscribers);
    write_one(e, METRIC_FEED_BYTES, s->feeds.spool_bytes);
    write_one(e, METRIC_DELIVERED, s->feeds.delivered_batches);
    write_one(e, METRIC_DELIVERED_EVENTS, s->feeds.delivered_events);
    write_one(e, METRIC_IMAGES, s->feeds.images);
    write_gaps(e, &s->feeds);
    write_one(e, METRIC_LOST_BATCHES, s->feeds.lost_batches);
    write_one(e, METRIC_LOST_BLOCKS, s->feeds.lost_blocks);
}

static void write_reloads(struct exposition *e, const struct metrics *m)
{
    exposition_family(e, &families[METRIC_RELOADS]);
    exposition_label(e, "result", "success");
    exposition_count(e, atomic_load(&m->reloads));
    exposition_label(e, "result", "failure");
    exposition_count(e, atomic_load(&m->reload_failures));
    write_one(e, METRIC_RELOAD_OK, !atomic_load(&m->reload_failed));
    exposition_family(e, &families[METRIC_RELOAD_TIME]);
    exposition_seconds(e, atomic_load(&m->reloaded_ns));
    exposition_family(e, &families[METRIC_ACCESS_RELOADS]);
    exposition_label(e, "result", "success");
    exposition_count(e, atomic_load(&m->access_reloads));
    exposition_label(e, "result", "failure");
    exposition_count(e, atomic_load(&m->access_reload_failures));
    write_one(e, METRIC_ACCESS_RELOAD_OK, !atomic_load(&m->access_reload_failed));
}

/* --- the audit --------------------------------------------------------------------------------- */

static void write_audit(struct exposition *e, const struct audit_counters *a)
{
    write_one(e, METRIC_AUDIT_RECORDS, a->records);
    write_one(e, METRIC_AUDIT_LOST, a->lost);
    write_one(e, METRIC_AUDIT_SUPPRESSED, a->suppressed);
    write_one(e, METRIC_AUDIT_FAILING, a->is_failing);
    write_one(e, METRIC_AUDIT_UNSIGNED, a->unsigned_records);
    exposition_family(e, &families[METRIC_AUDIT_CHECKPOINT]);
    exposition_seconds(e, a->checkpoint_wall_ns);
}

/* --- the mapper --------------------------------------------------------------------------------- */

static void write_mapper_counters(struct exposition *e, const struct message_counters_answer *c,
                                  uint64_t age_ns)
{
    const struct {
        enum metric_id id;
        uint64_t value;
    } rows[] = {
        { METRIC_MAPPER_REQUESTS, c->requests },
        { METRIC_HYPERCALLS, c->hypercalls },
        { METRIC_CEILING, c->ceiling_refusals },
        { METRIC_MAPS, c->maps },
        { METRIC_MAPPINGS, c->mappings },
        { METRIC_MAPPED_FRAMES, c->mapped_frames },
        { METRIC_ZOMBIES, c->zombies },
        { METRIC_DOMAINS, c->domains },
        { METRIC_COPIES, c->copies },
        { METRIC_ARENA_BYTES, c->arena_bytes },
        { METRIC_ARENA_USED, c->arena_used_bytes },
        { METRIC_ARENA_SLOTS, c->arena_slots },
        { METRIC_FALSE_RELEASES, c->false_releases },
        { METRIC_MAPPER_FEEDS, c->feeds },
        { METRIC_MAPPER_SPOOL_BYTES, c->spool_bytes },
        { METRIC_SAMPLES, c->samples },
        { METRIC_SAMPLE_FAILURES, c->sample_failures },
        { METRIC_SAMPLES_LATE, c->samples_late },
        { METRIC_SAMPLED_BYTES, c->sampled_bytes },
        { METRIC_PRODUCED, c->produced_batches },
        { METRIC_PRODUCED_BLOCKS, c->produced_blocks },
        { METRIC_PRODUCED_EVENTS, c->produced_events },
        { METRIC_TRACES, c->traces },
        { METRIC_TRACED_VCPUS, c->traced_vcpus },
        { METRIC_PRODUCED_BYTES, c->produced_bytes },
        { METRIC_MAPPER_LOST_BYTES, c->lost_bytes },
        { METRIC_OPEN_LOSSES, c->open_losses },
        { METRIC_PAUSES, c->vcpu_pauses },
        { METRIC_PAUSE_REFUSALS, c->pause_refusals },
        { METRIC_TAGS_IGNORED, c->tags_ignored },
    };

    exposition_family(e, &families[METRIC_MAPPER_AGE]);
    exposition_seconds(e, age_ns);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        write_one(e, rows[i].id, rows[i].value);
    }
}

static void write_mapper(struct exposition *e, const struct metrics_sources *s)
{
    write_one(e, METRIC_MAPPER_CONNECTED, s->mapper != NULL);
    write_one(e, METRIC_MAPPER_CONNECTIONS, atomic_load(&s->own->mapper_connections));
    write_one(e, METRIC_MAPPER_RESTARTS, s->mapper_restarts);
    if (s->mapper == NULL) {
        return; /* what it counted is no more */
    }
    exposition_family(e, &families[METRIC_MAPPER]);
    exposition_label(e, "version", s->mapper->version);
    exposition_label(e, "backend", s->mapper->backend);
    exposition_count(e, 1);
    if (s->counters != NULL) {
        write_mapper_counters(e, s->counters, s->counters_age_ns);
    }
}

void metrics_write(const struct metrics_sources *s, enum exposition_format format,
                   struct buffer *out)
{
    struct exposition e;

    exposition_begin(&e, out, format);
    write_process(&e, s->own);
    write_requests(&e, s);
    write_limit_hits(&e, s);
    write_connections(&e, &s->connections);
    write_tokens(&e, s->tokens_refused);
    write_streams(&e, s);
    write_traces(&e, s);
    write_reloads(&e, s->own);
    write_audit(&e, &s->audit);
    write_mapper(&e, s);
    exposition_end(&e);
}
