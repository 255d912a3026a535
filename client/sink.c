/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/sink.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

int sink_take(struct sink *s, const xenres *handle, const xenres_frames_sink *given,
              struct fault *fault)
{
    *s = (struct sink){
        .handle = handle,
        .deadline_ns = clock_monotonic_ns() + handle->transfer_timeout_ms * CLOCK_NS_PER_MS,
    };
    return fault_copy_sized(&s->to, given, sizeof(s->to), "xenres_frames_sink", fault);
}

static int ended_by_caller(struct fault *fault)
{
    return failure_set(&fault->failure, ERROR_CANCELED, "ended by a callback");
}

int sink_begin(struct sink *s, const xenres_frames *frames, struct fault *fault)
{
    s->has_begun = true;
    s->total_bytes = frames->len_bytes;
    return s->to.begin == NULL || s->to.begin(s->to.arg, frames) == 0 ? 0 : ended_by_caller(fault);
}

static int cannot_write(int fd, int failed, struct fault *fault)
{
    int result =
        failure_set(&fault->failure, ERROR_UNKNOWN, "cannot write the frames to descriptor %d", fd);

    failure_cause(&fault->failure, result, "%s", strerror(failed));
    return failure_call(&fault->failure, result, "write", failed);
}

/* libcurl's own timeout does not run while we are in its callback: a descriptor that takes nothing
 * must not hold the call beyond it. */
static int write_all(const struct sink *s, const void *bytes, size_t len_bytes, struct fault *fault)
{
    const uint8_t *at = bytes;

    while (len_bytes > 0) {
        ssize_t written = write(s->to.fd, at, len_bytes);

        if (written > 0) {
            at += written;
            len_bytes -= (size_t)written;
        } else if (written < 0 && errno == EAGAIN && clock_monotonic_ns() < s->deadline_ns) {
            struct pollfd fds[] = { { .fd = s->to.fd, .events = POLLOUT },
                                    { .fd = s->handle->cancel.fd, .events = POLLIN } };

            (void)poll(fds, 2, clock_poll_timeout_ms(s->deadline_ns, 60 * 1000));
            if (fds[1].revents != 0) {
                return cancel_fail(fault);
            }
        } else if (written == 0 || errno != EINTR) {
            return cannot_write(s->to.fd, written == 0 ? EIO : errno, fault);
        }
    }
    return 0;
}

int sink_deliver(struct sink *s, const void *bytes, size_t len_bytes, struct fault *fault)
{
    int result = 0;

    if (s->to.data == NULL) {
        result = write_all(s, bytes, len_bytes, fault);
    } else if (s->to.data(s->to.arg, bytes, len_bytes) != 0) {
        result = ended_by_caller(fault);
    }
    s->done_bytes += len_bytes;
    if (result == 0 && s->to.progress != NULL &&
        s->to.progress(s->to.arg, s->done_bytes, s->total_bytes) != 0) {
        result = ended_by_caller(fault);
    }
    return result;
}
