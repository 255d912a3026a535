/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/audit_log.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/scope.h"

enum { NAME_MAX_BYTES = 512, DETAIL_MAX_BYTES = 256 };

struct audit_log {
    struct audit_crypto *crypto;
    struct audit_state *state;
    struct audit_file file;
    struct audit_position position;
    uint64_t max_bytes;
    unsigned keep;
    bool is_recovered;  /* goes on where the last one ended */
    bool cannot_rotate; /* it was tried, and said */
    char lines[AUDIT_BATCH_BYTES + AUDIT_BATCH_RECORDS * (AUDIT_SEQUENCE_BYTES + AUDIT_TAIL_BYTES)];
};

/* --- opened and closed ------------------------------------------------------------------------------ */

int audit_log_open(const struct audit_log_options *options, struct audit_log **out, bool *made,
                   struct failure *f)
{
    struct audit_log *l = calloc(1, sizeof *l);

    if (l == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory for the audit");
    }
    l->file.fd = -1;
    l->max_bytes = options->max_bytes;
    l->keep = options->keep;
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

static int put_all(struct audit_log *l, const struct audit_bodies *bodies)
{
    struct audit_link next = l->position.link;
    const char *body = bodies->bytes;
    size_t len = 0;

    for (size_t i = 0; i < bodies->count; i++) {
        size_t line_len =
            audit_chain_seal(l->crypto, &next, body, bodies->lens_bytes[i], l->lines + len, &next);

        if (line_len == 0) {
            return forget(&next, no_crypto());
        }
        body += bodies->lens_bytes[i];
        len += line_len;
    }
    return forget(&next, put_lines(l, l->lines, len, &next));
}

static int put_writer(struct audit_log *l, const struct audit_writer *w)
{
    return put(l, w->out, w->len, NULL, NULL);
}

int audit_log_checkpoint(struct audit_log *l, char *line, size_t *len)
{
    char body[AUDIT_LINE_MAX_BYTES];
    uint8_t signature[AUDIT_SIGNATURE_BYTES], sum[AUDIT_MAC_BYTES];
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

/* The first record of a file: where the chain was. `previous`: the file before; "" where none is known. */
static int begin_file(struct audit_log *l, const char *why, const char *previous)
{
    char body[AUDIT_BODY_MAX_BYTES];
    struct audit_writer w;
    const struct audit_link *link = &l->position.link;

    audit_writer_begin(&w, body, sizeof body, AUDIT_FILE_BEGUN, clock_wall_ns());
    audit_writer_text(&w, "reason", why, NAME_MAX_BYTES);
    audit_writer_hex(&w, "chain", audit_state_chain(l->state), AUDIT_ID_BYTES);
    audit_writer_text(&w, "previous", base_of(previous), NAME_MAX_BYTES);
    audit_writer_hex(&w, "previous_mac", link->mac, sizeof link->mac);
    audit_writer_hex(&w, "previous_digest", link->digest, sizeof link->digest);
    return put_writer(l, &w);
}

static int end_file(struct audit_log *l, const char *name)
{
    char body[AUDIT_BODY_MAX_BYTES];
    struct audit_writer w;

    audit_writer_begin(&w, body, sizeof body, AUDIT_FILE_ENDED, clock_wall_ns());
    audit_writer_text(&w, "named", base_of(name), NAME_MAX_BYTES);
    return put_writer(l, &w);
}

/* A new file at our path, whose first record comes. */
static int open_next(struct audit_log *l, const char *why, const char *previous)
{
    struct failure f = { 0 };
    struct audit_file fresh;

    if (audit_file_open(&fresh, l->file.path, &l->file.owner, &f) != 0) {
        log_failure(LOG_LEVEL_ERROR, "the audit's next file", &f);
        errno = f.xen_errno != 0 ? f.xen_errno : EACCES;
        return -1;
    }
    audit_file_close(&l->file);
    l->file = fresh;
    return begin_file(l, why, previous);
}

/* Removing is told before it is done. */
static void remove_oldest(struct audit_log *l)
{
    char body[AUDIT_BODY_MAX_BYTES], name[PATH_MAX];

    while (l->keep > 0 && audit_file_oldest(&l->file, l->keep, name)) {
        struct audit_writer w;

        audit_writer_begin(&w, body, sizeof body, AUDIT_FILE_REMOVED, clock_wall_ns());
        audit_writer_text(&w, "named", base_of(name), NAME_MAX_BYTES);
        if (put_writer(l, &w) != 0 || unlink(name) != 0) {
            log_warning("cannot remove %s, an old file of the audit: %s", name, strerror(errno));
            return;
        }
    }
}

/* Its last record is a checkpoint, so that a file that was put aside cannot be cut without being noticed. */
static int rotate(struct audit_log *l)
{
    char name[PATH_MAX];

    if (!audit_file_can_rotate(&l->file)) {
        if (!l->cannot_rotate) {
            log_warning("the audit's file %s has its size, and cannot be put aside: %s",
                        l->file.path, strerror(errno));
        }
        l->cannot_rotate = true;
        return 0;
    }
    audit_file_name(&l->file, NULL, l->position.link.sequence + 1, name);
    if (end_file(l, name) != 0 || audit_log_checkpoint(l, NULL, NULL) != 0 ||
        fdatasync(l->file.fd) != 0) {
        return -1;
    }
    l->position.flags = AUDIT_STATE_ROTATING;
    store(l);
    if (audit_file_put_aside(&l->file, name) != 0) {
        l->position.flags = 0;
        store(l);
        return -1;
    }
    int result = open_next(l, "size", name);

    if (result == 0) {
        remove_oldest(l);
    }
    return result;
}

static int go_on(struct audit_log *l);

/* The file that records go to. */
static int get_ready(struct audit_log *l)
{
    if (!l->is_recovered && go_on(l) != 0) {
        return -1;
    }
    if (l->file.fd < 0) { /* put aside, and the next one could not be made */
        char name[PATH_MAX];

        audit_file_name(&l->file, NULL, audit_log_last(l), name);
        if (open_next(l, "size", name) != 0) {
            return -1;
        }
    }
    return l->max_bytes > 0 && l->file.len_bytes >= l->max_bytes ? rotate(l) : 0;
}

int audit_log_append(struct audit_log *l, const char *body, size_t len)
{
    return get_ready(l) == 0 ? put(l, body, len, NULL, NULL) : -1;
}

int audit_log_append_all(struct audit_log *l, const struct audit_bodies *bodies)
{
    return get_ready(l) == 0 ? put_all(l, bodies) : -1;
}

int audit_log_reopen(struct audit_log *l)
{
    l->cannot_rotate = false;
    if (!l->is_recovered || l->file.fd < 0 || !audit_file_is_replaced(&l->file)) {
        return 0;
    }
    (void)end_file(l, "");
    (void)audit_log_checkpoint(l, NULL, NULL);
    (void)fdatasync(l->file.fd);
    l->position.flags = AUDIT_STATE_ROTATING;
    store(l);
    return open_next(l, "reopened", "");
}

void audit_log_stop(struct audit_log *l)
{
    l->position.flags |= AUDIT_STATE_STOPPED;
    store(l);
    (void)audit_state_sync(l->state);
}

/* --- what the last one left ------------------------------------------------------------------------- */

/* What is behind the place that the state knows. */
struct remains {
    uint64_t records;    /* of ours */
    uint64_t torn_bytes; /* of a line that was not finished */
    bool is_foreign;     /* other bytes */
};

/* The line's length with its newline, if it is the one that comes next. */
static size_t take_line(struct audit_log *l, const char *bytes, size_t len)
{
    const char *end = memchr(bytes, '\n', len);
    char again[AUDIT_LINE_MAX_BYTES], body[AUDIT_BODY_MAX_BYTES];
    struct audit_link next;
    size_t line_len = end != NULL ? (size_t)(end - bytes) + 1 : 0;
    int head = snprintf(body, sizeof body, "{\"seq\":%llu,",
                        (unsigned long long)l->position.link.sequence);
    size_t frame = (size_t)head + AUDIT_TAIL_BYTES;

    if (line_len < frame || line_len - frame > sizeof body) {
        return 0;
    }
    memcpy(body, bytes + head, line_len - frame);
    if (audit_chain_seal(l->crypto, &l->position.link, body, line_len - frame, again, &next) !=
            line_len ||
        CRYPTO_memcmp(again, bytes, line_len) != 0) {
        return 0;
    }
    l->position.link = next;
    return line_len;
}

static int look_behind(struct audit_log *l, struct remains *out)
{
    uint64_t at = l->position.file_len_bytes, end = l->file.len_bytes;

    while (at < end) {
        char bytes[AUDIT_LINE_MAX_BYTES];
        ssize_t n = pread(l->file.fd, bytes, sizeof bytes, (off_t)at);

        if (n <= 0) {
            return -1;
        }
        size_t taken = take_line(l, bytes, (size_t)n);

        if (taken == 0) {
            out->torn_bytes = end - at;
            out->is_foreign = end - at > sizeof bytes - 1 || memchr(bytes, '\n', (size_t)n) != NULL;
            break;
        }
        at += taken;
        out->records++;
    }
    l->file.len_bytes = at;
    return 0;
}

static int put_aside_damaged(struct audit_log *l, char name[PATH_MAX])
{
    audit_file_name(&l->file, "damaged", audit_log_last(l), name);
    log_error("the audit's file is not as it was left, and is put aside as %s", name);
    return audit_file_put_aside(&l->file, name);
}

static int say_recovered(struct audit_log *l, const struct remains *r, const char *detail)
{
    char body[AUDIT_BODY_MAX_BYTES];
    struct audit_writer w;

    audit_writer_begin(&w, body, sizeof body, AUDIT_RECOVERED, clock_wall_ns());
    audit_writer_number(&w, "records", r->records);
    audit_writer_number(&w, "torn_bytes", r->is_foreign ? 0 : r->torn_bytes);
    audit_writer_text(&w, "detail", detail, DETAIL_MAX_BYTES);
    return put_writer(l, &w);
}

/* The file was ended, and the next one not begun. The very first has none before it. */
static int go_on_behind_rotation(struct audit_log *l)
{
    bool is_first = l->position.link.sequence == 1;
    char name[PATH_MAX];

    audit_file_name(&l->file, is_first ? "before" : NULL, audit_log_last(l), name);
    if (l->file.len_bytes == 0) {
        return begin_file(l, is_first ? "first" : "size", is_first ? "" : name);
    }
    return audit_file_put_aside(&l->file, name) == 0
               ? open_next(l, is_first ? "first" : "size", is_first ? "" : name)
               : -1;
}

static int take_up(struct audit_log *l)
{
    bool was_stopped = (l->position.flags & AUDIT_STATE_STOPPED) != 0;
    struct remains r = { 0 };
    char name[PATH_MAX] = "";

    if ((l->position.flags & AUDIT_STATE_ROTATING) != 0) {
        return go_on_behind_rotation(l);
    }
    if (l->file.len_bytes < l->position.file_len_bytes) {
        bool is_gone = l->file.len_bytes == 0;

        return (is_gone || put_aside_damaged(l, name) == 0) &&
                       (is_gone ? begin_file(l, "missing", "") : open_next(l, "damaged", name)) ==
                           0 &&
                       say_recovered(l, &r,
                                     is_gone ? "the file was gone or empty"
                                             : "the file was shorter than it was left") == 0
                   ? 0
                   : -1;
    }
    if (look_behind(l, &r) != 0) {
        return -1;
    }
    if (r.is_foreign) {
        return put_aside_damaged(l, name) == 0 && open_next(l, "damaged", name) == 0 &&
                       say_recovered(l, &r, "the file had bytes that are not of this audit") == 0
                   ? 0
                   : -1;
    }
    if (r.torn_bytes > 0 && ftruncate(l->file.fd, (off_t)l->file.len_bytes) != 0) {
        return -1;
    }
    l->position.file_len_bytes = l->file.len_bytes;
    return was_stopped && r.records == 0 && r.torn_bytes == 0
               ? 0
               : say_recovered(l, &r, "the service before did not stop, but was ended");
}

static int go_on(struct audit_log *l)
{
    l->is_recovered = take_up(l) == 0;
    return l->is_recovered ? 0 : -1;
}

int audit_log_recover(struct audit_log *l, struct failure *f)
{
    if (go_on(l) == 0) {
        return 0;
    }
    int errnum = errno;
    int result = failure_set(f, ERROR_FAILED_PRECONDITION, "cannot go on with the audit in %s: %s",
                             l->file.path, strerror(errnum));

    failure_call(f, result, "write", errnum);
    return failure_next(f, result, "make room, or let the service's user write there");
}
