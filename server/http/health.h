/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The health listener: plain HTTP on loopback or a unix socket, for the machine's own supervisors.
 * `/healthz`: the process serves (always 200). `/readyz`: 200 when it can do its work, else 503 with
 * the reasons, a line each. `/metrics`: what the process counts, for Prometheus. GET and HEAD only.
 * Never waits for the mapper.
 */
#ifndef XENRES_HTTP_HEALTH_H
#define XENRES_HTTP_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"

enum { HEALTH_METRICS_MAX_BYTES = 256 * 1024 };

struct health;
struct health_options {
    int listen_fd; /* from health_bind(); closed by health_stop() */
    /* True when ready; else reasons, a line each; what is to be noted all the same is told, too. Any
     * thread, must not wait. */
    bool (*ready)(void *arg, struct buffer *reasons);
    /* Writes the metrics in a format that `accept` (the header, or NULL) takes; returns its content
     * type. At most HEALTH_METRICS_MAX_BYTES. NULL: there are none any more. Any thread, must not
     * wait. */
    const char *(*metrics)(void *arg, const char *accept, struct buffer *out);
    void *arg; /* of both */
};
/* `where`: a numeric loopback address and port, or the absolute path of a unix socket (mode 0660; a
 * stale one is replaced). "": none, and *listen_fd stays. health_check(): would it, without doing it. */
int health_check(const char *where, struct failure *f);
int health_bind(const char *where, int *listen_fd, struct failure *f);
int health_start(const struct health_options *options, struct health **out, struct failure *f);
void health_stop(struct health *h);

#endif
