/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/reload.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "server/audit_service.h"
#include "server/check_certificates.h"
#include "server/config_changes.h"
#include "server/doors.h"
#include "server/faults.h"
#include "server/keeper.h"
#include "server/limits.h"
#include "server/material.h"
#include "server/status.h"

static const char refused[] =
    "reload refused; configuration, certificate, key, policy, limits and lists in "
    "force stay";

/* What a reload reads, until it is in force. */
struct fresh {
    struct config *config;
    struct material material;
    struct access_watch watch;
};

static void fresh_done(struct fresh *fresh)
{
    material_done(&fresh->material);
    free(fresh->config);
}

void reload_init(struct reload *r, const struct config *started)
{
    *r = (struct reload){ .started = started, .config = started };
    access_watch_init(&r->watch, started);
}

void reload_done(struct reload *r)
{
    free(r->held);
    r->held = NULL;
    buffer_done(&r->certificate);
}

/* --- the certificate ------------------------------------------------------------------------------ */

struct judgement {
    bool is_start, is_in_force;
    struct buffer *faults;
    struct failure *f;
    int result;
};

static void judge(void *arg, const char *option, const char *path,
                  const struct examine_finding *finding)
{
    struct judgement *j = arg;

    if (finding->level != EXAMINE_FAULT) {
        return; /* --check and doctor tell those */
    }
    if (j->is_in_force || (j->is_start && finding->of_the_time)) {
        log_error("clients will refuse the certificate of %s, line %u: %s (%s)", path,
                  finding->line, finding->text, option);
        return;
    }
    buffer_printf(j->faults, "%s:%u: %s (%s)\n", path, finding->line, finding->text, option);
    if (j->result == 0) {
        j->result = failure_set(j->f, ERROR_FAILED_PRECONDITION, "%s will not do", path);
        j->result = failure_cause(j->f, j->result, "%s", finding->text);
    }
}

int reload_judge_certificate(const struct reload *r, const struct config *config,
                             const struct material *m, struct buffer *faults, struct failure *f)
{
    const struct buffer *old = &r->certificate, *now = &m->certificate;
    struct judgement j = {
        .is_start = old->len_bytes == 0,
        .is_in_force = old->len_bytes == now->len_bytes && now->len_bytes > 0 &&
                       memcmp(old->data, now->data, now->len_bytes) == 0,
        .faults = faults,
        .f = f,
    };

    check_server_certificate(config, now->data, now->len_bytes,
                             (int64_t)(clock_wall_ns() / CLOCK_NS_PER_S), judge, &j);
    return j.result;
}

void reload_note_certificate(struct reload *r, struct material *m)
{
    buffer_done(&r->certificate);
    r->certificate = m->certificate;
    m->certificate = (struct buffer){ .max_bytes = m->certificate.max_bytes };
}

/* --- reading -------------------------------------------------------------------------------------- */

/* What no file but the configuration's own can be wrong about. */
static int check_limits(const struct config *now, struct buffer *faults, struct failure *f)
{
    struct failure fault = { 0 };
    int result = listener_check_exempt(now->limits_handshake_exempt, &fault);

    if (result != 0) {
        buffer_printf(faults, "%s:%u: limits.handshake_exempt: %s; %s\n", now->path,
                      config_line("limits.handshake_exempt"), fault.message, fault.next_step);
        *f = fault;
    }
    return result;
}

static int read_again(const struct reload *r, struct fresh *fresh, struct buffer *faults,
                      struct failure *f)
{
    fresh->config = malloc(sizeof(*fresh->config));
    if (fresh->config == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory");
    }
    int result = config_load(r->started->path, fresh->config, faults, f);

    if (result == 0) {
        keeper_follow(fresh->config);
        result = check_limits(fresh->config, faults, f);
    }
    if (result == 0) {
        access_watch_init(&fresh->watch, fresh->config); /* before the files are read */
        result = material_load(fresh->config, &fresh->material, faults, f);
    }
    if (result == 0) {
        result = reload_judge_certificate(r, fresh->config, &fresh->material, faults, f);
    }
    return result;
}

/* --- putting it into force ------------------------------------------------------------------------ */

static void tell_unchanged(void *arg, const char *option)
{
    unsigned *count = arg;

    log_warning("%s has changed, which counts when xenresd is restarted", option);
    ++*count;
}

static void set_limits(const struct config *now, const struct reload_parts *parts)
{
    const struct listener_limits limits = limits_of_listener(now);
    const struct feeds_options feeds = limits_of_feeds(now);
    struct doors doors;
    struct quota_limits quota;

    doors_init(&doors, now);
    int result = listener_set_admission(parts->listener, &limits, &doors.door[0], NULL);

    assert(result == 0); /* check_limits() */
    limits_of_config(now, &quota);
    quota_set_limits(parts->quota, &quota); /* shares of the mapper's follow it */
    feeds_set_limits(parts->feeds, &feeds);
}

/* The only step that can fail comes first. */
static int enforce(struct reload *r, struct fresh *fresh, const struct reload_parts *parts,
                   struct failure *f)
{
    const struct listener_pem pem = material_pem(&fresh->material);
    int result = listener_reload(parts->listener, &pem, fresh->material.access, f);

    if (result != 0) {
        return result;
    }
    set_limits(fresh->config, parts);
    rpc_set_rules(parts->rpc, fresh->material.policy, fresh->material.access);
    reload_note_certificate(r, &fresh->material);
    free(r->held);
    r->held = fresh->config;
    r->config = fresh->config;
    r->watch = fresh->watch;
    fresh->config = NULL;
    return 0;
}

/* --- what came of it ------------------------------------------------------------------------------- */

static void format_now(char out[32])
{
    time_t now = (time_t)(clock_wall_ns() / CLOCK_NS_PER_S);
    struct tm tm;

    if (gmtime_r(&now, &tm) == NULL || strftime(out, 32, "%Y-%m-%d %H:%M:%SZ", &tm) == 0) {
        snprintf(out, 32, "an unreadable time");
    }
}

static void say_done(const struct reload *r)
{
    char when[32];
    unsigned waiting = 0;

    sd_notify(0, STATUS_TAKEN);
    log_info("reloaded policy, certificate, limits, and what decides who is let in");
    config_changes(r->started, r->config, tell_unchanged, &waiting);
    format_now(when);
    if (waiting > 0) {
        status_tell(true,
                    "serving; reloaded at %s; %u changed options wait for a restart: see the log",
                    when, waiting);
    } else {
        status_tell(true, "serving; reloaded at %s", when);
    }
}

static void say_refused(const struct buffer *faults, const struct failure *f)
{
    char when[32];

    format_now(when);
    if (faults->len_bytes > 0) {
        faults_log(LOG_LEVEL_ERROR, refused, faults);
        status_tell(true, "serving as before; the reload at %s was refused: %.*s", when,
                    (int)faults->len_bytes, (const char *)faults->data);
    } else {
        log_failure(LOG_LEVEL_ERROR, refused, f);
        status_tell(true, "serving as before; the reload at %s was refused: %s", when, f->message);
    }
}

void reload_now(struct reload *r, const struct reload_parts *parts)
{
    struct fresh fresh = { 0 };
    struct failure f = { 0 };
    BUFFER_AUTO(faults, FAULTS_MAX_BYTES);

    sd_notify(0, "RELOADING=1");
    int result = read_again(r, &fresh, &faults, &f);

    if (result == 0) {
        result = enforce(r, &fresh, parts, &f);
    }
    keeper_follow(r->config); /* the old one, or what has taken its place */
    fresh_done(&fresh);
    audit_service_reloaded(parts->audit, "signal", &faults, &f);
    metrics_reloaded(parts->metrics, result == 0);
    if (result == 0) {
        say_done(r);
    } else {
        say_refused(&faults, &f);
    }
}
