/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/mapper/xen/store_thread.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xenstore.h>

#include "common/scope.h"

enum { THREAD_STACK_BYTES = 256 * 1024 };

struct job {
    enum { JOB_CONNECT, JOB_READ, JOB_PERMISSIONS, JOB_WATCH, JOB_UNWATCH } kind;
    size_t value_bytes; /* of JOB_READ: how much may come */
    char path[STORE_THREAD_PATH_BYTES];
    char token[STORE_THREAD_TOKEN_BYTES];
    int errnum; /* from here on: the answer */
    int fd;
    bool cut, is_open;
    char value[STORE_THREAD_VALUE_BYTES];
};

/* Owned by the mapper's thread until it stops; then by whichever thread leaves last. */
struct store_thread {
    pthread_t thread;
    pthread_mutex_t lock; /* of all below; held shortly, never across a call that may block */
    pthread_cond_t asked;
    pthread_cond_t answered;
    enum { STATE_FREE, STATE_ASKED, STATE_ANSWERED } state;
    bool given_up; /* nobody waits for the answer any more */
    struct timespec refuse_until;
    bool stopping;
    bool left_alone; /* the thread frees */
    struct job job;
    struct xs_handle *xs; /* replaced by JOB_CONNECT alone; NULL: none */
};

static void thread_free(struct store_thread *t)
{
    pthread_cond_destroy(&t->answered);
    pthread_cond_destroy(&t->asked);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* --- in the thread ---------------------------------------------------------------------------- */

/* Whether the connection itself has failed, as libxenstore puts it. xenstored's own answers to what
 * is asked here are others. */
static bool is_broken(int errnum)
{
    return errnum == EBADF || errnum == EPIPE || errnum == ECONNRESET || errnum == EINVAL;
}

/* Gives a broken connection up before the mapper's thread goes on: libxenstore's caller and
 * reader may both close its descriptor, and the second close must not meet one that was opened
 * meanwhile. xs_close() waits for the reader's end. */
static void leave_connection(struct store_thread *t)
{
    struct xs_handle *broken;

    pthread_mutex_lock(&t->lock);
    broken = t->xs;
    t->xs = NULL;
    pthread_mutex_unlock(&t->lock);
    xs_close(broken);
}

static void run_connect(struct store_thread *t, struct job *job)
{
    struct xs_handle *opened;
    int errnum;

    leave_connection(t);
    opened = xs_open(0);
    errnum = errno;
    job->fd = opened != NULL ? xs_fileno(opened) : -1;
    if (job->fd < 0) {
        job->errnum = opened != NULL ? EMFILE : errnum;
        xs_close(opened);
        return;
    }
    pthread_mutex_lock(&t->lock);
    t->xs = opened;
    pthread_mutex_unlock(&t->lock);
}

static void run_read(struct store_thread *t, struct job *job)
{
    SCOPE_FREE char *value = NULL;
    unsigned len_bytes = 0;

    errno = 0;
    value = xs_read(t->xs, XBT_NULL, job->path, &len_bytes);
    if (value == NULL) {
        job->errnum = errno != 0 ? errno : EIO;
        return;
    }
    job->cut = len_bytes >= job->value_bytes || memchr(value, '\0', len_bytes) != NULL;
    if (!job->cut) {
        memcpy(job->value, value, len_bytes);
    }
}

/* The first entry is the owner's, and what everybody may who has none. */
static void run_permissions(struct store_thread *t, struct job *job)
{
    SCOPE_FREE struct xs_permissions *entries = NULL;
    unsigned count = 0;

    errno = 0;
    entries = xs_get_permissions(t->xs, XBT_NULL, job->path, &count);
    if (entries == NULL || count == 0) {
        job->errnum = errno != 0 ? errno : EIO;
        return;
    }
    job->is_open = entries[0].id != 0 || (entries[0].perms & XS_PERM_WRITE) != 0;
    for (unsigned i = 1; i < count; i++) {
        job->is_open |= entries[i].id != 0 && (entries[i].perms & XS_PERM_WRITE) != 0;
    }
}

static void run_watch(struct store_thread *t, struct job *job)
{
    bool done;

    errno = 0;
    done = job->kind == JOB_WATCH ? xs_watch(t->xs, job->path, job->token)
                                  : xs_unwatch(t->xs, job->path, job->token);
    if (!done) {
        /* No errno: libxenstore could not start its reader, as after the privileges were
         * dropped. */
        job->errnum = errno != 0 ? errno : EAGAIN;
    }
}

static void run(struct store_thread *t, struct job *job)
{
    job->errnum = 0;
    if (job->kind == JOB_CONNECT) {
        run_connect(t, job);
    } else if (t->xs == NULL) {
        job->errnum = ENOTCONN;
    } else if (job->kind == JOB_READ) {
        run_read(t, job);
    } else if (job->kind == JOB_PERMISSIONS) {
        run_permissions(t, job);
    } else {
        run_watch(t, job);
    }
    if (is_broken(job->errnum)) {
        leave_connection(t);
    }
}

static void *serve(void *argument)
{
    struct store_thread *t = argument;
    bool left_alone;

    pthread_mutex_lock(&t->lock);
    for (;;) {
        struct job job;

        while (t->state != STATE_ASKED && !t->stopping) {
            pthread_cond_wait(&t->asked, &t->lock);
        }
        if (t->stopping) {
            break;
        }
        job = t->job;
        pthread_mutex_unlock(&t->lock);
        run(t, &job);
        pthread_mutex_lock(&t->lock);
        t->job = job;
        t->state = t->given_up ? STATE_FREE : STATE_ANSWERED;
        t->given_up = false;
        pthread_cond_signal(&t->answered);
    }
    left_alone = t->left_alone;
    pthread_mutex_unlock(&t->lock);
    xs_close(t->xs);
    t->xs = NULL;
    if (left_alone) {
        thread_free(t);
    }
    return NULL;
}

/* --- in the mapper's thread ------------------------------------------------------------------- */

static int create_thread(struct store_thread *t)
{
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    int errnum = pthread_attr_init(&attributes);

    if (errnum != 0) {
        return errnum;
    }
    /* Signals are the mapper's loop's alone. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    errnum = pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    if (errnum == 0) {
        errnum = pthread_create(&t->thread, &attributes, serve, t);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return errnum;
}

int store_thread_start(struct store_thread **out)
{
    struct store_thread *t = calloc(1, sizeof(*t));
    pthread_condattr_t monotonic;
    int errnum;

    if (t == NULL) {
        return ENOMEM;
    }
    /* None of these fails on Linux with these arguments. */
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->asked, NULL);
    pthread_cond_init(&t->answered, &monotonic);
    pthread_condattr_destroy(&monotonic);

    errnum = create_thread(t);
    if (errnum != 0) {
        thread_free(t);
        return errnum;
    }
    *out = t;
    return 0;
}

void store_thread_stop(struct store_thread *t)
{
    pthread_t thread;
    bool stuck;

    if (t == NULL) {
        return;
    }
    pthread_mutex_lock(&t->lock);
    thread = t->thread;
    stuck = t->state == STATE_ASKED;
    t->stopping = true;
    t->left_alone = stuck;
    pthread_cond_signal(&t->asked);
    pthread_mutex_unlock(&t->lock);
    if (stuck) {
        pthread_detach(thread); /* t is no longer ours */
        return;
    }
    pthread_join(thread, NULL);
    thread_free(t);
}

/* The kernel's time, whatever a test makes of clock.h's: pthread_cond_timedwait() goes by it. */
static struct timespec after_ms(unsigned ms)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_sec += (time_t)(ms / 1000);
    time.tv_nsec += (long)(ms % 1000) * 1000000L;
    if (time.tv_nsec >= 1000000000L) {
        time.tv_sec++;
        time.tv_nsec -= 1000000000L;
    }
    return time;
}

static bool is_past(const struct timespec *time)
{
    const struct timespec now = after_ms(0);

    return now.tv_sec > time->tv_sec ||
           (now.tv_sec == time->tv_sec && now.tv_nsec >= time->tv_nsec);
}

/* `job` goes in as the question and comes out as the answer. */
static int ask(struct store_thread *t, struct job *job)
{
    const struct timespec until = after_ms(STORE_THREAD_WAIT_MS);
    int waited = 0;

    pthread_mutex_lock(&t->lock);
    if (t->state != STATE_FREE || !is_past(&t->refuse_until)) {
        pthread_mutex_unlock(&t->lock);
        return ETIMEDOUT;
    }
    t->job = *job;
    t->state = STATE_ASKED;
    pthread_cond_signal(&t->asked);
    while (t->state == STATE_ASKED && waited == 0) {
        waited = pthread_cond_timedwait(&t->answered, &t->lock, &until);
    }
    if (t->state == STATE_ASKED) {
        t->given_up = true;
        t->refuse_until = after_ms(STORE_THREAD_PAUSE_MS);
        pthread_mutex_unlock(&t->lock);
        return ETIMEDOUT;
    }
    *job = t->job;
    t->state = STATE_FREE;
    pthread_mutex_unlock(&t->lock);
    return job->errnum;
}

static void copy_string(char *to, size_t size, const char *from)
{
    size_t len = strlen(from);

    assert(len < size); /* paths and tokens are of our own making */
    memcpy(to, from, len + 1);
}

int store_thread_connect(struct store_thread *t, int *fd)
{
    struct job job = { .kind = JOB_CONNECT };
    int errnum = ask(t, &job);

    if (errnum == 0) {
        *fd = job.fd;
    }
    return errnum;
}

int store_thread_read(struct store_thread *t, const char *path, char *value, size_t value_bytes,
                      bool *cut)
{
    struct job job = { .kind = JOB_READ, .value_bytes = value_bytes };
    int errnum;

    assert(value_bytes <= sizeof(job.value));
    copy_string(job.path, sizeof(job.path), path);
    errnum = ask(t, &job);
    if (errnum == 0) {
        memcpy(value, job.value, value_bytes);
        *cut = job.cut;
    }
    return errnum;
}

int store_thread_is_open(struct store_thread *t, const char *path, bool *is_open)
{
    struct job job = { .kind = JOB_PERMISSIONS };
    int errnum;

    copy_string(job.path, sizeof(job.path), path);
    errnum = ask(t, &job);
    if (errnum == 0) {
        *is_open = job.is_open;
    }
    return errnum;
}

static int ask_watch(struct store_thread *t, bool on, const char *path, const char *token)
{
    struct job job = { .kind = on ? JOB_WATCH : JOB_UNWATCH };

    copy_string(job.path, sizeof(job.path), path);
    copy_string(job.token, sizeof(job.token), token);
    return ask(t, &job);
}

int store_thread_watch(struct store_thread *t, const char *path, const char *token)
{
    return ask_watch(t, true, path, token);
}

int store_thread_unwatch(struct store_thread *t, const char *path, const char *token)
{
    return ask_watch(t, false, path, token);
}

int store_thread_event(struct store_thread *t, char token[STORE_THREAD_TOKEN_BYTES])
{
    SCOPE_FREE char **event = NULL;
    int errnum = ENOTCONN;

    /* Under the lock, so that the connection stays; this call never waits for xenstored. */
    pthread_mutex_lock(&t->lock);
    if (t->xs != NULL) {
        errno = 0;
        event = xs_check_watch(t->xs);
        errnum = errno == EAGAIN ? EAGAIN : ENOTCONN;
    }
    pthread_mutex_unlock(&t->lock);
    if (event == NULL) {
        return errnum;
    }
    /* Tokens come back as they were given: one that is longer is not ours. */
    if (strlen(event[XS_WATCH_TOKEN]) < STORE_THREAD_TOKEN_BYTES) {
        copy_string(token, STORE_THREAD_TOKEN_BYTES, event[XS_WATCH_TOKEN]);
    } else {
        token[0] = '\0';
    }
    return 0;
}
