/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Intel PT packets in words: "tnt.8  3  !.!", "tip  2: 0000000081000000". Pure. */
#ifndef XENRES_CLI_TRACE_PACKET_TEXT_H
#define XENRES_CLI_TRACE_PACKET_TEXT_H

#include <intel-pt.h>

#include "common/buffer.h"

enum { TRACE_PACKET_KINDS = 48 };

/* libipt's number of it, or TRACE_PACKET_KINDS - 1 for one that a later libipt knows. */
int trace_packet_kind_of(const struct pt_packet *packet);
const char *trace_packet_kind_name(int kind);
void trace_packet_print(struct buffer *out, const struct pt_packet *packet);

#endif
