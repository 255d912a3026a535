/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* `xenresd doctor`: its arguments, and the order of its rows. See xenresd(8). */
#ifndef XENRES_SERVER_COMMAND_DOCTOR_H
#define XENRES_SERVER_COMMAND_DOCTOR_H

#define COMMAND_DOCTOR_HELP                                                                        \
    "    xenresd doctor [--config FILE]     say what stands in the way on this host, and the "     \
    "cure\n"

int command_doctor(int argc, char **argv);

#endif
