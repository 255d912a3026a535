/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The trace of a lane's domain "a", whose vCPUs play a file of random bytes each: started, read by a process,
 * audited, played to its end and stopped. Included by one file of a test program.
 */
#ifndef XENRES_TESTS_CHAOS_TRACE_H
#define XENRES_TESTS_CHAOS_TRACE_H

#include "tests/lib/chaos_lane.h"
#include "tests/lib/chaos_trace_reader.h"

enum {
    CHAOS_TRACE_WAIT_S = 30,
    CHAOS_TRACE_STILL = 100, /* looks with nothing new, and so long: the file is over */
    CHAOS_TRACE_STILL_MS = 200,
    CHAOS_TRACE_LOOKED_AT_KIB_PER_MS = 64, /* of a large ring, that fills slowly */
    CHAOS_TRACE_SHOWN_ENTRIES = 400,       /* of a journal's end, where a run has failed */
};

struct chaos_host {
    uint32_t vcpus, ring_bytes, file_bytes;
    uint64_t rate;    /* bytes a second of each vCPU */
    uint32_t step_ms; /* of a virtual clock; 0: it is the real one */
};

static struct chaos_trace {
    struct chaos_host host;
    struct trace_reader reader;
    struct trace_audit audits[TRACE_READER_VCPUS_MAX];
    uint8_t *files[TRACE_READER_VCPUS_MAX];
} chaos_trace;

static inline void chaos_trace_print(FILE *out, uint32_t vcpu)
{
    static const char *const kinds[] = { "",    "started",    "begin",     "",
                                         "",    "",           "",          "",
                                         "gap", "checkpoint", "heartbeat", "cut",
                                         "end", "failed",     "segment",   "data" };
    const struct journal *j = chaos_trace.reader.vcpus[vcpu].journal;
    const struct journal_entry *e;
    size_t at = 0, count = 0, n = 0;

    while (journal_next(j, &at) != NULL) {
        count++;
    }
    at = 0;
    while ((e = journal_next(j, &at)) != NULL) {
        bool has_text =
            e->kind == JOURNAL_END || e->kind == JOURNAL_FAILED || e->kind == JOURNAL_CUT;

        if (++n + CHAOS_TRACE_SHOWN_ENTRIES > count) {
            fprintf(out,
                    "# %u: %s %" PRIu64 " +%" PRIu64 " (%u) offset %" PRIu64
                    " segment %u reason %u%s%s %s %s\n",
                    vcpu, kinds[e->kind], e->first, e->sequence, e->count, e->offset, e->segment,
                    e->reason, e->exact ? " exact" : "", e->resumed ? " resumed" : "", e->feed,
                    has_text ? (const char *)(e + 1) : "");
        }
    }
}

/* What the host is, and what was told. */
static inline void chaos_trace_explain(FILE *out)
{
    const struct chaos_host *h = &chaos_trace.host;

    fprintf(out,
            "# %u vCPUs, rings of %u, files of %u, %" PRIu64 " bytes a second, steps of %u ms\n",
            h->vcpus, h->ring_bytes, h->file_bytes, h->rate, h->step_ms);
    for (uint32_t i = 0; i < chaos_trace.host.vcpus; i++) {
        fprintf(out, "# vCPU %u: %s at %" PRIu64 "%s, shift %" PRIu64 "\n", i,
                chaos_trace.audits[i].is_over ? "over" : "not over", chaos_trace.audits[i].next,
                chaos_trace.audits[i].is_placed ? "" : " or more", chaos_trace.audits[i].shift);
        chaos_trace_print(out, i);
    }
}

/* --- files --- */

/* Once in a lane. */
static inline void chaos_trace_prepare(size_t file_bytes_max)
{
    for (uint32_t i = 0; i < TRACE_READER_VCPUS_MAX; i++) {
        struct journal *j = i == 0 ? lane.journal : journal_new();

        if (i > 0) {
            (void)close(j->event_fd);
            j->event_fd = lane.journal->event_fd; /* whichever is told wakes us */
        }
        chaos_trace.reader.vcpus[i].journal = j;
        chaos_trace.reader.domain = "name:a";
        chaos_trace.files[i] = malloc(file_bytes_max);
        LANE_MUST(chaos_trace.files[i] != NULL, "no memory");
    }
    units_write(&lane.units, "export", "allow all all list,trace.read,trace.control\n");
}

static inline void chaos_trace_write_file(uint32_t vcpu, uint64_t chance)
{
    uint32_t len = chaos_trace.host.file_bytes;
    uint8_t *bytes = chaos_trace.files[vcpu];
    char path[UNITS_PATH_BYTES];

    for (uint32_t at = 0; at < len; at += sizeof(uint32_t)) {
        uint32_t some = acts_chance(&chance, UINT32_MAX);

        memcpy(bytes + at, &some, len - at < sizeof(some) ? len - at : sizeof(some));
    }
    (void)snprintf(path, sizeof(path), "%s/vcpu%u.pt", lane.units.dir, vcpu);
    FILE *file = fopen(path, "we");

    LANE_MUST(file != NULL && fwrite(bytes, 1, len, file) == len, path);
    LANE_MUST(fclose(file) == 0 && chmod(path, 0644) == 0, path);
}

/* The scenario of a host, whose vCPUs play files of this seed. */
static inline void chaos_trace_write(const struct chaos_host *h, uint64_t seed)
{
    static const char *const sources[] = { "\"vcpu0.pt\"", "\"vcpu0.pt\", \"vcpu1.pt\"",
                                           "\"vcpu0.pt\", \"vcpu1.pt\", \"vcpu2.pt\"" };
    char clock[64] = "";

    chaos_trace.host = *h;
    for (uint32_t i = 0; i < h->vcpus; i++) {
        chaos_trace_write_file(i, seed * TRACE_READER_VCPUS_MAX + i);
    }
    if (h->step_ms > 0) {
        (void)snprintf(clock, sizeof(clock), "clock = \"virtual\" step_ms = %u", h->step_ms);
    }
    units_write(&lane.units, "scenario",
                "seed = %" PRIu64 "\n%s\n"
                "domain \"a\" { domid = 1 uuid = \"11111111-1111-1111-1111-111111111111\"\n"
                "  type = \"hvm\" vcpus = %u\n"
                "  vmtrace { size = %u source = { %s } rate = %" PRIu64 " } }\n",
                seed % 1000000, clock, h->vcpus, h->ring_bytes, sources[h->vcpus - 1], h->rate);
}

/* --- traces ------------------------------------------------------------------------------------------- */

static inline void chaos_trace_read_audits(void)
{
    for (uint32_t i = 0; i < chaos_trace.host.vcpus; i++) {
        LANE_MUST(trace_audit_read(&chaos_trace.audits[i]), chaos_trace.audits[i].fault);
    }
}

static inline bool chaos_trace_are_over(void)
{
    bool are = true;

    chaos_trace_read_audits();
    for (uint32_t i = 0; i < chaos_trace.host.vcpus; i++) {
        are = chaos_trace.audits[i].is_over && are;
    }
    return are;
}

static inline void chaos_trace_wait_over(void)
{
    uint64_t until_ns = clock_monotonic_ns() + CHAOS_TRACE_WAIT_S * CLOCK_NS_PER_S;

    while (!chaos_trace_are_over()) {
        LANE_MUST(clock_monotonic_ns() < until_ns, "the trace is over, and nobody hears of it");
        lane_wait_told(20);
    }
}

/* Until xenresd has the mapper that there is now. */
static inline void chaos_trace_call(bool (*try)(xenres_error *error))
{
    uint64_t until_ns = clock_monotonic_ns() + CHAOS_TRACE_WAIT_S * CLOCK_NS_PER_S;
    xenres_error error;

    while (!try(&error)) {
        LANE_MUST(error.code == XENRES_UNAVAILABLE && clock_monotonic_ns() < until_ns,
                  error.message);
        (void)poll(NULL, 0, 2);
    }
}

static inline bool chaos_trace_try_start(xenres_error *error)
{
    xenres_trace_options options = XENRES_TRACE_OPTIONS_INIT("name:a");
    const xenres_trace *trace;
    xenres_reply *reply = NULL;
    bool joined;
    bool is_started =
        xenres_trace_start(lane.direct, &options, &trace, &joined, &reply, error) == 0;

    if (is_started) {
        (void)snprintf(chaos_trace.reader.trace_id, sizeof(chaos_trace.reader.trace_id), "%s",
                       trace->trace_id);
    }
    xenres_reply_free(reply);
    return is_started;
}

/* Starts it, and a client that reads it. `is_first` of the host: it begins where the files do; else where the
 * one before it ended, or, as the mapper tries whether somebody else traces by enabling, a little later. */
static inline void chaos_trace_start(bool is_first)
{
    chaos_trace_call(chaos_trace_try_start);
    chaos_trace.reader.vcpu_count = chaos_trace.host.vcpus;
    for (uint32_t i = 0; i < chaos_trace.host.vcpus; i++) {
        struct trace_reader_vcpu *v = &chaos_trace.reader.vcpus[i];

        v->played = (struct trace_played){
            .bytes = chaos_trace.files[i],
            .len_bytes = chaos_trace.host.file_bytes,
            .shift = is_first ? 0 : chaos_trace.audits[i].next + chaos_trace.audits[i].shift,
            .is_exact = is_first,
        };
        journal_clear(v->journal);
        trace_audit_init(&chaos_trace.audits[i], v->journal, &v->played);
    }
    lane_start_client();
}

/* What the mapper says that was produced, by all vCPUs; UINT64_MAX: nobody answers. */
static inline uint64_t chaos_trace_produced(void)
{
    const xenres_trace_status *status;
    xenres_reply *reply = NULL;
    xenres_error error;
    uint64_t sum = UINT64_MAX;

    if (xenres_trace_get(lane.direct, "name:a", &status, &reply, &error) == 0) {
        sum = 0;
        LANE_MUST(status->trace.end_reason == XENRES_TRACE_RUNS, "it ended by itself");
        for (size_t i = 0; i < status->vcpu_count; i++) {
            sum += status->vcpus[i].produced_bytes;
        }
    }
    xenres_reply_free(reply);
    return sum;
}

static inline bool chaos_trace_is_all_told(void)
{
    bool is = true;

    for (uint32_t i = 0; i < chaos_trace.host.vcpus; i++) {
        const struct trace_audit *a = &chaos_trace.audits[i];

        is = is && trace_audit_is_exact(a) && a->next + a->shift == a->file_len;
    }
    return is;
}

/* Until all that the vCPUs play has been told of; or nothing more is produced: the last of it was lost, and
 * nobody knows how much that was, or is so close to the ring's end that it is held back until the trace
 * ends. */
static inline void chaos_trace_play_on(void)
{
    uint64_t until_ns = clock_monotonic_ns() + CHAOS_TRACE_WAIT_S * CLOCK_NS_PER_S;
    uint64_t look_ms = chaos_trace.host.ring_bytes / 1024 / CHAOS_TRACE_LOOKED_AT_KIB_PER_MS;
    uint64_t still_ns = (CHAOS_TRACE_STILL_MS + 2 * look_ms) * CLOCK_NS_PER_MS;
    uint64_t before = UINT64_MAX, now, since_ns = clock_monotonic_ns();
    unsigned still = 0;

    for (chaos_trace_read_audits();
         !chaos_trace_is_all_told() &&
         (still < CHAOS_TRACE_STILL || clock_monotonic_ns() - since_ns < still_ns);
         chaos_trace_read_audits()) {
        LANE_MUST(clock_monotonic_ns() < until_ns, "the file does not come to its end");
        LANE_MUST(waitpid(lane.client, NULL, WNOHANG) == 0, "the client ended");
        lane_step(1);
        now = chaos_trace_produced();
        still = now != UINT64_MAX && now == before ? still + 1 : 0;
        since_ns = still == 0 ? clock_monotonic_ns() : since_ns;
        before = now;
    }
}

static inline bool chaos_trace_try_stop(xenres_error *error)
{
    const xenres_trace *trace;
    xenres_reply *reply = NULL;
    bool is_stopped = xenres_trace_stop(lane.direct, "name:a", chaos_trace.reader.trace_id, &trace,
                                        &reply, error) == 0;

    LANE_MUST(!is_stopped || trace->end_reason == XENRES_TRACE_STOPPED,
              "it was stopped, and does not say so");
    xenres_reply_free(reply);
    return is_stopped;
}

/* What was produced by the mapper's account is what the readers were told of. */
static inline bool chaos_trace_try_check(xenres_error *error)
{
    const xenres_trace_status *status;
    xenres_reply *reply = NULL;
    bool is_answered = xenres_trace_get(lane.direct, "name:a", &status, &reply, error) == 0;

    LANE_MUST(!is_answered || status->vcpu_count == chaos_trace.host.vcpus, "its vCPUs are others");
    for (uint32_t i = 0; is_answered && i < chaos_trace.host.vcpus; i++) {
        const struct trace_audit *a = &chaos_trace.audits[i];

        LANE_MUST(a->end_reason == XENRES_TRACE_STOPPED,
                  xenres_trace_end_reason_name(a->end_reason));
        LANE_MUST(a->told + a->lost == status->vcpus[i].produced_bytes,
                  "produced is not delivered + lost");
    }
    xenres_reply_free(reply);
    return is_answered;
}

static inline void chaos_trace_stop(void)
{
    chaos_trace_call(chaos_trace_try_stop);
    chaos_trace_wait_over();
    chaos_trace_call(chaos_trace_try_check);
    (void)units_end(&lane.client, SIGKILL);
}

/* After the last trace of a host whose files are over: nothing is missing at their end. */
static inline void chaos_trace_check_end(void)
{
    for (uint32_t i = 0; i < chaos_trace.host.vcpus; i++) {
        const struct trace_audit *a = &chaos_trace.audits[i];

        LANE_MUST(!trace_audit_is_exact(a) || a->next + a->shift == a->file_len,
                  "the file's end is missing, and nobody says so");
    }
}

#endif
