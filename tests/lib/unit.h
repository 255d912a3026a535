/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* cmocka with the headers that it wants before it, in the order in which it wants them. */
#ifndef XENRES_TESTS_UNIT_H
#define XENRES_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Runs an array of cmocka_unit_test() rows; the exit status of main(). */
#define UNIT_RUN(tests) cmocka_run_group_tests(tests, NULL, NULL)

#endif
