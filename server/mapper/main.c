/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * xenresd-mapper and xenresd-mapper-sim: the order of start and stop. Everything that needs
 * privileges is opened first, then they are given up, and only then is anybody listened to.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/clock.h"
#include "common/log.h"
#include "server/mapper/confine.h"
#include "server/mapper/copy.h"
#include "server/mapper/doctor.h"
#include "server/mapper/feed_image.h"
#include "server/mapper/feed_table.h"
#include "server/mapper/feed_watch.h"
#include "server/mapper/loop.h"
#include "server/mapper/mapper.h"
#include "server/mapper/notify.h"
#include "server/mapper/options.h"
#include "server/mapper/peer.h"
#include "server/mapper/privilege.h"
#include "server/mapper/snapshot.h"
#include "server/mapper/trace.h"
#include "server/mapper/trace_left.h"
#include "server/mapper/trace_request.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)

enum {
    EXIT_USAGE = 2,
    DESCRIPTORS_ELSE_MAX = 256, /* beside one of each feed's */
};

/* Signals that end the mapper become readable; the loop reads them between two steps. */
static int open_signals(int *out, struct failure *f)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* whoever limits files: writes say so, and nothing stays enabled */
    if (sigprocmask(SIG_BLOCK, &set, NULL) == 0) {
        *out = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    }
    if (*out >= 0) {
        return 0;
    }
    int result = failure_set(f, ERROR_INTERNAL, "cannot receive signals");
    return failure_call(f, result, "signalfd", errno);
}

/* An inherited descriptor may be anything: it must be what channel_listen() makes. */
static int take_listen_fd(int fd, struct failure *f)
{
    int type = 0, listening = 0, family = 0;
    socklen_t len = sizeof(int);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 || !listening ||
        getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) < 0 || family != AF_UNIX) {
        return failure_set(f, ERROR_INVALID_ARGUMENT,
                           "--listen-fd %d is no listening unix seqpacket socket", fd);
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        int result = failure_set(f, ERROR_INTERNAL, "cannot use --listen-fd %d", fd);
        return failure_call(f, result, "fcntl", errno);
    }
    return 0;
}

static int open_peer(const struct options *o, const struct privilege_user *user, struct mapper *m,
                     struct failure *f)
{
    uid_t users[PEER_USERS_MAX] = { getuid() };
    size_t user_count = 1;
    int result = 0;
    if (o->peer_user) {
        result = privilege_find_uid(o->peer_user, &users[0], f);
    } else if (user) {
        users[user_count++] = user->uid;
    }
    if (result < 0) {
        return result;
    }

    int fd = (int)o->listen_fd;
    if (o->socket_path) {
        result = channel_listen(o->socket_path, &fd, f);
    } else {
        result = take_listen_fd(fd, f);
    }
    if (result < 0) {
        return result;
    }
    result = peer_new(fd, users, user_count, &m->peer, f);
    if (result < 0) {
        close(fd);
    }
    return result;
}

static void on_gone(void *arg, const uint8_t incarnation[16])
{
    mapping_drop_incarnation(arg, incarnation);
}

static void on_changed(void *arg, enum feed_domain_kind kind, const struct directory_entry *e,
                       const struct domain_identity *before)
{
    struct mapper *m = arg;
    feed_table_changed(m->feeds, kind, e, before, directory_generation(m->directory));
}

/* Their handles need privileges; and their threads, of which a user may have but a few later, and which
 * are told of the change of user by libc. */
static int start_samplers(const struct options *o, struct mapper *m, struct failure *f)
{
    const struct feed_table_options options = {
        .ops = m->ops,
        .backend = m->backend,
        .samplers = (uint32_t)o->samplers,
        .feeds_max = (uint32_t)o->feeds_max,
        .spool_most_bytes = (uint64_t)o->spool_kib_max * KIB,
        .memory_most_bytes = (uint64_t)o->spools_mib * MIB,
        .period_min_ns = (uint64_t)o->period_min_ms * CLOCK_NS_PER_MS,
    };
    privilege_raise_descriptors(options.feeds_max + DESCRIPTORS_ELSE_MAX);
    return feed_table_new(&options, &m->feeds, f);
}

static int make_traces(const struct options *o, struct mapper *m, struct failure *f)
{
    /* A period of a trace is bounded by pauses, not as that of a feed by what somebody asks for. */
    const struct trace_options options = {
        .journal = m->journal,
        .traces_max = (uint32_t)o->traces_max,
        .pauses_per_second = (uint32_t)o->trace_budget,
        .pauses_ceiling = (uint32_t)o->pauses_per_second,
        .period_min_ns = SOURCE_TRACE_PERIOD_MIN_MS * CLOCK_NS_PER_MS,
        .period_max_ns = (uint64_t)o->trace_period_max_ms * CLOCK_NS_PER_MS,
    };
    int result = trace_table_new(&options, &m->traces, f);
    return result < 0 ? result : trace_requests_new(&m->trace_requests, f);
}

/* What works without privileges. */
static int make_parts(const struct options *o, struct mapper *m, struct failure *f)
{
    m->arena_bytes = (uint64_t)o->arena_mib * MIB;
    m->slot_max_bytes = (uint64_t)o->slot_max_mib * MIB;
    ssize_t drawn = getrandom(m->mapper_id, sizeof(m->mapper_id), 0);
    assert(drawn == sizeof(m->mapper_id)); /* so few bytes are never cut or interrupted */
    m->meter.seen = m->ops->hypercalls(m->backend);
    feed_table_set_ceiling(m->feeds, &m->ceiling);
    feed_table_set_pause_ceiling(m->feeds, &m->pauses);
    int result = mapping_cache_new(m->ops, m->backend, (uint32_t)o->mappings_max,
                                   (uint64_t)o->mapping_idle_s * CLOCK_NS_PER_S, &m->mappings, f);
    if (result == 0) {
        result = directory_new(m->ops, m->backend, on_gone, m->mappings, &m->directory, f);
    }
    if (result == 0) {
        result = snapshot_jobs_new(&m->jobs, f);
    }
    if (result == 0) {
        result = feed_image_jobs_new(&m->images, f);
    }
    if (result == 0) {
        result = feed_watches_new(&m->watches, f);
    }
    if (result == 0) {
        result = make_traces(o, m, f);
    }
    return result;
}

/* The journal is a file of root's; what is in it is stopped before anybody is listened to. */
static int open_journal(const struct options *o, struct mapper *m, struct failure *f)
{
    struct message_host_answer host;
    memset(&host, 0, sizeof(host));
    m->ops->host(m->backend, &host);
    int result = journal_open(o->journal_path, getuid(), host.boot_id, &m->journal, f);
    if (result == 0) {
        (void)trace_left_stop(m->ops, m->backend, m->journal, NULL);
    }
    return result;
}

/* Everything that is opened, in the order in which it has to be. */
static int start(const struct options *o, struct mapper *m, struct failure *f)
{
    struct privilege_user user;
    bool has_user = o->user != NULL;
    int result = privilege_begin(f);
    if (result == 0) {
        result = copy_init(f);
    }
    if (result == 0) {
        result = export_load(o->export_path, getuid(), &m->export, f);
    }
    if (result == 0 && has_user) {
        result = privilege_find_user(o->user, &user, f);
    }
    if (result == 0) {
        result = backend_open(o->backend_argument, &m->backend, f);
    }
    if (result < 0) {
        return result;
    }
    m->ops = backend_ops;
    result = open_journal(o, m, f);
    if (result < 0) {
        return result;
    }
    result = open_peer(o, has_user ? &user : NULL, m, f);
    if (result == 0) {
        result = start_samplers(o, m, f);
    }
    if (result == 0) {
        result = privilege_drop(has_user ? &user : NULL, o->exit_with_peer, f);
    }
    if (result == 0) {
        result = confine_calls(f);
    }
    if (result == 0) {
        result = make_parts(o, m, f);
    }
    if (result < 0) {
        return result;
    }
    directory_listen(m->directory, on_changed, m);

    struct failure first; /* no reason not to start: each request looks again, and says why */
    if (directory_drain(m->directory, &first) < 0) {
        log_failure(LOG_LEVEL_WARNING, "listing the domains", &first);
    }
    return 0;
}

/* The reverse; of a start that failed half way as well. */
static void stop(const struct options *o, struct mapper *m)
{
    feed_table_free(m->feeds); /* before what their mappings are of: no trace runs any more */
    ceiling_done(&m->ceiling);
    ceiling_done(&m->pauses);
    trace_requests_free(m->trace_requests);
    trace_table_free(m->traces);
    journal_close(m->journal);
    feed_image_jobs_free(m->images);
    feed_watches_free(m->watches);
    snapshot_jobs_free(m->jobs);
    if (m->directory) {
        directory_free(m->directory);
    }
    mapping_cache_free(m->mappings);
    arena_free(m->arena);
    if (m->peer && o->socket_path) {
        unlink(o->socket_path); /* in a directory of root's it stays */
    }
    peer_free(m->peer);
    if (m->backend) {
        m->ops->close(m->backend);
    }
    export_free(m->export);
}

static int run(const struct options *o)
{
    struct mapper m = { 0 };
    ceiling_init(&m.ceiling, (uint64_t)o->hypercalls_per_second, clock_monotonic_ns());
    ceiling_init(&m.pauses, (uint64_t)o->pauses_per_second, clock_monotonic_ns());
    struct failure f;
    struct loop_options loop = { .signal_fd = -1,
                                 .exit_with_peer = o->exit_with_peer,
                                 .silence_ns = notify_silence_ns(),
                                 .grace_ns = (uint64_t)o->grace_s * CLOCK_NS_PER_S };
    int result = open_signals(&loop.signal_fd, &f);
    if (result == 0) {
        result = start(o, &m, &f);
    }
    if (result == 0) {
        if (getuid() == 0) {
            log_warning("runs as root: --user names a user to become");
        }
        if (export_rule_count(m.export) == 0) {
            log_warning("the export list %s allows nothing: nothing will leave this host",
                        o->export_path);
        }
        if (!o->journal_path && export_grants(m.export, EXPORT_TRACE_CONTROL)) {
            log_warning("there is no --journal: what is traced when the mapper is killed stays on");
        }
        log_info("version %s, backend %s, arena %lld MiB: ready", XENRES_VERSION, m.ops->name,
                 (long long)o->arena_mib);
        notify_send("READY=1");
        loop_run(&m, &loop);
        notify_send("STOPPING=1");
        log_info("stopped");
    } else {
        log_failure(LOG_LEVEL_ERROR, "starting", &f);
    }
    stop(o, &m);
    if (loop.signal_fd >= 0) {
        close(loop.signal_fd);
    }
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_doctor(const struct options *o)
{
    struct backend *b = NULL;
    struct failure f;
    bool is_well = false;
    if (backend_open(o->backend_argument, &b, &f) < 0) {
        doctor_tell_failure(stdout, "backend", &f);
    } else {
        is_well = doctor_look(stdout, backend_ops, b, o->journal_path);
        backend_ops->close(b);
    }
    return fflush(stdout) == 0 && is_well ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char *argv[])
{
    struct options o;
    struct failure f;
    const char *program = argc > 0 ? argv[0] : "xenresd-mapper";
    const char *slash = strrchr(program, '/');
    if (slash) {
        program = slash + 1;
    }

    log_open(program, LOG_LEVEL_INFO);
    if (options_parse(argc, argv, &o, &f) < 0) {
        log_failure(LOG_LEVEL_ERROR, "reading the command line", &f);
        return EXIT_USAGE;
    }
    if (o.help) {
        options_help(stdout, program);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    if (o.version) {
        printf("%s %s (backend %s)\n", program, XENRES_VERSION, backend_ops->name);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    log_open(program, o.log_level);
    return o.doctor ? run_doctor(&o) : run(&o);
}
