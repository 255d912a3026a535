/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/timestamp.h"

#include <stddef.h>

/* `count` digits at *at, which moves behind them; -1 where there are none. */
static int take_digits(const char **at, int count)
{
    int value = 0;

    for (int i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9') {
            return -1;
        }
        value = value * 10 + (**at - '0');
    }
    return value;
}

static bool take(const char **at, char c)
{
    if (**at != c) {
        return false;
    }
    (*at)++;
    return true;
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days from 1970-01-01; years that begin in March put the leap day last. */
static int64_t day_of(int year, int month, int day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t m = month > 2 ? month - 3 : month + 9;

    return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static bool take_fraction(const char **at, uint32_t *nanoseconds)
{
    uint32_t value = 0, unit = 1000000000;
    const char *first = *at;

    for (; **at >= '0' && **at <= '9' && unit > 1; (*at)++) {
        unit /= 10;
        value += (uint32_t)(**at - '0') * unit;
    }
    *nanoseconds = value;
    return *at > first;
}

bool timestamp_parse(const char *text, int64_t *seconds, uint32_t *nanoseconds)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    const char *at = text;
    int year = take_digits(&at, 4);
    int month = take(&at, '-') ? take_digits(&at, 2) : -1;
    int day = month >= 0 && take(&at, '-') ? take_digits(&at, 2) : -1;
    int hour = day >= 0 && take(&at, 'T') ? take_digits(&at, 2) : -1;
    int minute = hour >= 0 && take(&at, ':') ? take_digits(&at, 2) : -1;
    int second = minute >= 0 && take(&at, ':') ? take_digits(&at, 2) : -1;
    uint32_t fraction = 0;

    if (year < 1 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 59) {
        return false;
    }
    if (day > days[month - 1] + (month == 2 && is_leap(year) ? 1 : 0)) {
        return false;
    }
    if (take(&at, '.') && !take_fraction(&at, &fraction)) {
        return false;
    }
    if (!take(&at, 'Z') || *at != '\0') {
        return false;
    }
    *seconds = day_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    *nanoseconds = fraction;
    return true;
}
