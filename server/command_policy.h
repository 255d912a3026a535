/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* `xenresd policy …`: for the operator, what the policy's file says. See xenresd(8). */
#ifndef XENRES_SERVER_COMMAND_POLICY_H
#define XENRES_SERVER_COMMAND_POLICY_H

/* Whose policy is explained where no other file is named. */
#define COMMAND_POLICY_CONFIG "/etc/xenresd/xenresd.conf"

/* 0: allowed; that of permission_denied: not; else that of the failure. */
int command_policy(int argc, char **argv);

#endif
