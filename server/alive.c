/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/alive.h"

#include <systemd/sd-daemon.h>

#include "common/clock.h"
#include "common/log.h"

enum {
    TIMES = 4, /* it is said so often in the time that the other one waits */
    WAIT_MAX_MS = 60000,
};

void alive_init(struct alive *a)
{
    uint64_t silence_us = 0;

    *a = (struct alive){ 0 };
    if (sd_watchdog_enabled(0, &silence_us) > 0) {
        a->silence_ns = silence_us * CLOCK_NS_PER_US;
    }
}

int alive_timeout_ms(const struct alive *a, int timeout_ms)
{
    if (a->silence_ns == 0) {
        return timeout_ms;
    }
    int due_ms = clock_poll_timeout_ms(a->due_ns, WAIT_MAX_MS);

    return timeout_ms < 0 || due_ms < timeout_ms ? due_ms : timeout_ms;
}

void alive_tell(struct alive *a, struct listener *listener)
{
    uint64_t now_ns = clock_monotonic_ns();

    if (a->silence_ns == 0 || now_ns < a->due_ns) {
        return;
    }
    a->due_ns = now_ns + a->silence_ns / TIMES;
    if (listener == NULL || listener_is_well(listener)) {
        sd_notify(0, "WATCHDOG=1");
    } else {
        log_error("threads of the listener do not go on: whoever watches is not told otherwise");
    }
}
