/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* How the processes of a chaos test reach the gateway: by libxenres, and quick to try again. */
#ifndef XENRES_TESTS_CHAOS_CLIENT_H
#define XENRES_TESTS_CHAOS_CLIENT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/include/xenres.h"

struct chaos_client {
    char server[64], ca[128], cert[128], key[128];
};

/* `demo`: a folder with the certificates. */
static inline void chaos_client_init(struct chaos_client *c, const char *demo, uint16_t port)
{
    (void)snprintf(c->ca, sizeof(c->ca), "%s/ca.crt", demo);
    (void)snprintf(c->cert, sizeof(c->cert), "%s/operator.crt", demo);
    (void)snprintf(c->key, sizeof(c->key), "%s/operator.key", demo);
    (void)snprintf(c->server, sizeof(c->server), "https://127.0.0.1:%u", port);
}

static inline xenres *chaos_client_connect(const struct chaos_client *c)
{
    xenres_options options = XENRES_OPTIONS_INIT;
    xenres_error error;
    xenres *handle = NULL;

    options.server = c->server;
    options.ca_file = c->ca;
    options.cert_file = c->cert;
    options.key_file = c->key;
    options.proxy = "";
    options.connect_timeout_ms = 2000;
    options.timeout_ms = 5000;
    options.retry_wait_ms = 2;
    if (xenres_new(&options, &handle, &error) != 0) {
        fprintf(stderr, "xenres_new: %s\n", error.message);
        abort();
    }
    return handle;
}

#endif
