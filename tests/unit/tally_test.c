/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Whom the listener refused is counted, and in the audit where he did not show who he is, or was one too many. */
#include "server/http/tally.h"

#include "tests/lib/audit_rig.h"

/* The audit's event for a refusal; NULL: it decides nothing. */
static const char *event_of(enum listener_refusal why)
{
    switch (why) {
    case LISTENER_REFUSED_CONNECTIONS:
    case LISTENER_REFUSED_ADDRESS:
    case LISTENER_REFUSED_HANDSHAKES: return "limit\",\"outcome\":\"resource_exhausted";
    case LISTENER_REFUSED_MEMORY:
    case LISTENER_ENDED_SLOW_REQUEST:
    case LISTENER_ENDED_SLOW_READER: return NULL;
    default: return "authentication_failed\",\"outcome\":\"unauthenticated";
    }
}

static void every_refusal_of_somebody_is_in_the_audit(void **state)
{
    struct audit_rig *r = *state;
    struct tally t;

    audit_rig_start(r);
    tally_init(&t);
    t.audit = r->audit;
    for (int why = 0; why < LISTENER_REFUSAL_COUNT; why++) {
        tally_refuse(&t, (enum listener_refusal)why, "192.0.2.9:1", NULL);
        assert_int_equal(atomic_load(&t.refused[why]), 1);
    }
    audit_rig_stop(r);
    for (int why = 0; why < LISTENER_REFUSAL_COUNT; why++) {
        const char *event = event_of((enum listener_refusal)why);
        char text[256];

        snprintf(text, sizeof(text), "\"event\":\"%s\",\"peer\":\"192.0.2.9:1\",\"reason\":\"%s\"",
                 event != NULL ? event : "", listener_refusal_name((enum listener_refusal)why));
        if (audit_rig_count(r, text) != (event != NULL)) {
            fail_msg("%s", text);
        }
        snprintf(text, sizeof(text), "\"reason\":\"%s\"",
                 listener_refusal_name((enum listener_refusal)why));
        assert_int_equal(audit_rig_count(r, text), event != NULL);
    }
    tally_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AUDIT_RIG_TEST(every_refusal_of_somebody_is_in_the_audit),
    };

    return UNIT_RUN(tests);
}
