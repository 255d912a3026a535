/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/command.h"

#include <stddef.h>
#include <string.h>

#include "server/command_policy.h"

const struct command commands[] = {
    { "policy",
      "    xenresd policy explain --as IDENTITY --domain NAME --type TYPE|any --action ACTION\n"
      "            [--group GROUP]… [--bound] [--uuid UUID] [--domid N] [--tag TAG]…\n"
      "            [--config FILE | --policy FILE]\n"
      "                                       whether the policy allows it, and by which rule\n",
      command_policy },
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
