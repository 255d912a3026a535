/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What both backends do alike: the end, where an unmap fails. */
#include "server/mapper/backend.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"

void backend_give_up(int errnum)
{
    struct failure f;
    int result = failure_set(&f, ERROR_INTERNAL, "a guest's frames could not be unmapped");
    failure_call(&f, result, "xenforeignmemory_unmap_resource", errnum);
    failure_cause(&f, result, "while they are mapped, a dead domain cannot go");
    failure_next(&f, result, "the mapper ends, which gives them back; start it again");
    log_failure(LOG_LEVEL_ERROR, "unmapping", &f);
    _exit(EXIT_FAILURE); /* an orderly stop would unmap, too */
}
