/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/audit_recovery.h"

#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/audit_log_state.h"
#include "auth/audit_remains.h"

static void owe_recovered(struct audit_log *l, const struct audit_remains *r, const char *detail)
{
    l->recovered.detail = detail;
    l->recovered.records = r->records;
    l->recovered.torn_bytes = r->is_foreign ? 0 : r->torn_bytes;
}

/* Each of the following changes what is known here last, so that one that failed can be tried again. */

/* The records that were found are counted in, and the line that was not finished is taken off. */
static int adopt(struct audit_log *l, const struct audit_remains *r, const char *detail)
{
    if (r->torn_bytes > 0 && ftruncate(l->file.fd, (off_t)r->end_bytes) != 0) {
        return -1;
    }
    l->position.link = r->link;
    l->position.file_len_bytes = l->file.len_bytes = r->end_bytes;
    if (detail != NULL) {
        owe_recovered(l, r, detail);
    }
    return 0;
}

/* The file is kept for who looks, and another one begins. */
static int set_aside(struct audit_log *l, const struct audit_remains *r, const char *detail)
{
    char name[PATH_MAX];

    if (audit_log_put_aside_damaged(l, &l->file, "damaged", name) != 0) {
        return -1;
    }
    l->position.link = r->link;
    audit_log_owe_begun(l, "damaged", name);
    owe_recovered(l, r, detail);
    return 0;
}

#define WAS_ENDED "the service before did not stop, but was ended"
#define FOREIGN   "the file had bytes that are not of this audit"
#define SHORTER   "the file was shorter than it was left"

/* No record yet, as far as the state knows. Whoever has a file there keeps it. */
static int take_up_first(struct audit_log *l, const struct audit_remains *r)
{
    char name[PATH_MAX];

    audit_log_owe_begun(l, "first", "");
    if (l->file.len_bytes == 0) {
        return 0;
    }
    if (r->records > 0 && !r->is_foreign) {
        return adopt(l, r, WAS_ENDED);
    }
    return audit_log_put_aside_damaged(l, &l->file, "before", name);
}

/* The file was ended, and the next one not begun, as far as the state knows. Either is at our path. */
static int take_up_rotation(struct audit_log *l, const struct audit_remains *r)
{
    static const struct audit_remains none;
    char name[PATH_MAX];
    struct stat st;

    audit_file_name(&l->file, NULL, audit_log_last(l), name);
    if (!r->is_foreign) { /* the next one */
        audit_log_owe_begun(l, "size", lstat(name, &st) == 0 ? name : "");
        return adopt(l, r, WAS_ENDED);
    }
    if (r->records > 0 || l->file.len_bytes != l->position.file_len_bytes) {
        return set_aside(l, r, l->file.len_bytes < l->position.file_len_bytes ? SHORTER : FOREIGN);
    }
    if (audit_file_free_name(&l->file, NULL, audit_log_last(l), name) != 0 ||
        audit_file_put_aside(&l->file, name) != 0) {
        return -1;
    }
    audit_log_leave_file(l);
    audit_log_owe_begun(l, "size", name);
    owe_recovered(l, &none, WAS_ENDED);
    return 0;
}

static int take_up_file(struct audit_log *l, const struct audit_remains *r)
{
    bool was_stopped = (l->position.flags & AUDIT_STATE_STOPPED) != 0;

    if (l->file.len_bytes < l->position.file_len_bytes) {
        if (l->file.len_bytes > 0) {
            return set_aside(l, r, SHORTER);
        }
        audit_log_owe_begun(l, "missing", "");
        owe_recovered(l, r, "the file was gone or empty");
        return 0;
    }
    if (r->is_foreign) {
        return set_aside(l, r, FOREIGN);
    }
    return adopt(l, r, was_stopped && r->records == 0 && r->torn_bytes == 0 ? NULL : WAS_ENDED);
}

int audit_recovery_take_up(struct audit_log *l)
{
    bool is_behind = (l->position.flags & AUDIT_STATE_ROTATING) != 0;
    struct audit_remains r;

    if ((l->file.fd < 0 ? audit_log_open_file(l, &l->file) : audit_file_look(&l->file)) != 0 ||
        audit_remains_read(l->crypto, &l->position.link, l->file.fd,
                           is_behind ? 0 : l->position.file_len_bytes, l->file.len_bytes,
                           &r) != 0) {
        return -1;
    }
    int result = !is_behind                       ? take_up_file(l, &r)
                 : l->position.link.sequence == 1 ? take_up_first(l, &r)
                                                  : take_up_rotation(l, &r);

    l->is_recovered = result == 0;
    OPENSSL_cleanse(&r, sizeof r);
    return result;
}
