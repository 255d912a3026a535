/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/attendant.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/cli/paint.h"
#include "common/clock.h"

/* What wakes it so that it ends; not sent by anybody else. */
enum { STOP_SIGNAL = SIGUSR1, PICTURE_MAX_BYTES = 4 << 20 };

/* Signals this soon behind the first are the same wish: who sends one to us and to our group. */
static const uint64_t one_wish_ns = 500 * CLOCK_NS_PER_MS;

/* Another screen, without a cursor; and back. */
static const char enter[] = "\x1b[?1049h\x1b[?25l";
static const char leave[] = "\x1b[?25h\x1b[?1049l";

static void put(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, len);

        if (written < 0 && errno != EINTR) {
            return; /* the terminal is gone: SIGHUP tells */
        }
        bytes += written > 0 ? written : 0;
        len -= written > 0 ? (size_t)written : 0;
    }
}

/* The size is asked for each time: no signal tells of a change too late. */
static void draw(struct attendant *a)
{
    BUFFER_AUTO(picture, PICTURE_MAX_BYTES);
    struct winsize size = { 0 };

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) {
        size.ws_row = 24;
        size.ws_col = 80;
    }
    board_draw(a->board, &picture, size.ws_row, size.ws_col, paint_begin(STDOUT_FILENO, PAINT_WARN),
               paint_end(STDOUT_FILENO, PAINT_WARN), clock_monotonic_ns());
    put((const char *)picture.data, picture.len_bytes);
}

static void show(struct attendant *a, bool is_shown)
{
    if (a->board != NULL) {
        put(is_shown ? enter : leave, strlen(is_shown ? enter : leave));
    }
}

/* ^Z: the shell gets its own screen for as long as we sleep. */
static void sleep_a_while(struct attendant *a)
{
    show(a, false);
    (void)kill(getpid(), SIGSTOP);
    show(a, true);
}

static void end_at_once(struct attendant *a, int number)
{
    sigset_t one;

    show(a, false);
    (void)signal(number, SIG_DFL);
    sigemptyset(&one);
    sigaddset(&one, number);
    (void)pthread_sigmask(SIG_UNBLOCK, &one, NULL);
    (void)raise(number);
}

static void take_signal(struct attendant *a, int number)
{
    uint64_t now_ns = clock_monotonic_ns();

    if (number == SIGTSTP) {
        sleep_a_while(a);
    } else if (number == STOP_SIGNAL) {
        return;
    } else if (!atomic_exchange(&a->was_signalled, true)) {
        a->signalled_ns = now_ns;
        xenres_cancel(a->handle);
    } else if (now_ns - a->signalled_ns >= one_wish_ns) {
        end_at_once(a, number);
    }
}

/* Of a pipe: nobody can read what would be written. */
static void look_for_reader(struct attendant *a)
{
    struct pollfd out = { .fd = STDOUT_FILENO };

    if (poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0) {
        a->has_reader = false;
        atomic_store(&a->reader_left, true);
        xenres_cancel(a->handle);
    }
}

static int await_signal(struct attendant *a)
{
    const struct timespec pause = {
        .tv_nsec =
            (a->board != NULL ? ATTENDANT_DRAW_MS : ATTENDANT_LOOK_MS) * (long)CLOCK_NS_PER_MS,
    };

    return a->board != NULL || a->has_reader ? sigtimedwait(&a->signals, NULL, &pause)
                                             : sigwaitinfo(&a->signals, NULL);
}

static void *attend(void *arg)
{
    struct attendant *a = arg;

    show(a, true);
    while (!atomic_load(&a->is_stopping)) {
        if (a->board != NULL) {
            draw(a);
        } else if (a->has_reader) {
            look_for_reader(a);
        }
        int number = await_signal(a);

        if (number > 0) {
            take_signal(a, number);
        }
    }
    show(a, false);
    return NULL;
}

void attendant_prepare(struct attendant *a)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGTSTP, STOP_SIGNAL };

    sigemptyset(&a->signals);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction old;

        /* One that is ignored (nohup) stays ignored. */
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
            sigaddset(&a->signals, numbers[i]);
        }
    }
    (void)pthread_sigmask(SIG_BLOCK, &a->signals, &a->before);
}

int attendant_start(struct attendant *a, xenres *handle, struct board *board, struct failure *f)
{
    a->handle = handle;
    a->board = board;
    atomic_init(&a->is_stopping, false);
    atomic_init(&a->was_signalled, false);
    atomic_init(&a->reader_left, false);
    int errnum = pthread_create(&a->thread, NULL, attend, a);

    if (errnum != 0) {
        int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no thread can be had");

        return failure_cause(f, result, "%s: %s", error_errno_name(errnum), strerror(errnum));
    }
    a->is_running = true;
    return 0;
}

bool attendant_stop(struct attendant *a)
{
    if (!a->is_running) {
        return false;
    }
    atomic_store(&a->is_stopping, true);
    (void)pthread_kill(a->thread, STOP_SIGNAL);
    (void)pthread_join(a->thread, NULL);
    a->is_running = false;
    return atomic_load(&a->was_signalled) || atomic_load(&a->reader_left);
}
