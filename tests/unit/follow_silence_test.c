/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* How long a stream that is followed may be silent: as its gateway says, and no longer than any may. The
 * stream is the test's. */
#include "tests/lib/unit.h"

#include <string.h>

#include "client/follow_message.h"
#include "client/reply.h"

static uint32_t set_ms; /* 0: it was not set */

void stream_set_idle_timeout(xenres_stream *s, uint32_t idle_timeout_ms)
{
    (void)s;
    set_ms = idle_timeout_ms;
}

int stream_next(xenres_stream *s, xenres_reply **out, struct fault *fault)
{
    (void)s, (void)out, (void)fault;
    fail();
    return 0;
}

int stream_open(xenres *handle, const struct stream_request *request, xenres_stream **out,
                struct fault *fault)
{
    (void)handle, (void)request, (void)out, (void)fault;
    fail();
    return 0;
}

void stream_free_at(xenres_stream **stream)
{
    (void)stream;
}

static uint32_t said_ms;

static int read_begin(xenres_reply *reply, struct follow_message *out, struct fault *fault)
{
    (void)reply, (void)fault;
    out->numbers.kind = NUMBERING_BEGIN;
    out->begin.feed = "5e000000000000000000000000000000";
    out->silence_max_ms = said_ms;
    return 0;
}

static int deliver_nothing(const struct follow *f, const struct follow_message *m,
                           const struct numbering_verdict *v)
{
    (void)f, (void)m, (void)v;
    return 0;
}

/* What a stream is given that begins with this. */
static uint32_t idle_timeout_of(uint32_t silence_max_ms)
{
    static const struct follow_ops ops = { .read = read_begin, .deliver = deliver_nothing };
    struct follow f = { .ops = &ops, .numbering = { .content = "image" } };
    struct fault fault = { 0 };
    REPLY_AUTO reply = reply_new(64, &fault);

    assert_non_null(reply);
    said_ms = silence_max_ms;
    set_ms = 0;
    assert_int_equal(follow_take(&f, NULL, reply, &fault), 0);
    assert_true(f.stream.is_begun);
    return set_ms;
}

static void a_gateway_cannot_have_its_silence_waited_for_for_ever(void **state)
{
    (void)state;
    assert_int_equal(idle_timeout_of(45000), 45000);
    assert_int_equal(idle_timeout_of(RECONNECT_SILENCE_MAX_MS - 1), RECONNECT_SILENCE_MAX_MS - 1);
    assert_int_equal(idle_timeout_of(RECONNECT_SILENCE_MAX_MS), RECONNECT_SILENCE_MAX_MS);
    assert_int_equal(idle_timeout_of(RECONNECT_SILENCE_MAX_MS + 1), RECONNECT_SILENCE_MAX_MS);
    assert_int_equal(idle_timeout_of(UINT32_MAX), RECONNECT_SILENCE_MAX_MS);
}

/* The one that the stream was opened with goes on. */
static void one_that_says_nothing_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(idle_timeout_of(0), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gateway_cannot_have_its_silence_waited_for_for_ever),
        cmocka_unit_test(one_that_says_nothing_changes_nothing),
    };

    return UNIT_RUN(tests);
}
