/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/handle.h"

#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_TIMEOUT_MS = 10 * 1000,
    TIMEOUT_MS = 30 * 1000,
    TRANSFER_TIMEOUT_MS = 600 * 1000,
    TIMEOUT_MAX_MS = 3600 * 1000,
    TRANSFER_TIMEOUT_MAX_MS = 24 * 3600 * 1000,
    CONNECTIONS_MAX = 4,
    CONNECTION_IDLE_S = 60,
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

static int take_options(xenres *handle, const xenres_options *o, struct fault *fault)
{
    int result = take_server(handle, o->server, fault);

    if (result == 0) {
        result = bounded(&handle->connect_timeout_ms, o->connect_timeout_ms, CONNECT_TIMEOUT_MS,
                         TIMEOUT_MAX_MS, "connect_timeout_ms", fault);
    }
    if (result == 0) {
        result = bounded(&handle->timeout_ms, o->timeout_ms, TIMEOUT_MS, TIMEOUT_MAX_MS,
                         "timeout_ms", fault);
    }
    if (result == 0) {
        result = bounded(&handle->transfer_timeout_ms, o->transfer_timeout_ms, TRANSFER_TIMEOUT_MS,
                         TRANSFER_TIMEOUT_MAX_MS, "transfer_timeout_ms", fault);
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
    handle->ca_file = copy(o->ca_file);
    handle->cert_file = copy(o->cert_file);
    handle->key_file = copy(o->key_file);
    handle->proxy = copy(o->proxy);
    if (handle->server == NULL || (o->ca_file != NULL && handle->ca_file == NULL) ||
        (o->cert_file != NULL && handle->cert_file == NULL) ||
        (o->key_file != NULL && handle->key_file == NULL) ||
        (o->proxy != NULL && handle->proxy == NULL)) {
        return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory");
    }
    return 0;
}

/* What holds for every request. libcurl's defaults are for browsers' work; what is off here keeps a
 * request from going elsewhere than to the gateway, or over anything but TLS 1.3. */
static bool set_up(xenres *handle)
{
    CURL *c = handle->curl;
    CURLcode failed = CURLE_OK;

#define SET(option, value)                                                                         \
    do {                                                                                           \
        CURLcode set = curl_easy_setopt(c, option, value);                                         \
        failed = failed == CURLE_OK ? set : failed;                                                \
    } while (0)
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_ERRORBUFFER, handle->curl_text);
    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L); /* a redirect would carry the request elsewhere */
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_HTTP09_ALLOWED, 0L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSL_SESSIONID_CACHE, 0L); /* it gives no tickets: resuming skips checks */
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
    SET(CURLOPT_MAXAGE_CONN, (long)CONNECTION_IDLE_S);
    SET(CURLOPT_USERAGENT, "libxenres/" XENRES_VERSION);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)handle->connect_timeout_ms);
    if (handle->ca_file != NULL) {
        SET(CURLOPT_CAINFO, handle->ca_file);
        SET(CURLOPT_CAPATH, NULL); /* else the system's CAs are trusted beside it */
    }
    if (handle->cert_file != NULL) {
        SET(CURLOPT_SSLCERT, handle->cert_file);
        SET(CURLOPT_SSLKEY, handle->key_file != NULL ? handle->key_file : handle->cert_file);
        SET(CURLOPT_KEYPASSWD, ""); /* else OpenSSL asks for one on the terminal */
    }
    if (handle->proxy != NULL) {
        SET(CURLOPT_PROXY, handle->proxy);
    }
#undef SET
    return failed == CURLE_OK;
}

static int make(const xenres_options *options, xenres **out, struct fault *fault)
{
    xenres_options o;
    int result = fault_copy_sized(&o, options, sizeof(o), "xenres_options", fault);

    if (result != 0) {
        return result;
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return failure_set(&fault->failure, ERROR_INTERNAL, "libcurl does not start");
    }
    /* From here on xenres_free() undoes it: libcurl counts these calls. */
    xenres *handle = calloc(1, sizeof(*handle));

    if (handle == NULL) {
        curl_global_cleanup();
        return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory");
    }
    atomic_flag_clear(&handle->busy);
    result = take_options(handle, &o, fault);
    if (result == 0) {
        handle->curl = curl_easy_init();
        if (handle->curl == NULL || !set_up(handle)) {
            result = failure_set(&fault->failure, ERROR_INTERNAL,
                                 "libcurl %s has not what libxenres needs: TLS 1.3 by OpenSSL",
                                 curl_version_info(CURLVERSION_NOW)->version);
        }
    }
    if (result != 0) {
        xenres_free(handle);
        return result;
    }
    *out = handle;
    return 0;
}

int xenres_new(const xenres_options *options, xenres **out, xenres_error *error)
{
    struct fault fault = { 0 };

    return fault_export(make(options, out, &fault), &fault, error);
}

void xenres_free(xenres *handle)
{
    if (handle == NULL) {
        return;
    }
    curl_easy_cleanup(handle->curl);
    free(handle->server);
    free(handle->ca_file);
    free(handle->cert_file);
    free(handle->key_file);
    free(handle->proxy);
    free(handle);
    curl_global_cleanup();
}

int handle_enter(xenres *handle, struct fault *fault)
{
    if (atomic_flag_test_and_set_explicit(&handle->busy, memory_order_acquire)) {
        int result = failure_set(&fault->failure, ERROR_FAILED_PRECONDITION,
                                 "a call runs in this handle already");

        return failure_next(&fault->failure, result, "use a handle for each thread");
    }
    return 0;
}

void handle_leave(xenres *handle)
{
    atomic_flag_clear_explicit(&handle->busy, memory_order_release);
}
