/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What becomes of each message of a stream that is followed: judged, and handed to the callbacks where
 * it is new. */
#ifndef XENRES_CLIENT_FOLLOW_MESSAGE_H
#define XENRES_CLIENT_FOLLOW_MESSAGE_H

#include "client/follow.h"

/* The next message. 0 with f->stream.is_over: it was the last. Negative: f->stream.is_final says whether
 * the stream was cut by it (the gateway stops, and there will be another one), or all is over. */
int follow_take(struct follow *f, xenres_stream *stream, xenres_reply *reply, struct fault *fault);

/* Tells an end that the gateway did not say, and that it is not known how much is lost. */
int follow_tell_end(struct follow *f, uint32_t reason, const char *message, struct fault *fault);

#endif
