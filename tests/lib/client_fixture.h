/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* A libxenres handle and a server that answers it by a script: for tests of what the library makes
 * of servers that misbehave. */
#ifndef XENRES_TESTS_CLIENT_FIXTURE_H
#define XENRES_TESTS_CLIENT_FIXTURE_H

#include "tests/lib/unit.h"

#include <protobuf-c/protobuf-c.h>

#include "client/include/xenres.h"
#include "common/buffer.h"
#include "tests/lib/tls_server.h"

#define UUID_A "00000000-1111-2222-3333-444444444444"
#define UUID_B "00000000-1111-2222-3333-555555555555"
#define LIFE_A "0123456789abcdef0123456789abcdef"
#define LIFE_B "fedcba9876543210fedcba9876543210"

/* Static in a test: the server's thread goes on, and has it, when an assertion leaves the test. */
struct fixture {
    struct tls_server server;
    xenres *handle;
    xenres_error error;
    xenres_reply *reply;
};

static inline void fixture_connect(struct fixture *f, xenres_options options)
{
    if (options.server == NULL) {
        options.server = f->server.url;
    }
    if (options.ca_file == NULL) {
        options.ca_file = f->server.ca_path;
    }
    options.proxy = "";
    assert_int_equal(xenres_new(&options, &f->handle, &f->error), 0);
}

/* Each request once. */
static inline void fixture_start(struct fixture *f, const struct tls_server_step *steps,
                                 size_t step_count)
{
    const xenres_options options = {
        .size = sizeof(options), .timeout_ms = 10000, .retries = XENRES_NO_RETRIES, .gzip = true
    };

    *f = (struct fixture){ 0 };
    tls_server_start(&f->server, "IP:127.0.0.1", TLS1_3_VERSION, steps, step_count);
    fixture_connect(f, options);
}

/* The same, with a timeout as short as a loaded machine allows: for servers that let one wait. */
static inline void fixture_start_impatient(struct fixture *f, const struct tls_server_step *steps,
                                           size_t step_count)
{
    const xenres_options options = { .size = sizeof(options),
                                     .timeout_ms = 1500,
                                     .transfer_timeout_ms = 3000,
                                     .retries = XENRES_NO_RETRIES };

    *f = (struct fixture){ 0 };
    tls_server_start(&f->server, "IP:127.0.0.1", TLS1_3_VERSION, steps, step_count);
    fixture_connect(f, options);
}

static inline void fixture_end(struct fixture *f)
{
    xenres_reply_free(f->reply);
    xenres_free(f->handle);
    tls_server_stop(&f->server);
}

/* A 200 with a message as its body; the buffer's bytes are the whole response. */
static inline struct tls_server_step fixture_message(struct buffer *out,
                                                     const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);

    buffer_init(out, 1 << 26);
    buffer_printf(out,
                  "HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\n"
                  "Content-Length: %zu\r\n\r\n",
                  len);
    protobuf_c_message_pack(message, buffer_extend(out, len));
    return (struct tls_server_step){ out->data, out->len_bytes, TLS_SERVER_KEEP };
}

/* A server with these steps, and a handle with these options. */
static inline void fixture_start_with(struct fixture *f, xenres_options options,
                                      const struct tls_server_step *steps, size_t step_count)
{
    *f = (struct fixture){ 0 };
    tls_server_start(&f->server, "IP:127.0.0.1", TLS1_3_VERSION, steps, step_count);
    fixture_connect(f, options);
}

static inline int fixture_get_host(struct fixture *f)
{
    const xenres_host *host;

    xenres_reply_free(f->reply);
    f->reply = NULL;
    return xenres_get_host(f->handle, &f->reply, &host, &f->error);
}

/* An answer with an error object, or with anything else as its body. */
static inline struct tls_server_step fixture_refusal(struct buffer *out, int status,
                                                     const char *body)
{
    buffer_init(out, 1 << 20);
    buffer_printf(out,
                  "HTTP/1.1 %d X\r\nContent-Type: application/json\r\n"
                  "Content-Length: %zu\r\n\r\n%s",
                  status, strlen(body), body);
    return (struct tls_server_step){ out->data, out->len_bytes, TLS_SERVER_KEEP };
}

#define FIXTURE_EMPTY_ANSWER                                                                       \
    "HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nContent-Length: 0\r\n\r\n"

#define FIXTURE_TEXT(text, then)                                                                   \
    {                                                                                              \
        (text), sizeof(text) - 1, (then)                                                           \
    }

#endif
