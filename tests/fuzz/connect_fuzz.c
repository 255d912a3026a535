/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Any bytes as a request's head and body ("POST /path", headers, an empty line, the body), through
 * the whole of an exchange, with handlers that answer at once. Whatever it is, the answer is a
 * well-formed one, and nothing stays taken. The length chooses by how much a stream is read at a time.
 */
#include "tests/lib/connect_answer.h"
#include "tests/lib/echo_rig.h"

#include <stdio.h>

#include "common/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* For as long as the process lives: a rig has threads. */
static struct echo_rig *shared_rig(void)
{
    static struct echo_rig rig;
    static bool made;

    if (!made) {
        log_open("connect_fuzz", LOG_LEVEL_ERROR);
        echo_rig_init(&rig, 1 << 17, 1 << 18, "https://dash.example");
        made = true;
    }
    return &rig;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct echo_rig *r = shared_rig();
    struct echo_request q;
    struct answer a;
    char *text = malloc(size + 1);

    if (text == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    echo_parse(&q, text, size);
    struct exchange *x = echo_send(r, &q, strcmp(q.method, "PUT") != 0 ? &r->who : NULL);
    const char *wrong = answer_read(&a, x, 1 + size % 5000);

    if (wrong != NULL) {
        (void)fprintf(stderr, "%s: %s\n", q.target, wrong);
        abort();
    }
    answer_done(&a);
    exchange_free(x);
    free(text);
    return 0;
}
