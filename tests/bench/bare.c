/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The floor that servers are measured against: a thread a connection that answers every request
 * with one header and SSL_write() of a buffer in memory. TLS 1.3 with a required client certificate.
 *
 *   bare DIR BYTES        prints its port, serves until it is killed
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static SSL_CTX *context;
static char *body;
static size_t body_bytes;

static void *serve(void *arg)
{
    int fd = (int)(intptr_t)arg, on = 1;
    SSL *ssl = SSL_new(context);
    char request[8192], head[128];

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        int head_len = snprintf(head, sizeof(head),
                                "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", body_bytes);

        while (SSL_read(ssl, request, sizeof(request)) > 0 && SSL_write(ssl, head, head_len) > 0 &&
               SSL_write(ssl, body, (int)body_bytes) > 0) {
        }
    }
    SSL_free(ssl);
    (void)close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);
    char path[512];
    int listen_fd;

    if (argc != 3) {
        fprintf(stderr, "usage: bare DIR BYTES\n");
        return 2;
    }
    body_bytes = strtoul(argv[2], NULL, 10);
    body = malloc(body_bytes);
    context = SSL_CTX_new(TLS_server_method());
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (body == NULL || context == NULL || listen_fd < 0 ||
        bind(listen_fd, (struct sockaddr *)&address, len) != 0 || listen(listen_fd, 64) != 0 ||
        getsockname(listen_fd, (struct sockaddr *)&address, &len) != 0) {
        perror("bare");
        return 1;
    }
    memset(body, 'x', body_bytes);
    (void)signal(SIGPIPE, SIG_IGN);
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_num_tickets(context, 0);
    (void)snprintf(path, sizeof(path), "%s/server.crt", argv[1]);
    (void)SSL_CTX_use_certificate_chain_file(context, path);
    (void)snprintf(path, sizeof(path), "%s/server.key", argv[1]);
    (void)SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM);
    (void)snprintf(path, sizeof(path), "%s/ca.crt", argv[1]);
    (void)SSL_CTX_load_verify_locations(context, path, NULL);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    printf("%u\n", (unsigned)ntohs(address.sin_port));
    (void)fflush(stdout);
    for (;;) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
        pthread_t thread;

        if (fd >= 0 && pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0) {
            (void)pthread_detach(thread);
        }
    }
}
