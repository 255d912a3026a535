/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A TLS server for tests of the client that does what a real one doesn't. It answers each request
 * by the next step of a script, byte for byte, or by what a function makes of it, and then goes on,
 * closes, stops, or drips. One thread of its own; every wait ends when the test stops it. Its certificate is made anew for each,
 * and lies in a file that the client can trust.
 */
#ifndef XENRES_TESTS_TLS_SERVER_H
#define XENRES_TESTS_TLS_SERVER_H

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum tls_server_then {
    TLS_SERVER_KEEP,   /* wait for the next request */
    TLS_SERVER_CLOSE,  /* close at once, without TLS's own good-bye */
    TLS_SERVER_HANG,   /* say nothing more until the test ends it */
    TLS_SERVER_DRIP,   /* a byte of "x" every 50 ms */
    TLS_SERVER_RESET,  /* close so that the client's connection is reset */
    TLS_SERVER_SILENT, /* say nothing more until the client closes */
};

struct tls_server_step {
    const void *bytes;
    size_t len;
    enum tls_server_then then;
};

enum { TLS_SERVER_REQUEST_BYTES = 65536, TLS_SERVER_REQUESTS_MAX = 16 };

struct tls_server {
    int listen_fd;
    int stop_fds[2]; /* closing the second ends every wait */
    uint16_t port;
    char url[64];
    char ca_path[256];
    SSL_CTX *context;
    pthread_t thread;
    const struct tls_server_step *steps;
    size_t step_count;
    size_t next_step; /* the thread's, until tls_server_stop() */
    /* Instead of a script: on the server's thread, with the request's body. */
    struct tls_server_step (*answer)(void *arg, const void *body, size_t len);
    void *arg;
    size_t piece_bytes; /* what is sent at once; 0: all */
    unsigned connections;
    bool only_tcp; /* the steps are sent without TLS, as soon as a connection is there */
    sem_t asked;   /* posted for each whole request, before its answer */
    char requests[TLS_SERVER_REQUESTS_MAX][4096]; /* heads, cut */
    char body[4096];                              /* of the last request, cut */
    size_t body_len;
};

#define TLS_SERVER_MUST(condition)                                                                 \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* False when the test ends first, or after `timeout_ms`. */
static inline bool tls_server_wait(const struct tls_server *s, int fd, short events, int timeout_ms)
{
    struct pollfd fds[2] = { { .fd = fd, .events = events },
                             { .fd = s->stop_fds[0], .events = POLLIN } };

    return poll(fds, 2, timeout_ms) > 0 && fds[1].revents == 0 && fds[0].revents != 0;
}

static inline void tls_server_until_stop(const struct tls_server *s)
{
    (void)tls_server_wait(s, -1, 0, 60000);
}

static inline void tls_server_keep(struct tls_server *s, const char *bytes, size_t head_len,
                                   size_t len)
{
    if (s->next_step < TLS_SERVER_REQUESTS_MAX) {
        (void)snprintf(s->requests[s->next_step], sizeof(s->requests[0]), "%.*s", (int)head_len,
                       bytes);
    }
    s->body_len = len - head_len < sizeof(s->body) ? len - head_len : sizeof(s->body);
    memcpy(s->body, bytes + head_len, s->body_len);
    sem_post(&s->asked);
}

/* Reads a whole request. False at the connection's end. */
static inline bool tls_server_request(struct tls_server *s, SSL *ssl)
{
    static char bytes[TLS_SERVER_REQUEST_BYTES];
    size_t len = 0, head_len = 0, wanted = SIZE_MAX;

    while (len < wanted) {
        if (SSL_pending(ssl) == 0 && !tls_server_wait(s, SSL_get_fd(ssl), POLLIN, 30000)) {
            return false;
        }
        int got = SSL_read(ssl, bytes + len, (int)(sizeof(bytes) - 1 - len));

        if (got <= 0) {
            return false;
        }
        len += (size_t)got;
        bytes[len] = '\0';
        char *end = strstr(bytes, "\r\n\r\n");

        if (end != NULL && wanted == SIZE_MAX) {
            const char *length = strcasestr(bytes, "\r\nContent-Length:");

            head_len = (size_t)(end + 4 - bytes);
            wanted = head_len;
            if (length != NULL && length < end) {
                wanted += strtoul(length + 17, NULL, 10);
            }
        }
    }
    tls_server_keep(s, bytes, head_len, len);
    return true;
}

static inline void tls_server_send(const struct tls_server *s, SSL *ssl, const void *bytes,
                                   size_t len)
{
    const char *at = bytes;
    size_t most = s->piece_bytes > 0 ? s->piece_bytes : 16384;

    while (len > 0) {
        int sent = SSL_write(ssl, at, (int)(len < most ? len : most));

        if (sent <= 0) {
            return; /* the client gave up: what is tested as a rule */
        }
        at += sent;
        len -= (size_t)sent;
    }
}

static inline void tls_server_drip(struct tls_server *s, SSL *ssl)
{
    /* POLLIN: the client closed. */
    while (!tls_server_wait(s, SSL_get_fd(ssl), POLLIN, 50)) {
        struct pollfd stop = { .fd = s->stop_fds[0], .events = POLLIN };

        if (poll(&stop, 1, 0) > 0 || SSL_write(ssl, "x", 1) <= 0) {
            return;
        }
    }
}

/* The next close() of it does not end the connection but cuts it, behind what was sent: that has to
 * have been sent, or the kernel drops it. */
static inline void tls_server_reset(const struct tls_server *s, int fd)
{
    const struct linger cut = { .l_onoff = 1, .l_linger = 0 };
    int left = 1;

    for (int i = 0; i < 1000 && ioctl(fd, SIOCOUTQNSD, &left) == 0 && left > 0; i++) {
        (void)tls_server_wait(s, -1, 0, 1);
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &cut, sizeof(cut));
}

static inline void tls_server_serve(struct tls_server *s, SSL *ssl)
{
    while ((s->answer != NULL || s->next_step < s->step_count) && tls_server_request(s, ssl)) {
        struct tls_server_step step =
            s->answer != NULL ? s->answer(s->arg, s->body, s->body_len) : s->steps[s->next_step];

        s->next_step++;
        tls_server_send(s, ssl, step.bytes, step.len);
        switch (step.then) {
        case TLS_SERVER_CLOSE: return;
        case TLS_SERVER_HANG: tls_server_until_stop(s); return;
        case TLS_SERVER_DRIP: tls_server_drip(s, ssl); return;
        case TLS_SERVER_RESET: tls_server_reset(s, SSL_get_fd(ssl)); return;
        case TLS_SERVER_SILENT: (void)tls_server_wait(s, SSL_get_fd(ssl), POLLIN, 60000); return;
        case TLS_SERVER_KEEP:
        default: break;
        }
    }
}

static inline void *tls_server_thread(void *arg)
{
    struct tls_server *s = arg;
    const int on = 1;
    sigset_t pipe_signal;

    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE); /* in this thread only: the client's must raise none */
    pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL);
    while (tls_server_wait(s, s->listen_fd, POLLIN, 60000)) {
        int fd = accept(s->listen_fd, NULL, NULL);

        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        s->connections++;
        if (s->only_tcp) {
            if (s->step_count > 0) {
                (void)!write(fd, s->steps[0].bytes, s->steps[0].len);
            } else {
                tls_server_until_stop(s);
            }
        } else {
            SSL *ssl = SSL_new(s->context);

            SSL_set_fd(ssl, fd);
            if (SSL_accept(ssl) == 1) {
                tls_server_serve(s, ssl);
            }
            SSL_free(ssl);
        }
        close(fd);
    }
    return NULL;
}

/* A certificate for `name` ("IP:127.0.0.1"), signed by itself, and its key; written for the client.
 * */
static inline void tls_server_certificate(struct tls_server *s, const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    FILE *file = fopen(s->ca_path, "w");
    X509V3_CTX context;

    TLS_SERVER_MUST(key != NULL && certificate != NULL && file != NULL);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name, name);
    X509_EXTENSION *ca =
        X509V3_EXT_conf_nid(NULL, &context, NID_basic_constraints, "critical,CA:TRUE");

    X509_add_ext(certificate, san, -1);
    X509_add_ext(certificate, ca, -1);
    X509_EXTENSION_free(san);
    X509_EXTENSION_free(ca);
    TLS_SERVER_MUST(X509_sign(certificate, key, EVP_sha256()) > 0);
    TLS_SERVER_MUST(PEM_write_X509(file, certificate) == 1);
    fclose(file);
    TLS_SERVER_MUST(SSL_CTX_use_certificate(s->context, certificate) == 1);
    TLS_SERVER_MUST(SSL_CTX_use_PrivateKey(s->context, key) == 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

/* What is to be other than usual is set in *s before; the rest is filled here. */
static inline void tls_server_start(struct tls_server *s, const char *name, int max_version,
                                    const struct tls_server_step *steps, size_t step_count)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);
    const char *folder = getenv("TMPDIR");

    s->steps = steps;
    s->step_count = step_count;
    s->next_step = 0;
    s->connections = 0;
    (void)snprintf(s->ca_path, sizeof(s->ca_path), "%s/ca.XXXXXX",
                   folder != NULL ? folder : "/tmp");
    int file = mkstemp(s->ca_path);

    TLS_SERVER_MUST(file >= 0);
    close(file);
    s->context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_max_proto_version(s->context, max_version);
    tls_server_certificate(s, name);
    s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    TLS_SERVER_MUST(bind(s->listen_fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    TLS_SERVER_MUST(listen(s->listen_fd, 8) == 0);
    TLS_SERVER_MUST(getsockname(s->listen_fd, (struct sockaddr *)&address, &len) == 0);
    s->port = ntohs(address.sin_port);
    (void)snprintf(s->url, sizeof(s->url), "https://127.0.0.1:%u", s->port);
    TLS_SERVER_MUST(pipe(s->stop_fds) == 0);
    TLS_SERVER_MUST(sem_init(&s->asked, 0, 0) == 0);
    TLS_SERVER_MUST(pthread_create(&s->thread, NULL, tls_server_thread, s) == 0);
}

/* Ends the thread: from then on its findings may be looked at. */
static inline void tls_server_stop(struct tls_server *s)
{
    close(s->stop_fds[1]);
    pthread_join(s->thread, NULL);
    close(s->stop_fds[0]);
    close(s->listen_fd);
    SSL_CTX_free(s->context);
    sem_destroy(&s->asked);
    unlink(s->ca_path);
}

#endif
