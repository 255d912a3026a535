/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* A stream of a scripted server, read message by message. The method is one that the library does not
 * know, so that messages may be any bytes. */
#ifndef XENRES_TESTS_CLIENT_STREAMING_H
#define XENRES_TESTS_CLIENT_STREAMING_H

#include "tests/lib/client_stream.h"

#define STREAMING_METHOD "test.v1.Service/Stream"

struct streaming {
    struct fixture f;
    xenres_stream *stream;
};

static inline int streaming_open(struct streaming *s, const xenres_stream_options *options)
{
    return xenres_stream_open(s->f.handle, STREAMING_METHOD, "ask", 3, options, &s->stream,
                              &s->f.error);
}

static inline void streaming_start(struct streaming *s, const struct tls_server_step *steps,
                                   size_t step_count)
{
    s->stream = NULL;
    fixture_start(&s->f, steps, step_count);
}

static inline void streaming_stop(struct streaming *s)
{
    xenres_stream_close(s->stream);
    fixture_end(&s->f);
}

static inline int streaming_next(struct streaming *s)
{
    xenres_reply_free(s->f.reply);
    s->f.reply = NULL;
    return xenres_stream_next(s->stream, &s->f.reply, &s->f.error);
}

static inline void streaming_text(struct streaming *s, const char *text)
{
    size_t len_bytes;
    const char *type_name;

    assert_int_equal(streaming_next(s), 0);
    assert_non_null(s->f.reply);
    const void *bytes = xenres_reply_message(s->f.reply, &len_bytes, &type_name);

    assert_int_equal(len_bytes, strlen(text));
    assert_memory_equal(bytes, text, len_bytes);
    assert_string_equal(type_name, "");
}

static inline void streaming_end(struct streaming *s)
{
    xenres_reply_free(s->f.reply);
    s->f.reply = (xenres_reply *)s; /* anything, which has to become NULL */
    assert_int_equal(xenres_stream_next(s->stream, &s->f.reply, &s->f.error), 0);
    assert_null(s->f.reply);
}

static inline void streaming_error(struct streaming *s, uint32_t code)
{
    for (int i = 0; i < 2; i++) { /* it is told again */
        assert_int_equal(streaming_next(s), -(int)code);
        assert_int_equal(s->f.error.code, code);
        assert_true(s->f.error.message[0] != '\0');
        assert_null(s->f.reply);
    }
}

/* A stream with one message, "one", and then what `step` does to it: an error of this code. */
static inline void streaming_after_one(struct tls_server_step step, uint32_t code)
{
    struct streaming s;

    streaming_start(&s, &step, 1);
    assert_int_equal(streaming_open(&s, NULL), 0);
    streaming_text(&s, "one");
    streaming_error(&s, code);
    streaming_stop(&s);
}

#endif
