/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/channel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/scope.h"

enum {
    LISTEN_BACKLOG = 8,
    SOCKET_MODE = 0660,
};

/* Room for one control message with all descriptors, aligned as the kernel wants it. */
union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
};

static int fail_errno(struct failure *f, enum error_code code, const char *call, int errnum,
                      const char *path)
{
    int result = failure_set(f, code, "socket %s: %s", path, strerror(errnum));

    return failure_call(f, result, call, errnum);
}

static int new_socket(int *out, struct failure *f)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        int errnum = errno;
        int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no socket: %s", strerror(errnum));

        return failure_call(f, result, "socket", errnum);
    }
    *out = fd;
    return 0;
}

static int make_address(const char *path, struct sockaddr_un *out, struct failure *f)
{
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof(out->sun_path)) {
        int result =
            failure_set(f, ERROR_INVALID_ARGUMENT, "socket path of %zu bytes: %s", len, path);
        return failure_cause(f, result, "a unix socket's path has 1 to %zu bytes",
                             sizeof(out->sun_path) - 1);
    }
    *out = (struct sockaddr_un){ .sun_family = AF_UNIX };
    memcpy(out->sun_path, path, len);
    return 0;
}

static int connect_to(int fd, const struct sockaddr_un *address)
{
    return connect(fd, (const struct sockaddr *)address, sizeof(*address));
}

/*
 * Holds a lock on the directory: of two programs that find the same stale socket, the slower one
 * would otherwise remove the live socket of the faster one.
 */
static int lock_directory(const char *path, int *out, struct failure *f)
{
    char copy[sizeof(((struct sockaddr_un *)NULL)->sun_path)];

    memcpy(copy, path, strlen(path) + 1); /* make_address() has seen that it fits */
    SCOPE_FD int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        return fail_errno(f, ERROR_FAILED_PRECONDITION, "open", errno, path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int result = fail_errno(f, ERROR_UNAVAILABLE, "flock", errno, path);

        return failure_cause(f, result, "another program is making a socket in this directory");
    }
    *out = scope_take_fd(&fd);
    return 0;
}

/* Removes a socket that nobody listens on. Everything else stays, and is refused. */
static int remove_stale(const struct sockaddr_un *address, struct failure *f)
{
    const char *path = address->sun_path;
    struct stat st;
    SCOPE_FD int probe = -1;

    if (lstat(path, &st) != 0) {
        return errno == ENOENT ? 0 : fail_errno(f, ERROR_FAILED_PRECONDITION, "lstat", errno, path);
    }
    if (!S_ISSOCK(st.st_mode)) {
        int result = failure_set(f, ERROR_ALREADY_EXISTS, "%s is there, and is no socket", path);

        return failure_next(f, result, "choose another path, or move it away");
    }
    int result = new_socket(&probe, f);

    if (result != 0) {
        return result;
    }
    /* Only a refused connection says that nobody listens: a full backlog (EAGAIN), or a socket of
     * another type (EPROTOTYPE), belongs to somebody. */
    if (connect_to(probe, address) == 0 || errno != ECONNREFUSED) {
        result = failure_set(f, ERROR_ALREADY_EXISTS, "socket %s is in use", path);
        return failure_cause(f, result, "another program listens on it");
    }
    if (unlink(path) != 0) {
        return fail_errno(f, ERROR_FAILED_PRECONDITION, "unlink", errno, path);
    }
    return 0;
}

int channel_listen(const char *path, int *listen_fd, struct failure *f)
{
    struct sockaddr_un address;
    SCOPE_FD int directory = -1;
    SCOPE_FD int fd = -1;
    int result = make_address(path, &address, f);

    if (result == 0) {
        result = lock_directory(path, &directory, f);
    }
    if (result == 0) {
        result = remove_stale(&address, f);
    }
    if (result == 0) {
        result = new_socket(&fd, f);
    }
    if (result != 0) {
        return result;
    }
    /* The mode of the unbound socket is the one that bind() gives the path, less the umask: never
     * wider than wanted, not even for a moment. chmod() adds what the umask took. Nobody can
     * connect before listen(). */
    if (fchmod(fd, SOCKET_MODE) != 0) {
        return fail_errno(f, ERROR_INTERNAL, "fchmod", errno, path);
    }
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        return fail_errno(f, errno == EADDRINUSE ? ERROR_ALREADY_EXISTS : ERROR_FAILED_PRECONDITION,
                          "bind", errno, path);
    }
    if (chmod(path, SOCKET_MODE) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        int errnum = errno;

        (void)unlink(path);
        return fail_errno(f, ERROR_FAILED_PRECONDITION, "listen", errnum, path);
    }
    *listen_fd = scope_take_fd(&fd);
    return 0;
}

static int accept_failure(int errnum, struct failure *f)
{
    enum error_code code = ERROR_INTERNAL;

    switch (errnum) {
    case EAGAIN:
    case EINTR:
    case ECONNABORTED: /* went away while it waited */ code = ERROR_UNAVAILABLE; break;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: code = ERROR_RESOURCE_EXHAUSTED; break;
    default: break;
    }
    return failure_call(f, failure_set(f, code, "no peer: %s", strerror(errnum)), "accept4",
                        errnum);
}

int channel_accept(int listen_fd, struct channel *out, uid_t *uid, pid_t *pid, struct failure *f)
{
    SCOPE_FD int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0) {
        return accept_failure(errno, f);
    }
    struct ucred peer;
    socklen_t len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || len != sizeof(peer)) {
        int result = failure_set(f, ERROR_INTERNAL, "the kernel does not say who the peer is");

        return failure_call(f, result, "getsockopt", errno);
    }
    *uid = peer.uid;
    *pid = peer.pid;
    out->fd = scope_take_fd(&fd);
    return 0;
}

int channel_connect(const char *path, struct channel *out, struct failure *f)
{
    struct sockaddr_un address;
    SCOPE_FD int fd = -1;
    int result = make_address(path, &address, f);

    if (result == 0) {
        result = new_socket(&fd, f);
    }
    if (result != 0) {
        return result;
    }
    if (connect_to(fd, &address) != 0) {
        int errnum = errno;
        enum error_code code =
            errnum == EACCES || errnum == EPERM ? ERROR_PERMISSION_DENIED : ERROR_UNAVAILABLE;
        return fail_errno(f, code, "connect", errnum, path);
    }
    out->fd = scope_take_fd(&fd);
    return 0;
}

void channel_close(struct channel *c)
{
    scope_close_fd(&c->fd);
}

static int send_failure(int errnum, size_t len_bytes, struct failure *f)
{
    enum error_code code = ERROR_INTERNAL;

    switch (errnum) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
    case ETOOMANYREFS: /* descriptors in flight that the peer does not fetch */
        code = ERROR_RESOURCE_EXHAUSTED;
        break;
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
    case ECONNREFUSED: code = ERROR_UNAVAILABLE; break;
    default: break;
    }
    int result = failure_set(f, code, "a message of %zu bytes was not sent: %s", len_bytes,
                             strerror(errnum));
    return failure_call(f, result, "sendmsg", errnum);
}

int channel_send(const struct channel *c, const void *message, size_t len_bytes, const int *fds,
                 size_t fd_count, struct failure *f)
{
    assert(len_bytes > 0); /* an empty one reads as the end at the peer */
    assert(fd_count <= CHANNEL_FDS_MAX);
    struct iovec part = { .iov_base = (void *)(uintptr_t)message, .iov_len = len_bytes };
    struct msghdr head = { .msg_iov = &part, .msg_iovlen = 1 };
    union control control;

    if (fd_count > 0) {
        memset(&control, 0, sizeof(control));
        head.msg_control = control.bytes;
        head.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *rights = CMSG_FIRSTHDR(&head);

        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(rights), fds, fd_count * sizeof(int));
    }
    ssize_t sent;

    do {
        sent = sendmsg(c->fd, &head, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        return send_failure(errno, len_bytes, f);
    }
    assert((size_t)sent == len_bytes); /* seqpacket: all or nothing */
    return 0;
}

/* Descriptors that have arrived and that nobody owns yet; closed when their scope ends. */
struct arrived {
    int fds[CHANNEL_FDS_MAX];
    size_t count;
};

static void close_arrived(struct arrived *a)
{
    for (size_t i = 0; i < a->count; i++) {
        scope_close_fd(&a->fds[i]);
    }
    a->count = 0;
}

static void collect(struct msghdr *head, struct arrived *a)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(head); part != NULL; part = CMSG_NXTHDR(head, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        assert(count <= CHANNEL_FDS_MAX - a->count); /* the kernel had room for no more */
        memcpy(a->fds + a->count, CMSG_DATA(part), count * sizeof(int));
        a->count += count;
    }
}

static ssize_t receive_failure(int errnum, struct failure *f)
{
    enum error_code code =
        errnum == ECONNRESET || errnum == ENOTCONN ? ERROR_UNAVAILABLE : ERROR_INTERNAL;
    int result = failure_set(f, code, "no message: %s", strerror(errnum));

    return failure_call(f, result, "recvmsg", errnum);
}

bool channel_brings_descriptors(const struct channel *c)
{
    char byte;
    struct iovec part = { .iov_base = &byte, .iov_len = sizeof(byte) };
    struct msghdr head = { .msg_iov = &part, .msg_iovlen = 1 };

    /* Without room for any, the kernel only says that there were some. */
    return recvmsg(c->fd, &head, MSG_DONTWAIT | MSG_PEEK) >= 0 &&
           (head.msg_flags & MSG_CTRUNC) != 0;
}

ssize_t channel_receive(const struct channel *c, void *message, size_t max_bytes,
                        int fds[CHANNEL_FDS_MAX], size_t *fd_count, struct failure *f)
{
    assert(max_bytes > 0 && (fds == NULL || fd_count != NULL));
    struct iovec part = { .iov_base = message, .iov_len = max_bytes };
    struct msghdr head = { .msg_iov = &part, .msg_iovlen = 1 };
    union control control;
    __attribute__((cleanup(close_arrived))) struct arrived arrived = { .count = 0 };

    if (fds != NULL) { /* else the kernel installs none, and says MSG_CTRUNC if some came */
        head.msg_control = control.bytes;
        head.msg_controllen = sizeof(control.bytes);
    }
    ssize_t got;

    do {
        got = recvmsg(c->fd, &head, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return errno == EAGAIN ? 0 : receive_failure(errno, f);
    }
    if (fds != NULL) {
        collect(&head, &arrived); /* first of all: an empty message may bring some, too */
    }
    if ((head.msg_flags & MSG_TRUNC) != 0) {
        return failure_set(f, ERROR_DATA_LOSS, "a message of more than %zu bytes was cut",
                           max_bytes);
    }
    if ((head.msg_flags & MSG_CTRUNC) != 0) {
        return failure_set(f, ERROR_DATA_LOSS, "a message came with more than %d descriptors",
                           fds != NULL ? (int)CHANNEL_FDS_MAX : 0);
    }
    if (got == 0) { /* the end, or an empty message, which none of ours is */
        return failure_set(f, ERROR_UNAVAILABLE, "the peer closed the connection");
    }
    if (fds != NULL) {
        memcpy(fds, arrived.fds, arrived.count * sizeof(int));
        *fd_count = arrived.count;
        arrived.count = 0;
    } else if (fd_count != NULL) {
        *fd_count = 0;
    }
    return got;
}
