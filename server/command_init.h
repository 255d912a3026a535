/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* `xenresd init`: its arguments, and what it says of what was made. See xenresd(8). */
#ifndef XENRES_SERVER_COMMAND_INIT_H
#define XENRES_SERVER_COMMAND_INIT_H

#define COMMAND_INIT_HELP                                                                          \
    "    xenresd init --dir DIR [--name HOST]... [--admin NAME] [--user USER] [--state DIR]\n"     \
    "                                       make keys, certificates, configuration, policy and\n"  \
    "                                       export list of a first installation; overwrites\n"     \
    "                                       nothing\n"

int command_init(int argc, char **argv);

#endif
