/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Holds an answer against its question. message_check() has seen that the bytes are a message; here
 * is decided whether it can be the answer to what was asked: the type, the range of frames, their
 * number and size, the order of domains. What is not is a contradiction: -ERROR_INTERNAL, and the
 * caller drops the connection rather than serve it. Pure, any thread.
 */
#ifndef XENRES_RESOURCE_MAPPER_ANSWER_H
#define XENRES_RESOURCE_MAPPER_ANSWER_H

#include "common/error.h"
#include "common/message.h"

/* What of a request its answer is held against. */
struct mapper_question {
    uint16_t type; /* enum message_type */
    /* Of SNAPSHOT, as are first_frame, frame_count, flags; `resource` also of WATCH; of TRACE_VCPUS `id`
     * is the first vCPU. */
    uint32_t resource, id;
    uint32_t first_frame, frame_count, flags;
    uint32_t first_domid; /* of DOMAINS, TRACES */
    bool one;             /* of TRACES */
    union {
        uint8_t trace_id[16];    /* of TRACE_STOP, TRACE_RENEW */
        uint8_t incarnation[16]; /* of TRACE_START */
    };
};

struct mapper_question mapper_question_of(const union message *request);

/* `answer` has passed message_check(). A FAILED message answers any question. */
int mapper_answer_check(const struct mapper_question *q, const union message *answer,
                        struct failure *f);

/* The slot that an answer names; NULL for those that have none. */
const struct message_slot *mapper_answer_slot(const union message *answer);

enum { MAPPER_HELLO_FDS = 2 }; /* the arena's, and the doorbell's end to wait at */
/* How many descriptors come with a message: with another number it is none of this release. */
size_t mapper_answer_fd_count(const union message *answer);

#endif
