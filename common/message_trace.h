/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The part of message_check() that is about traces: a field that is not as it has to be, by name; NULL: all
 * are. Pure, any thread.
 */
#ifndef XENRES_COMMON_MESSAGE_TRACE_H
#define XENRES_COMMON_MESSAGE_TRACE_H

#include "common/message.h"

const char *message_check_trace_start(const union message *m);
const char *message_check_trace_answer(const union message *m);
const char *message_check_trace_stop(const union message *m);
const char *message_check_trace_renew(const union message *m);
const char *message_check_traces(const union message *m);
const char *message_check_traces_answer(const union message *m);
const char *message_check_trace_vcpus(const union message *m);
const char *message_check_trace_vcpus_answer(const union message *m);

#endif
