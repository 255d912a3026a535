/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/trace_meter.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "client/cli/render.h"
#include "client/cli/trace_show.h"
#include "common/clock.h"

bool trace_meter_begin(struct trace_meter *m)
{
    *m = (struct trace_meter){ .is_wanted = isatty(STDERR_FILENO) == 1 };
    return m->is_wanted;
}

static void append_fill(struct buffer *line, const struct manifest *manifest, xenres *handle)
{
    const xenres_trace_status *status;
    xenres_reply *reply = NULL;
    uint32_t fill = 0, most = 0;
    uint64_t pauses = 0;

    if (handle == NULL || xenres_trace_get(handle, manifest->uuid, &status, &reply, NULL) != 0) {
        return;
    }
    for (size_t i = 0; i < status->vcpu_count; i++) {
        const xenres_trace_vcpu *v = &status->vcpus[i];

        fill = v->fill_permille > fill ? v->fill_permille : fill;
        most = v->fill_most_permille > most ? v->fill_most_permille : most;
        pauses += v->pauses;
    }
    buffer_printf(line, "  ring %u %% (most %u %%)  %" PRIu64 " pauses", fill / 10, most / 10,
                  pauses);
    xenres_reply_free(reply);
}

void trace_meter_update(struct trace_meter *m, const struct manifest *manifest, xenres *handle)
{
    BUFFER_AUTO(line, 1024);
    struct manifest_sums all = { 0 };
    uint64_t now_ns = clock_monotonic_ns();

    if (!m->is_wanted) {
        return;
    }
    for (size_t i = 0; i < manifest->vcpu_count; i++) {
        struct manifest_sums sums = manifest_sum(&manifest->vcpus[i]);

        all.delivered += sums.delivered;
        all.lost += sums.lost;
        all.open_losses += sums.open_losses;
    }
    double seconds = (double)(now_ns - m->last_ns) / 1e9;
    double rate = m->has_last ? (double)(all.delivered - m->last_bytes) / seconds : 0;

    buffer_printf(&line, "\r\x1b[K%zu vCPU%s  ", manifest->vcpu_count,
                  manifest->vcpu_count == 1 ? "" : "s");
    trace_show_bytes(&line, all.delivered);
    buffer_append_string(&line, "  ");
    trace_show_bytes(&line, (uint64_t)rate);
    buffer_append_string(&line, "/s");
    append_fill(&line, manifest, handle);
    buffer_append_string(&line, "  lost ");
    trace_show_lost(&line, all.lost, all.open_losses > 0);
    m->has_last = true;
    m->last_ns = now_ns;
    m->last_bytes = all.delivered;
    m->is_shown = !line.failed;
    if (m->is_shown) {
        (void)fwrite(line.data, 1, line.len_bytes, stderr);
        (void)fflush(stderr);
    }
}

void trace_meter_end(struct trace_meter *m)
{
    if (m->is_shown) {
        (void)fputs("\r\x1b[K", stderr);
        (void)fflush(stderr);
        m->is_shown = false;
    }
}
