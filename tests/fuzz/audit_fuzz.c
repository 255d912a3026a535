/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Any bytes as an audit's file, as a checkpoint from elsewhere, and cut into files and pieces anywhere: the
 * verifier reads nothing beyond them, never says that its word reaches further than what was there, and says
 * the same of the same bytes however they came.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "auth/audit_verify.h"

enum { STEPS_MAX = 100 }; /* a file may claim to begin anywhere */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static int verify(const uint8_t *key, const uint8_t *public_key, const char *bytes, size_t len,
                  size_t piece, struct audit_report *report)
{
    const struct audit_verify_options options = { .key = key,
                                                  .public_key = public_key,
                                                  .steps_max = STEPS_MAX };
    struct audit_verifier *v = NULL;

    check(audit_verifier_new(&options, &v, NULL) == 0);
    (void)audit_verify_anchor(v, bytes, len < AUDIT_LINE_MAX_BYTES ? len : AUDIT_LINE_MAX_BYTES,
                              NULL);
    (void)audit_verify_file(v, "fuzz", NULL);
    while (len > 0) {
        size_t now = len < piece ? len : piece;

        (void)audit_verify_bytes(v, bytes, now, NULL);
        bytes += now;
        len -= now;
    }
    int result = audit_verify_end(v, report, NULL);

    audit_verifier_free(v);
    check(report->verified_sequence <= report->last_sequence &&
          report->checkpoint_sequence <= report->last_sequence);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[AUDIT_KEY_BYTES] = { 1 };
    struct audit_report whole, pieces, with_key;
    struct audit_line line;

    memset(&whole, 0, sizeof whole);
    memset(&pieces, 0, sizeof pieces);
    const char *bytes = (const char *)data;
    const char *end = size > 0 ? memchr(bytes, '\n', size) : NULL;

    if (end != NULL && audit_line_parse(bytes, (size_t)(end - bytes) + 1, &line)) {
        check(line.sequence > 0 &&
              line.covered_len + AUDIT_TAIL_BYTES == (size_t)(end - bytes) + 1);
    }
    int first = verify(NULL, key, bytes, size, size + 1, &whole);
    int second = verify(NULL, key, bytes, size, 7, &pieces);

    check(first == second && whole.records == pieces.records &&
          whole.last_sequence == pieces.last_sequence && whole.torn_bytes == pieces.torn_bytes);
    (void)verify(key, NULL, bytes, size, size + 1, &with_key);
    check(with_key.records == 0); /* nobody has made any with this key */
    return 0;
}
