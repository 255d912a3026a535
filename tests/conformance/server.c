/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The server that Connect's conformance suite tests: its service on the project's own rpc and http.
 * Reads one ServerCompatRequest from standard input, says where it listens, and serves until it is
 * killed.
 */
#include <endian.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/pki.h"
#include "auth/policy_file.h"
#include "auth/quota.h"
#include "auth/seal.h"
#include "connectrpc/conformance/v1/server_compat.pb-c.h"
#include "server/http/listener.h"
#include "server/rpc/rpc.h"
#include "tests/conformance/service.h"

enum { REQUEST_MAX_BYTES = 1 << 20, RESPONSE_MAX_BYTES = 16 << 20, CALLS = 1024 };

typedef Connectrpc__Conformance__V1__ServerCompatRequest wanted_message;

static const struct identity everyone = { .text = "cn:conformance", .not_after_s = INT64_MAX };

static void die(const char *what, const struct failure *f)
{
    (void)fprintf(stderr, "conformance server: %s: %s\n", what, f != NULL ? f->message : "");
    exit(EXIT_FAILURE);
}

static bool read_whole(void *bytes, size_t len_bytes)
{
    return fread(bytes, 1, len_bytes, stdin) == len_bytes;
}

static wanted_message *read_request(void)
{
    static uint8_t bytes[REQUEST_MAX_BYTES];
    uint32_t len_bytes;

    if (!read_whole(&len_bytes, sizeof(len_bytes))) {
        die("no request", NULL);
    }
    len_bytes = be32toh(len_bytes);
    if (len_bytes > sizeof(bytes) || !read_whole(bytes, len_bytes)) {
        die("a request that is not whole", NULL);
    }
    wanted_message *wanted =
        connectrpc__conformance__v1__server_compat_request__unpack(NULL, len_bytes, bytes);

    if (wanted == NULL) {
        die("no ServerCompatRequest", NULL);
    }
    return wanted;
}

static void answer(const wanted_message *wanted, uint16_t port)
{
    Connectrpc__Conformance__V1__ServerCompatResponse m;
    static uint8_t bytes[REQUEST_MAX_BYTES];

    connectrpc__conformance__v1__server_compat_response__init(&m);
    m.host = (char[]){ "127.0.0.1" };
    m.port = port;
    if (wanted->use_tls) {
        m.pem_cert = wanted->server_creds->cert;
    }
    size_t len_bytes = connectrpc__conformance__v1__server_compat_response__get_packed_size(&m);
    uint32_t head = htobe32((uint32_t)len_bytes);

    if (len_bytes > sizeof(bytes)) {
        die("a certificate that is too long", NULL);
    }
    (void)connectrpc__conformance__v1__server_compat_response__pack(&m, bytes);
    if (fwrite(&head, sizeof(head), 1, stdout) != 1 ||
        fwrite(bytes, 1, len_bytes, stdout) != len_bytes || fflush(stdout) != 0) {
        die("cannot write the answer", NULL);
    }
}

static struct policy *nobody_may_do_anything(void)
{
    struct policy *policy = NULL;
    char text[] =
        "rule \"none\" { effect = deny identities = { \"cn:nobody\" } domains = { \"all\" }"
        " types = { \"all\" } actions = { \"all\" } }\n";
    BUFFER_AUTO(faults, 4096);
    struct failure f = { 0 };

    if (policy_file_parse("none", text, strlen(text), &policy, &faults, &f) != 0) {
        die("policy", &f);
    }
    return policy;
}

/* The services need a mapper, and these methods ask nothing of it: there is none. */
static struct rpc *start_rpc(const wanted_message *wanted, const char *dir)
{
    char seal_path[128], socket_path[128];
    const struct quota_limits quota_limits = { .each = { .calls = CALLS } };
    struct quota *quota;
    struct seal *seal;
    struct mapper_client *mapper;
    struct rpc *rpc;
    struct failure f = { 0 };

    (void)snprintf(seal_path, sizeof(seal_path), "%s/seal", dir);
    (void)snprintf(socket_path, sizeof(socket_path), "%s/none", dir);
    const struct mapper_client_options mapper_options = { .socket_path = socket_path,
                                                          .backoff_min_ms = 60000,
                                                          .backoff_max_ms = 60000 };

    if (quota_new(&quota_limits, &quota, &f) != 0 || seal_load(seal_path, &seal, &f) != 0 ||
        mapper_client_new(&mapper_options, &mapper, &f) != 0) {
        die("cannot start", &f);
    }
    const struct rpc_options options = {
        .methods = &conformance_table,
        .mapper = mapper,
        .policy = nobody_may_do_anything(),
        .quota = quota,
        .seal = seal,
        .request_timeout_ms = 60000,
        .request_max_bytes =
            wanted->message_receive_limit > 0 ? wanted->message_receive_limit : REQUEST_MAX_BYTES,
        .response_max_bytes = RESPONSE_MAX_BYTES,
    };

    if (rpc_new(&options, &rpc, &f) != 0) {
        die("cannot start the services", &f);
    }
    return rpc;
}

/* The listener wants them, though nobody is asked for a certificate here. */
static struct access *make_access(const char *dir)
{
    const struct pki_subject subject = { .common_name = "unused", .server = true, .valid_days = 1 };
    char path[128];
    struct trust *trust = NULL;
    struct access *access = NULL;
    struct failure f = { 0 };

    (void)snprintf(path, sizeof(path), "%s/ca.crt", dir);
    if (pki_make_ca(dir, "ca", "trusts nobody", 1, &f) != 0 ||
        pki_issue(dir, "ca", "unused", &subject, &f) != 0 || trust_load(path, &trust, &f) != 0 ||
        access_new(&trust, 1, NULL, &access, &f) != 0) {
        die("cannot make a trust store", &f);
    }
    return access;
}

static size_t slurp(const char *dir, const char *name, char *out, size_t max)
{
    char path[128];
    size_t n = 0;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "re");

    if (file != NULL) {
        n = fread(out, 1, max, file);
        (void)fclose(file);
    }
    return n;
}

static struct listener_pem pem_of(const wanted_message *wanted, const char *dir)
{
    static char certificate[8192], key[8192];

    if (wanted->use_tls) {
        return (struct listener_pem){ .certificate = wanted->server_creds->cert.data,
                                      .certificate_len_bytes = wanted->server_creds->cert.len,
                                      .key = wanted->server_creds->key.data,
                                      .key_len_bytes = wanted->server_creds->key.len };
    }
    return (struct listener_pem){
        .certificate = certificate,
        .certificate_len_bytes = slurp(dir, "unused.crt", certificate, sizeof(certificate)),
        .key = key,
        .key_len_bytes = slurp(dir, "unused.key", key, sizeof(key)),
    };
}

/* All that was in it has been read. */
static void remove_dir(const char *dir)
{
    static const char *const names[] = { "ca.crt", "ca.key", "unused.crt", "unused.key", "seal" };
    char path[128];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
}

int main(void)
{
    char dir[] = "/tmp/conformance.XXXXXX";
    wanted_message *wanted = read_request();
    struct failure f = { 0 };
    struct listener *listener;

    (void)signal(SIGPIPE, SIG_IGN);
    if (mkdtemp(dir) == NULL) {
        die("cannot make a directory", NULL);
    }
    struct access *access = make_access(dir);
    struct listener_door door = { .certificate = LISTENER_REQUIRED, .token = LISTENER_OPTIONAL };
    const struct listener_options options = {
        .doors = &door,
        .door_count = 1,
        .access = access,
        .pem = pem_of(wanted, dir),
        .rpc = start_rpc(wanted, dir),
        .limits = { .threads = 2,
                    .connections = 1024,
                    .connections_per_address = 1024,
                    .handshake_timeout_s = 30,
                    .idle_timeout_s = 60,
                    .request_timeout_s = 60,
                    .drain_min_bytes_per_s = 1 },
        .everyone = &everyone,
        .plaintext = !wanted->use_tls,
    };

    remove_dir(dir);
    if (listener_bind("127.0.0.1:0", &door.listen_fd, &f) != 0) {
        die("cannot listen", &f);
    }
    uint16_t port = listener_bound_port(door.listen_fd);

    if (listener_start(&options, &listener, &f) != 0) {
        die("cannot serve", &f);
    }
    answer(wanted, port);
    for (;;) {
        (void)pause();
    }
}
