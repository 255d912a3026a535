/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * google.protobuf.Timestamp and Duration as text: RFC 3339 in UTC ("2026-01-31T23:59:59.5Z", read
 * with any offset), and seconds ("-1.5s"). Up to nine digits behind the point are read, 0, 3, 6 or 9
 * are written. Calendars are computed here: gmtime() depends on what time_t is. Pure, any thread.
 */
#ifndef XENRES_PROTO_JSON_TIME_TEXT_H
#define XENRES_PROTO_JSON_TIME_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "proto/json/lexer.h"

struct time_text {
    int64_t seconds;     /* a timestamp's since 1970 */
    int32_t nanoseconds; /* a timestamp's never negative; a duration's has the sign of `seconds` */
};

/* Quoted. False outside the years 1 to 9999, or nanoseconds outside a second. */
bool time_text_print_timestamp(struct buffer *out, struct time_text t);
/* Without quotes. False where it is not RFC 3339 (with a capital T and Z), no such date, or outside
 * the years 1 to 9999 (in UTC). */
bool time_text_read_timestamp(struct lexer_span text, struct time_text *out);

/* Quoted. False beyond 315,576,000,000 seconds, or with two signs. */
bool time_text_print_duration(struct buffer *out, struct time_text t);
bool time_text_read_duration(struct lexer_span text, struct time_text *out);

#endif
