/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/options.h"

#include <stdlib.h>
#include <string.h>

#include "client/token.h"

enum {
    CONNECT_TIMEOUT_MS = 10 * 1000,
    TIMEOUT_MS = 30 * 1000,
    TRANSFER_TIMEOUT_MS = 600 * 1000,
    TIMEOUT_MAX_MS = 3600 * 1000,
    TRANSFER_TIMEOUT_MAX_MS = 24 * 3600 * 1000,
    RETRIES = 2,
    RETRY_WAIT_MS = 200,
    RETRY_WAIT_MAX_MS = 60 * 1000,
};

/* 64 MiB of frames, the largest slot of a gateway, and room around it. */
#define MESSAGE_MAX_BYTES     (UINT64_C(96) << 20)
#define MESSAGE_MAX_MAX_BYTES (UINT64_C(1) << 30)

static void environment_string(const char **out, const char *name)
{
    const char *value = getenv(name);

    if (value != NULL && value[0] != '\0') {
        *out = value;
    }
}

void xenres_options_from_environment(xenres_options *options)
{
    environment_string(&options->server, "XENRES_SERVER");
    environment_string(&options->ca_file, "XENRES_CACERT");
    environment_string(&options->cert_file, "XENRES_CERT");
    environment_string(&options->key_file, "XENRES_KEY");
    environment_string(&options->token_file, "XENRES_TOKEN_FILE");
}

static int bounded(uint32_t *value, uint32_t given, uint32_t standard, uint32_t max,
                   const char *name, struct fault *fault)
{
    if (given > max) {
        return failure_set(&fault->failure, ERROR_INVALID_ARGUMENT, "%s is %u, more than %u", name,
                           given, max);
    }
    *value = given > 0 ? given : standard;
    return 0;
}

static int bad_server(const char *server, struct fault *fault)
{
    /* With a user in it there may be a password, which no message repeats. */
    int result =
        failure_set(&fault->failure, ERROR_INVALID_ARGUMENT, "\"%s\" is no address of a gateway",
                    strchr(server, '@') == NULL ? server : "…@…");

    return failure_next(&fault->failure, result, "give it as https://HOST[:PORT], nothing behind");
}

/* A part of the URL that must not be there: credentials would go to logs, and paths or queries
 * would promise what no gateway does. */
static bool has_part(CURLU *url, CURLUPart part, const char *allowed)
{
    char *text = NULL;
    bool there = curl_url_get(url, part, &text, 0) == CURLUE_OK && strcmp(text, allowed) != 0;

    curl_free(text);
    return there;
}

static void free_url(CURLU **url)
{
    curl_url_cleanup(*url);
}

static int take_server(xenres *handle, const char *server, struct fault *fault)
{
    if (server == NULL || server[0] == '\0') {
        int result = failure_set(&fault->failure, ERROR_INVALID_ARGUMENT, "no gateway is named");

        return failure_next(&fault->failure, result,
                            "set XENRES_SERVER or the server option to https://HOST[:PORT]");
    }
    __attribute__((cleanup(free_url))) CURLU *url = curl_url();
    char *scheme = NULL;

    if (url == NULL) {
        return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory");
    }
    if (curl_url_set(url, CURLUPART_URL, server, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK) {
        return bad_server(server, fault);
    }
    bool is_https = strcmp(scheme, "https") == 0;

    curl_free(scheme);
    if (!is_https || has_part(url, CURLUPART_USER, "") || has_part(url, CURLUPART_PASSWORD, "") ||
        has_part(url, CURLUPART_PATH, "/") || has_part(url, CURLUPART_QUERY, "") ||
        has_part(url, CURLUPART_FRAGMENT, "")) {
        return bad_server(server, fault);
    }
    char *whole = NULL;

    if (curl_url_get(url, CURLUPART_URL, &whole, 0) != CURLUE_OK) {
        return bad_server(server, fault);
    }
    size_t len = strlen(whole);

    handle->server = strndup(whole, len > 0 && whole[len - 1] == '/' ? len - 1 : len);
    curl_free(whole);
    return 0;
}

static char *copy(const char *text)
{
    return text != NULL ? strdup(text) : NULL;
}

/* Zero means the usual number, so that none has a value of its own. */
static int take_retries(xenres *handle, const xenres_options *o, struct fault *fault)
{
    if (o->retries == XENRES_NO_RETRIES) {
        handle->retries = 0;
    } else if (bounded(&handle->retries, o->retries, RETRIES, OPTIONS_RETRIES_MAX, "retries",
                       fault) != 0) {
        return -ERROR_INVALID_ARGUMENT;
    }
    return bounded(&handle->retry_wait_ms, o->retry_wait_ms, RETRY_WAIT_MS, RETRY_WAIT_MAX_MS,
                   "retry_wait_ms", fault);
}

static int take_times(xenres *handle, const xenres_options *o, struct fault *fault)
{
    int result = bounded(&handle->connect_timeout_ms, o->connect_timeout_ms, CONNECT_TIMEOUT_MS,
                         TIMEOUT_MAX_MS, "connect_timeout_ms", fault);

    if (result == 0) {
        result = bounded(&handle->timeout_ms, o->timeout_ms, TIMEOUT_MS, TIMEOUT_MAX_MS,
                         "timeout_ms", fault);
    }
    if (result == 0) {
        result = bounded(&handle->transfer_timeout_ms, o->transfer_timeout_ms, TRANSFER_TIMEOUT_MS,
                         TRANSFER_TIMEOUT_MAX_MS, "transfer_timeout_ms", fault);
    }
    return result;
}

int options_take(xenres *handle, const xenres_options *o, struct fault *fault)
{
    int result = take_server(handle, o->server, fault);

    if (result == 0) {
        result = take_times(handle, o, fault);
    }
    if (result == 0) {
        result = take_retries(handle, o, fault);
    }
    if (result == 0) {
        result = token_check_options(o, fault);
    }
    if (result != 0) {
        return result;
    }
    if (o->message_max_bytes > MESSAGE_MAX_MAX_BYTES) {
        return failure_set(&fault->failure, ERROR_INVALID_ARGUMENT,
                           "message_max_bytes is above 1 GiB");
    }
    handle->message_max_bytes =
        (size_t)(o->message_max_bytes > 0 ? o->message_max_bytes : MESSAGE_MAX_BYTES);
    handle->gzip = o->gzip;
    handle->ca_file = copy(o->ca_file);
    handle->cert_file = copy(o->cert_file);
    handle->key_file = copy(o->key_file);
    handle->proxy = copy(o->proxy);
    handle->token = copy(o->token);
    handle->token_file = copy(o->token_file);
    if (handle->server == NULL || (o->ca_file != NULL && handle->ca_file == NULL) ||
        (o->cert_file != NULL && handle->cert_file == NULL) ||
        (o->key_file != NULL && handle->key_file == NULL) ||
        (o->proxy != NULL && handle->proxy == NULL) ||
        (o->token != NULL && handle->token == NULL) ||
        (o->token_file != NULL && handle->token_file == NULL)) {
        return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory");
    }
    return 0;
}
