/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cancel.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/handle.h"
#include "common/clock.h"

bool cancel_init(struct cancel *c)
{
    c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return c->fd >= 0;
}

void cancel_done(struct cancel *c)
{
    if (c->fd >= 0) {
        (void)close(c->fd);
    }
    c->fd = -1;
}

static bool poll_until(const struct cancel *c, int timeout_ms)
{
    struct pollfd on = { .fd = c->fd, .events = POLLIN };

    return poll(&on, 1, timeout_ms) > 0;
}

bool cancel_is_on(const struct cancel *c)
{
    return poll_until(c, 0);
}

bool cancel_sleep(const struct cancel *c, uint64_t deadline_ns)
{
    int left_ms;

    while ((left_ms = clock_poll_timeout_ms(deadline_ns, 60 * 1000)) > 0) {
        if (poll_until(c, left_ms)) {
            return true;
        }
    }
    return cancel_is_on(c);
}

int cancel_fail(struct fault *fault)
{
    int result = failure_set(&fault->failure, ERROR_CANCELED, "ended by xenres_cancel()");

    return failure_next(&fault->failure, result, "xenres_cancel_reset() lets calls run again");
}

void xenres_cancel(xenres *handle)
{
    const uint64_t one = 1;
    int saved_errno = errno;

    /* It fails only where it is on already, 2^64 - 1 times. */
    (void)!write(handle->cancel.fd, &one, sizeof(one));
    errno = saved_errno;
}

void xenres_cancel_reset(xenres *handle)
{
    uint64_t count;

    (void)!read(handle->cancel.fd, &count, sizeof(count));
}
