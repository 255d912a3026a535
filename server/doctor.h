/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * `xenresd doctor`: whether this host can run the gateway, and whether it does. A row for each thing
 * looked at, `ok`, `warning` or `FAILED`, and behind the last two their cure. It changes nothing; the
 * mapper, where it serves nobody, has one peer for a moment. Whoever answers it may be anybody: what he says
 * is shown escaped, and he is waited for so long and no longer. One thread.
 */
#ifndef XENRES_SERVER_DOCTOR_H
#define XENRES_SERVER_DOCTOR_H

#include <stdbool.h>
#include <stdio.h>

#include "common/buffer.h"
#include "server/config.h"

enum doctor_level { DOCTOR_OK, DOCTOR_WARNING, DOCTOR_FAILED };

enum {
    DOCTOR_WAIT_MS = 3000,     /* for an answer, from the question to its last byte */
    DOCTOR_PROGRAM_MS = 10000, /* for a program's end */
    DOCTOR_ALL_S = 60,         /* for all of it, whatever holds it up */
    DOCTOR_SAID_MAX_BYTES = 64 * 1024,
};

struct doctor {
    FILE *to;
    const struct config *config; /* defaults where the file cannot be read */
    bool is_running;             /* a xenresd answers at the health listener */
    unsigned warnings, failures;
};

void doctor_row(struct doctor *d, enum doctor_level level, const char *what, const char *format,
                ...) __attribute__((format(printf, 4, 5)));
void doctor_row_failure(struct doctor *d, enum doctor_level level, const char *what,
                        const struct failure *f);

/* Whatever is in it, a terminal shows it as it is; lines stay lines. */
void doctor_text(struct doctor *d, const char *text, size_t len);

/* Clock, entropy, what the kernel offers, limits. */
void doctor_host(struct doctor *d);
/* The user, state, listeners, systemd. */
void doctor_service(struct doctor *d);
/* The mapper's socket, and what answers there. */
void doctor_mapper(struct doctor *d);

/* Runs it with all that it says going to `said`, and waits for its end; what is more than fits is lost.
 * Its exit status; 128 and more where a signal ended it; -ERROR_DEADLINE_EXCEEDED: it was ended, since it
 * took too long; otherwise negative where it could not be run. */
int doctor_program(const char *const *argv, struct buffer *said);

#endif
