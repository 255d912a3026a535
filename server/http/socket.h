/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Listening sockets, and addresses of peers as keys and as text. Only numeric addresses: nothing
 * here asks a name server. Any thread.
 */
#ifndef XENRES_HTTP_SOCKET_H
#define XENRES_HTTP_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/error.h"

enum {
    SOCKET_BACKLOG = 512,
    SOCKET_PEER_BYTES = 64, /* "[IPv6 address%scope]:65535" and a NUL */
};

/* Binds and listens at "127.0.0.1:8443" or "[::]:8443"; port 0: the kernel's choice. */
int socket_listen_tcp(const char *where, int *out, struct failure *f);
/* Would it take this address? `loopback`: only one that stays on this machine. */
int socket_check_address(const char *where, bool loopback, struct failure *f);
/* At `path`, mode 0660. A socket there that nobody serves is replaced, anything else refused. */
int socket_listen_unix(const char *path, int *out, struct failure *f);
/* A listening socket, bound here or handed over: non-blocking, close-on-exec, without Nagle's delay,
 * and with probes that notice a dead peer after about 30 s. What is accepted from it inherits them.
 * -ERROR_FAILED_PRECONDITION: it does not listen. */
int socket_prepare(int fd, struct failure *f);
/* 0 for a socket without a port. */
uint16_t socket_port(int fd);
/* True for a unix socket, and for TCP on a loopback address. */
bool socket_is_local(int fd);

/* Whom a limit per address counts together: an IPv4 address, or an IPv6 network of 64 bits (one
 * subscriber's: who has one has 2^64 addresses to come from). */
struct socket_origin {
    uint8_t bytes[16];
};
void socket_origin(const struct sockaddr *address, struct socket_origin *out);
/* "192.0.2.1:1234", "[2001:db8::1]:1234"; "unix" for what has no address. */
void socket_peer_text(const struct sockaddr *address, char out[SOCKET_PEER_BYTES]);

/* How many bytes the peer has acknowledged since the connection began. False: cannot be told. */
bool socket_acked_bytes(int fd, uint64_t *out);

#endif
