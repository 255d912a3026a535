/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The handle: options, copied and checked, libcurl's easy handle and the multi handle with its pool
 * of connections. One call or stream at a time: every public function that uses it is between
 * handle_enter() and handle_leave(), which make a second thread fail instead of corrupting the first
 * one's call. Only what the switch (client/cancel.h) is of may be touched by other threads.
 */
#ifndef XENRES_CLIENT_HANDLE_H
#define XENRES_CLIENT_HANDLE_H

#include <curl/curl.h>
#include <stdatomic.h>

#include "client/cancel.h"
#include "client/details.h"
#include "client/fault.h"

struct xenres {
    atomic_flag busy;
    struct cancel cancel;
    CURL *curl;   /* what holds for every request is set once, in handle.c */
    CURLM *multi; /* drives it, and owns the connections */
    char *server; /* "https://host:port", as shown in errors */
    char *ca_file, *cert_file, *key_file, *proxy; /* NULL as in the options */
    char *token, *token_file;                     /* one of them, or none */
    uint32_t connect_timeout_ms;
    uint32_t timeout_ms;
    uint32_t transfer_timeout_ms;
    size_t message_max_bytes;
    uint32_t retries;       /* tries beyond the first */
    uint32_t retry_wait_ms; /* before the first of them */
    bool gzip;
    bool shows_anew;        /* the next request makes a connection, as its files may be others */
    struct details details; /* of the last error; the caller may look until the next call */
    char curl_text[CURL_ERROR_SIZE]; /* libcurl's own words about the last failure */
};

/* -ERROR_FAILED_PRECONDITION where a call runs in it or a stream is open, -ERROR_CANCELED where it
 * is cancelled. Forgets the last error's details. */
int handle_enter(xenres *handle, struct fault *fault);
void handle_leave(xenres *handle);

#endif
