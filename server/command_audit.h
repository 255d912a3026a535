/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* `xenresd audit …`, a row of commands[]. */
#ifndef XENRES_SERVER_COMMAND_AUDIT_H
#define XENRES_SERVER_COMMAND_AUDIT_H

int command_audit(int argc, char **argv);

#endif
