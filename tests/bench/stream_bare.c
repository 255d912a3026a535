/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The floor that streams are measured against: one epoll loop that holds any number of TLS 1.3
 * connections with a required client certificate, and SSL_write()s what another thread publishes.
 *
 *   stream_bare DIR BYTES        prints its port, takes commands, serves until its input ends
 *
 *   publish COUNT PERIOD_US RECEIVERS    one message of BYTES each period, to the first RECEIVERS
 *                                        connections; prints "done" when the last is written
 *
 * A message is a chunk of HTTP/1.1 with an envelope of Connect and a WatchResponse in it, whose
 * `changes.sampled.monotonic_ns` is when it was published: what the client reads of the gateway.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { RECEIVERS_MAX = 8192, MESSAGE_MAX = 65536, HEAD_MAX = 8192, STAMP_BYTES = 10 };

static struct {
    SSL_CTX *context;
    SSL *receivers[RECEIVERS_MAX];
    unsigned receiver_count;
    int epoll_fd, listen_fd, wake_fd;
    char message[MESSAGE_MAX];
    size_t message_len;
    size_t stamp_at; /* where the ten bytes of the padded varint are */
    pthread_mutex_t lock;
    uint64_t published_ns; /* 0: nothing to send */
    unsigned publish_to;
    atomic_uint written;
} bare = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void die(const char *what)
{
    fprintf(stderr, "stream_bare: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* A varint of exactly ten bytes. */
static void put_stamp(uint64_t value)
{
    for (size_t i = 0; i < STAMP_BYTES; i++) {
        bare.message[bare.stamp_at + i] = (char)((value & 0x7f) | (i + 1 < STAMP_BYTES ? 0x80 : 0));
        value >>= 7;
    }
}

static size_t put_length(char *out, uint8_t tag, size_t value)
{
    out[0] = (char)tag;
    out[1] = (char)((value & 0x7f) | 0x80);
    out[2] = (char)(((value >> 7) & 0x7f) | 0x80);
    out[3] = (char)((value >> 14) & 0x7f);
    return 4;
}

/* WatchResponse { changes = 3 { sampled = 4 { monotonic_ns = 2 } content = 6 } } */
static void make_message(size_t bytes)
{
    size_t sampled = 1 + STAMP_BYTES, head = 4 + 4 + sampled + 4;
    size_t content = bytes > head ? bytes - head : 0, changes = 4 + sampled + 4 + content;
    size_t whole = 4 + changes;
    char *at = bare.message;

    at += sprintf(at, "%zx\r\n", 5 + whole);
    *at++ = 0; /* the envelope */
    for (int shift = 24; shift >= 0; shift -= 8) {
        *at++ = (char)(whole >> shift);
    }
    at += put_length(at, 0x1a, changes);
    at += put_length(at, 0x22, sampled);
    *at++ = 0x10;
    bare.stamp_at = (size_t)(at - bare.message);
    at += STAMP_BYTES;
    at += put_length(at, 0x32, content);
    memset(at, 'x', content);
    at += content;
    at += sprintf(at, "\r\n");
    bare.message_len = (size_t)(at - bare.message);
}

static void admit(void)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/connect+proto\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n";
    char request[HEAD_MAX];
    int on = 1, fd = accept4(bare.listen_fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0) {
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    SSL *ssl = SSL_new(bare.context);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = ssl };

    SSL_set_fd(ssl, fd);
    if (bare.receiver_count == RECEIVERS_MAX || SSL_accept(ssl) != 1 ||
        SSL_read(ssl, request, sizeof(request)) <= 0 ||
        SSL_write(ssl, head, sizeof(head) - 1) <= 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        SSL_free(ssl);
        (void)close(fd);
        return;
    }
    put_stamp(now_ns());
    (void)SSL_write(ssl, bare.message, (int)bare.message_len); /* it is open */
    if (epoll_ctl(bare.epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        die("epoll_ctl");
    }
    bare.receivers[bare.receiver_count++] = ssl;
}

static void leave(SSL *ssl)
{
    char rest[HEAD_MAX];

    if (SSL_read(ssl, rest, sizeof(rest)) > 0 || SSL_get_error(ssl, 0) == SSL_ERROR_WANT_READ) {
        return;
    }
    (void)close(SSL_get_fd(ssl));
    SSL_free(ssl);
    for (unsigned i = 0; i < bare.receiver_count; i++) {
        if (bare.receivers[i] == ssl) {
            bare.receivers[i] = bare.receivers[--bare.receiver_count];
        }
    }
}

static void send_published(void)
{
    uint64_t count;

    if (read(bare.wake_fd, &count, sizeof(count)) < 0) {
        return;
    }
    (void)pthread_mutex_lock(&bare.lock);
    uint64_t published_ns = bare.published_ns;
    unsigned to = bare.publish_to < bare.receiver_count ? bare.publish_to : bare.receiver_count;

    bare.published_ns = 0;
    (void)pthread_mutex_unlock(&bare.lock);
    if (published_ns != 0) {
        put_stamp(published_ns);
        for (unsigned i = 0; i < to; i++) {
            (void)SSL_write(bare.receivers[i], bare.message, (int)bare.message_len);
        }
        atomic_fetch_add(&bare.written, 1);
    }
}

static void *serve(void *arg)
{
    struct epoll_event events[64];

    (void)arg;
    for (;;) {
        int n = epoll_wait(bare.epoll_fd, events, 64, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &bare.listen_fd) {
                admit();
            } else if (events[i].data.ptr == &bare.wake_fd) {
                send_published();
            } else {
                leave(events[i].data.ptr);
            }
        }
    }
    return NULL;
}

static void publish(unsigned count, unsigned period_us, unsigned receivers)
{
    uint64_t due_ns = now_ns(), one = 1;

    atomic_store(&bare.written, 0);
    for (unsigned i = 0; i < count; i++) {
        due_ns += (uint64_t)period_us * 1000;
        struct timespec due = { .tv_sec = (time_t)(due_ns / 1000000000U),
                                .tv_nsec = (long)(due_ns % 1000000000U) };

        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        (void)pthread_mutex_lock(&bare.lock);
        bare.published_ns = now_ns();
        bare.publish_to = receivers;
        (void)pthread_mutex_unlock(&bare.lock);
        if (write(bare.wake_fd, &one, sizeof(one)) != sizeof(one)) {
            die("eventfd");
        }
    }
    for (int i = 0; i < 1000 && atomic_load(&bare.written) < count; i++) {
        (void)usleep(1000); /* the last is on its way */
    }
    printf("done\n");
    (void)fflush(stdout);
}

static void load_certificates(const char *dir)
{
    char path[512];

    bare.context = SSL_CTX_new(TLS_server_method());
    if (bare.context == NULL) {
        die("SSL_CTX_new");
    }
    SSL_CTX_set_min_proto_version(bare.context, TLS1_3_VERSION);
    SSL_CTX_set_num_tickets(bare.context, 0);
    SSL_CTX_set_mode(bare.context, SSL_MODE_RELEASE_BUFFERS);
    (void)snprintf(path, sizeof(path), "%s/server.crt", dir);
    (void)SSL_CTX_use_certificate_chain_file(bare.context, path);
    (void)snprintf(path, sizeof(path), "%s/server.key", dir);
    (void)SSL_CTX_use_PrivateKey_file(bare.context, path, SSL_FILETYPE_PEM);
    (void)snprintf(path, sizeof(path), "%s/ca.crt", dir);
    (void)SSL_CTX_load_verify_locations(bare.context, path, NULL);
    SSL_CTX_set_verify(bare.context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}

static void open_sockets(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct epoll_event listening = { .events = EPOLLIN, .data.ptr = &bare.listen_fd };
    struct epoll_event waking = { .events = EPOLLIN, .data.ptr = &bare.wake_fd };
    socklen_t len = sizeof(address);

    bare.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bare.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bare.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (bare.listen_fd < 0 || bind(bare.listen_fd, (struct sockaddr *)&address, len) != 0 ||
        listen(bare.listen_fd, 64) != 0 ||
        getsockname(bare.listen_fd, (struct sockaddr *)&address, &len) != 0 ||
        epoll_ctl(bare.epoll_fd, EPOLL_CTL_ADD, bare.listen_fd, &listening) != 0 ||
        epoll_ctl(bare.epoll_fd, EPOLL_CTL_ADD, bare.wake_fd, &waking) != 0) {
        die("start");
    }
    printf("%u\n", (unsigned)ntohs(address.sin_port));
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    unsigned count, period_us, receivers;
    pthread_t thread;

    if (argc != 3 || strtoul(argv[2], NULL, 10) > MESSAGE_MAX - 64) {
        fprintf(stderr, "usage: stream_bare DIR BYTES\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    load_certificates(argv[1]);
    make_message(strtoul(argv[2], NULL, 10));
    open_sockets();
    if (pthread_create(&thread, NULL, serve, NULL) != 0) {
        die("pthread_create");
    }
    while (scanf(" publish %u %u %u", &count, &period_us, &receivers) == 3) {
        publish(count, period_us, receivers);
    }
    return 0;
}
