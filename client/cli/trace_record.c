/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/trace_record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/report.h"
#include "client/cli/trace_check.h"
#include "client/cli/trace_lane.h"
#include "client/cli/trace_meter.h"
#include "client/cli/trace_show.h"
#include "common/clock.h"
#include "common/scope.h"

enum {
    TICK_MS = 100,
    SAVE_FIRST_MS = 100, /* between two manifests; twice as long after each */
    SAVE_MS = 1000,
    DRAIN_MS = 30 * 1000, /* for the rest, once the trace was stopped */
    ONLOOKER_MS = 1000,   /* for an answer about how it fares */
    ONE_WISH_MS = 500,    /* signals this soon behind the first are the same wish */
};

struct recording_of_trace {
    struct cli *cli;
    const struct trace_record_options *options;
    int dir_fd;
    struct manifest manifest; /* its vCPUs: as saved last */
    struct trace_lane *lanes;
    size_t lane_count;
    xenres *control;
    xenres *onlooker; /* asks how it fares, and waits for no answer for long; NULL: nobody asks */
    sigset_t signals;
    struct trace_meter meter;

    uint64_t deadline_ns; /* of the time to record; 0: none */
    uint64_t saved_ns;
    uint32_t save_ms;        /* until it is saved again */
    uint64_t wished_ns;      /* since when it is to end; 0: it is not */
    uint64_t drain_until_ns; /* 0: it is not drained */
    bool is_stop_tried;      /* of the trace */
    const char *why;         /* it ends */
    struct failure failure;  /* of this machine */
};

/* --- signals --- */

/* Before any handle is made: no thread of the library's takes them. */
static void block_signals(struct recording_of_trace *r)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, TRACE_LANE_SIGNAL };

    sigemptyset(&r->signals);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction old;

        /* One that is ignored (nohup) stays ignored. */
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
            sigaddset(&r->signals, numbers[i]);
        }
    }
    (void)pthread_sigmask(SIG_BLOCK, &r->signals, NULL);
}

/* --- which trace --- */

/* 0: *trace runs, or was started. Else reported. */
static int start_trace(struct recording_of_trace *r, const xenres_trace **trace,
                       xenres_reply **reply)
{
    xenres_error error;
    bool joined;

    if (xenres_trace_start(r->control, &r->options->start, trace, &joined, reply, &error) != 0) {
        return report_error(&error);
    }
    r->manifest.is_ours = !joined;
    return 0;
}

static int find_trace(struct recording_of_trace *r, const xenres_trace **trace,
                      xenres_reply **reply)
{
    const xenres_trace_status *status;
    xenres_error error;

    if (r->options->start.takeover) {
        return start_trace(r, trace, reply);
    }
    int result = xenres_trace_get(r->control, r->options->start.domain, &status, reply, &error);

    if (result == 0 && status->trace.end_reason == XENRES_TRACE_RUNS) {
        report_note("it is traced already: that trace is recorded, and will run on");
        *trace = &status->trace;
        return 0;
    }
    if (result != 0 && error.code != XENRES_NOT_FOUND && error.code != XENRES_FAILED_PRECONDITION) {
        return report_error(&error);
    }
    if (result == 0) {
        xenres_reply_free(*reply);
        *reply = NULL;
    }
    return start_trace(r, trace, reply);
}

static void ask_host(struct recording_of_trace *r)
{
    CLI_REPLY reply = NULL;
    const xenres_host *host;

    /* Not to know of which host it is harms nothing else. */
    if (xenres_get_host(r->control, &reply, &host, NULL) == 0) {
        manifest_set_host(&r->manifest, host);
    }
}

/* True: nothing more is traced. */
static bool stop_trace(struct recording_of_trace *r)
{
    CLI_REPLY reply = NULL;
    const xenres_trace *trace;
    xenres_error error;

    r->is_stop_tried = true;
    if (xenres_trace_stop(r->control, r->manifest.uuid, r->manifest.trace_id, &trace, &reply,
                          &error) == 0) {
        return true;
    }
    report_note("the trace could not be stopped, and ends with its lease: %s", error.message);
    return false;
}

/* This machine cannot record it: nobody would read what was started for that. */
static void give_up(struct recording_of_trace *r)
{
    if (r->manifest.is_ours && !r->is_stop_tried && stop_trace(r)) {
        report_note(
            "the trace that was started for it was stopped; what was not recorded of it is held "
            "for a minute");
    }
}

static int begin_anew(struct recording_of_trace *r)
{
    CLI_REPLY reply = NULL;
    const xenres_trace *trace;
    const xenres_trace_options *o = &r->options->start;
    int status = find_trace(r, &trace, &reply);

    if (status != 0) {
        return status;
    }
    manifest_set_trace(&r->manifest, trace);
    ask_host(r);
    bool is_set = o->vcpu_count > 0 ? manifest_set_vcpus(&r->manifest, o->vcpus, o->vcpu_count)
                                    : manifest_set_vcpus(&r->manifest, r->manifest.traced,
                                                         r->manifest.traced_count);

    if (!is_set) {
        status = report_no_memory();
        give_up(r);
    }
    return status;
}

/* --- going on --- */

static int is_another(const struct recording_of_trace *r, const char *what)
{
    struct failure f;
    int result = failure_set(&f, ERROR_ABORTED, "the recording is of another %s", what);

    failure_cause(&f, result, "it is of trace %s of %s (incarnation %s)", r->manifest.trace_id,
                  r->manifest.name, r->manifest.incarnation);
    failure_next(&f, result, "what was not read of it is lost: record anew, into another folder");
    (void)report_failure(&f);
    return error_exit_status(ERROR_ABORTED);
}

static int check_trace(struct recording_of_trace *r)
{
    CLI_REPLY reply = NULL;
    const xenres_trace_status *status;
    xenres_error error;
    int result = xenres_trace_get(r->control, r->options->start.domain, &status, &reply, &error);

    if (result != 0) {
        return error.code == XENRES_FAILED_PRECONDITION ? is_another(r, "trace")
                                                        : report_error(&error);
    }
    if (strcmp(status->trace.domain.incarnation, r->manifest.incarnation) != 0 ||
        strcmp(status->trace.domain.uuid, r->manifest.uuid) != 0) {
        return is_another(r, "life of the domain");
    }
    return strcmp(status->trace.trace_id, r->manifest.trace_id) == 0 ? 0 : is_another(r, "trace");
}

static int go_on(struct recording_of_trace *r)
{
    struct failure f = { 0 };

    if (trace_files_load(r->dir_fd, &r->manifest, &f) != 0) {
        (void)report_failure(&f);
        return error_exit_status(f.code);
    }
    int status = check_trace(r);

    if (status == 0 && trace_files_trim(r->dir_fd, &r->manifest, &f) != 0) {
        (void)report_failure(&f);
        return error_exit_status(f.code);
    }
    r->manifest.is_closed = false;
    r->manifest.closed_why[0] = '\0';
    return status;
}

/* --- lanes --- */

/* Behind such an end nothing comes, whoever asks. */
static bool is_final(const struct manifest_vcpu *v)
{
    return v->has_end && (v->end_reason < XENRES_TRACE_SHUTTING_DOWN ||
                          v->end_reason > XENRES_TRACE_CREDENTIALS_EXPIRED);
}

static int make_lane(struct recording_of_trace *r, struct trace_lane *lane,
                     struct manifest_vcpu *vcpu)
{
    struct manifest_vcpu copy;
    int status = 0;

    if (!manifest_copy_vcpu(&copy, vcpu)) {
        return report_no_memory();
    }
    trace_writer_init(&lane->writer, r->dir_fd, &copy);
    lane->domain = r->manifest.uuid;
    lane->incarnation = r->manifest.incarnation;
    lane->trace_id = r->manifest.trace_id;
    lane->place = manifest_next(vcpu);
    (void)snprintf(lane->feed, sizeof(lane->feed), "%s", vcpu->feed);
    (void)snprintf(lane->cursor, sizeof(lane->cursor), "%s", vcpu->cursor);
    if (!is_final(vcpu)) {
        lane->writer.vcpu.has_end = false;
        lane->handle = cli_connect(r->cli, &status);
    }
    return status;
}

static int make_lanes(struct recording_of_trace *r)
{
    r->lanes = calloc(r->manifest.vcpu_count + 1, sizeof(*r->lanes));
    if (r->lanes == NULL) {
        return report_no_memory();
    }
    for (size_t i = 0; i < r->manifest.vcpu_count; i++) {
        r->lanes[i].writer.fd = -1; /* one that cannot be made has nothing to close */
    }
    int status = 0;

    while (status == 0 && r->lane_count < r->manifest.vcpu_count) {
        size_t i = r->lane_count++;

        status = make_lane(r, &r->lanes[i], &r->manifest.vcpus[i]);
    }
    return status;
}

static int start_lanes(struct recording_of_trace *r)
{
    for (size_t i = 0; i < r->lane_count; i++) {
        struct trace_lane *lane = &r->lanes[i];

        if (lane->handle == NULL) {
            atomic_store(&lane->is_over, true);
            continue;
        }
        int errnum = trace_lane_start(lane);

        if (errnum != 0) {
            return report_local("no thread can be had", "", errnum, "record fewer vCPUs");
        }
    }
    return 0;
}

static void cancel_lanes(const struct recording_of_trace *r)
{
    for (size_t i = 0; i < r->lane_count; i++) {
        if (r->lanes[i].handle != NULL) {
            xenres_cancel(r->lanes[i].handle);
        }
    }
}

static bool are_over(const struct recording_of_trace *r)
{
    for (size_t i = 0; i < r->lane_count; i++) {
        if (!atomic_load(&r->lanes[i].is_over)) {
            return false;
        }
    }
    return true;
}

/* One that fails ends all: what can be recorded whole is recorded whole. */
static const struct trace_lane *failed_lane(const struct recording_of_trace *r)
{
    for (size_t i = 0; i < r->lane_count; i++) {
        const struct trace_lane *lane = &r->lanes[i];

        if (atomic_load(&lane->is_over) && lane->result != 0 &&
            (lane->error.code != XENRES_CANCELED || lane->writer.f.code != 0)) {
            return lane;
        }
    }
    return NULL;
}

/* --- saving --- */

static int save(struct recording_of_trace *r)
{
    for (size_t i = 0; i < r->lane_count; i++) {
        struct manifest_vcpu now;
        int result = trace_writer_settle(&r->lanes[i].writer, &now, &r->failure);

        if (result != 0) {
            return result;
        }
        manifest_done_vcpu(&r->manifest.vcpus[i]);
        r->manifest.vcpus[i] = now;
    }
    r->saved_ns = clock_monotonic_ns();
    return trace_files_save(r->dir_fd, &r->manifest, &r->failure);
}

/* The first vCPU of which more may come, or may have come; NULL: there is none. */
static const struct manifest_vcpu *unended(const struct recording_of_trace *r)
{
    for (size_t i = 0; i < r->manifest.vcpu_count; i++) {
        const struct manifest_vcpu *v = &r->manifest.vcpus[i];

        if (!v->has_end || !trace_check_ends_trace(v->end_reason)) {
            return v;
        }
    }
    return NULL;
}

/* Was it cut off? Who wished an end of a trace that is not his got what he wished: it runs on. */
static bool is_cut_off(const struct recording_of_trace *r)
{
    bool may_run_on = r->wished_ns != 0 && !r->manifest.is_ours;

    for (size_t i = 0; i < r->manifest.vcpu_count; i++) {
        const struct manifest_vcpu *v = &r->manifest.vcpus[i];

        if (v->has_end ? !trace_check_ends_trace(v->end_reason) : !may_run_on) {
            return true;
        }
    }
    return false;
}

/* Why it is closed. */
static const char *why_of(const struct recording_of_trace *r)
{
    const struct manifest_vcpu *v = unended(r);

    if (r->failure.code != 0) {
        return r->failure.message;
    }
    if (v == NULL) {
        return "the trace ended";
    }
    if (r->why != NULL) {
        return r->why;
    }
    if (v->has_end) {
        return v->end_message[0] != '\0' ? v->end_message
                                         : xenres_trace_end_reason_name(v->end_reason);
    }
    return "a failure ended it";
}

/* Behind a failure to save, what was saved last is all that is known to be there: that is closed. */
static void close_manifest(struct recording_of_trace *r)
{
    struct failure ignored;

    if (r->failure.code == 0) {
        (void)save(r); /* what the last save has seen may be older than the ends */
    }
    r->manifest.is_closed = true;
    manifest_take_text(r->manifest.closed_why, sizeof(r->manifest.closed_why), why_of(r));
    (void)trace_files_save(r->dir_fd, &r->manifest, r->failure.code == 0 ? &r->failure : &ignored);
}

/* --- until it ends --- */

/* It is to end now. What is ours is stopped and read to the end; in other traces there is none. */
static void wish_end(struct recording_of_trace *r, const char *why)
{
    uint64_t now_ns = clock_monotonic_ns();

    if (r->wished_ns != 0) {
        if (now_ns - r->wished_ns > ONE_WISH_MS * CLOCK_NS_PER_MS) {
            cancel_lanes(r);
        }
        return;
    }
    r->wished_ns = now_ns;
    r->why = why;
    if (r->manifest.is_ours && stop_trace(r)) {
        r->drain_until_ns = clock_monotonic_ns() + DRAIN_MS * CLOCK_NS_PER_MS;
    } else {
        cancel_lanes(r);
    }
}

static void look_at_clock(struct recording_of_trace *r)
{
    uint64_t now_ns = clock_monotonic_ns();

    if (r->deadline_ns != 0 && now_ns >= r->deadline_ns && r->wished_ns == 0) {
        wish_end(r, "the time to record was over");
    }
    if (r->drain_until_ns != 0 && now_ns >= r->drain_until_ns) {
        cancel_lanes(r);
    }
    if (now_ns - r->saved_ns >= r->save_ms * CLOCK_NS_PER_MS) {
        r->save_ms = r->save_ms < SAVE_MS / 2 ? 2 * r->save_ms : SAVE_MS;
        if (save(r) != 0) {
            cancel_lanes(r);
        }
        trace_meter_update(&r->meter, &r->manifest, r->onlooker);
    }
}

static void attend(struct recording_of_trace *r)
{
    const struct timespec tick = { .tv_nsec = TICK_MS * (long)CLOCK_NS_PER_MS };

    while (!are_over(r)) {
        int number = sigtimedwait(&r->signals, NULL, &tick);

        if (number > 0 && number != TRACE_LANE_SIGNAL) {
            wish_end(r, "ended by a signal");
        }
        if (failed_lane(r) != NULL || r->failure.code != 0) {
            cancel_lanes(r);
        }
        look_at_clock(r);
    }
}

/* 0: nothing failed. One of the gateway leaves the trace as it is: it may be back soon. */
static int report_end(struct recording_of_trace *r, const struct trace_lane *failed)
{
    bool is_of_gateway = failed != NULL && failed->writer.f.code == 0;
    int status = is_of_gateway          ? report_error(&failed->error)
                 : failed != NULL       ? report_failure(&failed->writer.f)
                 : r->failure.code != 0 ? report_failure(&r->failure)
                                        : 0;

    if (status != 0 && (!is_of_gateway || r->failure.code != 0)) {
        give_up(r);
    }
    return status;
}

static int conclude(struct recording_of_trace *r)
{
    const struct trace_lane *failed = failed_lane(r);

    if (failed != NULL && r->why == NULL) {
        r->why = failed->writer.f.code != 0 ? failed->writer.f.message : failed->error.message;
    }
    close_manifest(r);
    int status = report_end(r, failed);

    if (failed == NULL && status != 0) {
        return status;
    }
    int shown = trace_show_recording(&r->manifest, r->cli->format == CLI_FORMAT_JSON);

    if (status == 0 && shown == 0 && (trace_show_is_lossy(&r->manifest) || is_cut_off(r))) {
        report_note("what is missing: xenres verify %s", r->options->folder);
        return error_exit_status(ERROR_DATA_LOSS);
    }
    return status != 0 ? status : shown;
}

static int record(struct recording_of_trace *r)
{
    int status = make_lanes(r);

    if (status == 0 && save(r) != 0) { /* before the first byte: that it is ours is known */
        status = report_failure(&r->failure);
    }
    if (status != 0) {
        give_up(r);
        return status;
    }
    if (r->options->duration_ms > 0) {
        r->deadline_ns = clock_monotonic_ns() + r->options->duration_ms * CLOCK_NS_PER_MS;
    }
    if (trace_meter_begin(&r->meter)) {
        struct cli onlooker = *r->cli;

        onlooker.options.timeout_ms = ONLOOKER_MS;
        onlooker.options.retries = XENRES_NO_RETRIES;
        r->onlooker = cli_connect(&onlooker, &status);
    }
    status = start_lanes(r);
    if (status == 0) {
        attend(r);
    } else {
        cancel_lanes(r); /* those that have begun: the others never are over */
    }
    for (size_t i = 0; i < r->lane_count; i++) {
        trace_lane_join(&r->lanes[i]);
    }
    trace_meter_end(&r->meter);
    if (status != 0) {
        give_up(r);
        return status;
    }
    return conclude(r);
}

static int prepare_and_record(struct recording_of_trace *r)
{
    struct failure f = { 0 };
    int status = 0;

    block_signals(r);
    if (trace_files_open(r->options->folder, !r->options->resume, &r->dir_fd, &f) != 0) {
        (void)report_failure(&f);
        return f.code == ERROR_UNKNOWN ? EXIT_LOCAL : error_exit_status(f.code);
    }
    r->control = cli_connect(r->cli, &status);
    if (r->control == NULL) {
        return status;
    }
    status = r->options->resume ? go_on(r) : begin_anew(r);
    return status == 0 ? record(r) : status;
}

int trace_record_run(struct cli *cli, const struct trace_record_options *options)
{
    SCOPE_FREE struct recording_of_trace *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        return report_no_memory();
    }
    r->cli = cli;
    r->options = options;
    r->dir_fd = -1;
    r->save_ms = SAVE_FIRST_MS; /* who is killed soon, and again and again, comes on all the same */
    int status = prepare_and_record(r);

    for (size_t i = 0; i < r->lane_count; i++) {
        trace_writer_done(&r->lanes[i].writer);
        xenres_free(r->lanes[i].handle);
    }
    free(r->lanes);
    manifest_done(&r->manifest);
    xenres_free(r->control);
    xenres_free(r->onlooker);
    if (r->dir_fd >= 0) {
        (void)close(r->dir_fd);
    }
    return status;
}
