/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/errand.h"

#include <assert.h>

static _Thread_local struct {
    bool wait;
    unsigned count;
    struct {
        void (*run)(void *arg);
        void *arg;
    } left[ERRANDS_MAX];
} errands;

void errands_hold(void)
{
    assert(!errands.wait);
    errands.wait = true;
}

void errands_run(void)
{
    assert(errands.wait);
    errands.wait = false;
    for (unsigned i = 0; i < errands.count; i++) {
        errands.left[i].run(errands.left[i].arg);
    }
    errands.count = 0;
}

bool errand_leave(void (*run)(void *arg), void *arg)
{
    if (!errands.wait || errands.count == ERRANDS_MAX) {
        return false;
    }
    errands.left[errands.count].run = run;
    errands.left[errands.count].arg = arg;
    errands.count++;
    return true;
}
