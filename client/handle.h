/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The handle: options, copied and checked, and libcurl's easy handle with its pool of connections.
 * One call at a time: every public function that uses it is between handle_enter() and
 * handle_leave(), which make a second thread fail instead of corrupting the first one's call.
 */
#ifndef XENRES_CLIENT_HANDLE_H
#define XENRES_CLIENT_HANDLE_H

#include <curl/curl.h>
#include <stdatomic.h>

#include "client/fault.h"

struct xenres {
    atomic_flag busy;
    CURL *curl;   /* what holds for every request is set once, in handle.c */
    char *server; /* "https://host:port", as shown in errors */
    char *ca_file, *cert_file, *key_file, *proxy; /* NULL as in the options */
    uint32_t connect_timeout_ms;
    uint32_t timeout_ms;
    uint32_t transfer_timeout_ms;
    size_t message_max_bytes;
    char curl_text[CURL_ERROR_SIZE]; /* libcurl's own words about the last failure */
};

/* -ERROR_FAILED_PRECONDITION where a call runs in it. */
int handle_enter(xenres *handle, struct fault *fault);
void handle_leave(xenres *handle);

#endif
