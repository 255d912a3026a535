/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/audit_log.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/audit_log_state.h"
#include "auth/audit_recovery.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/scope.h"

enum { NAME_MAX_BYTES = 512, DETAIL_MAX_BYTES = 256 };

/* --- opened and closed ------------------------------------------------------------------------------ */

int audit_log_open(const struct audit_log_options *options, struct audit_log **out, bool *made,
                   struct failure *f)
{
    struct audit_log *l = calloc(1, sizeof *l);

    if (l == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory for the audit");
    }
    l->file.fd = l->aside.fd = -1;
    l->max_bytes = l->rotate_at_bytes = options->max_bytes;
    l->keep = options->keep;
    l->keep_s = options->keep_s;
    int result = audit_crypto_new(&l->crypto, f);

    if (result == 0) {
        result = audit_state_open(options->state_dir, &options->owner, &l->state, made, f);
    }
    if (result == 0) {
        result = audit_file_open(&l->file, options->path, &options->owner, f);
    }
    if (result != 0) {
        audit_log_close(l);
        return result;
    }
    audit_state_read(l->state, &l->position);
    *out = l;
    return 0;
}

void audit_log_close(struct audit_log *l)
{
    if (l != NULL) {
        audit_file_close(&l->file);
        if (l->aside.fd >= 0) {
            if (fdatasync(l->aside.fd) != 0) {
                log_error(
                    "the end of a file of the audit that was put aside may not be on the disk: %s",
                    strerror(errno));
            }
            scope_close_fd(&l->aside.fd);
        }
        audit_state_close(l->state);
        audit_crypto_free(l->crypto);
        OPENSSL_cleanse(l, sizeof *l);
        free(l);
    }
}

uint64_t audit_log_last(const struct audit_log *l)
{
    return l->position.link.sequence - 1;
}

int audit_log_fd(const struct audit_log *l)
{
    return l->file.fd;
}

int audit_log_sync_state(struct audit_log *l)
{
    return audit_state_sync(l->state);
}

/* --- put aside, and not on the disk yet --------------------------------------------------------------- */

bool audit_log_has_aside(const struct audit_log *l)
{
    return l->aside.fd >= 0 || l->aside.errnum != 0;
}

int audit_log_take_aside(struct audit_log *l)
{
    return scope_take_fd(&l->aside.fd);
}

int audit_log_take_loss(struct audit_log *l)
{
    int errnum = l->aside.errnum;

    l->aside.errnum = 0;
    return errnum;
}

/* Where nobody has taken the one before, this thread waits for the disk: else what is written would run away
 * from what is on it. */
void audit_log_leave_file(struct audit_log *l)
{
    if (l->aside.fd >= 0) {
        l->aside.errnum = fdatasync(l->aside.fd) != 0 ? errno : l->aside.errnum;
        scope_close_fd(&l->aside.fd);
    }
    l->aside.fd = scope_take_fd(&l->file.fd);
}

/* --- a record ------------------------------------------------------------------------------------- */

static void store(struct audit_log *l)
{
    l->position.file_len_bytes = l->file.len_bytes;
    audit_state_store(l->state, &l->position);
}

/* Writes lines that end at `next`. */
static int put_lines(struct audit_log *l, const char *lines, size_t len,
                     const struct audit_link *next)
{
    int result = audit_file_append(&l->file, lines, len);

    if (result == 0) {
        l->position.link = *next;
        l->position.flags = 0;
        store(l);
    }
    return result;
}

static int no_crypto(void)
{
    errno = EIO; /* the crypto library: memory, as a rule */
    return -1;
}

/* Wipes a key that is in the chain's place, or was never used. */
static int forget(struct audit_link *link, int result)
{
    int errnum = errno;

    OPENSSL_cleanse(link, sizeof *link);
    errno = errnum;
    return result;
}

/* Writes a line of what has its room; `copy`, where not NULL, gets it. */
static int put(struct audit_log *l, const char *body, size_t body_len, char *copy, size_t *copy_len)
{
    char line[AUDIT_LINE_MAX_BYTES];
    struct audit_link next;
    size_t len = audit_chain_seal(l->crypto, &l->position.link, body, body_len, line, &next);

    if (len == 0) {
        return no_crypto();
    }
    int result = put_lines(l, line, len, &next);

    if (result == 0 && copy != NULL) {
        memcpy(copy, line, len);
        *copy_len = len;
    }
    return forget(&next, result);
}

static int put_all(struct audit_log *l, const struct audit_batch *batch)
{
    struct audit_link next = l->position.link;
    const char *body = batch->bytes;
    size_t len = 0;

    for (size_t i = 0; i < batch->count; i++) {
        size_t line_len =
            audit_chain_seal(l->crypto, &next, body, batch->lens_bytes[i], l->lines + len, &next);

        if (line_len == 0) {
            return forget(&next, no_crypto());
        }
        body += batch->lens_bytes[i];
        len += line_len;
    }
    return forget(&next, put_lines(l, l->lines, len, &next));
}

static int put_writer(struct audit_log *l, const struct audit_writer *w)
{
    return put(l, w->out, w->len, NULL, NULL);
}

static int sign(struct audit_log *l, char *line, size_t *len)
{
    char body[AUDIT_LINE_MAX_BYTES];
    uint8_t signature[AUDIT_SIGNATURE_BYTES], sum[AUDIT_DIGEST_BYTES];
    struct audit_writer w;
    const struct audit_link *link = &l->position.link;
    int head = snprintf(body, sizeof body, "{\"seq\":%llu,", (unsigned long long)link->sequence);

    if (audit_chain_sum(l->crypto, link, sum) != 0) {
        return no_crypto();
    }
    audit_writer_begin(&w, body + head, AUDIT_BODY_MAX_BYTES, AUDIT_CHECKPOINT, clock_wall_ns());
    audit_writer_hex(&w, "chain", audit_state_chain(l->state), AUDIT_ID_BYTES);
    audit_writer_hex(&w, "digest", sum, sizeof sum);
    if (audit_chain_sign(audit_state_signer(l->state), body, (size_t)head + w.len, signature) !=
        0) {
        return no_crypto();
    }
    audit_writer_hex(&w, "signature", signature, sizeof signature);
    return put(l, w.out, w.len, line, len);
}

/* --- files ------------------------------------------------------------------------------------------ */

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

void audit_log_owe_begun(struct audit_log *l, const char *why, const char *previous)
{
    l->begun.why = why;
    (void)snprintf(l->begun.previous, sizeof l->begun.previous, "%s", base_of(previous));
}

/* The first record of a file: where the chain was. */
static int say_begun(struct audit_log *l)
{
    char body[AUDIT_BODY_MAX_BYTES];
    struct audit_writer w;
    const struct audit_link *link = &l->position.link;

    audit_writer_begin(&w, body, sizeof body, AUDIT_FILE_BEGUN, clock_wall_ns());
    audit_writer_text(&w, "reason", l->begun.why, NAME_MAX_BYTES);
    audit_writer_hex(&w, "chain", audit_state_chain(l->state), AUDIT_ID_BYTES);
    audit_writer_text(&w, "previous", l->begun.previous, NAME_MAX_BYTES);
    audit_writer_hex(&w, "previous_mac", link->mac, sizeof link->mac);
    audit_writer_hex(&w, "previous_digest", link->digest, sizeof link->digest);
    return put_writer(l, &w);
}

static int say_recovered(struct audit_log *l)
{
    char body[AUDIT_BODY_MAX_BYTES];
    struct audit_writer w;

    audit_writer_begin(&w, body, sizeof body, AUDIT_RECOVERED, clock_wall_ns());
    audit_writer_number(&w, "records", l->recovered.records);
    audit_writer_number(&w, "torn_bytes", l->recovered.torn_bytes);
    audit_writer_text(&w, "detail", l->recovered.detail, DETAIL_MAX_BYTES);
    int result = put_writer(l, &w);

    l->recovered.detail = result == 0 ? NULL : l->recovered.detail;
    return result;
}

static int say_ended(struct audit_log *l, const char *name)
{
    char body[AUDIT_BODY_MAX_BYTES];
    struct audit_writer w;

    audit_writer_begin(&w, body, sizeof body, AUDIT_FILE_ENDED, clock_wall_ns());
    audit_writer_text(&w, "named", base_of(name), NAME_MAX_BYTES);
    return put_writer(l, &w);
}

int audit_log_put_aside_damaged(struct audit_log *l, struct audit_file *file, const char *word,
                                char name[PATH_MAX])
{
    if (audit_file_free_name(file, word, audit_log_last(l), name) != 0 ||
        audit_file_put_aside(file, name) != 0) {
        return -1;
    }
    audit_file_close(file);
    log_error("the audit's file %s is not as it was left, and is put aside as %s", file->path,
              name);
    return 0;
}

int audit_log_open_file(struct audit_log *l, struct audit_file *out)
{
    struct failure f = { 0 };

    if (audit_file_open(out, l->file.path, &l->file.owner, &f) == 0) {
        l->is_open_failure_said = false;
        return 0;
    }
    if (!l->is_open_failure_said) {
        log_failure(LOG_LEVEL_ERROR, "the audit's next file", &f);
        l->is_open_failure_said = true;
    }
    errno = f.xen_errno != 0 ? f.xen_errno : EACCES;
    return -1;
}

/* An empty file at our path: whatever somebody else has put there goes aside. */
static int open_next(struct audit_log *l, struct audit_file *out)
{
    struct audit_file found;
    char name[PATH_MAX];
    int result = audit_log_open_file(l, &found);

    if (result == 0 && found.len_bytes > 0) {
        result = audit_log_put_aside_damaged(l, &found, "damaged", name);
        audit_file_close(&found);
        result = result == 0 ? audit_log_open_file(l, &found) : result;
    }
    if (result == 0) {
        *out = found;
    }
    return result;
}

/* Removing is told before it is done. */
static int remove_file(struct audit_log *l, const char *name)
{
    char body[AUDIT_BODY_MAX_BYTES];
    struct audit_writer w;

    audit_writer_begin(&w, body, sizeof body, AUDIT_FILE_REMOVED, clock_wall_ns());
    audit_writer_text(&w, "named", base_of(name), NAME_MAX_BYTES);
    return put_writer(l, &w) == 0 ? unlink(name) : -1;
}

/* One of a future that was set back is young. */
static bool is_young(const struct audit_log *l, const struct audit_file_oldest *file)
{
    int64_t now_s = (int64_t)(clock_wall_ns() / CLOCK_NS_PER_S);

    return file->modified_s > now_s - (int64_t)l->keep_s;
}

/* Never those that are young: else whoever causes many records removes those of before. */
static void remove_oldest(struct audit_log *l)
{
    struct audit_file_oldest oldest;
    int result = 0;

    while (l->keep > 0 && result == 0) {
        result = audit_file_oldest(&l->file, &oldest);
        if (result != 0 || oldest.count <= l->keep) {
            break;
        }
        if (is_young(l, &oldest)) {
            log_warning(
                "%llu old files of the audit are kept beyond audit.keep, since %s is younger than "
                "audit.keep_days; somebody causes many records",
                (unsigned long long)(oldest.count - l->keep), oldest.name);
            break;
        }
        result = remove_file(l, oldest.name);
    }
    if (result != 0) {
        log_warning("cannot remove an old file of the audit, %s: %s",
                    oldest.name[0] != '\0' ? oldest.name : "which cannot be looked for",
                    strerror(errno));
    }
}

/* There is a file, and what has to be in it before the next record. */
static int make_ready(struct audit_log *l)
{
    if ((!l->is_recovered && audit_recovery_take_up(l) != 0) ||
        (l->file.fd < 0 && open_next(l, &l->file) != 0)) {
        return -1;
    }
    if (l->file.len_bytes == 0) {
        if (say_begun(l) != 0) {
            return -1;
        }
        remove_oldest(l);
    }
    return l->recovered.detail != NULL ? say_recovered(l) : 0;
}

int audit_log_checkpoint(struct audit_log *l, char *line, size_t *len)
{
    return make_ready(l) == 0 ? sign(l, line, len) : -1;
}

/* --- put aside -------------------------------------------------------------------------------------- */

static bool is_at_ceiling(const struct audit_log *l)
{
    return l->max_bytes > 0 && l->file.len_bytes / AUDIT_CEILING >= l->max_bytes;
}

static unsigned steps_to_end(const struct audit_log *l)
{
    return audit_log_last(l) == l->end.last ? l->end.step : END_NONE;
}

/* The last record is a checkpoint, so that a file that was put aside cannot be cut without being noticed.
 * What is there already is not written again: a file that cannot be put aside does not grow by trying. */
static int finish_file(struct audit_log *l, const char *name)
{
    l->end.step = steps_to_end(l);
    if (l->end.step < END_SAID) {
        if (say_ended(l, name) != 0) {
            return -1;
        }
        l->end.step = END_SAID;
        l->end.last = audit_log_last(l);
    }
    if (l->end.step < END_SIGNED) {
        if (sign(l, NULL, NULL) != 0) {
            return -1;
        }
        l->end.step = END_SIGNED;
        l->end.last = audit_log_last(l);
    }
    return 0;
}

static int put_aside(struct audit_log *l)
{
    char name[PATH_MAX];
    unsigned step = steps_to_end(l);
    uint64_t last = audit_log_last(l) + (step < END_SAID) + (step < END_SIGNED);

    if (!audit_file_can_rotate(&l->file) || audit_file_free_name(&l->file, NULL, last, name) != 0 ||
        finish_file(l, name) != 0) {
        return -1;
    }
    l->position.flags = AUDIT_STATE_ROTATING;
    store(l);
    if (audit_file_put_aside(&l->file, name) != 0) {
        int errnum = errno;

        l->position.flags = 0;
        store(l);
        errno = errnum;
        return -1;
    }
    audit_log_leave_file(l);
    l->rotate_at_bytes = l->max_bytes;
    l->is_said_at_ceiling = false;
    audit_log_owe_begun(l, "size", name);
    return 0;
}

/* It is tried again later, and told each time, at the ceiling once. */
static void put_off(struct audit_log *l)
{
    bool is_last = is_at_ceiling(l);

    if (!is_last || !l->is_said_at_ceiling) {
        log_warning("the audit's file %s has its size, and cannot be put aside: %s; %s",
                    l->file.path, strerror(errno),
                    is_last ? "it is not written any more"
                            : "it is written up to twice its size, and no longer");
    }
    l->is_said_at_ceiling = is_last;
    l->rotate_at_bytes = l->file.len_bytes + l->max_bytes / AUDIT_SIZE_PARTS;
}

/* The file that records go to. */
static int get_ready(struct audit_log *l)
{
    if (make_ready(l) != 0) {
        return -1;
    }
    if (l->max_bytes > 0 && (l->file.len_bytes >= l->rotate_at_bytes || is_at_ceiling(l))) {
        if (put_aside(l) != 0) {
            put_off(l);
        } else if (make_ready(l) != 0) {
            return -1;
        }
    }
    if (is_at_ceiling(l)) {
        errno = EFBIG;
        return -1;
    }
    return 0;
}

int audit_log_append(struct audit_log *l, const char *body, size_t len)
{
    return get_ready(l) == 0 ? put(l, body, len, NULL, NULL) : -1;
}

int audit_log_append_all(struct audit_log *l, const struct audit_batch *batch)
{
    return get_ready(l) == 0 ? put_all(l, batch) : -1;
}

int audit_log_reopen(struct audit_log *l)
{
    struct audit_file fresh;

    l->rotate_at_bytes = l->max_bytes;
    if (!l->is_recovered || l->file.fd < 0 || !audit_file_is_replaced(&l->file)) {
        return 0;
    }
    if (open_next(l, &fresh) != 0) {
        return -1;
    }
    if (l->file.len_bytes > 0) {
        (void)say_ended(l, "");
        (void)sign(l, NULL, NULL);
        audit_log_owe_begun(l, "reopened", "");
    }
    l->position.flags = AUDIT_STATE_ROTATING;
    store(l);
    audit_log_leave_file(l);
    l->file = fresh;
    return make_ready(l);
}

void audit_log_stop(struct audit_log *l)
{
    l->position.flags |= AUDIT_STATE_STOPPED;
    store(l);
    (void)audit_state_sync(l->state);
}

int audit_log_recover(struct audit_log *l, struct failure *f)
{
    if (make_ready(l) == 0) {
        return 0;
    }
    int errnum = errno;
    int result = failure_set(f, ERROR_FAILED_PRECONDITION, "cannot go on with the audit in %s: %s",
                             l->file.path, strerror(errnum));

    failure_call(f, result, "write", errnum);
    return failure_next(f, result, "make room, or let the service's user write there");
}
