/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/report.h"
#include "common/scope.h"

static const int ending_signals[] = { SIGINT, SIGTERM, SIGHUP };

/* What the handler removes: set while a temporary file is there. */
static char *volatile unfinished;

static void remove_unfinished(int number)
{
    if (unfinished != NULL) {
        (void)unlink(unfinished);
    }
    (void)signal(number, SIG_DFL);
    (void)raise(number); /* ends the program once the handler returns */
}

static void handle_signals(void)
{
    struct sigaction action = { .sa_handler = remove_unfinished };

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(ending_signals) / sizeof(ending_signals[0]); i++) {
        struct sigaction old;

        /* One that is ignored (nohup) stays ignored. */
        if (sigaction(ending_signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
            (void)sigaction(ending_signals[i], &action, NULL);
        }
    }
}

static const char *shown(const struct output *o)
{
    return o->path != NULL ? o->path : "standard output";
}

static int cannot_write(const struct output *o, int errnum)
{
    return report_local("cannot write to", shown(o), errnum, NULL);
}

/* A file that does not exist yet, in the folder of `final_path`, so that rename() replaces at once.
 * */
static int open_temporary(struct output *o, mode_t mode)
{
    sigset_t all, old;

    if (asprintf(&o->temporary_path, "%s.XXXXXX", o->final_path) < 0) {
        o->temporary_path = NULL;
        return report_no_memory();
    }
    sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &old); /* no file without its name known */
    o->fd = mkostemp(o->temporary_path, O_CLOEXEC);
    int failed = errno;

    if (o->fd >= 0) {
        unfinished = o->temporary_path;
        handle_signals();
    }
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
    if (o->fd < 0) {
        free(o->temporary_path);
        o->temporary_path = NULL;
        return cannot_write(o, failed);
    }
    return fchmod(o->fd, mode) == 0 ? 0 : cannot_write(o, errno);
}

int output_open(struct output *o, const char *path)
{
    struct stat there;

    *o = (struct output){ .fd = STDOUT_FILENO };
    if (path == NULL) {
        return 0;
    }
    o->fd = -1;
    o->path = strdup(path);
    if (o->path == NULL) {
        return report_no_memory();
    }
    bool exists = stat(path, &there) == 0;

    if (!exists && errno != ENOENT) {
        return cannot_write(o, errno);
    }
    if (exists && S_ISDIR(there.st_mode)) {
        return cannot_write(o, EISDIR);
    }
    if (exists && !S_ISREG(there.st_mode)) {
        /* Renaming over a device or a pipe would replace it. */
        o->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        return o->fd >= 0 ? 0 : cannot_write(o, errno);
    }
    if (exists && access(path, W_OK) != 0) {
        return cannot_write(o, errno); /* write protection is meant, also against rename() */
    }
    /* A symbolic link stays one: what it points to is replaced. */
    o->final_path = exists ? realpath(path, NULL) : strdup(path);
    if (o->final_path == NULL) {
        return cannot_write(o, errno);
    }
    return open_temporary(o, exists ? there.st_mode & 0777 : 0600);
}

int output_write(struct output *o, const void *bytes, size_t len_bytes)
{
    const char *at = bytes;

    while (len_bytes > 0) {
        ssize_t written = write(o->fd, at, len_bytes);

        if (written > 0) {
            at += written;
            len_bytes -= (size_t)written;
        } else if (written < 0 && errno == EPIPE && o->is_endless) {
            o->reader_left = true;
            return EXIT_LOCAL;
        } else if (written == 0 || errno != EINTR) {
            return cannot_write(o, written == 0 ? EIO : errno);
        }
    }
    return 0;
}

int output_text(struct output *o, struct buffer *text)
{
    if (text->failed) {
        return report_local("the answer is too large to be shown", "", 0,
                            "ask for less, or with -o json");
    }
    int status = output_write(o, text->data, text->len_bytes);

    buffer_reset(text);
    return status;
}

int output_commit(struct output *o)
{
    int status = 0;

    if (o->path == NULL) {
        /* Some file systems tell of a full disk at close only. */
        int copy = dup(o->fd);

        return copy < 0 || close(copy) == 0 ? 0 : cannot_write(o, errno);
    }
    if (o->temporary_path != NULL && fsync(o->fd) != 0) {
        status = cannot_write(o, errno);
    }
    if (close(scope_take_fd(&o->fd)) != 0 && status == 0) {
        status = cannot_write(o, errno);
    }
    if (status == 0 && o->temporary_path != NULL) {
        if (rename(o->temporary_path, o->final_path) != 0) {
            return cannot_write(o, errno);
        }
        unfinished = NULL;
        free(o->temporary_path);
        o->temporary_path = NULL;
    }
    return status;
}

void output_abandon(struct output *o)
{
    if (o->fd >= 0 && o->path != NULL) {
        (void)close(o->fd);
    }
    if (o->temporary_path != NULL) {
        unfinished = NULL;
        (void)unlink(o->temporary_path);
    }
    free(o->path);
    free(o->final_path);
    free(o->temporary_path);
    *o = (struct output){ .fd = -1 };
}

bool output_is_terminal(const struct output *o)
{
    return isatty(o->fd) == 1;
}

int output_print(struct buffer *text)
{
    OUTPUT_AUTO output;
    int status = output_open(&output, NULL);

    if (status == 0) {
        status = output_text(&output, text);
    }
    return status == 0 ? output_commit(&output) : status;
}
