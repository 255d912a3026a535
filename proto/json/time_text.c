/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "proto/json/time_text.h"

#include <inttypes.h>
#include <stdlib.h>

#define TIMESTAMP_MIN_SECONDS INT64_C(-62135596800) /* 0001-01-01T00:00:00Z */
#define TIMESTAMP_MAX_SECONDS INT64_C(253402300799) /* 9999-12-31T23:59:59Z */
#define DURATION_MAX_SECONDS  INT64_C(315576000000) /* 10,000 years */

enum { NANOSECONDS_MAX = 999999999, DAY_SECONDS = 86400 };

struct civil_date {
    int64_t year;
    unsigned month, day;
};

/* Gregorian date of a day counted from 1970-01-01: years that begin in March put the leap day last,
 * and 400 of them always have 146097 days. */
static struct civil_date date_of_day(int64_t day)
{
    int64_t from_march_0000 = day + 719468;
    int64_t era = (from_march_0000 >= 0 ? from_march_0000 : from_march_0000 - 146096) / 146097;
    int64_t day_of_era = from_march_0000 - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* 0 is March */

    return (struct civil_date){
        .year = year_of_era + era * 400 + (month >= 10 ? 1 : 0),
        .month = (unsigned)(month < 10 ? month + 3 : month - 9),
        .day = (unsigned)(day_of_year - (153 * month + 2) / 5 + 1),
    };
}

/* The other way, for years from 1 on. */
static int64_t day_of_date(struct civil_date date)
{
    int64_t year = date.month > 2 ? date.year : date.year - 1; /* it begins in March */
    int64_t month = date.month > 2 ? date.month - 3 : date.month + 9;
    int64_t day_of_year = (153 * month + 2) / 5 + date.day - 1;

    return year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719468;
}

static bool is_date(struct civil_date date)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool is_leap = date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0);

    return date.year >= 1 && date.month >= 1 && date.month <= 12 && date.day >= 1 &&
           date.day <= days[date.month - 1] + (unsigned)(is_leap && date.month == 2);
}

static void print_fraction(struct buffer *out, int32_t nanoseconds)
{
    if (nanoseconds % 1000 != 0) {
        buffer_printf(out, ".%09" PRId32, nanoseconds);
    } else if (nanoseconds % 1000000 != 0) {
        buffer_printf(out, ".%06" PRId32, nanoseconds / 1000);
    } else if (nanoseconds != 0) {
        buffer_printf(out, ".%03" PRId32, nanoseconds / 1000000);
    }
}

bool time_text_print_timestamp(struct buffer *out, struct time_text t)
{
    if (t.seconds < TIMESTAMP_MIN_SECONDS || t.seconds > TIMESTAMP_MAX_SECONDS ||
        t.nanoseconds < 0 || t.nanoseconds > NANOSECONDS_MAX) {
        return false;
    }
    int64_t second = ((t.seconds % DAY_SECONDS) + DAY_SECONDS) % DAY_SECONDS;
    struct civil_date date = date_of_day((t.seconds - second) / DAY_SECONDS);

    buffer_printf(out, "\"%04" PRId64 "-%02u-%02uT%02" PRId64 ":%02" PRId64 ":%02" PRId64,
                  date.year, date.month, date.day, second / 3600, second / 60 % 60, second % 60);
    print_fraction(out, t.nanoseconds);
    buffer_append(out, "Z\"", 2);
    return true;
}

/* What is left of a text that is read by its pattern; the first that does not fit stays. */
struct reading {
    const char *at;
    const char *end;
    bool failed;
};

static char next(const struct reading *r)
{
    return r->failed || r->at == r->end ? '\0' : *r->at;
}

static bool take(struct reading *r, char c)
{
    bool is_there = next(r) == c;

    r->at += is_there ? 1 : 0;
    return is_there;
}

static void expect(struct reading *r, char c)
{
    r->failed = !take(r, c) || r->failed;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* `least` to `most` (at most 18) digits; `*taken`: how many. */
static int64_t take_number(struct reading *r, unsigned least, unsigned most, unsigned *taken)
{
    int64_t value = 0;
    unsigned count = 0;

    for (; count < most && is_digit(next(r)); count++) {
        value = value * 10 + (*r->at++ - '0');
    }
    r->failed = r->failed || count < least;
    if (taken != NULL) {
        *taken = count;
    }
    return value;
}

static unsigned take_two(struct reading *r)
{
    return (unsigned)take_number(r, 2, 2, NULL);
}

/* Nanoseconds of `.5`, or 0 where no point stands. */
static int32_t take_fraction(struct reading *r)
{
    unsigned count;

    if (!take(r, '.')) {
        return 0;
    }
    int64_t value = take_number(r, 1, 9, &count);

    for (; count < 9; count++) {
        value *= 10;
    }
    return (int32_t)value;
}

/* Seconds that the clock of `Z`, `+02:00` is ahead of UTC. */
static int64_t take_offset(struct reading *r)
{
    if (take(r, 'Z')) {
        return 0;
    }
    bool is_behind = take(r, '-');

    if (!is_behind) {
        expect(r, '+');
    }
    unsigned hours = take_two(r);

    expect(r, ':');
    unsigned minutes = take_two(r);
    int64_t offset = (int64_t)hours * 3600 + minutes * 60;

    r->failed = r->failed || hours > 23 || minutes > 59;
    return is_behind ? -offset : offset;
}

bool time_text_read_timestamp(struct lexer_span text, struct time_text *out)
{
    struct reading r = { .at = text.at, .end = text.at + text.len };
    struct civil_date date = { .year = take_number(&r, 4, 4, NULL) };

    expect(&r, '-');
    date.month = take_two(&r);
    expect(&r, '-');
    date.day = take_two(&r);
    expect(&r, 'T');
    unsigned hour = take_two(&r);

    expect(&r, ':');
    unsigned minute = take_two(&r);

    expect(&r, ':');
    unsigned second = take_two(&r);
    struct time_text t = { .nanoseconds = take_fraction(&r) };
    int64_t offset = take_offset(&r);

    if (r.failed || r.at != r.end || !is_date(date) || hour > 23 || minute > 59 || second > 59) {
        return false;
    }
    t.seconds = day_of_date(date) * DAY_SECONDS + hour * 3600 + minute * 60 + second - offset;
    if (t.seconds < TIMESTAMP_MIN_SECONDS || t.seconds > TIMESTAMP_MAX_SECONDS) {
        return false;
    }
    *out = t;
    return true;
}

bool time_text_print_duration(struct buffer *out, struct time_text t)
{
    bool is_negative = t.seconds < 0 || t.nanoseconds < 0;

    if (t.seconds < -DURATION_MAX_SECONDS || t.seconds > DURATION_MAX_SECONDS ||
        t.nanoseconds < -NANOSECONDS_MAX || t.nanoseconds > NANOSECONDS_MAX ||
        (is_negative && (t.seconds > 0 || t.nanoseconds > 0))) {
        return false;
    }
    buffer_printf(out, "\"%s%" PRId64, is_negative ? "-" : "",
                  is_negative ? -t.seconds : t.seconds);
    print_fraction(out, abs(t.nanoseconds));
    buffer_append(out, "s\"", 2);
    return true;
}

bool time_text_read_duration(struct lexer_span text, struct time_text *out)
{
    struct reading r = { .at = text.at, .end = text.at + text.len };
    bool is_negative = take(&r, '-');
    struct time_text t = { .seconds = take_number(&r, 1, 12, NULL) };

    t.nanoseconds = take_fraction(&r);
    expect(&r, 's');
    if (r.failed || r.at != r.end || t.seconds > DURATION_MAX_SECONDS) {
        return false;
    }
    if (is_negative) {
        t = (struct time_text){ .seconds = -t.seconds, .nanoseconds = -t.nanoseconds };
    }
    *out = t;
    return true;
}
