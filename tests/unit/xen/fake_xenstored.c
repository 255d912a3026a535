/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "tests/unit/xen/fake_xenstored.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <xen/io/xs_wire.h>

#include "tests/lib/unit.h"

struct node {
    char path[64];
    char value[FAKE_XENSTORED_VALUE_MAX];
    uint32_t len;
    bool has_value;
    char permissions[64]; /* entries as on the wire, each NUL-ended */
    uint32_t permissions_len;
};

/* The server. The thread answers; tests change it, under the lock. */
static struct {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char path[108];
    int listen_fd, fd; /* fd: the one connection; -1 none */
    bool silent;       /* answers nothing until it is false again */
    uint32_t connections;
    struct node nodes[FAKE_XENSTORED_NODES];
    struct {
        char path[64], token[64];
    } watches[FAKE_XENSTORED_WATCHES];
    uint32_t watch_count;
} server = { .lock = PTHREAD_MUTEX_INITIALIZER,
             .changed = PTHREAD_COND_INITIALIZER,
             .listen_fd = -1,
             .fd = -1 };

static void put_message(uint32_t type, uint32_t request, const void *body, uint32_t len)
{
    struct xsd_sockmsg head = { .type = type, .req_id = request, .len = len };

    (void)send(server.fd, &head, sizeof(head), MSG_NOSIGNAL);
    (void)send(server.fd, body, len, MSG_NOSIGNAL);
}

static void put_event(const char *path, const char *token)
{
    char body[256];
    size_t path_len = strlen(path) + 1;

    memcpy(body, path, path_len);
    memcpy(body + path_len, token, strlen(token) + 1);
    put_message(XS_WATCH_EVENT, 0, body, (uint32_t)(path_len + strlen(token) + 1));
}

static void put_error(uint32_t request, const char *name)
{
    put_message(XS_ERROR, request, name, (uint32_t)strlen(name) + 1);
}

static const struct node *find_node(const char *path)
{
    for (int i = 0; i < FAKE_XENSTORED_NODES; i++) {
        if (strcmp(server.nodes[i].path, path) == 0) {
            return &server.nodes[i];
        }
    }
    return NULL;
}

static void answer_read(uint32_t request, const char *path)
{
    const struct node *node = find_node(path);

    if (node != NULL && node->has_value) {
        put_message(XS_READ, request, node->value, node->len);
    } else {
        put_error(request, "ENOENT");
    }
}

static void answer_permissions(uint32_t request, const char *path)
{
    const struct node *node = find_node(path);

    if (node == NULL) {
        put_error(request, "ENOENT");
    } else if (node->permissions_len == 0) {
        put_message(XS_GET_PERMS, request, "n0", 3); /* dom0's */
    } else {
        put_message(XS_GET_PERMS, request, node->permissions, node->permissions_len);
    }
}

static void answer_watch(uint32_t type, uint32_t request, const char *path, const char *token)
{
    uint32_t i = 0;

    while (i < server.watch_count && (strcmp(server.watches[i].path, path) != 0 ||
                                      strcmp(server.watches[i].token, token) != 0)) {
        i++;
    }
    if (type == XS_UNWATCH) {
        if (i == server.watch_count) {
            put_error(request, "ENOENT");
            return;
        }
        server.watches[i] = server.watches[--server.watch_count];
        put_message(type, request, "OK", 3);
        return;
    }
    assert(i == server.watch_count && i < FAKE_XENSTORED_WATCHES);
    assert(strlen(path) < sizeof(server.watches[i].path));
    assert(strlen(token) < sizeof(server.watches[i].token));
    memcpy(server.watches[i].path, path, strlen(path) + 1);
    memcpy(server.watches[i].token, token, strlen(token) + 1);
    server.watch_count++;
    put_message(type, request, "OK", 3);
    put_event(path, token);
}

static bool receive_all(int fd, void *to, size_t len)
{
    return len == 0 || recv(fd, to, len, MSG_WAITALL) == (ssize_t)len;
}

static void serve_connection(int fd)
{
    struct xsd_sockmsg head;
    static char body[FAKE_XENSTORED_VALUE_MAX + 1];

    while (receive_all(fd, &head, sizeof(head)) && head.len <= FAKE_XENSTORED_VALUE_MAX &&
           receive_all(fd, body, head.len)) {
        body[head.len] = '\0';
        pthread_mutex_lock(&server.lock);
        while (server.silent) {
            pthread_cond_wait(&server.changed, &server.lock);
        }
        if (head.type == XS_READ) {
            answer_read(head.req_id, body);
        } else if (head.type == XS_GET_PERMS) {
            answer_permissions(head.req_id, body);
        } else {
            answer_watch(head.type, head.req_id, body, body + strlen(body) + 1);
        }
        pthread_mutex_unlock(&server.lock);
    }
}

static void *serve(void *argument)
{
    (void)argument;
    for (;;) {
        int fd = accept(server.listen_fd, NULL, NULL);

        if (fd < 0) {
            return NULL;
        }
        pthread_mutex_lock(&server.lock);
        server.fd = fd;
        server.watch_count = 0;
        server.connections++;
        pthread_mutex_unlock(&server.lock);
        serve_connection(fd);
        pthread_mutex_lock(&server.lock);
        server.fd = -1;
        close(fd);
        pthread_cond_broadcast(&server.changed);
        pthread_mutex_unlock(&server.lock);
    }
}

void fake_xenstored_start(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    const char *parent = getenv("TMPDIR");

    memset(server.nodes, 0, sizeof(server.nodes));
    server.connections = 0;
    snprintf(server.path, sizeof(server.path), "%s/xr.%ld", parent != NULL ? parent : "/tmp",
             (long)getpid());
    setenv("XENSTORED_PATH", server.path, 1);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", server.path);
    (void)unlink(server.path);
    server.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server.listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server.listen_fd, 1), 0);
    assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

void fake_xenstored_hang_up(void)
{
    pthread_mutex_lock(&server.lock);
    server.silent = false;
    pthread_cond_broadcast(&server.changed);
    if (server.fd >= 0) {
        (void)shutdown(server.fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&server.lock);
}

void fake_xenstored_stop(void)
{
    if (server.listen_fd < 0) {
        return;
    }
    (void)shutdown(server.listen_fd, SHUT_RDWR);
    fake_xenstored_hang_up();
    pthread_join(server.thread, NULL);
    close(server.listen_fd);
    server.listen_fd = -1;
    (void)unlink(server.path);
}

void fake_xenstored_be_silent(bool silent)
{
    pthread_mutex_lock(&server.lock);
    server.silent = silent;
    pthread_cond_broadcast(&server.changed);
    pthread_mutex_unlock(&server.lock);
}

static void tell_watchers(const char *path)
{
    for (uint32_t w = 0; w < server.watch_count; w++) {
        if (strcmp(server.watches[w].path, path) == 0) {
            put_event(path, server.watches[w].token);
        }
    }
}

void fake_xenstored_write(int i, const char *path, const char *value, size_t len)
{
    pthread_mutex_lock(&server.lock);
    snprintf(server.nodes[i].path, sizeof(server.nodes[i].path), "%s", path);
    memcpy(server.nodes[i].value, value, len);
    server.nodes[i].len = (uint32_t)len;
    server.nodes[i].has_value = true;
    tell_watchers(path);
    pthread_mutex_unlock(&server.lock);
}

void fake_xenstored_permit(int i, const char *path, const char *entries)
{
    struct node *node = &server.nodes[i];

    pthread_mutex_lock(&server.lock);
    snprintf(node->path, sizeof(node->path), "%s", path);
    snprintf(node->permissions, sizeof(node->permissions), "%s", entries);
    node->permissions_len = (uint32_t)strlen(entries) + 1;
    for (uint32_t at = 0; at < node->permissions_len; at++) {
        node->permissions[at] = node->permissions[at] == ' ' ? '\0' : node->permissions[at];
    }
    tell_watchers(path);
    pthread_mutex_unlock(&server.lock);
}

void fake_xenstored_fire(const char *path, const char *token)
{
    pthread_mutex_lock(&server.lock);
    put_event(path, token);
    pthread_mutex_unlock(&server.lock);
}

uint32_t fake_xenstored_watch_count(void)
{
    uint32_t count;

    pthread_mutex_lock(&server.lock);
    count = server.watch_count;
    pthread_mutex_unlock(&server.lock);
    return count;
}

uint32_t fake_xenstored_connections(void)
{
    uint32_t count;

    pthread_mutex_lock(&server.lock);
    count = server.connections;
    pthread_mutex_unlock(&server.lock);
    return count;
}

void fake_xenstored_wait_for_end(void)
{
    pthread_mutex_lock(&server.lock);
    server.silent = false;
    pthread_cond_broadcast(&server.changed);
    while (server.fd >= 0) {
        pthread_cond_wait(&server.changed, &server.lock);
    }
    pthread_mutex_unlock(&server.lock);
}
