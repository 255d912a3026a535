/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/lines.h"

#include <inttypes.h>

#include "client/cli/json.h"
#include "client/cli/render.h"
#include "common/clock.h"
#include "xenres/v1/host.pb-c.h"
#include "xenres/v1/resource.pb-c.h"

enum { FLUSH_BYTES = 64 * 1024 }; /* of the lines of one message, written at once */

void lines_init(struct lines *l, struct output *output, const uint64_t *wall_ns)
{
    *l = (struct lines){ .output = output, .wall_ns = wall_ns };
    buffer_init(&l->text, LINES_MAX_BYTES);
}

void lines_done(struct lines *l)
{
    buffer_done(&l->text);
}

static void append_time(struct lines *l, int64_t seconds, uint32_t nanoseconds)
{
    if (seconds == 0) {
        seconds = (int64_t)(*l->wall_ns / CLOCK_NS_PER_S);
        nanoseconds = (uint32_t)(*l->wall_ns % CLOCK_NS_PER_S);
    }
    render_time(&l->text, seconds, nanoseconds);
}

static int write_out(struct lines *l)
{
    return l->text.len_bytes > 0 || l->text.failed ? output_text(l->output, &l->text) : 0;
}

static int on_change(void *arg, const struct teller_change *c)
{
    static const char *const marks[] = {
        [TELLER_STANDS] = "is",
        [TELLER_APPEARED] = "appeared",
        [TELLER_CHANGED] = "changed",
        [TELLER_WENT_AWAY] = "went away",
    };
    struct lines *l = arg;

    append_time(l, c->wall_seconds, c->wall_nanoseconds);
    buffer_printf(&l->text, "  %" PRIu64 "  %s %s: ", c->sequence, c->label, marks[c->mark]);
    buffer_append_string(&l->text, c->text);
    if (c->before[0] != '\0') {
        buffer_append_string(&l->text, " (was ");
        buffer_append_string(&l->text, c->before);
        buffer_append_byte(&l->text, ')');
    }
    buffer_append_byte(&l->text, '\n');
    return l->text.len_bytes > FLUSH_BYTES ? write_out(l) : 0;
}

static int on_notice(void *arg, enum teller_notice notice, const char *text)
{
    static const char *const words[] = {
        [TELLER_BEGIN] = "begin", [TELLER_WHOLE] = "whole", [TELLER_GAP] = "lost",
        [TELLER_END] = "end",     [TELLER_CUT] = "cut",
    };
    struct lines *l = arg;

    append_time(l, 0, 0);
    buffer_printf(&l->text, "  %s: ", words[notice]);
    buffer_append_string(&l->text, text);
    buffer_append_byte(&l->text, '\n');
    return 0;
}

static int flush(void *arg, const struct teller_sums *sums)
{
    (void)sums;
    return write_out(arg);
}

struct teller_out lines_out(struct lines *l)
{
    return (
        struct teller_out){ .change = on_change, .notice = on_notice, .flush = flush, .arg = l };
}

int lines_message(struct lines *l, enum recording_stream stream, const void *message,
                  size_t len_bytes)
{
    int status = json_append_bytes(&l->text,
                                   stream == RECORDING_OF_RESOURCE
                                       ? &xenres__v1__watch_response__descriptor
                                       : &xenres__v1__watch_domains_response__descriptor,
                                   message, len_bytes);

    if (status != 0) {
        return status;
    }
    buffer_append_byte(&l->text, '\n');
    return output_text(l->output, &l->text);
}
