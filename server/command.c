/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/command.h"

#include <stddef.h>
#include <string.h>

#include "server/command_audit.h"
#include "server/command_doctor.h"
#include "server/command_init.h"
#include "server/command_policy.h"
#include "server/command_token.h"

const struct command commands[] = {
    { "init", COMMAND_INIT_HELP, command_init },
    { "doctor", COMMAND_DOCTOR_HELP, command_doctor },
    { "audit",
      "\n"
      "    xenresd audit verify FILE...       whether an audit's files are as they were written, "
      "the "
      "oldest first\n"
      "        --key FILE                     with its first key: each record\n"
      "        --public-key FILE              with the key of its signatures: up to the last "
      "checkpoint\n"
      "        --checkpoints FILE             whether its end is there: checkpoints, from the "
      "journal\n"
      "        --state FILE                   the same: what the service knows\n",
      command_audit },
    { "policy",
      "    xenresd policy explain --as IDENTITY --domain DOMAIN --type TYPE|any --action ACTION\n"
      "            [--group GROUP]… [--bound] [--uuid UUID] [--domid N] [--tag TAG… | --untagged]\n"
      "            [--config FILE | --policy FILE]\n"
      "                                       whether it is allowed, and by which rule\n",
      command_policy },
    { "token", COMMAND_TOKEN_HELP, command_token },
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
