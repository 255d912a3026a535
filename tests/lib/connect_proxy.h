/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * An HTTP proxy for tests of the client: it takes CONNECT and makes the tunnel, to the port that the
 * test says whatever was asked for, or answers something else instead. One connection at a time, in
 * a thread of its own, which connect_proxy_stop() ends.
 */
#ifndef XENRES_TESTS_CONNECT_PROXY_H
#define XENRES_TESTS_CONNECT_PROXY_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct connect_proxy {
    uint16_t target_port;
    const char *instead; /* of a tunnel: these bytes; NULL: the tunnel */
    bool hangs;          /* behind them, instead of closing */
    int listen_fd;
    int stop_fds[2]; /* closing the second ends every wait */
    char url[64];
    pthread_t thread;
    unsigned connections; /* this and the next: the thread's, until connect_proxy_stop() */
    char request[4096];   /* the last head */
};

#define CONNECT_PROXY_MUST(condition)                                                              \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static inline bool connect_proxy_wait(const struct connect_proxy *p, int fd)
{
    struct pollfd fds[2] = { { .fd = fd, .events = POLLIN },
                             { .fd = p->stop_fds[0], .events = POLLIN } };

    return poll(fds, 2, 60000) > 0 && fds[1].revents == 0 && fds[0].revents != 0;
}

static inline bool connect_proxy_read_head(struct connect_proxy *p, int fd)
{
    size_t len = 0;

    memset(p->request, 0, sizeof(p->request));
    while (strstr(p->request, "\r\n\r\n") == NULL && len < sizeof(p->request) - 1) {
        if (!connect_proxy_wait(p, fd)) {
            return false;
        }
        ssize_t got = read(fd, p->request + len, sizeof(p->request) - 1 - len);

        if (got <= 0) {
            return false;
        }
        len += (size_t)got;
    }
    return true;
}

static inline bool connect_proxy_copy(int from, int to)
{
    char bytes[16384];
    ssize_t got = read(from, bytes, sizeof(bytes));

    return got > 0 && send(to, bytes, (size_t)got, MSG_NOSIGNAL) == got;
}

static inline void connect_proxy_tunnel(const struct connect_proxy *p, int client_fd)
{
    static const char made[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons(p->target_port),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool goes_on = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
                   send(client_fd, made, sizeof(made) - 1, MSG_NOSIGNAL) > 0;

    while (goes_on) {
        struct pollfd fds[3] = { { .fd = client_fd, .events = POLLIN },
                                 { .fd = fd, .events = POLLIN },
                                 { .fd = p->stop_fds[0], .events = POLLIN } };

        goes_on = poll(fds, 3, 60000) > 0 && fds[2].revents == 0 &&
                  (fds[0].revents == 0 || connect_proxy_copy(client_fd, fd)) &&
                  (fds[1].revents == 0 || connect_proxy_copy(fd, client_fd));
    }
    close(fd);
}

static inline void *connect_proxy_thread(void *arg)
{
    struct connect_proxy *p = arg;

    while (connect_proxy_wait(p, p->listen_fd)) {
        int fd = accept(p->listen_fd, NULL, NULL);

        p->connections++;
        if (connect_proxy_read_head(p, fd)) {
            if (p->instead == NULL) {
                connect_proxy_tunnel(p, fd);
            } else {
                (void)send(fd, p->instead, strlen(p->instead), MSG_NOSIGNAL);
                while (p->hangs && connect_proxy_wait(p, fd) && connect_proxy_copy(fd, fd)) {
                }
            }
        }
        close(fd);
    }
    return NULL;
}

/* What is to be other than a tunnel is set in *p before. */
static inline void connect_proxy_start(struct connect_proxy *p)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);

    p->connections = 0;
    p->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CONNECT_PROXY_MUST(bind(p->listen_fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    CONNECT_PROXY_MUST(listen(p->listen_fd, 8) == 0);
    CONNECT_PROXY_MUST(getsockname(p->listen_fd, (struct sockaddr *)&address, &len) == 0);
    (void)snprintf(p->url, sizeof(p->url), "http://127.0.0.1:%u", ntohs(address.sin_port));
    CONNECT_PROXY_MUST(pipe(p->stop_fds) == 0);
    CONNECT_PROXY_MUST(pthread_create(&p->thread, NULL, connect_proxy_thread, p) == 0);
}

static inline void connect_proxy_stop(struct connect_proxy *p)
{
    close(p->stop_fds[1]);
    pthread_join(p->thread, NULL);
    close(p->stop_fds[0]);
    close(p->listen_fd);
}

#endif
