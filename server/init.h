/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * `xenresd init`: a first installation's folder. Made beside its place and moved into it file by file, the
 * configuration last: all of it, or nothing; and nothing that is there is touched. One thread.
 *
 *      DIR/xenresd.conf policy.conf export deny
 *      DIR/server.crt clients.crt      certificates: the server's, and the authority's
 *      DIR/server.key                  the serving user's, mode 0600
 *      DIR/ca/                         0700: ca.crt, ca.key, NAME.crt, NAME.key of the administrator
 */
#ifndef XENRES_SERVER_INIT_H
#define XENRES_SERVER_INIT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

enum {
    INIT_NAMES_MAX = 16,
    INIT_CA_DAYS = 3650,
    INIT_LEAF_DAYS = 365,
    INIT_ADMIN_MAX_BYTES = 64, /* of a common name */
};

struct init_options {
    const char *dir;       /* absolute; made where it is not, in a folder that is there */
    const char *state_dir; /* absolute; likewise, and of the serving user */
    const char *admin;     /* letters, digits, and _ . - inside */
    const char *user;      /* who serves; looked at by root only */
    const char *names[INIT_NAMES_MAX]; /* DNS names and IP addresses, beside those of loopback */
    size_t name_count;                 /* 0: what this host is called */
};

/*
 * Neither folder may be a link, nor others' than this user's to write, nor in one in which others could
 * replace it; the state folder may be the serving user's.
 *
 * -ERROR_ALREADY_EXISTS: something of what would be made is there; -ERROR_INVALID_ARGUMENT: a name that
 * cannot be; -ERROR_NOT_FOUND: there is no such user; -ERROR_FAILED_PRECONDITION: the folder cannot be
 * written, or others can write it. Nothing was changed then.
 */
int init_make(const struct init_options *options, struct failure *f);

#endif
