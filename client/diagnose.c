/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/diagnose.h"

#include <string.h>

struct finding {
    enum error_code code;
    const char *before; /* the message, around the server */
    const char *after;
    const char *cause; /* NULL: libcurl's own words */
    const char *next_step;
};

static const char ask_again[] = "ask again; if it stays so, look at the gateway's log";
static const char is_it_running[] =
    "is xenresd running there, and does nothing between block the port?";

static const struct finding no_connection = { ERROR_UNAVAILABLE, "cannot connect to ", "", NULL,
                                              is_it_running };
static const struct finding no_such_host = {
    ERROR_UNAVAILABLE, "cannot find the host of ", "", NULL,
    "correct the host's name in XENRES_SERVER or --server, or the name service"
};
static const struct finding no_such_proxy = {
    ERROR_UNAVAILABLE, "cannot reach the proxy towards ", "", NULL,
    "correct https_proxy in the environment, or put the host in no_proxy"
};
static const struct finding slow_connection = { ERROR_UNAVAILABLE, "no connection to ", " in time",
                                                "no answer to the connection or its TLS handshake",
                                                is_it_running };
static const struct finding slow_answer = { ERROR_DEADLINE_EXCEEDED, "no answer from ", " in time",
                                            NULL, "ask again, or with a longer timeout" };
static const struct finding not_trusted = {
    ERROR_UNAUTHENTICATED, "the certificate of ", " is not to be trusted", NULL,
    "check that XENRES_CACERT or --cacert is the CA that signed it, that the host in the URL is in "
    "it, and both clocks"
};
static const struct finding we_are_not_trusted = {
    ERROR_UNAUTHENTICATED, "", " does not accept our certificate", NULL,
    "check XENRES_CERT and XENRES_KEY: the gateway takes certificates of its own client CA, for "
    "clients, not expired, not revoked"
};
static const struct finding no_certificate = {
    ERROR_UNAUTHENTICATED, "", " asks for a client certificate", "none was sent",
    "set XENRES_CERT and XENRES_KEY, or --cert and --key"
};
static const struct finding no_tls = {
    ERROR_UNAVAILABLE, "no TLS 1.3 connection to ", "", NULL,
    "is the port xenresd's, and the gateway's log without TLS failures?"
};
static const struct finding bad_certificate_file = {
    ERROR_INVALID_ARGUMENT, "cannot use our certificate or key for ", "", NULL,
    "XENRES_CERT and XENRES_KEY have to be readable PEM files that belong together"
};
static const struct finding bad_ca_file = { ERROR_INVALID_ARGUMENT,
                                            "cannot read the CA certificates to check ", " with",
                                            NULL, "XENRES_CACERT has to be a readable PEM file" };
static const struct finding cut = { ERROR_UNAVAILABLE, "the connection to ",
                                    " ended before its answer did", NULL, ask_again };
static const struct finding proxy_refuses = {
    ERROR_UNAVAILABLE, "the proxy makes no connection to ", "", NULL,
    "ask who runs the proxy, or put the host in no_proxy"
};
static const struct finding proxy_fails = { ERROR_UNAVAILABLE, "the proxy does not reach ", "",
                                            NULL, is_it_running };
static const struct finding no_http = { ERROR_INTERNAL, "what answers at ",
                                        " speaks no proper HTTP", NULL, "is the port xenresd's?" };
static const struct finding no_memory = { ERROR_RESOURCE_EXHAUSTED, "no memory for the request to ",
                                          "", "", "" };
static const struct finding other = { ERROR_UNKNOWN, "the request to ", " failed", NULL,
                                      ask_again };

/* A certificate that was refused shows after TLS 1.3's handshake only, as an alert to the first
 * read or write; libcurl has no code for it. The words are OpenSSL's names of the alerts. */
static const struct finding *alert_in(const char *text)
{
    static const char *const about_us[] = {
        "alert unknown ca",          "alert bad certificate",     "alert certificate expired",
        "alert certificate revoked", "alert certificate unknown", "alert unsupported certificate",
        "alert access denied",
    };

    if (strstr(text, "alert certificate required") != NULL) {
        return &no_certificate;
    }
    for (size_t i = 0; i < sizeof(about_us) / sizeof(about_us[0]); i++) {
        if (strstr(text, about_us[i]) != NULL) {
            return &we_are_not_trusted;
        }
    }
    return NULL;
}

/* What a proxy said to our CONNECT, other than that it did so. */
static const struct finding *proxy_in(xenres *handle)
{
    long status = 0;

    (void)curl_easy_getinfo(handle->curl, CURLINFO_HTTP_CONNECTCODE, &status);
    if (status < 300) {
        return NULL;
    }
    return status == 502 || status == 503 || status == 504 ? &proxy_fails : &proxy_refuses;
}

/* Of the moment: another try makes sense. A handshake that was cut is of a gateway that starts, stops
 * or has too many; whatever else is wrong with one stays wrong. */
static bool may_pass(const struct finding *finding, const char *words)
{
    if (finding == &no_tls) {
        return strstr(words, "unexpected eof") != NULL ||
               strstr(words, "SSL_ERROR_SYSCALL") != NULL || strstr(words, "reset by peer") != NULL;
    }
    return finding == &no_connection || finding == &cut || finding == &proxy_fails;
}

static const struct finding *timed_out(xenres *handle)
{
    curl_off_t connected_us = 0;

    /* When TLS was up; 0 where it never was, or where the connection is an old one. */
    (void)curl_easy_getinfo(handle->curl, CURLINFO_APPCONNECT_TIME_T, &connected_us);
    long connects = 0;

    (void)curl_easy_getinfo(handle->curl, CURLINFO_NUM_CONNECTS, &connects);
    curl_off_t sent_us = 0;

    (void)curl_easy_getinfo(handle->curl, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
    return connected_us == 0 && sent_us == 0 ? &slow_connection : &slow_answer;
}

static const struct finding *find(xenres *handle, CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST: return &no_such_host;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY: return &no_such_proxy;
    case CURLE_COULDNT_CONNECT: return &no_connection;
    case CURLE_OPERATION_TIMEDOUT: return timed_out(handle);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR: return &not_trusted;
    case CURLE_SSL_CERTPROBLEM: return &bad_certificate_file;
    case CURLE_SSL_CACERT_BADFILE: return &bad_ca_file;
    case CURLE_SSL_CONNECT_ERROR: return &no_tls;
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR: return &cut;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING: return &no_http;
    case CURLE_OUT_OF_MEMORY: return &no_memory;
    default: return &other;
    }
}

int diagnose(xenres *handle, CURLcode code, struct fault *fault)
{
    struct failure *f = &fault->failure;
    const char *words = handle->curl_text[0] != '\0' ? handle->curl_text : curl_easy_strerror(code);
    const struct finding *finding = alert_in(words);
    long os_errno = 0;

    if (finding == NULL) {
        finding = proxy_in(handle);
    }
    if (finding == NULL) {
        finding = find(handle, code);
    }
    fault->may_pass = may_pass(finding, words);
    int result =
        failure_set(f, finding->code, "%s%s%s", finding->before, handle->server, finding->after);

    failure_cause(f, result, "%s", finding->cause != NULL ? finding->cause : words);
    failure_next(f, result, "%s", finding->next_step);
    if (code == CURLE_COULDNT_CONNECT &&
        curl_easy_getinfo(handle->curl, CURLINFO_OS_ERRNO, &os_errno) == CURLE_OK && os_errno > 0) {
        failure_call(f, result, "connect", (int)os_errno);
    }
    return result;
}
