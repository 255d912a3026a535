/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/service.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

#include "auth/quota.h"
#include "auth/seal.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/scope.h"
#include "server/alive.h"
#include "server/audit_service.h"
#include "server/confinement.h"
#include "server/doors.h"
#include "server/faults.h"
#include "server/http/health.h"
#include "server/http/listener.h"
#include "server/inherited.h"
#include "server/keeper.h"
#include "server/limits.h"
#include "server/material.h"
#include "server/metrics.h"
#include "server/reload.h"
#include "server/resource/feeds.h"
#include "server/resource/mapper_client.h"
#include "server/resource/mapper_counters.h"
#include "server/rpc/cors.h"
#include "server/rpc/method.h"
#include "server/rpc/rpc.h"
#include "server/status.h"

enum {
    MAPPER_WAIT_MS = 10000, /* for the first hello, before readiness is told without it */
    COUNTERS_MS = 5000,     /* how often the mapper is asked what it counts */
    STOP_GRACE_MS = 5000,   /* for exchanges that run when the service is told to stop */
    BACKOFF_MIN_MS = 20,
};

/* Everything that runs, in the order of its start. Owned by service_run()'s thread; the mapper
 * client's thread touches `feeds`, `rpc`, `wake_fd`, `metrics` and `counters` only, and health's reads the
 * parts that it tells of, with `look_lock`. */
struct service {
    struct reload reload;     /* has the configuration */
    struct material material; /* until the parts have it */
    struct seal *seal;
    struct audit *audit;
    struct doors doors;
    int health_fd; /* until health takes it */
    int signal_fd, wake_fd, keeper_fd;
    uint8_t machine_uuid[UUID_BYTES], boot_uuid[UUID_BYTES]; /* zeros: there is none */
    struct metrics metrics;
    struct mapper_counters counters;
    uint64_t counters_due_ns;
    struct mapper_client *mapper;
    _Atomic(struct feeds *) feeds;
    struct quota *quota;
    struct cors *cors;
    _Atomic(struct rpc *) rpc;
    struct listener *listener;
    struct health *health;
    struct alive alive;

    pthread_mutex_t look_lock;
    bool stopping; /* under it: health answers to the end, but looks at the others no more */
};

static int open_signals(int *signal_fd, struct failure *f)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        return failure_call(f, failure_set(f, ERROR_INTERNAL, "cannot block signals"),
                            "sigprocmask", errno);
    }
    *signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return *signal_fd >= 0
               ? 0
               : failure_call(f, failure_set(f, ERROR_INTERNAL, "cannot receive signals"),
                              "signalfd", errno);
}

/* A UUID that lasts, for a host whose mapper finds none: made of the machine id, which is not to be
 * shown itself (machine-id(5)). Left as zeros where there is no machine id. */
static void read_machine_uuid(uint8_t out[UUID_BYTES])
{
    static const sd_id128_t application =
        SD_ID128_MAKE(6d, f2, 3c, 51, 0b, 9e, 4d, 7a, 88, 17, c4, 2e, a5, 60, d9, 3f);
    sd_id128_t id;

    if (sd_id128_get_machine_app_specific(application, &id) >= 0) {
        memcpy(out, id.bytes, UUID_BYTES);
    }
}

static void read_boot_uuid(uint8_t out[UUID_BYTES])
{
    sd_id128_t id;

    if (sd_id128_get_boot(&id) >= 0) {
        memcpy(out, id.bytes, UUID_BYTES);
    }
}

static bool take_inherited(struct service *s)
{
    struct inherited sockets;

    inherited_take(&sockets, &s->doors);
    s->health_fd = sockets.health_fd;
    s->keeper_fd = sockets.keeper_fd;
    return s->doors.door[0].listen_fd >= 0 && s->keeper_fd >= 0;
}

/* What needs rights that the sandbox takes away. */
static int prepare(struct service *s, const struct config *config, struct buffer *faults,
                   struct failure *f)
{
    char seal_path[CONFIG_TEXT_BYTES + 16];

    if (!take_inherited(s)) {
        return failure_set(f, ERROR_FAILED_PRECONDITION,
                           "a worker is started by its supervisor, who hands its sockets over");
    }
    keeper_use(s->keeper_fd, config);
    reload_init(&s->reload, config);
    read_machine_uuid(s->machine_uuid);
    read_boot_uuid(s->boot_uuid);
    material_accept_user(config);
    int result = material_load(config, &s->material, faults, f);

    if (result == 0) {
        result = reload_judge_certificate(&s->reload, config, &s->material, faults, f);
    }
    if (result == 0) {
        snprintf(seal_path, sizeof(seal_path), "%s/seal.key", config->server_state_dir);
        result = seal_load(seal_path, &s->seal, f);
    }
    if (result == 0) {
        result = audit_service_open(config, &s->rpc, &s->audit, f);
    }
    if (result == 0) {
        /* Of a listener that the configuration has since the supervisor read it there is no socket yet. */
        result = doors_bind(&s->doors, config, f);
    }
    if (result == 0) {
        doors_log(&s->doors);
    }
    return result;
}

static void wake(struct service *s)
{
    uint64_t one = 1;

    (void)!write(s->wake_fd, &one, sizeof(one)); /* full: it is awake already */
}

static void on_connected(void *arg, bool connected)
{
    struct service *s = arg;
    struct feeds *feeds = atomic_load(&s->feeds);

    if (feeds != NULL) {
        feeds_connected(feeds, connected);
    }
    if (connected) {
        log_info("connected to the mapper");
        atomic_fetch_add(&s->metrics.mapper_connections, 1);
    } else {
        log_warning("the mapper is gone; trying to reach it again");
        mapper_counters_forget(&s->counters);
    }
    wake(s);
}

static void on_domains_changed(void *arg, uint64_t generation)
{
    struct service *s = arg;
    struct rpc *rpc = atomic_load(&s->rpc);

    if (rpc != NULL) {
        rpc_domains_changed(rpc, generation);
    }
}

static bool ready(void *arg, struct buffer *reasons)
{
    struct service *s = arg;
    struct message_hello_answer hello;

    (void)pthread_mutex_lock(&s->look_lock);
    const char *reason = s->stopping ? "stopping\n"
                         : !mapper_client_hello(s->mapper, &hello)
                             ? "the mapper is not connected: see its log\n"
                             : NULL;

    if (reason != NULL) {
        buffer_append_string(reasons, reason);
    }
    bool is_closed = !s->stopping && audit_service_is_closed(s->audit, reasons);

    (void)pthread_mutex_unlock(&s->look_lock);
    return reason == NULL && !is_closed;
}

/* Of all parts, which are there. */
static void write_metrics(struct service *s, enum exposition_format format, struct buffer *out)
{
    struct rpc *rpc = atomic_load(&s->rpc);
    struct message_hello_answer hello;
    struct message_counters_answer counters;
    struct metrics_sources sources = {
        .own = &s->metrics,
        .meter = rpc_meter(rpc),
        .requests_in_flight = rpc_requests_in_flight(rpc),
        .mapper_restarts = mapper_client_restarts(s->mapper),
    };

    audit_count(s->audit, &sources.audit);
    rpc_watches(rpc, &sources.watches);
    rpc_tokens_refused(rpc, sources.tokens_refused);
    feeds_count(atomic_load(&s->feeds), &sources.feeds);
    quota_count_hits(s->quota, sources.limit_hits);
    listener_counters(s->listener, &sources.connections);
    if (mapper_client_hello(s->mapper, &hello)) {
        sources.mapper = &hello;
    }
    if (mapper_counters_read(&s->counters, &counters, &sources.counters_age_ns)) {
        sources.counters = &counters;
    }
    metrics_write(&sources, format, out);
}

static const char *metrics(void *arg, const char *accept, struct buffer *out)
{
    struct service *s = arg;
    enum exposition_format format = exposition_choose(accept);

    (void)pthread_mutex_lock(&s->look_lock);
    bool is_there = !s->stopping;

    if (is_there) {
        write_metrics(s, format, out);
    }
    (void)pthread_mutex_unlock(&s->look_lock);
    return is_there ? exposition_content_type(format) : NULL;
}

static int start_mapper_client(struct service *s, const char *socket_path, struct failure *f)
{
    const struct mapper_client_options options = {
        .socket_path = socket_path,
        .backoff_min_ms = BACKOFF_MIN_MS,
        .backoff_max_ms = (uint32_t)s->reload.config->mapper_backoff_max_ms,
        .on_connected = on_connected,
        .on_domains_changed = on_domains_changed,
        .arg = s,
    };

    return mapper_client_new(&options, &s->mapper, f);
}

static int start_feeds(struct service *s, struct failure *f)
{
    const struct feeds_options options = limits_of_feeds(s->reload.config);
    struct feeds *feeds = NULL;
    int result = feeds_new(s->mapper, &options, &feeds, f);

    atomic_store(&s->feeds, feeds);
    return result;
}

static int start_rpc(struct service *s, struct failure *f)
{
    const struct config *c = s->reload.config;
    struct quota_limits limits;
    struct rpc *rpc = NULL;

    limits_of_config(c, &limits);
    int result = quota_new(&limits, &s->quota, f);

    if (result == 0) {
        result = cors_parse(c->server_cors_origins, &s->cors, f);
    }
    struct rpc_options options = {
        .methods = &services_table,
        .cors = s->cors,
        .mapper = s->mapper,
        .feeds = atomic_load(&s->feeds),
        .policy = s->material.policy,
        .access = s->material.access,
        .quota = s->quota,
        .seal = s->seal,
        .audit = s->audit,
        .request_timeout_ms = (uint32_t)c->limits_request_timeout_ms,
        .request_max_bytes = (uint32_t)c->limits_request_max_kib * 1024,
        .response_max_bytes = (uint32_t)c->limits_response_max_mib * 1024 * 1024,
        .heartbeat_ms = (uint32_t)c->server_heartbeat_s * 1000,
        .zstd_level = (int)c->compression_zstd_level,
    };

    memcpy(options.machine_uuid, s->machine_uuid, sizeof(options.machine_uuid));
    memcpy(options.boot_uuid, s->boot_uuid, sizeof(options.boot_uuid));
    if (result == 0) {
        result = rpc_new(&options, &rpc, f);
    }
    atomic_store(&s->rpc, rpc);
    return result;
}

static int start_listeners(struct service *s, struct failure *f)
{
    const struct config *c = s->reload.config;
    const struct listener_options public = {
        .doors = s->doors.door,
        .door_count = s->doors.count,
        .pem = material_pem(&s->material),
        .access = s->material.access,
        .rpc = atomic_load(&s->rpc),
        .audit = s->audit,
        .limits = limits_of_listener(c),
    };
    const struct health_options health = {
        .listen_fd = s->health_fd, .ready = ready, .metrics = metrics, .arg = s
    };
    int result = listener_start(&public, &s->listener, f);

    if (result == 0) {
        doors_handed_on(&s->doors);
    }
    if (result == 0 && s->health_fd >= 0) {
        result = health_start(&health, &s->health, f);
        s->health_fd = result == 0 ? -1 : s->health_fd;
    }
    return result;
}

static void reload(struct service *s)
{
    const struct reload_parts parts = {
        .listener = s->listener,
        .feeds = atomic_load(&s->feeds),
        .rpc = atomic_load(&s->rpc),
        .quota = s->quota,
        .audit = s->audit,
        .metrics = &s->metrics,
    };

    audit_reopen(s->audit);
    reload_now(&s->reload, &parts);
}

static void look_at_files(struct service *s)
{
    const struct access_watch_parts parts = {
        .listener = s->listener,
        .rpc = atomic_load(&s->rpc),
        .audit = s->audit,
        .metrics = &s->metrics,
    };

    access_watch_tick(&s->reload.watch, &parts);
}

/* The mapper came, went, or let us wait too long: what it has counts from now on, and the
 * first time that something is known, readiness is told. */
static void follow_mapper(struct service *s, uint64_t ready_by_ns, bool *told)
{
    struct message_hello_answer hello;
    bool there = mapper_client_hello(s->mapper, &hello);

    if (there) {
        limits_follow_mapper(s->reload.config, &hello, s->quota);
    }
    if (!*told && (there || clock_monotonic_ns() >= ready_by_ns)) {
        *told = true;
        if (!there) {
            log_warning("no mapper yet: serving what needs none");
        }
        status_tell(true, "serving");
        log_info("ready");
    }
}

/* Waits for signals, and until `ready_by_ns` for the mapper; looks what that counts, and at files.
 * False: time to stop. */
static bool serve_once(struct service *s, uint64_t ready_by_ns, bool *told)
{
    struct pollfd fds[] = { { .fd = s->signal_fd, .events = POLLIN },
                            { .fd = s->wake_fd, .events = POLLIN } };
    struct signalfd_siginfo signal;
    uint64_t count;

    int timeout_ms = !*told ? clock_poll_timeout_ms(ready_by_ns, ACCESS_WATCH_MS) : ACCESS_WATCH_MS;

    (void)poll(fds, 2, alive_timeout_ms(&s->alive, timeout_ms));
    alive_tell(&s->alive, s->listener);
    (void)!read(s->wake_fd, &count, sizeof(count)); /* non-blocking; only wakes */
    follow_mapper(s, ready_by_ns, told);
    look_at_files(s);
    while (read(s->signal_fd, &signal, sizeof(signal)) == (ssize_t)sizeof(signal)) {
        if (signal.ssi_signo != SIGHUP) {
            return false;
        }
        reload(s);
        s->counters_due_ns = 0; /* who looks what came of it wants to see what is */
    }
    if (s->health != NULL && clock_monotonic_ns() >= s->counters_due_ns) {
        s->counters_due_ns = clock_monotonic_ns() + COUNTERS_MS * CLOCK_NS_PER_MS;
        mapper_counters_ask(&s->counters, s->mapper);
    }
    return true;
}

static int start(struct service *s, const struct service_options *options, struct failure *f)
{
    BUFFER_AUTO(faults, FAULTS_MAX_BYTES);
    int result;

    result = open_signals(&s->signal_fd, f);
    if (result == 0) {
        s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        result = prepare(s, options->config, &faults, f);
    }
    faults_log(LOG_LEVEL_ERROR, "cannot start", &faults);
    if (result == 0) {
        result = confinement_enter(options->config, f);
    }
    if (result == 0) {
        result = audit_start(s->audit, f);
    }
    if (result == 0) {
        result = start_mapper_client(s, options->mapper_socket, f);
    }
    if (result == 0) {
        result = start_feeds(s, f);
    }
    if (result == 0) {
        result = start_rpc(s, f);
    }
    if (result == 0) {
        result = start_listeners(s, f);
    }
    if (result == 0) {
        reload_note_certificate(&s->reload, &s->material);
    }
    /* The parts hold what they need of it: the key above all stays nowhere else. */
    material_done(&s->material);
    return result;
}

static void stop(struct service *s)
{
    struct rpc *rpc = atomic_load(&s->rpc);

    (void)pthread_mutex_lock(&s->look_lock);
    s->stopping = true;
    (void)pthread_mutex_unlock(&s->look_lock);
    if (rpc != NULL) {
        rpc_drain(rpc);
    }
    if (s->listener != NULL) {
        listener_stop(s->listener, STOP_GRACE_MS);
    }
    feeds_stop(atomic_load(&s->feeds)); /* its thread calls the mapper's client */
    if (s->mapper != NULL) {
        mapper_client_free(s->mapper); /* its thread calls rpc: before rpc goes */
    }
    audit_stop(s->audit); /* its thread calls rpc, too; nobody has a record left */
    if (rpc != NULL) {
        rpc_free(rpc);
    }
    feeds_free(atomic_load(&s->feeds));
    cors_free(s->cors);
    quota_free(s->quota);
    if (s->health != NULL) {
        health_stop(s->health);
    }
    seal_free(s->seal);
    reload_done(&s->reload);
    mapper_counters_done(&s->counters);
    (void)pthread_mutex_destroy(&s->look_lock);
    doors_close(&s->doors);
    scope_close_fd(&s->health_fd);
    scope_close_fd(&s->wake_fd);
    scope_close_fd(&s->signal_fd);
    scope_close_fd(&s->keeper_fd);
}

int service_run(const struct service_options *options, struct failure *f)
{
    struct service s = {
        .health_fd = -1,
        .signal_fd = -1,
        .wake_fd = -1,
        .keeper_fd = -1,
        .look_lock = PTHREAD_MUTEX_INITIALIZER,
    };
    doors_init(&s.doors, options->config);
    metrics_init(&s.metrics);
    mapper_counters_init(&s.counters);
    int result = start(&s, options, f);

    if (result == 0) {
        uint64_t ready_by_ns = clock_monotonic_ns() + MAPPER_WAIT_MS * CLOCK_NS_PER_MS;
        bool told = false;

        alive_init(&s.alive);
        while (serve_once(&s, ready_by_ns, &told)) {
        }
        sd_notify(0, "STOPPING=1");
        log_info("stopping");
    }
    stop(&s);
    return result;
}
