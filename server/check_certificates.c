/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/check_certificates.h"

#include <string.h>

#include "auth/guarded_file.h"
#include "server/material.h"

enum { ADDRESS_MAX_BYTES = 64 };

/* The file that is looked at, for what is found in it. */
struct looked_at {
    const char *option, *path;
    check_tell *tell;
    void *arg;
};

static void tell(void *arg, const struct examine_finding *finding)
{
    const struct looked_at *at = arg;

    at->tell(at->arg, at->option, at->path, finding);
}

/* The address of "192.0.2.1:8443" or "[2001:db8::1]:8443", as certificates have it. NULL: any, or none
 * that could be in one. */
static const char *address_of(const char *listen, char out[ADDRESS_MAX_BYTES])
{
    static const char *const any[] = { "", "0.0.0.0", "::", "0:0:0:0:0:0:0:0" };
    const char *colon = strrchr(listen, ':');
    size_t len = colon != NULL ? (size_t)(colon - listen) : 0;

    if (len >= 2 && listen[0] == '[' && listen[len - 1] == ']') {
        listen++;
        len -= 2;
    }
    if (len >= ADDRESS_MAX_BYTES) {
        return NULL;
    }
    memcpy(out, listen, len);
    out[len] = '\0';
    out[strcspn(out, "%")] = '\0'; /* without the link that it is on */
    for (size_t i = 0; i < sizeof(any) / sizeof(any[0]); i++) {
        if (strcmp(out, any[i]) == 0) {
            return NULL;
        }
    }
    return out;
}

void check_certificates(const struct config *config, int64_t now_s, check_tell *say, void *arg)
{
    struct looked_at server = { "tls.certificate", config->tls_certificate, say, arg };
    struct looked_at clients = { "tls.client_ca", config->tls_client_ca, say, arg };
    const struct examine_options of_server = { now_s, tell, &server };
    const struct examine_options of_clients = { now_s, tell, &clients };
    char address[ADDRESS_MAX_BYTES];
    BUFFER_AUTO(server_pem, MATERIAL_PEM_MAX_BYTES);
    BUFFER_AUTO(clients_pem, MATERIAL_PEM_MAX_BYTES);

    if (guarded_file_read(server.path, GUARDED_PUBLIC, &server_pem, NULL) == 0) {
        examine_server(&of_server, server_pem.data, server_pem.len_bytes,
                       address_of(config->server_listen, address));
    }
    if (guarded_file_read(clients.path, GUARDED_PUBLIC, &clients_pem, NULL) == 0) {
        examine_authorities(&of_clients, clients_pem.data, clients_pem.len_bytes);
    }
}
