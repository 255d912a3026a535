/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the last process left of a log, whether it stopped or was killed, and what somebody did to the file
 * meanwhile: the first thing that is looked at, before anything is written. Whole lines that the state does
 * not know yet are counted in, a line that was not finished is taken off, and a file that is not as it was
 * left is put aside. What is to be said of it is left for audit_log.c. The log's thread.
 */
#ifndef XENRES_AUTH_AUDIT_RECOVERY_H
#define XENRES_AUTH_AUDIT_RECOVERY_H

struct audit_log;
/* 0, or -1 with errno: nothing of it was done but what can be done again. */
int audit_recovery_take_up(struct audit_log *l);

#endif
