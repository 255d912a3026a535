/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A TLS client for tests that does what real ones don't: stops half way, sends bytes of its own,
 * tells which alert it got. On OpenSSL, so that it is not what the server is made of. Every read
 * waits TLS_PEER_WAIT_S at most. One thread.
 */
#ifndef XENRES_TESTS_TLS_PEER_H
#define XENRES_TESTS_TLS_PEER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TLS_PEER_WAIT_S = 20, TLS_PEER_HEAD_BYTES = 16384 };

struct tls_peer {
    SSL_CTX *context;
    SSL *ssl;
    int fd;
    int alert;                      /* the last fatal one received; 0: none */
    char head[TLS_PEER_HEAD_BYTES]; /* of the last response, NUL-ended */
    char rest[TLS_PEER_HEAD_BYTES]; /* read beyond it */
    size_t rest_len;
};

struct tls_peer_options {
    const char *dir;              /* with CA.crt, and NAME.crt and NAME.key of the client */
    const char *name;             /* NULL: show no certificate */
    int max_version;              /* 0: any */
    const char *ciphersuites;     /* NULL: any */
    int receive_buffer_bytes;     /* 0: the kernel's choice */
    void (*on_connected)(int fd); /* before the handshake; NULL: nothing */
    bool short_records;           /* takes none of more than 512 bytes */
    bool weak;                    /* shows also what nobody should take */
};

static inline int tls_peer_connect(uint16_t port, int receive_buffer_bytes)
{
    const struct timeval wait = { .tv_sec = TLS_PEER_WAIT_S };
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (receive_buffer_bytes > 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
                         sizeof(receive_buffer_bytes));
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        perror("connect");
        abort();
    }
    return fd;
}

static inline void tls_peer_on_info(const SSL *ssl, int where, int value)
{
    struct tls_peer *p = SSL_get_app_data(ssl);

    if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && value >> 8 == SSL3_AL_FATAL) {
        p->alert = value & 0xff;
    }
}

/* True when the handshake was finished on this side. The server's verdict on the certificate comes
 * with the first read only. */
static inline bool tls_peer_open(struct tls_peer *p, uint16_t port,
                                 const struct tls_peer_options *options)
{
    char path[512];

    memset(p, 0, sizeof(*p));
    p->context = SSL_CTX_new(TLS_client_method());
    (void)snprintf(path, sizeof(path), "%s/ca.crt", options->dir);
    SSL_CTX_load_verify_locations(p->context, path, NULL);
    SSL_CTX_set_verify(p->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(p->context, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_info_callback(p->context, tls_peer_on_info);
    if (options->weak) {
        SSL_CTX_set_security_level(p->context, 0);
        SSL_CTX_set_min_proto_version(p->context, TLS1_VERSION);
    }
    if (options->name != NULL) {
        (void)snprintf(path, sizeof(path), "%s/%s.crt", options->dir, options->name);
        SSL_CTX_use_certificate_chain_file(p->context, path);
        (void)snprintf(path, sizeof(path), "%s/%s.key", options->dir, options->name);
        SSL_CTX_use_PrivateKey_file(p->context, path, SSL_FILETYPE_PEM);
    }
    if (options->max_version != 0) {
        SSL_CTX_set_max_proto_version(p->context, options->max_version);
    }
    if (options->ciphersuites != NULL) {
        SSL_CTX_set_ciphersuites(p->context, options->ciphersuites);
    }
    if (options->short_records) {
        SSL_CTX_set_tlsext_max_fragment_length(p->context, TLSEXT_max_fragment_length_512);
    }
    p->fd = tls_peer_connect(port, options->receive_buffer_bytes);
    if (options->on_connected != NULL) {
        options->on_connected(p->fd);
    }
    p->ssl = SSL_new(p->context);
    SSL_set_app_data(p->ssl, p);
    SSL_set_fd(p->ssl, p->fd);
    return SSL_connect(p->ssl) == 1;
}

static inline void tls_peer_close(struct tls_peer *p)
{
    SSL_free(p->ssl);
    SSL_CTX_free(p->context);
    (void)close(p->fd);
}

static inline bool tls_peer_send(struct tls_peer *p, const void *bytes, size_t len)
{
    return SSL_write(p->ssl, bytes, (int)len) == (int)len;
}

static inline bool tls_peer_say(struct tls_peer *p, const char *text)
{
    return tls_peer_send(p, text, strlen(text));
}

/* Bytes read; 0 at the end, whatever it was. */
static inline size_t tls_peer_read(struct tls_peer *p, void *bytes, size_t max)
{
    size_t n = p->rest_len < max ? p->rest_len : max;
    int got;

    if (n > 0) {
        memcpy(bytes, p->rest, n);
        memmove(p->rest, p->rest + n, p->rest_len - n);
        p->rest_len -= n;
        return n;
    }
    got = SSL_read(p->ssl, bytes, (int)max);
    return got > 0 ? (size_t)got : 0;
}

/* True when the peer ends the connection before it says anything. */
static inline bool tls_peer_ended(struct tls_peer *p)
{
    char byte;

    return tls_peer_read(p, &byte, 1) == 0;
}

static inline const char *tls_peer_header(const struct tls_peer *p, const char *name)
{
    const char *found = strcasestr(p->head, name);

    return found != NULL && found[strlen(name)] == ':' ? found + strlen(name) + 2 : NULL;
}

/* Reads the head of a response: its status, or 0 where the connection ended instead. */
static inline int tls_peer_head(struct tls_peer *p)
{
    size_t len = 0;
    char *end = NULL;
    int status = 0;

    p->head[0] = '\0';
    while (end == NULL && len < sizeof(p->head) - 1) {
        size_t n = tls_peer_read(p, p->head + len, sizeof(p->head) - 1 - len);

        if (n == 0) {
            return 0;
        }
        len += n;
        p->head[len] = '\0';
        end = strstr(p->head, "\r\n\r\n");
    }
    if (end == NULL || sscanf(p->head, "HTTP/1.1 %d ", &status) != 1) {
        return 0;
    }
    end += 4;
    p->rest_len = len - (size_t)(end - p->head);
    memcpy(p->rest, end, p->rest_len);
    *end = '\0';
    return status;
}

/* The next line of the body, without its end. False: the connection ended, or it is too long. */
static inline bool tls_peer_line(struct tls_peer *p, char *line, size_t max)
{
    size_t len = 0;

    while (len < max && tls_peer_read(p, line + len, 1) == 1) {
        if (line[len] == '\n') {
            line[len > 0 && line[len - 1] == '\r' ? len - 1 : len] = '\0';
            return true;
        }
        len++;
    }
    return false;
}

/* Reads a chunked body, up to `max` bytes of which go to `out`. Its length; SIZE_MAX where it is cut,
 * or no proper one. */
static inline size_t tls_peer_chunks(struct tls_peer *p, void *out, size_t max)
{
    size_t total = 0;
    char line[32];

    while (tls_peer_line(p, line, sizeof(line))) {
        char *end;
        size_t left = strtoul(line, &end, 16);

        if (end == line) {
            return SIZE_MAX;
        }
        while (left > 0) {
            char bytes[4096];
            size_t n = tls_peer_read(p, bytes, left < sizeof(bytes) ? left : sizeof(bytes));

            if (n == 0) {
                return SIZE_MAX;
            }
            if (total + n <= max) {
                memcpy((char *)out + total, bytes, n);
            }
            total += n;
            left -= n;
        }
        bool was_last = line[0] == '0' && line[1] == '\0';

        if (!tls_peer_line(p, line, sizeof(line)) || line[0] != '\0') {
            return SIZE_MAX;
        }
        if (was_last) {
            return total;
        }
    }
    return SIZE_MAX;
}

/* Reads a response with its body, which is thrown away; its length is in `*len` (may be NULL). */
static inline int tls_peer_response(struct tls_peer *p, size_t *len)
{
    int status = tls_peer_head(p);
    const char *length = tls_peer_header(p, "Content-Length");
    size_t left = length != NULL ? strtoul(length, NULL, 10) : 0;
    char bytes[16384];

    if (status != 0 && len != NULL) {
        *len = left;
    }
    while (status != 0 && left > 0) {
        size_t n = tls_peer_read(p, bytes, left < sizeof(bytes) ? left : sizeof(bytes));

        if (n == 0) {
            return 0;
        }
        left -= n;
    }
    return status;
}

#endif
