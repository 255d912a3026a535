/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The two forms in which metrics are told: OpenMetrics 1.0, and for whoever does not ask for it the
 * text format of Prometheus, version 0.0.4. Knows how families, samples, labels and histograms are
 * written, and nothing of what is counted. There are no floating-point numbers: times are given in
 * nanoseconds and written as seconds with nine digits, exactly.
 *
 * The buffer's maximum bounds all of it; whoever gave the buffer looks whether it failed. What a
 * label's value has beside printable ASCII becomes '?'. One thread.
 */
#ifndef XENRES_SERVER_EXPOSITION_H
#define XENRES_SERVER_EXPOSITION_H

#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"

enum exposition_format { EXPOSITION_TEXT, EXPOSITION_OPENMETRICS };

/* By an Accept header (or NULL): OpenMetrics where it is named, and not with a weight of 0. */
enum exposition_format exposition_choose(const char *accept);
const char *exposition_content_type(enum exposition_format format);

enum exposition_kind {
    EXPOSITION_COUNTER,
    EXPOSITION_GAUGE,
    EXPOSITION_INFO,
    EXPOSITION_HISTOGRAM
};

struct exposition_family {
    const char *name; /* without _total and _info; with its unit at the end */
    enum exposition_kind kind;
    const char *unit; /* "seconds", "bytes"; NULL: none */
    const char *help; /* one line, ASCII */
};

struct exposition_label {
    const char *name, *value;
};
enum { EXPOSITION_LABELS_MAX = 4 };

struct exposition {
    struct buffer *out;
    enum exposition_format format;
    const struct exposition_family *family; /* whose samples come now */
    struct exposition_label labels[EXPOSITION_LABELS_MAX];
    size_t label_count;
};

void exposition_begin(struct exposition *e, struct buffer *out, enum exposition_format format);
/* Those samples that follow are of this one. */
void exposition_family(struct exposition *e, const struct exposition_family *family);
/* A label of the next sample, which forgets it. At most EXPOSITION_LABELS_MAX. */
void exposition_label(struct exposition *e, const char *name, const char *value);
void exposition_count(struct exposition *e, uint64_t value); /* of an info: 1 */
void exposition_seconds(struct exposition *e, uint64_t value_ns);

struct exposition_histogram {
    const uint64_t *bounds_ns; /* ascending, one less than buckets */
    const uint64_t *buckets;   /* how many in each by itself; the last is all that is above */
    size_t bucket_count;
    uint64_t sum_ns;
};
void exposition_histogram(struct exposition *e, const struct exposition_histogram *h);
void exposition_end(struct exposition *e);

#endif
