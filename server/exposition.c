/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* https://github.com/OpenObservability/OpenMetrics, specification 1.0.0; and Prometheus'
 * "exposition formats", text format 0.0.4. They differ in names, in UNIT and in the end. */
#include "server/exposition.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"

enum { SECONDS_BYTES = 32 };

/* --- which form --------------------------------------------------------------------------------- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* "q=0", "q=0.000": not at all (RFC 9110, 12.4.2). */
static bool is_zero_weight(const char *parameter, size_t len)
{
    if (len < 3 || strncasecmp(parameter, "q=0", 3) != 0) {
        return false;
    }
    for (size_t i = 3; i < len; i++) {
        if (parameter[i] != '0' && parameter[i] != '.' && !is_space(parameter[i])) {
            return false;
        }
    }
    return true;
}

/* One element of the list, without the commas around it. */
static bool names_openmetrics(const char *element, size_t len)
{
    static const char type[] = "application/openmetrics-text";
    const size_t type_len = sizeof(type) - 1;
    const char *end = element + len;

    while (element < end && is_space(*element)) {
        element++;
    }
    if ((size_t)(end - element) < type_len || strncasecmp(element, type, type_len) != 0) {
        return false;
    }
    element += type_len;
    if (element < end && *element != ';' && !is_space(*element)) {
        return false;
    }
    while (element < end) {
        const char *next = memchr(element, ';', (size_t)(end - element));

        element = next != NULL ? next + 1 : end;
        while (element < end && is_space(*element)) {
            element++;
        }
        next = memchr(element, ';', (size_t)(end - element));
        if (is_zero_weight(element, (size_t)((next != NULL ? next : end) - element))) {
            return false;
        }
    }
    return true;
}

enum exposition_format exposition_choose(const char *accept)
{
    while (accept != NULL && *accept != '\0') {
        size_t len = strcspn(accept, ",");

        if (names_openmetrics(accept, len)) {
            return EXPOSITION_OPENMETRICS;
        }
        accept += len + (accept[len] == ',');
    }
    return EXPOSITION_TEXT;
}

const char *exposition_content_type(enum exposition_format format)
{
    return format == EXPOSITION_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}

/* --- families ----------------------------------------------------------------------------------- */

void exposition_begin(struct exposition *e, struct buffer *out, enum exposition_format format)
{
    *e = (struct exposition){ .out = out, .format = format };
}

/* What stands behind a family's name in that of its samples. */
static const char *suffix_of(enum exposition_kind kind)
{
    return kind == EXPOSITION_COUNTER ? "_total" : kind == EXPOSITION_INFO ? "_info" : "";
}

void exposition_family(struct exposition *e, const struct exposition_family *family)
{
    static const char *const types[] = {
        [EXPOSITION_COUNTER] = "counter",
        [EXPOSITION_GAUGE] = "gauge",
        [EXPOSITION_INFO] = "info",
        [EXPOSITION_HISTOGRAM] = "histogram",
    };
    bool is_open = e->format == EXPOSITION_OPENMETRICS;
    /* The older form knows no info, and calls a family as its samples. */
    const char *type =
        !is_open && family->kind == EXPOSITION_INFO ? types[EXPOSITION_GAUGE] : types[family->kind];
    const char *suffix = is_open ? "" : suffix_of(family->kind);

    e->family = family;
    buffer_printf(e->out, "# HELP %s%s %s\n", family->name, suffix, family->help);
    buffer_printf(e->out, "# TYPE %s%s %s\n", family->name, suffix, type);
    if (is_open && family->unit != NULL) {
        buffer_printf(e->out, "# UNIT %s %s\n", family->name, family->unit);
    }
}

/* --- samples ------------------------------------------------------------------------------------ */

void exposition_label(struct exposition *e, const char *name, const char *value)
{
    assert(e->label_count < EXPOSITION_LABELS_MAX);
    e->labels[e->label_count++] = (struct exposition_label){ name, value };
}

static void write_value(struct buffer *out, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '"' || *value == '\\') {
            buffer_append_byte(out, '\\');
            buffer_append_byte(out, (uint8_t)*value);
        } else if (*value == '\n') {
            buffer_append_string(out, "\\n");
        } else {
            buffer_append_byte(out, *value >= ' ' && *value <= '~' ? (uint8_t)*value : '?');
        }
    }
}

/* The name, and the labels with `le` as the last where it is not NULL. */
static void write_head(struct exposition *e, const char *suffix, const char *le)
{
    char separator = '{';

    buffer_printf(e->out, "%s%s", e->family->name, suffix);
    for (size_t i = 0; i < e->label_count; i++) {
        buffer_printf(e->out, "%c%s=\"", separator, e->labels[i].name);
        write_value(e->out, e->labels[i].value);
        buffer_append_byte(e->out, '"');
        separator = ',';
    }
    if (le != NULL) {
        buffer_printf(e->out, "%cle=\"%s\"", separator, le);
        separator = ',';
    }
    buffer_append_string(e->out, separator == ',' ? "} " : " ");
}

/* Without the zeros at its end, but for one behind the point. */
static const char *seconds_text(uint64_t ns, char out[SECONDS_BYTES])
{
    int len = snprintf(out, SECONDS_BYTES, "%" PRIu64 ".%09" PRIu64, ns / CLOCK_NS_PER_S,
                       ns % CLOCK_NS_PER_S);

    while (out[len - 1] == '0' && out[len - 2] != '.') {
        out[--len] = '\0';
    }
    return out;
}

void exposition_count(struct exposition *e, uint64_t value)
{
    write_head(e, suffix_of(e->family->kind), NULL);
    buffer_printf(e->out, "%" PRIu64 "\n", value);
    e->label_count = 0;
}

void exposition_seconds(struct exposition *e, uint64_t value_ns)
{
    char text[SECONDS_BYTES];

    write_head(e, suffix_of(e->family->kind), NULL);
    buffer_printf(e->out, "%s\n", seconds_text(value_ns, text));
    e->label_count = 0;
}

void exposition_histogram(struct exposition *e, const struct exposition_histogram *h)
{
    char text[SECONDS_BYTES];
    uint64_t count = 0;

    for (size_t i = 0; i < h->bucket_count; i++) {
        bool is_last = i + 1 == h->bucket_count;

        count += h->buckets[i];
        write_head(e, "_bucket", is_last ? "+Inf" : seconds_text(h->bounds_ns[i], text));
        buffer_printf(e->out, "%" PRIu64 "\n", count);
    }
    write_head(e, "_sum", NULL);
    buffer_printf(e->out, "%s\n", seconds_text(h->sum_ns, text));
    write_head(e, "_count", NULL);
    buffer_printf(e->out, "%" PRIu64 "\n", count);
    e->label_count = 0;
}

void exposition_end(struct exposition *e)
{
    if (e->format == EXPOSITION_OPENMETRICS) {
        buffer_append_string(e->out, "# EOF\n");
    }
}
