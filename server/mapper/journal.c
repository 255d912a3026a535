/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See journal.h. The places are in memory as they are in the file; the file is read at the start only. */
#include "server/mapper/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/log.h"
#include "common/scope.h"

#define JOURNAL_MAGIC UINT32_C(0x6a736578) /* "xesj" */

enum { JOURNAL_VERSION = 1 };

struct record {
    uint32_t magic;
    uint16_t version;
    uint16_t domid;
    uint32_t vcpu;
    uint32_t reserved;
    uint8_t uuid[UUID_BYTES];
    uint8_t boot[UUID_BYTES];
    uint64_t reserved_too;
    uint64_t checksum; /* XXH3-64 of all before */
};
_Static_assert(sizeof(struct record) == JOURNAL_RECORD_BYTES, "no holes");

struct journal {
    int fd; /* -1: in memory alone */
    uint8_t boot[UUID_BYTES];
    pthread_mutex_t lock; /* of what follows, and of the file */
    uint32_t place_count; /* places used so far: all behind are free */
    uint32_t entry_count, stale_count;
    struct record places[JOURNAL_RECORDS_MAX];
    bool is_stale[JOURNAL_RECORDS_MAX]; /* free, which could not be written */
};

static const struct record free_place;

static bool is_free(const struct record *r)
{
    return memcmp(r, &free_place, sizeof(*r)) == 0;
}

static uint64_t checksum(const struct record *r)
{
    return XXH3_64bits(r, offsetof(struct record, checksum));
}

static bool is_sound(const struct record *r)
{
    return is_free(r) || (r->magic == JOURNAL_MAGIC && r->version == JOURNAL_VERSION &&
                          r->checksum == checksum(r));
}

static bool is_of(const struct record *r, const struct journal_entry *e)
{
    return r->magic == JOURNAL_MAGIC && r->domid == e->domid && r->vcpu == e->vcpu &&
           memcmp(r->uuid, e->uuid, sizeof(r->uuid)) == 0;
}

static void to_entry(const struct record *r, struct journal_entry *out)
{
    *out = (struct journal_entry){ .domid = r->domid, .vcpu = r->vcpu };
    memcpy(out->uuid, r->uuid, sizeof(out->uuid));
}

/* Without it nobody can tell which records are void: none may be dropped, nor believed. */
static int read_boot_id(const char *path, const char *text, uint8_t out[UUID_BYTES],
                        struct failure *f)
{
    if (text_to_uuid(text, out)) {
        return 0;
    }
    int result =
        failure_set(f, ERROR_FAILED_PRECONDITION,
                    "cannot use the journal of traces %s: the host does not name its boot", path);
    failure_cause(f, result, "what is in the journal is of one boot, and void after it");
    return failure_next(f, result,
                        "see that /proc/sys/kernel/random/boot_id can be read, or start the mapper"
                        " without --journal: what it traces when it is killed stays on then");
}

/* --- the file ---------------------------------------------------------------------------------- */

static int file_failure(const char *path, const char *call, struct failure *f)
{
    int errnum = errno;
    int result =
        failure_set(f, ERROR_FAILED_PRECONDITION, "cannot use the journal of traces %s", path);
    failure_call(f, result, call, errnum);
    return failure_next(f, result,
                        "see that its folder is there and that the mapper may write to it, or name"
                        " another file with --journal");
}

static int check_file(int fd, const char *path, uid_t owner, struct failure *f)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return file_failure(path, "fstat", f);
    }
    if (!S_ISREG(st.st_mode)) {
        int result = failure_set(f, ERROR_FAILED_PRECONDITION,
                                 "the journal of traces %s is no regular file", path);
        return failure_next(f, result, "name another one with --journal");
    }
    if ((st.st_uid != 0 && st.st_uid != owner) || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        int result =
            failure_set(f, ERROR_FAILED_PRECONDITION,
                        "the journal of traces %s may be written by others (owner %u, mode %04o)",
                        path, st.st_uid, (unsigned)st.st_mode & 07777);
        failure_cause(f, result, "who can write it decides whose tracing is stopped");
        return failure_next(f, result, "chown root %s; chmod go-w %s", path, path);
    }
    return 0;
}

static int is_foreign(const char *path, const char *what, struct failure *f)
{
    int result =
        failure_set(f, ERROR_FAILED_PRECONDITION, "%s is no journal of traces: %s", path, what);
    failure_cause(f, result,
                  "it is damaged, another program's, or of another version of the mapper: which"
                  " tracing a mapper before left on cannot be told from it");
    return failure_next(f, result,
                        "see `xenresd-mapper --doctor` for who traces now; then remove %s and start"
                        " the mapper again: what is still traced can be taken over",
                        path);
}

/* All of it, and nothing that is not sound. */
static int read_records(int fd, const char *path, struct record places[JOURNAL_RECORDS_MAX],
                        uint32_t *count, struct failure *f)
{
    size_t len = 0, room = JOURNAL_RECORDS_MAX * sizeof(places[0]);
    ssize_t n = 1;
    while (len < room && n > 0) {
        n = pread(fd, (char *)places + len, room - len, (off_t)len);
        if (n < 0 && errno == EINTR) {
            n = 1;
            continue;
        }
        len += n > 0 ? (size_t)n : 0;
    }
    if (n < 0) {
        return file_failure(path, "pread", f);
    }
    char beyond;
    if (len % sizeof(places[0]) != 0 || (len == room && pread(fd, &beyond, 1, (off_t)len) > 0)) {
        return is_foreign(path, "its length is not one", f);
    }
    *count = (uint32_t)(len / sizeof(places[0]));
    for (uint32_t i = 0; i < *count; i++) {
        if (!is_sound(&places[i])) {
            return is_foreign(path, "a record in it is not sound", f);
        }
    }
    return 0;
}

/* What another boot left is void: its hypervisor is gone, and all tracing with it. */
static int drop_other_boots(struct journal *j, const char *path, struct failure *f)
{
    uint32_t live = 0;
    for (uint32_t i = 0; i < j->place_count; i++) {
        struct record *r = &j->places[i];
        if (!is_free(r) && memcmp(r->boot, j->boot, sizeof(r->boot)) == 0) {
            j->places[live++] = *r;
        }
    }
    memset(&j->places[live], 0, (j->place_count - live) * sizeof(j->places[0]));
    j->place_count = j->entry_count = live;
    /* In this order: whatever is cut short, no record that is valid is missing. */
    size_t len = live * sizeof(j->places[0]);
    if (pwrite(j->fd, j->places, len, 0) != (ssize_t)len) {
        return file_failure(path, "pwrite", f);
    }
    return ftruncate(j->fd, (off_t)len) < 0 ? file_failure(path, "ftruncate", f) : 0;
}

static int open_file(struct journal *j, const char *path, uid_t owner, struct failure *f)
{
    /* O_NOFOLLOW: nobody leads a start by root to another file. O_NONBLOCK: nor to a FIFO. */
    j->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW, 0600);
    if (j->fd < 0) {
        return file_failure(path, "open", f);
    }
    int result = check_file(j->fd, path, owner, f);
    if (result < 0) {
        return result;
    }
    if (flock(j->fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK) {
            return file_failure(path, "flock", f);
        }
        result = failure_set(f, ERROR_FAILED_PRECONDITION,
                             "the journal of traces %s is another mapper's", path);
        failure_cause(f, result, "a mapper that has it runs on this host");
        return failure_next(f, result, "end that one, or give each a --journal of its own");
    }
    result = read_records(j->fd, path, j->places, &j->place_count, f);
    return result < 0 ? result : drop_other_boots(j, path, f);
}

int journal_open(const char *path, uid_t owner, const char *boot_id, struct journal **out,
                 struct failure *f)
{
    struct journal *j = calloc(1, sizeof(*j));
    if (!j) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the journal of traces");
    }
    j->fd = -1;
    pthread_mutex_init(&j->lock, NULL);
    int result = path ? read_boot_id(path, boot_id, j->boot, f) : 0;
    if (result == 0 && path) {
        result = open_file(j, path, owner, f);
    }
    if (result < 0) {
        journal_close(j);
        return result;
    }
    *out = j;
    return 0;
}

void journal_close(struct journal *j)
{
    if (j) {
        scope_close_fd(&j->fd);
        pthread_mutex_destroy(&j->lock);
        free(j);
    }
}

/* --- entries ----------------------------------------------------------------------------------- */

/* With the lock. */
static bool write_place(const struct journal *j, uint32_t place, const struct record *r)
{
    ssize_t n = sizeof(*r);
    if (j->fd >= 0) {
        do {
            n = pwrite(j->fd, r, sizeof(*r), (off_t)(place * sizeof(*r)));
        } while (n < 0 && errno == EINTR);
        errno = n >= 0 ? ENOSPC : errno; /* of one that was cut short */
    }
    return n == sizeof(*r);
}

static void set_stale(struct journal *j, uint32_t place, bool is_stale)
{
    j->stale_count += is_stale;
    j->stale_count -= j->is_stale[place];
    j->is_stale[place] = is_stale;
}

/* With the lock. */
static bool cross_out(struct journal *j, uint32_t place)
{
    bool is_written = write_place(j, place, &free_place);
    j->places[place] = free_place;
    set_stale(j, place, !is_written);
    return is_written;
}

/* With the lock: a place that was free. */
static bool fill(struct journal *j, uint32_t place, const struct record *r)
{
    bool is_written = write_place(j, place, r);
    int errnum = errno;
    j->place_count = place == j->place_count ? place + 1 : j->place_count;
    if (is_written) {
        j->places[place] = *r;
        j->entry_count++;
        set_stale(j, place, false);
    } else {
        (void)cross_out(j, place); /* a part of it may be there */
        errno = errnum;
    }
    return is_written;
}

/* With the lock: where it is, or else the first free place; JOURNAL_RECORDS_MAX: there is none. */
static uint32_t place_of(const struct journal *j, const struct journal_entry *e, bool *found)
{
    uint32_t first_free = j->place_count;
    for (uint32_t i = 0; i < j->place_count; i++) {
        if (is_of(&j->places[i], e)) {
            *found = true;
            return i;
        }
        if (first_free == j->place_count && is_free(&j->places[i])) {
            first_free = i;
        }
    }
    *found = false;
    return first_free;
}

static int cannot_add(const struct journal_entry *e, bool is_full, int errnum, struct failure *f)
{
    int result = failure_set(f, is_full ? ERROR_RESOURCE_EXHAUSTED : ERROR_FAILED_PRECONDITION,
                             "vCPU %u of domain %u cannot be written into the journal of traces",
                             e->vcpu, e->domid);
    if (is_full) {
        failure_cause(f, result, "it has %d already", JOURNAL_RECORDS_MAX);
        return failure_next(f, result, "end a trace first");
    }
    failure_call(f, result, "pwrite", errnum);
    failure_cause(f, result, "without it nobody would stop that trace if the mapper were killed");
    return failure_next(f, result, "see that there is room where --journal leads to");
}

int journal_add(struct journal *j, const struct journal_entry *entry, struct failure *f)
{
    struct record r = { .magic = JOURNAL_MAGIC,
                        .version = JOURNAL_VERSION,
                        .domid = entry->domid,
                        .vcpu = entry->vcpu };
    memcpy(r.uuid, entry->uuid, sizeof(r.uuid));
    memcpy(r.boot, j->boot, sizeof(r.boot));
    r.checksum = checksum(&r);

    pthread_mutex_lock(&j->lock);
    bool found;
    uint32_t place = place_of(j, entry, &found);
    bool has_room = place < JOURNAL_RECORDS_MAX;
    bool is_written = found || (has_room && fill(j, place, &r));
    int errnum = errno;
    pthread_mutex_unlock(&j->lock);
    return is_written ? 0 : cannot_add(entry, !has_room, errnum, f);
}

void journal_remove(struct journal *j, const struct journal_entry *entry)
{
    pthread_mutex_lock(&j->lock);
    bool found;
    uint32_t place = place_of(j, entry, &found);
    bool is_written = !found || cross_out(j, place);
    j->entry_count -= found;
    pthread_mutex_unlock(&j->lock);
    if (!is_written) {
        log_warning("vCPU %u of domain %u cannot be crossed out in the journal of traces",
                    entry->vcpu, entry->domid);
    }
}

void journal_settle(struct journal *j)
{
    pthread_mutex_lock(&j->lock);
    for (uint32_t i = 0; i < j->place_count && j->stale_count > 0; i++) {
        (void)(j->is_stale[i] && cross_out(j, i));
    }
    pthread_mutex_unlock(&j->lock);
}

bool journal_is_clear(struct journal *j)
{
    pthread_mutex_lock(&j->lock);
    bool is_clear = j->entry_count == 0 && j->stale_count == 0;
    pthread_mutex_unlock(&j->lock);
    return is_clear;
}

bool journal_has(struct journal *j, const struct journal_entry *entry)
{
    pthread_mutex_lock(&j->lock);
    bool found;
    (void)place_of(j, entry, &found);
    pthread_mutex_unlock(&j->lock);
    return found;
}

bool journal_next(struct journal *j, uint32_t *at, struct journal_entry *out)
{
    bool found = false;
    pthread_mutex_lock(&j->lock);
    while (*at < j->place_count && !found) {
        const struct record *r = &j->places[(*at)++];
        if (!is_free(r)) {
            to_entry(r, out);
            found = true;
        }
    }
    pthread_mutex_unlock(&j->lock);
    return found;
}

int journal_read(const char *path, const char *boot_id, struct journal_entry *out, uint32_t max,
                 uint32_t *count, struct failure *f)
{
    SCOPE_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0) {
        return file_failure(path, "open", f);
    }
    SCOPE_FREE struct record *places = calloc(JOURNAL_RECORDS_MAX, sizeof(*places));
    if (!places) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the journal of traces");
    }
    uint8_t boot[UUID_BYTES];
    uint32_t place_count, found = 0;
    int result = read_boot_id(path, boot_id, boot, f);
    if (result == 0) {
        result = read_records(fd, path, places, &place_count, f);
    }
    if (result < 0) {
        return result;
    }
    for (uint32_t i = 0; i < place_count && found < max; i++) {
        if (!is_free(&places[i]) && memcmp(places[i].boot, boot, sizeof(boot)) == 0) {
            to_entry(&places[i], &out[found++]);
        }
    }
    *count = found;
    return 0;
}
