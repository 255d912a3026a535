/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* `xenresd token`: a row of server/command. */
#ifndef XENRES_SERVER_COMMAND_TOKEN_H
#define XENRES_SERVER_COMMAND_TOKEN_H

#define COMMAND_TOKEN_HELP                                                                         \
    "\n"                                                                                           \
    "    xenresd token add NAME --file FILE [--days N] [--groups A,B]\n"                           \
    "                                       make a bearer token, and print it, once\n"             \
    "    xenresd token list --file FILE     who has which, until when\n"                           \
    "    xenresd token remove ID --file FILE\n"                                                    \
    "                                       withdraw it\n"

int command_token(int argc, char **argv);

#endif
