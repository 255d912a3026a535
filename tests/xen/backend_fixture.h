/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the tests of the xen backend in dom0 share: guests made by a child that stays root, the
 * opened backend, answers that have to succeed, and events that are waited for.
 */
#ifndef XENRES_TESTS_XEN_FIXTURE_H
#define XENRES_TESTS_XEN_FIXTURE_H

#include <poll.h>

#include "server/mapper/backend.h"
#include "tests/lib/unit.h"

extern const char *mode; /* root, dropped, ordinary, storeless, stranger */
extern struct backend *b;
extern uint16_t tiny, tiny_v2, linux_pv2; /* guests that are there all the time */

/* A child that runs commands as root until its end of the pair is closed. */
void start_helper(void);
void stop_helper(void);
/* A command of dom0's shell that has to succeed; "!create N" makes an empty domain of number N. */
void run(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A guest of rig/guests under this name. */
uint16_t create(const char *config, const char *name, const char *settings);
uint16_t domid_of(const char *name);

/* The backend's answers, which have to be successes. */
struct backend_domain found(uint16_t domid);
struct backend_size size_of(uint16_t domid, uint32_t type, uint32_t id);
struct backend_mapping mapped(uint16_t domid, uint32_t type, uint32_t id, uint32_t first,
                              uint32_t count);
uint32_t word(const struct backend_mapping *mapping, size_t offset_bytes);

/* Polls what has no event; the condition is the last word. */
#define assert_becomes(condition)                                                                  \
    do {                                                                                           \
        for (int tries_ = 0; !(condition) && tries_ < 1000; tries_++) {                            \
            (void)poll(NULL, 0, 10);                                                               \
        }                                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

/* A failure of this code and errno, with all its texts; shows them. */
void assert_told(const struct failure *f, int result, enum error_code code, int errnum);

/* Waits for one; with BACKEND_EVENT_DOMAINS the number is not looked at. */
bool event_comes(unsigned wanted, uint16_t domid);
/* Drains; true if one of them was a NAME event of this domain. */
bool name_event_is_there(uint16_t domid);

/* Becomes the mapper's user, for good. */
void drop_privileges(void);

extern const struct CMUnitTest domain_tests[], frames_tests[], store_tests[];
extern const size_t domain_test_count, frames_test_count, store_test_count;

#endif
