/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/http/listener.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/scope.h"
#include "server/http/body.h"
#include "server/http/connection.h"
#include "server/http/handshakes.h"
#include "server/http/streaming.h"
#include "server/http/tls.h"
#include "server/http/watchdog.h"

enum {
    THREADS_MIN = 2,
    THREADS_MAX = 4,
    /* Holds a request's head, and a piece of its body. */
    CONNECTION_MEMORY_BYTES = 16384,
    DAEMON_LOG_BYTES = 512,
};

struct listener {
    struct MHD_Daemon *daemon;
    struct watchdog *watchdog;
    struct pump *pump;
    struct connections connections;
    struct handshakes handshakes;
    struct tally tally;
    struct body body;
    struct listener_limits limits;
    int listen_fd;
    bool is_shared;
    const struct identity *everyone;
    bool plaintext;
    bool certificate_optional;

    struct credentials_place credentials;
};

int listener_check_address(const char *address, struct failure *f)
{
    return socket_check_address(address, false, f);
}

int listener_check_exempt(const char *addresses, struct failure *f)
{
    return handshakes_check_exempt(addresses, f);
}

int listener_bind(const char *address, int *listen_fd, struct failure *f)
{
    return socket_listen_tcp(address, listen_fd, f);
}

uint16_t listener_bound_port(int listen_fd)
{
    return socket_port(listen_fd);
}

/* --- callbacks of the daemon, each on the thread that owns the connection ------------------------- */

static void on_daemon_log(void *arg, const char *format, va_list args)
{
    char line[DAEMON_LOG_BYTES];

    (void)arg;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the library's own formats */
    (void)vsnprintf(line, sizeof(line), format, args);
#pragma GCC diagnostic pop
    log_debug("http: %s", line);
}

static bool may_shake_hands(struct listener *l, const struct sockaddr *address,
                            enum listener_refusal *why)
{
    struct socket_origin origin;

    if (l->plaintext) {
        return true;
    }
    socket_origin(address, &origin);
    *why = LISTENER_REFUSED_HANDSHAKES;
    return handshakes_admit(&l->handshakes, &origin, clock_monotonic_ns());
}

/* Before any memory or TLS is spent on it. */
static enum MHD_Result on_accept(void *arg, const struct sockaddr *address, socklen_t len_bytes)
{
    struct listener *l = arg;
    char peer[SOCKET_PEER_BYTES];
    enum listener_refusal why;

    (void)len_bytes;
    atomic_fetch_add_explicit(&l->tally.accepted, 1, memory_order_relaxed);
    if (connections_admit(&l->connections, address, &why) && may_shake_hands(l, address, &why)) {
        return MHD_YES;
    }
    socket_peer_text(address, peer);
    tally_refuse(&l->tally, why, peer, NULL);
    return MHD_NO;
}

static bool begin_connection(struct listener *l, struct connection *c)
{
    c->may_be_anonymous = l->certificate_optional;
    if (l->everyone != NULL) {
        c->who = *l->everyone;
        c->known = true;
        c->until_s = c->who.not_after_s;
    }
    if (l->plaintext) {
        connection_enter(c, CONNECTION_IDLE);
        return true;
    }
    return tls_begin(
        c, &l->tally, l->everyone == NULL,
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION)->tls_session);
}

/* NULL: refused; the socket is shut down, and the daemon closes it when it sees that. */
static struct connection *open_connection(struct listener *l, struct MHD_Connection *mhd)
{
    const struct sockaddr *address =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    int fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    struct credentials *credentials = credentials_current(&l->credentials);
    enum listener_refusal why = LISTENER_REFUSED_MEMORY;
    struct connection *c = connection_add(&l->connections, mhd, fd, address, credentials, &why);

    credentials_unref(credentials);
    if (c != NULL && !begin_connection(l, c)) {
        connection_remove(c);
        c = NULL;
    }
    if (c == NULL) {
        char peer[SOCKET_PEER_BYTES];

        socket_peer_text(address, peer);
        tally_refuse(&l->tally, why, peer, NULL);
        (void)shutdown(fd, SHUT_RDWR);
        return NULL;
    }
    watchdog_wake(l->watchdog);
    return c;
}

/* The daemon has ended the session, and closes the socket when this returns. */
static void close_connection(struct listener *l, struct connection *c)
{
    uint64_t since_ns;
    bool unfinished = connection_phase(c, &since_ns) == CONNECTION_HANDSHAKE;

    (void)connection_ref(c);
    connection_remove(c); /* now the watchdog sees it no more */
    if (unfinished && !atomic_load(&l->connections.stopping)) {
        handshakes_failed(&l->handshakes, &c->origin, clock_monotonic_ns());
    }
    if (unfinished && !c->refused && !c->ended) {
        tally_refuse(&l->tally, LISTENER_REFUSED_HANDSHAKE, c->peer, NULL);
    }
    if (c->linger && !c->ended) {
        watchdog_linger(l->watchdog, c->fd);
    }
    connection_unref(c);
}

static void on_connection(void *arg, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct listener *l = arg;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = open_connection(l, mhd);
    } else if (*context != NULL) {
        close_connection(l, *context);
        *context = NULL;
    }
}

/* --- life -------------------------------------------------------------------------------------- */

static uint32_t thread_count(const struct listener_limits *limits)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (limits->threads > 0) {
        return limits->threads;
    }
    return cores < THREADS_MIN ? THREADS_MIN : cores > THREADS_MAX ? THREADS_MAX : (uint32_t)cores;
}

static int start_daemon(struct listener *l, struct failure *f)
{
    uint32_t threads = thread_count(&l->limits);
    uint32_t idle_s = l->limits.idle_timeout_s > l->limits.handshake_timeout_s
                          ? l->limits.idle_timeout_s
                          : l->limits.handshake_timeout_s;
    /* The limits in force are ours, which refuse at once; the daemon's, which is one per thread and
     * leaves what is above it in the backlog, lies beyond them. */
    uint32_t limit = (l->limits.connections + 2 * threads) * threads;
    const struct MHD_OptionItem options[] = {
        { MHD_OPTION_LISTEN_SOCKET, l->listen_fd, NULL },
        { MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY_BYTES, NULL },
        { MHD_OPTION_CONNECTION_LIMIT, (intptr_t)limit, NULL },
        { MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)idle_s, NULL },
        { MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL },
        { MHD_OPTION_END, 0, NULL },
        { MHD_OPTION_END, 0, NULL },
    };
    struct MHD_OptionItem tls[] = {
        { MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES },
        { MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(uintptr_t)tls_no_certificate },
        { MHD_OPTION_END, 0, NULL },
    };
    struct MHD_OptionItem with_pool[sizeof(options) / sizeof(options[0])];
    size_t count = 0;

    for (; options[count].option != MHD_OPTION_END; count++) {
        with_pool[count] = options[count];
    }
    if (threads > 1) { /* a pool of one is an error to the daemon */
        with_pool[count++] =
            (struct MHD_OptionItem){ MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL };
    }
    with_pool[count] = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };

    /* Never MHD_USE_EPOLL: with TLS it spins while any handshake is unfinished. */
    l->daemon = MHD_start_daemon(
        (l->plaintext ? 0U : MHD_USE_TLS) | MHD_USE_POLL | MHD_USE_INTERNAL_POLLING_THREAD |
            MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
        0, on_accept, l, body_on_request, &l->body, MHD_OPTION_EXTERNAL_LOGGER, on_daemon_log, NULL,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, l, MHD_OPTION_NOTIFY_COMPLETED,
        body_on_completed, &l->body, MHD_OPTION_URI_LOG_CALLBACK, body_on_target, &l->body,
        MHD_OPTION_ARRAY, with_pool, MHD_OPTION_ARRAY, l->plaintext ? &tls[2] : tls,
        MHD_OPTION_END);
    if (l->daemon == NULL) {
        return failure_set(f, ERROR_INTERNAL, "cannot start the HTTP server (with %u threads)",
                           threads);
    }
    return 0;
}

static void listener_free(struct listener *l)
{
    pump_stop(l->pump);
    watchdog_stop(l->watchdog);
    credentials_place_done(&l->credentials);
    connections_done(&l->connections);
    handshakes_done(&l->handshakes);
    tally_done(&l->tally);
    free(l);
}

static int start_limits(struct listener *l, const struct listener_limits *limits, struct failure *f)
{
    const struct handshakes_limits handshakes = {
        .per_second = limits->handshakes_per_s_per_address,
        .per_second_in_all = limits->handshakes_per_s,
        .exempt = limits->handshake_exempt,
    };
    int result =
        connections_init(&l->connections, limits->connections, limits->connections_per_address, f);

    if (result == 0) {
        result = handshakes_init(&l->handshakes, &handshakes, clock_monotonic_ns(), f);
        if (result != 0) {
            connections_done(&l->connections);
        }
    }
    return result;
}

int listener_start(const struct listener_options *options, struct listener **out, struct failure *f)
{
    struct listener *l = calloc(1, sizeof(*l));
    int result;

    if (l == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory");
    }
    result = start_limits(l, &options->limits, f);
    if (result != 0) {
        free(l);
        return result;
    }
    tally_init(&l->tally);
    l->tally.audit = options->audit;
    credentials_place_init(&l->credentials);
    l->limits = options->limits;
    l->everyone = options->everyone;
    l->plaintext = options->plaintext;
    l->certificate_optional = options->certificate_optional;
    l->listen_fd = options->listen_fd;
    l->is_shared = options->is_shared;
    l->body = (struct body){ .rpc = options->rpc,
                             .connections = &l->connections,
                             .tally = &l->tally,
                             .handshakes = &l->handshakes,
                             .credentials = &l->credentials,
                             .everyone = l->everyone };
    result = socket_prepare(l->listen_fd, f);
    if (result == 0) {
        result = listener_reload(l, &options->pem, options->access, f);
    }
    if (result == 0) {
        result = watchdog_start(&l->connections, &l->tally, &l->limits, &l->watchdog, f);
    }
    if (result == 0) {
        result = pump_start(thread_count(&l->limits), streaming_turn, &l->pump, f);
        l->body.pump = l->pump;
    }
    if (result == 0) {
        result = start_daemon(l, f);
    }
    if (result != 0) {
        listener_free(l); /* the descriptor stays the caller's */
        return result;
    }
    *out = l;
    return 0;
}

int listener_reload(struct listener *l, const struct listener_pem *pem, struct access *access,
                    struct failure *f)
{
    struct credentials *fresh = NULL;
    int result = credentials_new(pem, access, &fresh, f);

    if (result == 0) {
        credentials_exchange(&l->credentials, fresh);
    }
    return result;
}

bool listener_is_well(struct listener *l)
{
    return watchdog_is_well(l->watchdog);
}

int listener_set_access(struct listener *l, struct access *access, struct failure *f)
{
    struct credentials *old = credentials_current(&l->credentials), *fresh = NULL;
    int result = credentials_with_access(old, access, &fresh, f);

    credentials_unref(old);
    if (result == 0) {
        credentials_exchange(&l->credentials, fresh);
    }
    return result;
}

void listener_counters(struct listener *l, struct listener_counters *out)
{
    *out = (struct listener_counters){
        .accepted = atomic_load_explicit(&l->tally.accepted, memory_order_relaxed),
        .handshakes_done = atomic_load_explicit(&l->tally.handshakes_done, memory_order_relaxed),
        .requests = atomic_load_explicit(&l->tally.requests, memory_order_relaxed),
        .open = connections_count(&l->connections),
    };
    for (int i = 0; i < LISTENER_REFUSAL_COUNT; i++) {
        out->refused[i] = atomic_load_explicit(&l->tally.refused[i], memory_order_relaxed);
    }
}

void listener_stop(struct listener *l, uint32_t grace_ms)
{
    uint64_t deadline_ns = clock_monotonic_ns() + grace_ms * CLOCK_NS_PER_MS;

    atomic_store(&l->connections.stopping, true); /* replies say close from now on */
    (void)MHD_quiesce_daemon(l->daemon);
    if (!l->is_shared) {
        (void)shutdown(l->listen_fd, SHUT_RDWR); /* who waits in the backlog is told now */
    }
    connections_wait_quiet(&l->connections, deadline_ns);
    /* The daemon aborts the process when it stops with a connection suspended. After this none is,
     * nor will be; exchanges that still run outlive their connections. */
    atomic_store(&l->connections.abandoning, true);
    connections_each(&l->connections, body_abandon, NULL);
    pump_stop(scope_take_pointer(l->pump));
    MHD_stop_daemon(l->daemon);
    (void)close(l->listen_fd);
    listener_free(l);
}
