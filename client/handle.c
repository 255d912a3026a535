/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/handle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/options.h"
#include "client/sigpipe.h"

enum {
    CONNECTIONS_MAX = 4,
    CONNECTION_IDLE_S = 60,
};

/* What holds for every request. libcurl's defaults are for browsers' work; what is off here keeps a
 * request from going elsewhere than to the gateway, or over anything but TLS 1.3. */
static bool set_up(xenres *handle)
{
    CURL *c = handle->curl;
    CURLcode failed = CURLE_OK;
    CURLMcode pool_failed =
        curl_multi_setopt(handle->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);

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
    SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE); /* a proxy gets none of our headers */
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_HTTP09_ALLOWED, 0L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSL_SESSIONID_CACHE, 0L); /* it gives no tickets: resuming skips checks */
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); /* a name service that hangs must not hold who was cancelled */
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
    return failed == CURLE_OK && pool_failed == CURLM_OK;
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
    if (!cancel_init(&handle->cancel)) {
        result = failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no descriptor is left");
        failure_call(&fault->failure, result, "eventfd", errno);
    }
    if (result == 0) {
        result = options_take(handle, &o, fault);
    }
    if (result == 0) {
        handle->curl = curl_easy_init();
        handle->multi = curl_multi_init();
        if (handle->curl == NULL || handle->multi == NULL || !set_up(handle)) {
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
    SIGPIPE_BLOCKED(blocked); /* TLS says good-bye */

    curl_easy_cleanup(handle->curl);
    curl_multi_cleanup(handle->multi);
    cancel_done(&handle->cancel);
    details_clear(&handle->details);
    free(handle->server);
    free(handle->ca_file);
    free(handle->cert_file);
    free(handle->key_file);
    free(handle->proxy);
    if (handle->token != NULL) {
        explicit_bzero(handle->token, strlen(handle->token));
    }
    free(handle->token);
    free(handle->token_file);
    free(handle);
    curl_global_cleanup();
}

int handle_enter(xenres *handle, struct fault *fault)
{
    if (atomic_flag_test_and_set_explicit(&handle->busy, memory_order_acquire)) {
        int result = failure_set(&fault->failure, ERROR_FAILED_PRECONDITION,
                                 "a call runs in this handle already, or a stream is open in it");

        return failure_next(&fault->failure, result,
                            "use a handle for each thread, and close streams");
    }
    details_clear(&handle->details);
    if (cancel_is_on(&handle->cancel)) {
        handle_leave(handle);
        return cancel_fail(fault);
    }
    return 0;
}

void handle_leave(xenres *handle)
{
    atomic_flag_clear_explicit(&handle->busy, memory_order_release);
}
