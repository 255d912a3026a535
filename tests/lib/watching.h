/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Streams of the services of rpc_rig.h, asked for in JSON and read message by message. */
#ifndef XENRES_TESTS_WATCHING_H
#define XENRES_TESTS_WATCHING_H

#include "tests/lib/rpc_calls.h"

#include <jansson.h>
#include <string.h>

enum { WATCH_RIG_MESSAGE_MAX_BYTES = 2 << 20 };

struct subscription;

/* One that is open. */
struct watching {
    struct flight flight;
    struct subscription *feed; /* its own; NULL: it has not subscribed */
    uint8_t *bytes;            /* read and not parsed */
    size_t len_bytes;
    uint8_t last[64]; /* the head, and the first bytes, of the message that was read last */
};

/* Asks for one, whose head may have to be waited for. */
static inline void watch_ask(struct rpc_rig *r, struct watching *w, const struct identity *who,
                             const char *method, const char *json)
{
    flight_json(r, &w->flight, who, method, true, json);
    w->bytes = malloc(WATCH_RIG_MESSAGE_MAX_BYTES);
    assert_non_null(w->bytes);
}

static inline void watch_done(struct watching *w)
{
    flight_done(&w->flight);
    free(w->bytes);
    *w = (struct watching){ .feed = NULL };
}

/* Until a whole message is there. False: it waits. */
static inline bool watch_fill(struct watching *w)
{
    for (;;) {
        if (w->len_bytes >= ENVELOPE_HEAD_BYTES) {
            const uint8_t *head = w->bytes;
            size_t len =
                (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];

            if (w->len_bytes >= ENVELOPE_HEAD_BYTES + len) {
                return true;
            }
        }
        assert_true(w->len_bytes < WATCH_RIG_MESSAGE_MAX_BYTES);
        ssize_t n = exchange_read(w->flight.exchange, w->bytes + w->len_bytes,
                                  WATCH_RIG_MESSAGE_MAX_BYTES - w->len_bytes);

        if (n < 0) {
            return false;
        }
        assert_true(n > 0);
        w->len_bytes += (size_t)n;
    }
}

/* Takes a message that is there off the bytes. */
static inline json_t *watch_parse(struct watching *w)
{
    const uint8_t *head = w->bytes;
    size_t len = (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
    size_t whole = ENVELOPE_HEAD_BYTES + len;

    memcpy(w->last, head, whole < sizeof(w->last) ? whole : sizeof(w->last));
    assert_int_equal(head[0] & ENVELOPE_COMPRESSED, 0);
    json_t *json = json_loadb((const char *)head + ENVELOPE_HEAD_BYTES, len, 0, NULL);

    assert_true(json_is_object(json));
    w->len_bytes -= whole;
    memmove(w->bytes, w->bytes + whole, w->len_bytes);
    return json;
}

/* The next message; NULL: there is none now. json_decref() is the caller's. */
static inline json_t *watch_read(struct watching *w)
{
    return watch_fill(w) ? watch_parse(w) : NULL;
}

/* That a message that was read (NULL: none) is this; its content. Lives until the next call. */
static inline const json_t *watch_is(json_t *json, const char *content)
{
    static json_t *kept;

    json_decref(kept);
    kept = json;
    if (json == NULL) {
        fail_msg("there is no %s", content);
        return NULL;
    }
    const json_t *found = json_object_get(json, content);

    if (found == NULL) {
        char *text = json_dumps(json, JSON_COMPACT);

        fail_msg("no %s: %.300s", content, text);
        free(text);
    }
    return found;
}

/* The next message, which has to come, and to be this. */
static inline const json_t *watch_expect(struct watching *w, const char *content)
{
    return watch_is(watch_read(w), content);
}

/* As watch_expect(), waiting for a timer or the mapper to make it; the stream may beat meanwhile. */
static inline const json_t *watch_await(struct watching *w, const char *content)
{
    for (;;) {
        pthread_mutex_lock(&w->flight.ready.lock);
        unsigned before = w->flight.ready.count;

        pthread_mutex_unlock(&w->flight.ready.lock);
        json_t *json = watch_read(w);

        if (json == NULL) {
            outcome_wait_at_least(&w->flight.ready, before + 1);
        } else if (strcmp(content, "heartbeat") == 0 || !json_object_get(json, "heartbeat")) {
            return watch_is(json, content);
        } else {
            json_decref(json);
        }
    }
}

static inline void watch_expect_nothing(struct watching *w)
{
    json_t *json = watch_read(w);

    if (json != NULL) {
        char *text = json_dumps(json, JSON_COMPACT);

        fail_msg("there is %.300s", text);
        free(text);
        json_decref(json);
    }
}

/* The end of the stream, with this code; 0: success. */
static inline void watch_expect_end(struct watching *w, enum error_code code)
{
    json_t *json = watch_read(w);
    uint8_t byte;

    assert_non_null(json);
    assert_int_equal(w->last[0], ENVELOPE_END_OF_STREAM);
    const char *text = json_string_value(json_object_get(json_object_get(json, "error"), "code"));

    if (code == 0 ? text != NULL : text == NULL || strcmp(text, error_connect_code(code)) != 0) {
        fail_msg("ended with %s", text != NULL ? text : "success");
    }
    json_decref(json);
    assert_int_equal(exchange_read(w->flight.exchange, &byte, 1), 0);
}

/* Of a number, also where it is a string as 64-bit ones are; 0 where it is left out. */
static inline uint64_t watch_number(const json_t *m, const char *name)
{
    const json_t *value = json_object_get(m, name);

    return json_is_string(value) ? strtoull(json_string_value(value), NULL, 10)
                                 : (uint64_t)json_integer_value(value);
}

static inline const char *watch_text(const json_t *m, const char *name)
{
    const char *text = json_string_value(json_object_get(m, name));

    return text != NULL ? text : "";
}

static inline bool watch_flag(const json_t *m, const char *name)
{
    return json_is_true(json_object_get(m, name));
}

#endif
