/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Reads the whole reply of an exchange, as http does, and says whether it is a well-formed answer: an
 * error of Connect with a known code, a stream with exactly one end message, which is the last, or a
 * success in the form that its head says. For tests and fuzzers: it knows nothing of either.
 */
#ifndef XENRES_TESTS_CONNECT_ANSWER_H
#define XENRES_TESTS_CONNECT_ANSWER_H

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/buffer.h"
#include "server/rpc/codec.h"
#include "server/rpc/compress.h"
#include "server/rpc/envelope.h"
#include "server/rpc/exchange.h"

enum { ANSWER_MAX_BYTES = 4 << 20 };

struct answer {
    const struct exchange_reply *reply;
    struct buffer body; /* all of it */
    size_t messages;    /* of a stream, without the one that ends it */
    json_t *end; /* the error of a unary call, or what ends a stream; NULL: a unary success */
    int code;    /* of its error; 0: success */
};

static inline const char *answer_header(const struct answer *a, const char *name)
{
    for (size_t i = 0; i < a->reply->header_count; i++) {
        if (strcasecmp(a->reply->headers[i].name, name) == 0) {
            return a->reply->headers[i].value;
        }
    }
    return NULL;
}

static inline void answer_done(struct answer *a)
{
    json_decref(a->end);
    buffer_done(&a->body);
}

/* Nobody gets a header of his own in between (CR and LF). */
static inline const char *answer_check_headers(const struct answer *a)
{
    for (size_t i = 0; i < a->reply->header_count; i++) {
        const struct exchange_header *h = &a->reply->headers[i];

        if (h->name == NULL || h->name[0] == '\0' || strpbrk(h->name, "\r\n: ") != NULL) {
            return "a header without a proper name";
        }
        if (h->value == NULL || strpbrk(h->value, "\r\n") != NULL) {
            return "a header without a proper value";
        }
    }
    return NULL;
}

static inline const char *answer_check_error(struct answer *a, const json_t *error)
{
    const char *code = json_string_value(json_object_get(error, "code"));

    if (!json_is_object(error) || code == NULL) {
        return "an error without a code";
    }
    if (!json_is_string(json_object_get(error, "message")) ||
        !json_is_array(json_object_get(error, "details"))) {
        return "an error without message or details";
    }
    a->code = error_from_connect_code(code);
    return strcmp(error_connect_code(a->code), code) == 0 ? NULL : "a code that nobody knows";
}

static inline const char *answer_check_unary_error(struct answer *a)
{
    const char *type = answer_header(a, "Content-Type");

    a->end =
        json_loadb((const char *)a->body.data, a->body.len_bytes, JSON_REJECT_DUPLICATES, NULL);
    if (a->end == NULL || type == NULL || strcmp(type, "application/json") != 0) {
        return "an error that is not JSON";
    }
    const char *wrong = answer_check_error(a, a->end);
    int status = a->reply->status;

    if (wrong == NULL && status != error_http_status(a->code) && status != 404 && status != 405 &&
        status != 415) {
        return "a status that is not the code's";
    }
    return wrong;
}

/* What one message is, expanded where it has to be. */
static inline const char *answer_check_message(const uint8_t *bytes, size_t len_bytes,
                                               const char *encoding, bool is_json)
{
    BUFFER_AUTO(expanded, ANSWER_MAX_BYTES);

    if (encoding != NULL) {
        enum compress_encoding e;

        if (!compress_find(encoding, &e) ||
            compress_expand(e, bytes, len_bytes, &expanded, NULL) != 0) {
            return "a message that does not expand";
        }
        bytes = expanded.data;
        len_bytes = expanded.len_bytes;
    }
    if (is_json) {
        json_t *json = json_loadb((const char *)bytes, len_bytes,
                                  JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);

        if (!json_is_object(json)) {
            json_decref(json);
            return "a message that is no JSON object";
        }
        json_decref(json);
    }
    return NULL;
}

static inline const char *answer_check_end(struct answer *a, const uint8_t *bytes, size_t len_bytes)
{
    a->end = json_loadb((const char *)bytes, len_bytes, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(a->end)) {
        return "an end that is no JSON object";
    }
    const json_t *error = json_object_get(a->end, "error");
    const json_t *metadata = json_object_get(a->end, "metadata");

    if (metadata != NULL && !json_is_object(metadata)) {
        return "metadata that is no object";
    }
    return error != NULL ? answer_check_error(a, error) : NULL;
}

static inline const char *answer_check_stream(struct answer *a, bool is_json)
{
    const char *encoding = answer_header(a, "Connect-Content-Encoding");
    const uint8_t *at = a->body.data;
    size_t left = a->body.len_bytes;
    const char *wrong = a->reply->status == 200 ? NULL : "a stream with another status than 200";

    while (wrong == NULL && left > 0) {
        if (a->end != NULL || left < ENVELOPE_HEAD_BYTES) {
            return a->end != NULL ? "something behind the end" : "a cut head";
        }
        size_t len_bytes = (size_t)at[1] << 24 | (size_t)at[2] << 16 | (size_t)at[3] << 8 | at[4];
        int flags = at[0];

        at += ENVELOPE_HEAD_BYTES;
        left -= ENVELOPE_HEAD_BYTES;
        if (len_bytes > left || (flags & ~(ENVELOPE_COMPRESSED | ENVELOPE_END_OF_STREAM)) != 0) {
            return "a head that lies";
        }
        if ((flags & ENVELOPE_COMPRESSED) != 0 && encoding == NULL) {
            return "a compressed message, and no encoding";
        }
        if ((flags & ENVELOPE_END_OF_STREAM) != 0) {
            wrong = answer_check_end(a, at, len_bytes);
        } else {
            a->messages++;
            wrong = answer_check_message(
                at, len_bytes, (flags & ENVELOPE_COMPRESSED) != 0 ? encoding : NULL, is_json);
        }
        at += len_bytes;
        left -= len_bytes;
    }
    return wrong == NULL && a->end == NULL ? "a stream without an end" : wrong;
}

/* Reads it in pieces of `piece_bytes`. False: it waits, or has no end. */
static inline bool answer_read_stream(struct answer *a, struct exchange *x, size_t piece_bytes)
{
    ssize_t n;

    do {
        uint8_t *room = buffer_extend(&a->body, piece_bytes);

        if (room == NULL) {
            return false;
        }
        n = exchange_read(x, room, piece_bytes);
        a->body.len_bytes -= piece_bytes - (size_t)(n > 0 ? n : 0);
    } while (n > 0);
    return n == 0;
}

/* The reply has to stand. NULL: it is well-formed; else what is wrong. answer_done() in any case. */
static inline const char *answer_read(struct answer *a, struct exchange *x, size_t piece_bytes)
{
    *a = (struct answer){ .reply = exchange_reply(x), .body.max_bytes = ANSWER_MAX_BYTES };
    const char *wrong = answer_check_headers(a);
    const char *type = answer_header(a, "Content-Type");

    if (wrong != NULL) {
        return wrong;
    }
    if (a->reply->streamed ? !answer_read_stream(a, x, piece_bytes)
                           : !buffer_append(&a->body, a->reply->body, a->reply->body_len_bytes)) {
        return "a body that cannot be read to its end";
    }
    if (type != NULL && strncmp(type, "application/connect+", 20) == 0) {
        return answer_check_stream(a, strcmp(type + 20, "json") == 0);
    }
    if (a->reply->streamed) {
        return "a stream of another type";
    }
    if (a->reply->status >= 400) {
        return answer_check_unary_error(a);
    }
    if (a->reply->status == 204) {
        return a->body.len_bytes == 0 ? NULL : "a body behind 204";
    }
    if (a->reply->status != 200 || type == NULL) {
        return "another status, or no type";
    }
    return answer_check_message(a->body.data, a->body.len_bytes,
                                answer_header(a, "Content-Encoding"),
                                strcmp(type, "application/json") == 0);
}

#endif
