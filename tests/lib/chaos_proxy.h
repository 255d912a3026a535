/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A bad network, as a process: what connects to it is led to the target, until it is told to cut,
 * truncate, damage, hold up or trickle what the target says. Told by a socket pair, in the order of the
 * commands; it ends with its parent.
 */
#ifndef XENRES_TESTS_CHAOS_PROXY_H
#define XENRES_TESTS_CHAOS_PROXY_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PROXY_CONNECTIONS_MAX = 32,
    PROXY_BYTES = 4096,
    PROXY_BUFFER_BYTES =
        4096, /* of the kernel's, towards the target: what is held up is not much */
    PROXY_TICK_MS = 1,
};

enum proxy_mode {
    PROXY_PASS,
    PROXY_END,     /* after `bytes`: both sides end, as by a FIN */
    PROXY_RESET,   /* the same, by a reset */
    PROXY_DAMAGE,  /* after `bytes`: one bit is another */
    PROXY_HOLD,    /* nothing goes on, and nothing ends */
    PROXY_TRICKLE, /* `bytes` each millisecond */
    PROXY_REFUSE,  /* all connections are reset, and all new ones */
};

struct proxy_command {
    uint32_t mode;
    uint32_t bytes;
};

struct proxy {
    pid_t pid;
    int command_fd;
    uint16_t port;
};

/* The process's own. */
struct proxy_state {
    int listen_fd, command_fd;
    uint16_t target;
    struct proxy_command command;
    uint64_t left; /* bytes until the command takes effect */
    struct {
        int client, server;
    } pairs[PROXY_CONNECTIONS_MAX];
    size_t count;
};

static inline int proxy_socket(int buffer_bytes)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (buffer_bytes > 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof(buffer_bytes));
    }
    return fd;
}

static inline void proxy_drop(struct proxy_state *p, size_t i, bool by_reset)
{
    const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

    if (by_reset) {
        (void)setsockopt(p->pairs[i].client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        (void)setsockopt(p->pairs[i].server, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    }
    (void)close(p->pairs[i].client);
    (void)close(p->pairs[i].server);
    p->pairs[i] = p->pairs[--p->count];
}

static inline void proxy_accept(struct proxy_state *p)
{
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons(p->target),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int client = accept4(p->listen_fd, NULL, NULL, SOCK_CLOEXEC);

    if (client < 0 || p->count == PROXY_CONNECTIONS_MAX) {
        (void)close(client);
        return;
    }
    int server = proxy_socket(PROXY_BUFFER_BYTES);

    p->pairs[p->count].client = client;
    p->pairs[p->count].server = server;
    p->count++;
    if (p->command.mode == PROXY_REFUSE ||
        connect(server, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        proxy_drop(p, p->count - 1, true);
    }
}

/* What came from the target goes on as the command wants. False: the pair is gone. */
static inline bool proxy_hand_on(struct proxy_state *p, size_t i, char *bytes, size_t len)
{
    bool takes_effect = len >= p->left;

    if (p->command.mode == PROXY_PASS || p->command.mode == PROXY_TRICKLE) {
        return send(p->pairs[i].client, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
    }
    if (takes_effect && p->command.mode == PROXY_DAMAGE) {
        bytes[p->left > 0 ? p->left - 1 : 0] ^= 0x10;
        p->command.mode = PROXY_PASS;
    } else if (takes_effect) {
        bool by_reset = p->command.mode == PROXY_RESET;

        (void)send(p->pairs[i].client, bytes, p->left, MSG_NOSIGNAL);
        p->command.mode = PROXY_PASS;
        proxy_drop(p, i, by_reset);
        return true; /* dropped already */
    }
    p->left -= takes_effect ? p->left : len;
    return send(p->pairs[i].client, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static inline bool proxy_from_server(struct proxy_state *p, size_t i)
{
    char bytes[PROXY_BYTES];
    size_t max = p->command.mode == PROXY_TRICKLE && p->command.bytes < sizeof(bytes)
                     ? p->command.bytes
                     : sizeof(bytes);
    ssize_t n = read(p->pairs[i].server, bytes, max);

    return n > 0 && proxy_hand_on(p, i, bytes, (size_t)n);
}

static inline bool proxy_from_client(struct proxy_state *p, size_t i)
{
    char bytes[PROXY_BYTES];
    ssize_t n = read(p->pairs[i].client, bytes, sizeof(bytes));

    return n > 0 && send(p->pairs[i].server, bytes, (size_t)n, MSG_NOSIGNAL) == n;
}

/* False: the parent is gone. */
static inline bool proxy_take_command(struct proxy_state *p)
{
    struct proxy_command command;

    if (read(p->command_fd, &command, sizeof(command)) != (ssize_t)sizeof(command)) {
        return false;
    }
    p->command = command;
    p->left = p->command.bytes;
    while (p->command.mode == PROXY_REFUSE && p->count > 0) {
        proxy_drop(p, p->count - 1, true);
    }
    return write(p->command_fd, "", 1) == 1; /* it is so from now on */
}

static inline bool proxy_once(struct proxy_state *p)
{
    struct pollfd fds[2 + 2 * PROXY_CONNECTIONS_MAX] = {
        { .fd = p->command_fd, .events = POLLIN },
        { .fd = p->listen_fd, .events = POLLIN },
    };
    bool is_held = p->command.mode == PROXY_HOLD;
    size_t count = p->count;

    for (size_t i = 0; i < count; i++) {
        fds[2 + 2 * i] = (struct pollfd){ is_held ? -1 : p->pairs[i].client, POLLIN, 0 };
        fds[3 + 2 * i] = (struct pollfd){ is_held ? -1 : p->pairs[i].server, POLLIN, 0 };
    }
    (void)poll(fds, (nfds_t)(2 + 2 * count), -1);
    if (p->command.mode == PROXY_TRICKLE) {
        (void)poll(NULL, 0, PROXY_TICK_MS);
    }
    for (size_t i = count; i-- > 0;) { /* dropping one puts the last in its place */
        size_t before = p->count;
        bool goes_on = fds[3 + 2 * i].revents == 0 || proxy_from_server(p, i);

        if (goes_on && p->count == before) {
            goes_on = fds[2 + 2 * i].revents == 0 || proxy_from_client(p, i);
        }
        if (!goes_on) {
            proxy_drop(p, i, false);
        }
    }
    if (fds[1].revents != 0) {
        proxy_accept(p);
    }
    return fds[0].revents == 0 || proxy_take_command(p);
}

static inline struct proxy proxy_start(uint16_t target)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);
    struct proxy_state s = { .listen_fd = proxy_socket(0), .target = target };
    struct proxy p;
    int fds[2];

    if (bind(s.listen_fd, (struct sockaddr *)&address, len) != 0 || listen(s.listen_fd, 64) != 0 ||
        getsockname(s.listen_fd, (struct sockaddr *)&address, &len) != 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
        perror("proxy");
        abort();
    }
    p.port = ntohs(address.sin_port);
    p.command_fd = fds[0];
    s.command_fd = fds[1];
    p.pid = fork();
    if (p.pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(fds[0]);
        while (proxy_once(&s)) {
        }
        _exit(0);
    }
    (void)close(fds[1]);
    (void)close(s.listen_fd);
    return p;
}

/* It holds when this returns. */
static inline void proxy_tell(const struct proxy *p, enum proxy_mode mode, uint32_t bytes)
{
    const struct proxy_command command = { mode, bytes };
    char done;

    if (write(p->command_fd, &command, sizeof(command)) != (ssize_t)sizeof(command) ||
        read(p->command_fd, &done, 1) != 1) {
        perror("proxy command");
        abort();
    }
}

#endif
