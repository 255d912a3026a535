/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The head of an answer with status 200, looked at before any byte behind it is taken. */
#ifndef XENRES_CLIENT_HEAD_H
#define XENRES_CLIENT_HEAD_H

#include "client/transport.h"

/* A header's value is `type`, or `type` with parameters behind. Any case. */
bool head_is_type(const char *value, const char *type);

/*
 * -ERROR_INTERNAL where the answer is not of the type, where its body has no stated end (cut, it
 * could pass for whole), or where the header that names the messages' encoding names another than
 * those that were offered: identity, and gzip unless the handle declines it.
 */
int head_check(xenres *handle, const char *type, const char *encoding_header, bool *is_gzip,
               struct fault *fault);

#endif
