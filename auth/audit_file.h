/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The file that the audit's lines are in, as bytes: a line is in it whole, or what there is of it is
 * taken back. Put aside, it is named PATH.SEQUENCE, so that names sort in the order of the chain. Knows
 * nothing of records. One thread.
 */
#ifndef XENRES_AUTH_AUDIT_FILE_H
#define XENRES_AUTH_AUDIT_FILE_H

#include <limits.h>

#include "auth/audit_state.h"

enum { AUDIT_NAMES_MAX = 99 }; /* that one name is tried with, where something is there already */

struct audit_file {
    char path[PATH_MAX];
    struct audit_owner owner;
    int fd;             /* -1: none is open */
    uint64_t len_bytes; /* of what is ours */
    bool is_torn;       /* there are bytes behind it that could not be taken back */
};

/* Opens it, or makes it, mode 0600. -ERROR_FAILED_PRECONDITION: it is no regular file, has another name
 * elsewhere, is not the owner's, others could write it, or the directory does not let us. */
int audit_file_open(struct audit_file *a, const char *path, const struct audit_owner *owner,
                    struct failure *f);
/* The same of what is there by now, which is left as it is; nothing is fine. */
int audit_file_examine(const char *path, const struct audit_owner *owner, struct failure *f);
void audit_file_close(struct audit_file *a);

/* 0, or -1 with errno: then nothing of it is there, or will be when the next one is written. */
int audit_file_append(struct audit_file *a, const char *line, size_t len);

/* How long it is by now; -1 with errno. */
int audit_file_look(struct audit_file *a);
/* Whether another file is at its path by now, or none: somebody has put it aside. */
bool audit_file_is_replaced(const struct audit_file *a);
/* May it be put aside at all? */
bool audit_file_can_rotate(const struct audit_file *a);
/* PATH.000…SEQUENCE, or with a word PATH.WORD-SEQUENCE. */
void audit_file_name(const struct audit_file *a, const char *word, uint64_t sequence,
                     char name[PATH_MAX]);
/* The same, or with a number behind it, if something has that name. -1 with errno. */
int audit_file_free_name(const struct audit_file *a, const char *word, uint64_t sequence,
                         char name[PATH_MAX]);
/* Puts it aside under that name; it stays open. -1 with errno: it stays as it was. */
int audit_file_put_aside(const struct audit_file *a, const char *name);
/* Of those that were put aside, by their names. */
struct audit_file_oldest {
    char name[PATH_MAX]; /* "": there is none */
    uint64_t count;      /* of all */
    int64_t modified_s;
};
/* -1 with errno. */
int audit_file_oldest(const struct audit_file *a, struct audit_file_oldest *out);

#endif
