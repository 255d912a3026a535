/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Calls of the API in JSON, and its streams, on the rig of rpc_rig.h. */
#ifndef XENRES_TESTS_RPC_CALLS_H
#define XENRES_TESTS_RPC_CALLS_H

#include "tests/lib/rpc_rig.h"

#include <stdio.h>

#include "tests/lib/connect_answer.h"

/* A call of `method` ("HostService/GetHost"), in JSON; a stream where `is_stream`. `f` may have
 * headers. */
static inline void flight_json(struct rpc_rig *r, struct flight *f, const struct identity *who,
                               const char *method, bool is_stream, const char *json)
{
    BUFFER_AUTO(body, RPC_RIG_REQUEST_MAX_BYTES + ENVELOPE_HEAD_BYTES);
    char target[128];

    if (is_stream) {
        uint8_t *head = buffer_extend(&body, ENVELOPE_HEAD_BYTES);

        assert_non_null(head);
        envelope_write_head(head, 0, (uint32_t)strlen(json));
    }
    assert_true(buffer_append_string(&body, json));
    snprintf(target, sizeof(target), "/xenres.v1.%s", method);
    flight_add(f, "Content-Type", is_stream ? "application/connect+json" : "application/json");
    flight_send(r, f, who, "POST", target, body.data, body.len_bytes);
}

/* The whole answer, which has to be well-formed; answer_done() is the caller's. */
static inline struct answer flight_answer(struct flight *f)
{
    struct answer a;

    (void)flight_reply(f);
    const char *wrong = answer_read(&a, f->exchange, 5000);

    if (wrong != NULL) {
        fail_msg("%s", wrong);
    }
    return a;
}

/* The text of the answer's message, or error. */
static inline const char *answer_text(struct answer *a)
{
    const char *text = buffer_string(&a->body);

    assert_non_null(text);
    return text;
}

/* Fails so, in JSON; `field` is told where it is not NULL. Ends the flight. */
static inline void flight_json_error(struct flight *f, enum error_code code, const char *field)
{
    struct answer a = flight_answer(f);
    const json_t *error = json_object_get(a.end, "error");
    char *text = json_dumps(error != NULL ? error : a.end, JSON_COMPACT);
    char wanted[128];

    if (a.code != (int)code || a.messages > 0) {
        fail_msg("%d, %zu messages: %s", a.code, a.messages, text != NULL ? text : "");
    }
    assert_non_null(strstr(text, "\"type\":\"xenres.v1.XenFailure\""));
    if (field != NULL) {
        (void)snprintf(wanted, sizeof(wanted), "\"field\":\"%s\"", field);
        if (strstr(text, "google.rpc.BadRequest") == NULL || strstr(text, wanted) == NULL) {
            fail_msg("%s: %s", field, text);
        }
    }
    free(text);
    answer_done(&a);
    flight_done(f);
}

#endif
