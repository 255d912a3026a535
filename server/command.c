/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/command.h"

#include <stddef.h>
#include <string.h>

#include "server/command_doctor.h"
#include "server/command_init.h"

const struct command commands[] = {
    { "init", COMMAND_INIT_HELP, command_init },
    { "doctor", COMMAND_DOCTOR_HELP, command_doctor },
    { NULL, NULL, NULL },
};

const struct command *command_find(const char *name)
{
    for (const struct command *c = commands; c->name != NULL; c++) {
        if (strcmp(c->name, name) == 0) {
            return c;
        }
    }
    return NULL;
}
