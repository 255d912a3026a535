/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What streams of traces are measured against: the algorithm of xen-vmtrace, on the simulated host.
 *
 *   trace_poll SCENARIO DOMID PERIOD_MS SECONDS
 *
 * Traces vCPU 0 so long, asks every PERIOD_MS where the trace is, and writes what is between that and where
 * it was the last time to its output: that it was lapped it cannot know. At the end one JSON object goes to
 * standard error: what the vCPU really wrote, how much of that was handed on, and what it took.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/layout.h"
#include "server/mapper/backend.h"
#include "server/mapper/sim/truth.h"

static void die(const char *what)
{
    fprintf(stderr, "trace_poll: %s\n", what);
    exit(1);
}

static uint64_t call(struct backend *b, uint16_t domid, enum vmtrace_call what, uint32_t key,
                     uint64_t value)
{
    struct failure f;

    if (backend_ops->vmtrace(b, domid, 0, what, key, &value, &f) < 0) {
        die(f.message);
    }
    return value;
}

static void write_all(const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes, len);

        if (n <= 0) {
            die(strerror(errno));
        }
        bytes += n;
        len -= (size_t)n;
    }
}

/* What is new of the ring, or what looks so. */
static uint64_t hand_on(const struct backend_mapping *ring, uint64_t from, uint64_t to)
{
    const uint8_t *bytes = (const uint8_t *)(uintptr_t)ring->address;
    uint64_t size = (uint64_t)ring->frame_count * LAYOUT_FRAME_BYTES;

    if (to >= from) {
        write_all(bytes + from, to - from);
        return to - from;
    }
    write_all(bytes + from, size - from);
    write_all(bytes, to);
    return size - from + to;
}

int main(int argc, char **argv)
{
    struct backend *b = NULL;
    struct backend_size size;
    struct backend_mapping ring;
    struct failure f;
    struct sim_trace truth;

    if (argc != 5) {
        fprintf(stderr, "usage: trace_poll SCENARIO DOMID PERIOD_MS SECONDS\n");
        return 2;
    }
    uint16_t domid = (uint16_t)atoi(argv[2]);
    long period_ms = atol(argv[3]);
    uint64_t until_ns;

    if (backend_open(argv[1], &b, &f) < 0 ||
        backend_ops->size(b, domid, RESOURCE_VMTRACE_BUF, 0, &size, &f) < 0 ||
        backend_ops->map(b, domid, RESOURCE_VMTRACE_BUF, 0, 0, size.frames_in_use, &ring, &f) < 0) {
        die(f.message);
    }
    const struct timespec period = { .tv_sec = period_ms / 1000,
                                     .tv_nsec = period_ms % 1000 * 1000000 };
    uint64_t prev = 0, handed_on = 0, pauses = backend_ops->pauses(b);

    (void)call(b, domid, VMTRACE_SET_OPTION, VMTRACE_KEY_CTL,
               VMTRACE_CTL_OS | VMTRACE_CTL_USER | VMTRACE_CTL_TSC | VMTRACE_CTL_BRANCH);
    (void)call(b, domid, VMTRACE_RESET_AND_ENABLE, 0, 0);
    until_ns = clock_monotonic_ns() + (uint64_t)(atof(argv[4]) * 1e9);
    while (clock_monotonic_ns() < until_ns) {
        uint64_t position = call(b, domid, VMTRACE_POSITION, 0, 0);

        handed_on += hand_on(&ring, prev, position);
        prev = position;
        (void)nanosleep(&period, NULL);
    }
    (void)call(b, domid, VMTRACE_DISABLE, 0, 0);
    uint64_t last = call(b, domid, VMTRACE_POSITION, 0, 0);

    handed_on += hand_on(&ring, prev, last);
    if (!sim_trace(b, domid, 0, &truth)) {
        die("no such trace");
    }
    fprintf(
        stderr, "{\"produced\": %llu, \"handed_on\": %llu, \"pauses\": %llu, \"cpu_s\": %.4f}\n",
        (unsigned long long)truth.produced, (unsigned long long)handed_on,
        (unsigned long long)(backend_ops->pauses(b) - pauses), (double)clock() / CLOCKS_PER_SEC);
    backend_ops->unmap(b, &ring);
    backend_ops->close(b);
    return 0;
}
