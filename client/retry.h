/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Trying again what failed for the moment only, and does no harm when done twice. Waits before each
 * further try: twice as long each time, by chance up to half less so that many clients do not come
 * back at once, and at least as long as the gateway asked for. Never beyond the call's own time, nor
 * for the handle's timeout_ms at once: a wait that would end there is not begun.
 *
 *     struct retry retry = retry_begin(true, timeout_ms);
 *     do {
 *         result = …(retry_next_ms(&retry), …);
 *     } while (result != 0 && retry_wait(&retry, handle, &result, fault));
 */
#ifndef XENRES_CLIENT_RETRY_H
#define XENRES_CLIENT_RETRY_H

#include "client/handle.h"

enum { RETRY_WAIT_MAX_MS = 10 * 1000 }; /* of a wait that the gateway did not ask for */

struct retry {
    bool is_allowed;
    uint32_t tries;
    uint64_t deadline_ns; /* monotonic; UINT64_MAX: none */
};

/* `timeout_ms`: of all tries together; 0: without end. */
struct retry retry_begin(bool is_allowed, uint32_t timeout_ms);
/* What is left of the time, for the try that begins now; 0: without end. */
uint32_t retry_next_ms(struct retry *r);
/* After a try that failed with *result. True: it waited, try again; the fault and the handle's
 * details are empty. False: that is what the caller gets; cancelled meanwhile, *result and the fault
 * say so. */
bool retry_wait(const struct retry *r, xenres *handle, int *result, struct fault *fault);

/* Before the try `tries` + 1. `chance`: any number. Pure. */
uint32_t retry_wait_ms(uint32_t first_ms, uint32_t tries, uint32_t chance);

#endif
