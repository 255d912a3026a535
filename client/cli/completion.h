/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Shell completion, made of the tables of verbs, options and choices. */
#ifndef XENRES_CLI_COMPLETION_H
#define XENRES_CLI_COMPLETION_H

#include "common/buffer.h"

/*
 * The script that teaches a shell. All words in it are the tables' own. Domains are asked for when
 * the user completes one and XENRES_SERVER is set: quietly, for a second at most, by
 * `xenres domains --names`, which gives nothing that a shell would have to quote; they are compared
 * and offered as they are, and nothing evaluates them.
 */
void completion_bash(struct buffer *out);
void completion_zsh(struct buffer *out);

#endif
