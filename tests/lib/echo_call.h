/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Calls of the echo services for unit tests: every answer has to be a well-formed one. */
#ifndef XENRES_TESTS_ECHO_CALL_H
#define XENRES_TESTS_ECHO_CALL_H

#include "tests/lib/unit.h"

#include <stdio.h>

#include "tests/lib/connect_answer.h"
#include "tests/lib/echo_rig.h"

struct echo_call {
    char *text;
    struct echo_request request;
    struct exchange *exchange;
    struct answer answer;
};

/* `head`: "POST /path\nName: value". `c` is not moved from here on. */
static inline void echo_start(struct echo_rig *r, struct echo_call *c, const struct identity *who,
                              const char *head, const void *body, size_t len_bytes)
{
    size_t head_len = strlen(head);

    *c = (struct echo_call){ .text = malloc(head_len + 2 + len_bytes + 1) };
    assert_non_null(c->text);
    memcpy(c->text, head, head_len);
    memcpy(c->text + head_len, "\n\n", 2);
    if (len_bytes > 0) {
        memcpy(c->text + head_len + 2, body, len_bytes);
    }
    c->text[head_len + 2 + len_bytes] = '\0';
    echo_parse(&c->request, c->text, head_len + 2 + len_bytes);
    c->exchange = echo_send(r, &c->request, who);
}

/* To its end. */
static inline void echo_finish(struct echo_call *c)
{
    const char *wrong = answer_read(&c->answer, c->exchange, 1000);

    if (wrong != NULL) {
        fail_msg("%s: %s", c->request.target, wrong);
    }
}

static inline void echo_done(struct echo_call *c)
{
    answer_done(&c->answer);
    exchange_free(c->exchange);
    free(c->text);
}

static inline void echo_call_as(struct echo_rig *r, struct echo_call *c, const struct identity *who,
                                const char *head, const void *body, size_t len_bytes)
{
    echo_start(r, c, who, head, body, len_bytes);
    echo_finish(c);
}

static inline void echo_call(struct echo_rig *r, struct echo_call *c, const char *head,
                             const void *body, size_t len_bytes)
{
    echo_call_as(r, c, &r->who, head, body, len_bytes);
}

/* Fails with this code and status; a stream's is 200. */
static inline void echo_expect_error(struct echo_rig *r, const char *head, const void *body,
                                     size_t len_bytes, enum error_code code, int status)
{
    struct echo_call c;

    echo_call(r, &c, head, body, len_bytes);
    if (c.answer.code != (int)code || c.answer.reply->status != status) {
        fail_msg("%s: %d with status %d: %.*s", head, c.answer.code, c.answer.reply->status,
                 (int)c.answer.body.len_bytes, (const char *)c.answer.body.data);
    }
    assert_int_equal(c.answer.messages, 0);
    echo_done(&c);
}

/* A message behind the head of its envelope. */
static inline void echo_envelope(struct buffer *out, uint8_t flags, const void *bytes,
                                 size_t len_bytes)
{
    uint8_t *head = buffer_extend(out, ENVELOPE_HEAD_BYTES);

    assert_non_null(head);
    envelope_write_head(head, flags, (uint32_t)len_bytes);
    assert_true(buffer_append(out, bytes, len_bytes));
}

/* An unknown field (120) that fills a message of protobuf up to `len_bytes`, 200 or more of them;
 * white space that does it in JSON. Both get smaller by any encoding. */
static inline void echo_fill(enum codec codec, struct buffer *out, size_t len_bytes)
{
    if (codec == CODEC_JSON) {
        buffer_append_string(out, "{}");
    } else {
        size_t rest = len_bytes - 2 - 3;
        const uint8_t head[] = { 0xc2, 0x07, (uint8_t)(0x80 | (rest & 0x7f)),
                                 (uint8_t)(0x80 | (rest >> 7 & 0x7f)), (uint8_t)(rest >> 14) };

        buffer_append(out, head, sizeof(head));
    }
    while (out->len_bytes < len_bytes) {
        buffer_append_byte(out, ' ');
    }
    assert_false(out->failed);
}

#endif
