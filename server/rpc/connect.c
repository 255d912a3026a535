/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/connect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_DIGITS_MAX = 10 }; /* the protocol's */

const char *connect_accept_post(bool is_stream)
{
    return is_stream ? "application/connect+proto, application/connect+json"
                     : "application/proto, application/json";
}

/* A header that may come once at most: two values are two readings of one request. */
static int single_header(const struct exchange_head *head, const char *name, const char **value,
                         struct failure *f)
{
    unsigned count = 0;

    *value = head->header(head->arg, name, &count);
    if (count > 1) {
        int result =
            failure_set(f, ERROR_INVALID_ARGUMENT, "the header %s came %u times", name, count);

        return failure_next(f, result, "send it once");
    }
    return 0;
}

static int no_such_codec(const char *said, const char *supported, int *http_status,
                         struct failure *f)
{
    *http_status = CONNECT_STATUS_UNSUPPORTED_TYPE;
    int result =
        failure_set(f, ERROR_UNKNOWN, "%s is not supported", said); /* the protocol's code */

    failure_cause(f, result,
                  "messages are in protobuf or JSON, and streams have types of their own");
    return failure_next(f, result, "send one of: %s", supported);
}

static int parse_content_type(const struct exchange_head *head, struct connect_request *r,
                              int *http_status, struct failure *f)
{
    const char *value;
    char said[128] = "a request without a content type";
    int result = single_header(head, "Content-Type", &value, f);

    if (result != 0) {
        return result;
    }
    if (value != NULL) {
        r->codec_known = codec_find(value, r->is_stream, &r->codec);
        (void)snprintf(said, sizeof(said), "content type %s", value);
    }
    return r->codec_known ? 0
                          : no_such_codec(said, connect_accept_post(r->is_stream), http_status, f);
}

static int no_such_encoding(const char *value, struct failure *f)
{
    int result = failure_set(
        f, ERROR_UNIMPLEMENTED,
        "encoding %s is not supported; supported: identity, " COMPRESS_SUPPORTED, value);

    return failure_next(f, result, "send the message in one of these, or as it is");
}

static int parse_encodings(const struct exchange_head *head, struct connect_request *r,
                           struct failure *f)
{
    const char *value;
    int result = single_header(head, r->is_stream ? "Connect-Content-Encoding" : "Content-Encoding",
                               &value, f);

    if (result == 0 && value != NULL && !compress_find(value, &r->encoding)) {
        result = no_such_encoding(value, f);
    }
    /* Where the list comes in several headers, the first counts: the answer may always be sent as
     * it is. */
    r->answer_encoding = compress_choose(head->header(
        head->arg, r->is_stream ? "Connect-Accept-Encoding" : "Accept-Encoding", NULL));
    return result;
}

static int wrong_version(const char *value, const char *right, struct failure *f)
{
    int result =
        failure_set(f, ERROR_INVALID_ARGUMENT, "version %s of Connect is not supported", value);

    return failure_next(f, result, "send %s, or leave it out", right);
}

static int check_version(const struct exchange_head *head, struct failure *f)
{
    const char *value;
    int result = single_header(head, "Connect-Protocol-Version", &value, f);

    return result == 0 && value != NULL && strcmp(value, "1") != 0 ? wrong_version(value, "1", f)
                                                                   : result;
}

static int parse_timeout(const struct exchange_head *head, struct connect_request *r,
                         struct failure *f)
{
    const char *value;
    int result = single_header(head, "Connect-Timeout-Ms", &value, f);

    if (result != 0 || value == NULL) {
        return result;
    }
    size_t len = strspn(value, "0123456789");
    unsigned long long number = 0;

    if (len > 0 && len <= TIMEOUT_DIGITS_MAX && value[len] == '\0') {
        number = strtoull(value, NULL, 10);
    }
    if (number == 0) {
        result = failure_set(f, ERROR_INVALID_ARGUMENT, "Connect-Timeout-Ms is %s", value);
        return failure_next(f, result, "send a positive number of at most %d digits",
                            (int)TIMEOUT_DIGITS_MAX);
    }
    r->timeout_ms = number;
    return 0;
}

/* --- GET ---------------------------------------------------------------------------------------- */

static int parse_query_codec(struct connect_request *r, int *http_status, struct failure *f)
{
    const char *encoding = query_text(r->query, "encoding");
    char said[128] = "a query without an encoding";

    if (encoding != NULL) {
        r->codec_known = codec_find_name(encoding, &r->codec);
        (void)snprintf(said, sizeof(said), "encoding=%s", encoding);
    }
    return r->codec_known ? 0
                          : no_such_codec(said, "encoding=proto, encoding=json", http_status, f);
}

static int parse_query_rest(struct connect_request *r, struct failure *f)
{
    const char *version = query_text(r->query, "connect");
    const char *compression = query_text(r->query, "compression");
    const char *base64 = query_text(r->query, "base64");

    if (version != NULL && strcmp(version, "v1") != 0) {
        return wrong_version(version, "connect=v1", f);
    }
    if (compression != NULL && !compress_find(compression, &r->encoding)) {
        return no_such_encoding(compression, f);
    }
    r->is_base64 = base64 != NULL && strcmp(base64, "1") == 0;
    r->message = query_find(r->query, "message");
    if (r->message == NULL) {
        int result = failure_set(f, ERROR_INVALID_ARGUMENT, "the query has no message");

        return failure_next(f, result, "send message= even where the message is empty");
    }
    return 0;
}

static int parse_get(const struct exchange_head *head, struct connect_request *r, int *http_status,
                     struct failure *f)
{
    const char *mark = strchr(head->target, '?');

    r->query = calloc(1, sizeof(*r->query));
    if (r->query == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the query");
    }
    int result = query_parse(mark != NULL ? mark + 1 : "", r->query, f);

    if (result == 0) {
        result = parse_query_codec(r, http_status, f);
    }
    if (result == 0) {
        result = parse_query_rest(r, f);
    }
    r->answer_encoding = compress_choose(head->header(head->arg, "Accept-Encoding", NULL));
    return result == 0 ? parse_timeout(head, r, f) : result;
}

int connect_parse_head(const struct exchange_head *head, bool is_stream,
                       struct connect_request *out, int *http_status, struct failure *f)
{
    struct connect_request *r = out;

    *r = (struct connect_request){ .is_stream = is_stream,
                                   .is_get = strcmp(head->method, "POST") != 0 };
    if (r->is_get) {
        return parse_get(head, r, http_status, f);
    }
    int result = parse_content_type(head, r, http_status, f);

    if (result == 0) {
        result = check_version(head, f);
    }
    if (result == 0) {
        result = parse_encodings(head, r, f);
    }
    return result == 0 ? parse_timeout(head, r, f) : result;
}

void connect_request_done(struct connect_request *r)
{
    if (r->query != NULL) {
        query_done(r->query);
        free(r->query);
        r->query = NULL;
    }
    r->message = NULL;
}
