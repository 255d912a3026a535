/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What `xenresd init` writes that people read and change. Each is complete, and passes --check. */
#ifndef XENRES_SERVER_INIT_TEXTS_H
#define XENRES_SERVER_INIT_TEXTS_H

#include "common/buffer.h"
#include "server/init.h"

enum { INIT_TEXT_MAX_BYTES = 32768 };

void init_text_config(struct buffer *out, const struct init_options *options);
void init_text_policy(struct buffer *out, const struct init_options *options);
void init_text_export(struct buffer *out, const struct init_options *options);
void init_text_deny(struct buffer *out, const struct init_options *options);

#endif
