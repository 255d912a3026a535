/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/http/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/scope.h"
#include "common/text.h"

enum {
    /* A peer that is silent this long is asked; after as many unanswered probes it is dead. */
    PROBE_AFTER_S = 15,
    PROBE_INTERVAL_S = 5,
    PROBE_COUNT = 3,
    /* What is sent, or a probe, is not answered for so long, or nothing can be sent because the peer reads
     * nothing: then it is dead as well. Streams have no other limit. */
    SILENT_PEER_MS = 60 * 1000,
};

union address {
    struct sockaddr any;
    struct sockaddr_un local;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* "192.0.2.1:80" or "[2001:db8::1]:80", strictly. */
static bool parse_where(const char *where, union address *out, socklen_t *len_bytes)
{
    const char *colon = strrchr(where, ':');
    char host[INET6_ADDRSTRLEN + 2];
    size_t host_len;
    uint64_t port;

    memset(out, 0, sizeof(*out));
    if (colon == NULL || !text_to_u64(colon + 1, UINT16_MAX, &port)) {
        return false;
    }
    host_len = (size_t)(colon - where);
    if (host_len >= sizeof(host)) {
        return false;
    }
    memcpy(host, where, host_len);
    host[host_len] = '\0';
    if (host_len > 2 && host[0] == '[' && host[host_len - 1] == ']') {
        host[host_len - 1] = '\0';
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons((uint16_t)port);
        *len_bytes = sizeof(out->v6);
        return inet_pton(AF_INET6, host + 1, &out->v6.sin6_addr) == 1;
    }
    out->v4.sin_family = AF_INET;
    out->v4.sin_port = htons((uint16_t)port);
    *len_bytes = sizeof(out->v4);
    return inet_pton(AF_INET, host, &out->v4.sin_addr) == 1;
}

static int set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value));
}

static int socket_failure(struct failure *f, const char *call, const char *where)
{
    int errnum = errno;
    int r = failure_set(f, ERROR_UNAVAILABLE, "cannot listen on %s", where);

    (void)failure_call(f, r, call, errnum);
    if (errnum == EADDRINUSE) {
        r = failure_cause(f, r, "another program listens there");
        return failure_next(f, r, "`ss -ltnp` says which: stop it, or choose another port");
    }
    if (errnum == EADDRNOTAVAIL) {
        r = failure_cause(f, r, "no interface of this host has that address");
        return failure_next(f, r,
                            "name one that it has (`ip address` shows them), or 0.0.0.0 or "
                            "[::] for all");
    }
    if (errnum == EACCES) {
        r = failure_cause(f, r, "no right to it: ports below 1024 need CAP_NET_BIND_SERVICE");
        return failure_next(f, r, "choose a higher one, or have systemd open it (xenresd.socket)");
    }
    return r;
}

static int no_address(struct failure *f, const char *where)
{
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "\"%s\" is no address to listen on", where);

    return failure_next(f, result, "write it like 127.0.0.1:8443 or [::1]:8443");
}

int socket_listen_tcp(const char *where, int *out, struct failure *f)
{
    union address address;
    socklen_t len_bytes;
    SCOPE_FD int fd = -1;

    if (!parse_where(where, &address, &len_bytes)) {
        return no_address(f, where);
    }
    fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return socket_failure(f, "socket", where);
    }
    if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) != 0) {
        return socket_failure(f, "setsockopt", where);
    }
    if (bind(fd, &address.any, len_bytes) != 0) {
        return socket_failure(f, "bind", where);
    }
    if (listen(fd, SOCKET_BACKLOG) != 0) {
        return socket_failure(f, "listen", where);
    }
    *out = scope_take_fd(&fd);
    return 0;
}

static bool local_address(int fd, union address *out)
{
    socklen_t len_bytes = sizeof(*out);

    memset(out, 0, sizeof(*out));
    return getsockname(fd, &out->any, &len_bytes) == 0;
}

int socket_prepare(int fd, struct failure *f)
{
    union address address;
    int listens = 0;
    socklen_t len_bytes = sizeof(listens);
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len_bytes) != 0 ||
        listens == 0 || !local_address(fd, &address)) {
        return failure_set(f, ERROR_FAILED_PRECONDITION, "descriptor %d is no listening socket",
                           fd);
    }
    if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        return socket_failure(f, "fcntl", "a socket");
    }
    if (address.any.sa_family == AF_UNIX) {
        return 0;
    }
    if (set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1) != 0 ||
        set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, PROBE_AFTER_S) != 0 ||
        set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, PROBE_INTERVAL_S) != 0 ||
        set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBE_COUNT) != 0 ||
        set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, SILENT_PEER_MS) != 0 ||
        set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) != 0) {
        return socket_failure(f, "setsockopt", "a socket");
    }
    return 0;
}

uint16_t socket_port(int fd)
{
    union address address;

    if (!local_address(fd, &address)) {
        return 0;
    }
    switch (address.any.sa_family) {
    case AF_INET: return ntohs(address.v4.sin_port);
    case AF_INET6: return ntohs(address.v6.sin6_port);
    default: return 0;
    }
}

static bool is_local(const union address *address)
{
    switch (address->any.sa_family) {
    case AF_UNIX: return true;
    case AF_INET: return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
    case AF_INET6: return IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
    default: return false;
    }
}

bool socket_is_local(int fd)
{
    union address address;

    return local_address(fd, &address) && is_local(&address);
}

int socket_check_address(const char *where, bool loopback, struct failure *f)
{
    union address address;
    socklen_t len_bytes;

    if (!parse_where(where, &address, &len_bytes)) {
        return no_address(f, where);
    }
    if (loopback && !is_local(&address)) {
        int result = failure_set(f, ERROR_INVALID_ARGUMENT, "%s is no loopback address", where);

        return failure_next(f, result, "write 127.0.0.1:PORT, [::1]:PORT, or the path of a socket");
    }
    return 0;
}

/* True if a process accepts connections at `where`. */
static bool is_served(const struct sockaddr_un *where)
{
    SCOPE_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    return fd < 0 || connect(fd, (const struct sockaddr *)where, sizeof(*where)) == 0 ||
           errno != ECONNREFUSED;
}

int socket_listen_unix(const char *path, int *out, struct failure *f)
{
    struct sockaddr_un where = { .sun_family = AF_UNIX };
    struct stat st;
    size_t path_bytes = strlen(path) + 1;
    SCOPE_FD int fd = -1;

    if (path_bytes > sizeof(where.sun_path)) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "path of a socket too long: %s", path);
    }
    memcpy(where.sun_path, path, path_bytes);
    if (lstat(path, &st) == 0) {
        if (!S_ISSOCK(st.st_mode) || is_served(&where)) {
            return failure_set(f, ERROR_ALREADY_EXISTS, "%s is there already", path);
        }
        (void)unlink(path);
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return socket_failure(f, "socket", path);
    }
    /* The mode is set on the descriptor before bind(): never a moment with a wider one. */
    if (fchmod(fd, 0660) != 0 || bind(fd, (const struct sockaddr *)&where, sizeof(where)) != 0) {
        return socket_failure(f, "bind", path);
    }
    if (listen(fd, SOCKET_BACKLOG) != 0) {
        return socket_failure(f, "listen", path);
    }
    *out = scope_take_fd(&fd);
    return 0;
}

void socket_origin(const struct sockaddr *address, struct socket_origin *out)
{
    memset(out, 0, sizeof(*out));
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;

        memcpy(&v4, address, sizeof(v4));
        out->bytes[0] = 4;
        memcpy(out->bytes + 1, &v4.sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;

        memcpy(&v6, address, sizeof(v6));
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
            out->bytes[0] = 4;
            memcpy(out->bytes + 1, v6.sin6_addr.s6_addr + 12, 4);
        } else {
            out->bytes[0] = 6;
            memcpy(out->bytes + 1, v6.sin6_addr.s6_addr, 8);
        }
    }
}

/* By inet_ntop(), as getnameinfo() looks up the interface of a link-local address, by a socket and an ioctl
 * that the sandbox ends the process for. */
void socket_peer_text(const struct sockaddr *address, char out[SOCKET_PEER_BYTES])
{
    union address a;
    char host[INET6_ADDRSTRLEN] = "unknown", scope[16] = "";

    if (address->sa_family == AF_INET6) {
        memcpy(&a.v6, address, sizeof(a.v6));
        (void)inet_ntop(AF_INET6, &a.v6.sin6_addr, host, sizeof(host));
        if (a.v6.sin6_scope_id != 0) {
            (void)snprintf(scope, sizeof(scope), "%%%u", a.v6.sin6_scope_id);
        }
        (void)snprintf(out, SOCKET_PEER_BYTES, "[%s%s]:%u", host, scope, ntohs(a.v6.sin6_port));
    } else if (address->sa_family == AF_INET) {
        memcpy(&a.v4, address, sizeof(a.v4));
        (void)inet_ntop(AF_INET, &a.v4.sin_addr, host, sizeof(host));
        (void)snprintf(out, SOCKET_PEER_BYTES, "%s:%u", host, ntohs(a.v4.sin_port));
    } else {
        (void)snprintf(out, SOCKET_PEER_BYTES, "unix");
    }
}

bool socket_acked_bytes(int fd, uint64_t *out)
{
    struct tcp_info info;
    socklen_t len_bytes = sizeof(info);

    memset(&info, 0, sizeof(info));
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len_bytes) != 0 ||
        len_bytes < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked)) {
        return false;
    }
    *out = info.tcpi_bytes_acked;
    return true;
}
