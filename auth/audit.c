/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/audit.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "auth/audit_disk.h"
#include "auth/audit_flood.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/scope.h"

enum { RETRY_MS = 1000, LOUD_S = 10 };

struct audit {
    struct audit_options options;
    struct audit_flood *flood;

    pthread_mutex_t sync_lock; /* before `lock`; of the next one */
    struct audit_disk disk;

    pthread_mutex_t lock;  /* of the log, and what follows */
    pthread_cond_t wanted; /* the thread is */
    struct audit_log *log;
    uint64_t lost; /* records since writing began to fail */
    int first_errno;
    bool is_disk_failing;   /* that fails until something has got there, whatever can be written */
    uint64_t unsynced;      /* records that may have been lost there, and are not told of yet */
    uint64_t checkpoint_ns; /* monotonic, of the last one */
    uint64_t loud_ns;       /* … when the log was told that it fails; near the end of a disk that
                               comes and goes */
    bool is_stopping;

    pthread_t thread;
    bool is_started;

    atomic_bool is_failing;
    _Atomic uint64_t records, lost_in_all, suppressed, checkpoints, unsigned_records,
        checkpoint_wall_ns;
};

static void add(_Atomic uint64_t *counter, uint64_t value)
{
    atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
}

static uint64_t value_of(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* --- a record, with the lock ------------------------------------------------------------------------ */

/* That it could not be written is told to the log when it begins. */
static void note_failure(struct audit *a, uint64_t records)
{
    int errnum = errno;

    a->lost += records;
    add(&a->lost_in_all, records);
    if (!atomic_load(&a->is_failing)) {
        a->first_errno = errnum;
        if (a->loud_ns == 0 || clock_monotonic_ns() - a->loud_ns >= LOUD_S * CLOCK_NS_PER_S) {
            a->loud_ns = clock_monotonic_ns();
            log_error("the audit cannot be written: %s; %s", strerror(errnum),
                      a->options.on_failure == AUDIT_REFUSE ? "nobody is served until it can"
                                                            : "the service goes on without it");
        }
        atomic_store(&a->is_failing, true);
        (void)pthread_cond_signal(&a->wanted);
    }
}

static void count_records(struct audit *a, uint64_t count)
{
    uint64_t before = value_of(&a->unsigned_records), wanted = a->options.checkpoint_records;

    add(&a->records, count);
    add(&a->unsigned_records, count);
    if ((before < wanted && before + count >= wanted) || audit_log_has_aside(a->log)) {
        (void)pthread_cond_signal(&a->wanted);
    }
}

static int append(struct audit *a, const char *body, size_t len)
{
    int result = audit_log_append(a->log, body, len);

    if (result == 0) {
        count_records(a, 1);
    }
    return result;
}

/* What is missing comes first; and what the disk has lost, once that is over. */
static bool has_to_tell(const struct audit *a)
{
    return atomic_load(&a->is_failing) && (!a->is_disk_failing || a->lost > 0);
}

static int append_lost(struct audit *a)
{
    char body[AUDIT_BODY_MAX_BYTES];
    struct audit_writer w;

    audit_writer_begin(&w, body, sizeof body, AUDIT_LOST, clock_wall_ns());
    audit_writer_number(&w, "records", a->lost);
    if (a->unsynced > 0 && !a->is_disk_failing) {
        audit_writer_number(&w, "unsynced", a->unsynced);
    }
    audit_writer_text(&w, "detail", strerror(a->first_errno), 128);
    int result = append(a, w.out, w.len);

    if (result != 0) {
        return result;
    }
    log_warning(
        "the audit can be written again; %llu records are missing, and %llu before may not be "
        "on the disk",
        (unsigned long long)a->lost, (unsigned long long)a->unsynced);
    a->lost = 0;
    if (!a->is_disk_failing) {
        a->unsynced = 0;
        atomic_store(&a->is_failing, false);
        (void)pthread_cond_signal(&a->wanted);
    }
    return result;
}

/* `lost`: records that are missing where it fails. */
static int write_locked(struct audit *a, const char *body, size_t len, unsigned lost)
{
    int result = has_to_tell(a) ? append_lost(a) : 0;

    if (result == 0) {
        result = append(a, body, len);
    }
    if (result != 0) {
        note_failure(a, lost);
    }
    return result;
}

static int write_all_locked(struct audit *a, const struct audit_batch *b)
{
    int result = has_to_tell(a) ? append_lost(a) : 0;

    if (result == 0) {
        result = audit_log_append_all(a->log, b);
    }
    if (result == 0) {
        count_records(a, b->count);
    } else {
        note_failure(a, b->count);
    }
    return result;
}

/* --- the disk ---------------------------------------------------------------------------------------- */

/* Counts what has come of it. A writer may have asked the kernel about the same file, and been told. */
static int book(struct audit *a, uint64_t last, int loss, int errnum)
{
    (void)pthread_mutex_lock(&a->lock);
    int of_writer = audit_log_take_loss(a->log);

    loss = loss != 0 ? loss : of_writer;
    if (loss != 0) {
        a->unsynced += audit_disk_lose(&a->disk, audit_log_last(a->log));
    } else if (errnum == 0) {
        audit_disk_has(&a->disk, last);
    }
    errno = loss != 0 ? loss : errnum;
    if (errno != 0) {
        a->is_disk_failing = true;
        note_failure(a, 0);
    }
    (void)pthread_mutex_unlock(&a->lock);
    return loss == 0 && errnum == 0 ? 0 : -1;
}

/* With the sync lock. All that is written by now. */
static int sync_all(struct audit *a)
{
    struct audit_written w = { .fd = -1 };
    int errnum = 0;

    (void)pthread_mutex_lock(&a->lock);
    w.last = audit_log_last(a->log);
    w.aside = audit_log_take_aside(a->log);
    if (audit_log_fd(a->log) >= 0) {
        w.fd = fcntl(audit_log_fd(a->log), F_DUPFD_CLOEXEC, 0); /* it may be put aside */
        errnum = w.fd < 0 ? errno : 0;                          /* another time */
    }
    (void)pthread_mutex_unlock(&a->lock);
    int loss = audit_disk_sync(&w);
    int result = book(a, w.last, loss, errnum);

    if (result == 0) {
        audit_disk_forget(&a->disk, &w);
    }
    scope_close_fd(&w.aside);
    scope_close_fd(&w.fd);
    return result;
}

/* Whoever comes while another waits for the disk is served by the next turn, with all who came. */
static int sync_to(struct audit *a, uint64_t sequence)
{
    (void)pthread_mutex_lock(&a->sync_lock);
    int result = audit_disk_find(&a->disk, sequence);

    if (result > 0) {
        result = sync_all(a);
    }
    (void)pthread_mutex_unlock(&a->sync_lock);
    return result;
}

/* The audit's own: whoever else sees it work again does not say that it does. */
static int sync_now(struct audit *a)
{
    (void)pthread_mutex_lock(&a->sync_lock);
    int result = sync_all(a);

    if (result == 0) {
        (void)pthread_mutex_lock(&a->lock);
        a->is_disk_failing = false;
        (void)pthread_mutex_unlock(&a->lock);
    }
    (void)pthread_mutex_unlock(&a->sync_lock);
    return result;
}

/* --- what callers see ------------------------------------------------------------------------------ */

static int refuse(struct failure *f)
{
    int result = failure_set(f, ERROR_UNAVAILABLE, "the gateway cannot write its audit");

    failure_cause(f, result, "its disk is full or broken, and it is to serve nobody then");
    failure_retry(f, result, RETRY_MS);
    return failure_next(f, result, "try again later; its operator finds the reason in its log");
}

int audit_check(const struct audit *a, struct failure *f)
{
    return a == NULL || a->options.on_failure == AUDIT_CONTINUE ||
                   !atomic_load_explicit(&a->is_failing, memory_order_relaxed)
               ? 0
               : refuse(f);
}

int audit_settle(struct audit *a, const struct audit_receipt *r, struct failure *f)
{
    if (a == NULL) {
        return 0;
    }
    int result = r->is_written ? 0 : -1;

    if (result == 0 && a->options.sync == AUDIT_SYNC_EACH) {
        result = sync_to(a, r->sequence);
    }
    return result == 0 || a->options.on_failure == AUDIT_CONTINUE ? 0 : refuse(f);
}

int audit_write(struct audit *a, const struct audit_record *r, struct failure *f)
{
    char body[AUDIT_BODY_MAX_BYTES];

    if (a == NULL) {
        return 0;
    }
    if (audit_event_floods(r->event) && !audit_flood_take(a->flood, r, clock_monotonic_ns())) {
        add(&a->suppressed, 1);
        return 0;
    }
    size_t len = audit_record_format(r, clock_wall_ns(), body);

    (void)pthread_mutex_lock(&a->lock);
    bool is_written = write_locked(a, body, len, 1) == 0;
    const struct audit_receipt receipt = { is_written, audit_log_last(a->log) };

    (void)pthread_mutex_unlock(&a->lock);
    if (is_written && audit_event_floods(r->event)) {
        return 0; /* nobody waits for the disk with it */
    }
    return audit_settle(a, &receipt, f);
}

void audit_write_batch(struct audit *a, const struct audit_batch *b, struct audit_receipt *out)
{
    *out = (struct audit_receipt){ 0 };
    if (a != NULL) {
        (void)pthread_mutex_lock(&a->lock);
        out->is_written = write_all_locked(a, b) == 0;
        out->sequence = audit_log_last(a->log);
        (void)pthread_mutex_unlock(&a->lock);
    }
}

void audit_reopen(struct audit *a)
{
    if (a == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&a->lock);
    if (audit_log_reopen(a->log) != 0) {
        note_failure(a, 0);
    }
    (void)pthread_cond_signal(&a->wanted);
    (void)pthread_mutex_unlock(&a->lock);
}

void audit_count(const struct audit *a, struct audit_counters *out)
{
    *out = (struct audit_counters){ 0 };
    if (a != NULL) {
        *out = (struct audit_counters){
            .records = value_of(&a->records),
            .lost = value_of(&a->lost_in_all),
            .suppressed = value_of(&a->suppressed),
            .checkpoints = value_of(&a->checkpoints),
            .unsigned_records = value_of(&a->unsigned_records),
            .checkpoint_wall_ns = value_of(&a->checkpoint_wall_ns),
            .is_failing = atomic_load(&a->is_failing),
        };
    }
}

/* --- its thread -------------------------------------------------------------------------------------- */

/* Signs what there is, and tells the journal. */
static int checkpoint(struct audit *a)
{
    char line[AUDIT_LINE_MAX_BYTES];
    size_t len = 0;

    (void)pthread_mutex_lock(&a->lock);
    int result = audit_log_checkpoint(a->log, line, &len);
    uint64_t sequence = audit_log_last(a->log);

    if (result == 0) {
        a->checkpoint_ns = clock_monotonic_ns();
        atomic_store(&a->unsigned_records, 0);
        atomic_store(&a->checkpoint_wall_ns, clock_wall_ns());
        add(&a->records, 1);
        add(&a->checkpoints, 1);
    } else {
        note_failure(a, 0);
    }
    (void)pthread_mutex_unlock(&a->lock);
    if (result == 0 && a->options.on_checkpoint != NULL) {
        line[len - 1] = '\0'; /* its newline */
        a->options.on_checkpoint(a->options.arg, line, sequence);
    }
    return result;
}

static bool wants_checkpoint(const struct audit *a)
{
    uint64_t count = value_of(&a->unsigned_records);

    return count >= a->options.checkpoint_records ||
           (count > 0 &&
            clock_monotonic_ns() - a->checkpoint_ns >= a->options.checkpoint_ms * CLOCK_NS_PER_MS);
}

static void try_again(struct audit *a)
{
    (void)pthread_mutex_lock(&a->lock);
    bool is_disk_failing = a->is_disk_failing;

    (void)pthread_mutex_unlock(&a->lock);
    if (is_disk_failing && sync_now(a) != 0) {
        return;
    }
    (void)pthread_mutex_lock(&a->lock);
    if (has_to_tell(a) && append_lost(a) != 0) {
        note_failure(a, 0);
    }
    (void)pthread_mutex_unlock(&a->lock);
}

/* Of what was left out, how much. What cannot be written is told later. */
static void write_sums(struct audit *a, bool all)
{
    struct audit_flood_sum sum;

    while (audit_flood_next(a->flood, clock_monotonic_ns(), all, &sum)) {
        struct identity who;
        struct audit_record r;
        char body[AUDIT_BODY_MAX_BYTES];

        audit_flood_record(&sum, &who, &r);
        size_t len = audit_record_format(&r, clock_wall_ns(), body);

        (void)pthread_mutex_lock(&a->lock);
        int result = write_locked(a, body, len, 0);

        (void)pthread_mutex_unlock(&a->lock);
        if (result != 0) {
            return;
        }
        audit_flood_told(a->flood, &sum);
    }
}

/* False: it is time to end. */
static bool rest(struct audit *a, bool was_failing)
{
    uint64_t at_ns = clock_monotonic_ns() + a->options.tick_ms * CLOCK_NS_PER_MS;
    const struct timespec until = { .tv_sec = (time_t)(at_ns / CLOCK_NS_PER_S),
                                    .tv_nsec = (long)(at_ns % CLOCK_NS_PER_S) };

    (void)pthread_mutex_lock(&a->lock);
    while (!a->is_stopping && atomic_load(&a->is_failing) == was_failing &&
           (was_failing || (value_of(&a->unsigned_records) < a->options.checkpoint_records &&
                            !audit_log_has_aside(a->log))) &&
           pthread_cond_timedwait(&a->wanted, &a->lock, &until) == 0) {
    }
    bool goes_on = !a->is_stopping;

    (void)pthread_mutex_unlock(&a->lock);
    return goes_on;
}

static void tell_failing(struct audit *a, bool *told)
{
    bool is_failing = atomic_load(&a->is_failing);

    if (is_failing != *told && a->options.on_failing != NULL) {
        a->options.on_failing(a->options.arg, is_failing);
    }
    *told = is_failing;
}

/* A file that was put aside goes there whatever the choice, and whatever fails. Whether a disk works again is
 * try_again()'s to find out. */
static bool wants_disk(struct audit *a, uint64_t *records)
{
    uint64_t before = *records;

    (void)pthread_mutex_lock(&a->lock);
    bool has_aside = audit_log_has_aside(a->log), is_disk_failing = a->is_disk_failing;

    (void)pthread_mutex_unlock(&a->lock);
    if (has_aside || is_disk_failing || a->options.sync == AUDIT_SYNC_NONE) {
        return has_aside;
    }
    *records = value_of(&a->records);
    return *records != before;
}

static void *run(void *arg)
{
    struct audit *a = arg;
    bool told = false;
    uint64_t last_synced = 0;

    (void)prctl(PR_SET_NAME, "audit");
    while (rest(a, told)) {
        tell_failing(a, &told);
        if (told) {
            try_again(a);
            tell_failing(a, &told);
        }
        write_sums(a, false);
        if (!told && wants_checkpoint(a) && checkpoint(a) != 0) {
            tell_failing(a, &told); /* as well */
        }
        if (wants_disk(a, &last_synced)) {
            if (sync_now(a) != 0) {
                tell_failing(a, &told); /* and is tried again in a while */
            }
            (void)audit_log_sync_state(a->log);
        }
    }
    return NULL;
}

/* --- life ---------------------------------------------------------------------------------------------- */

static void audit_free(struct audit *a)
{
    audit_log_close(a->log);
    audit_flood_free(a->flood);
    (void)pthread_cond_destroy(&a->wanted);
    (void)pthread_mutex_destroy(&a->lock);
    (void)pthread_mutex_destroy(&a->sync_lock);
    free(a);
}

int audit_new(const struct audit_options *options, struct audit **out, struct failure *f)
{
    struct audit *a = calloc(1, sizeof *a);
    pthread_condattr_t monotonic;
    pthread_mutexattr_t spinning;
    bool made = false;

    if (a == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory for the audit");
    }
    a->options = *options;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&a->wanted, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    /* Held for a few microseconds, as a rule: less than it costs to sleep and be woken. */
    (void)pthread_mutexattr_init(&spinning);
    (void)pthread_mutexattr_settype(&spinning, PTHREAD_MUTEX_ADAPTIVE_NP);
    (void)pthread_mutex_init(&a->lock, &spinning);
    (void)pthread_mutexattr_destroy(&spinning);
    (void)pthread_mutex_init(&a->sync_lock, NULL);
    int result = audit_flood_new(options->flood_ms, &a->flood, f);

    if (result == 0) {
        result = audit_log_open(&options->log, &a->log, &made, f);
    }
    if (result != 0) {
        audit_free(a);
        return result;
    }
    if (made) {
        log_info(
            "a chain of audit records begins; whoever checks them needs %s/audit.key: move it to "
            "where this service cannot read it",
            options->log.state_dir);
    }
    *out = a;
    return 0;
}

int audit_start(struct audit *a, struct failure *f)
{
    if (a == NULL) {
        return 0;
    }
    const struct audit_record r = { .event = AUDIT_START, .detail = "xenresd " XENRES_VERSION };

    (void)signal(SIGXFSZ, SIG_IGN); /* a limit of files' sizes is a disk that is full */
    int result = audit_log_recover(a->log, f);

    audit_disk_has(&a->disk, audit_log_last(a->log)); /* nobody waits for those of before */
    a->checkpoint_ns = clock_monotonic_ns();
    if (result == 0 || a->options.on_failure == AUDIT_CONTINUE) {
        result = audit_write(a, &r, f); /* which tries that again */
    }
    if (result == 0 && pthread_create(&a->thread, NULL, run, a) != 0) {
        result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "cannot start the audit's thread");
    }
    a->is_started = result == 0;
    return result;
}

void audit_stop(struct audit *a)
{
    if (a == NULL) {
        return;
    }
    if (a->is_started) {
        const struct audit_record r = { .event = AUDIT_STOP };

        (void)pthread_mutex_lock(&a->lock);
        a->is_stopping = true;
        (void)pthread_cond_signal(&a->wanted);
        (void)pthread_mutex_unlock(&a->lock);
        (void)pthread_join(a->thread, NULL);
        if (atomic_load(&a->is_failing)) {
            try_again(a);
        }
        write_sums(a, true);
        (void)audit_write(a, &r, NULL);
        if (!atomic_load(&a->is_failing)) {
            (void)checkpoint(a);
        }
        (void)sync_now(a);
        if (!atomic_load(&a->is_failing)) {
            audit_log_stop(a->log);
        } else {
            log_error(
                "the audit ends without a word of %llu records that are missing in it, and of "
                "%llu that may not be on the disk",
                (unsigned long long)a->lost, (unsigned long long)a->unsynced);
        }
    }
    audit_free(a);
}
