/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/http/tally.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/clock.h"
#include "common/log.h"

static const struct {
    const char *name, *text;
} refusals[LISTENER_REFUSAL_COUNT] = {
    [LISTENER_REFUSED_CONNECTIONS] = { "connections", "too many connections in all" },
    [LISTENER_REFUSED_ADDRESS] = { "address", "too many connections from that address" },
    [LISTENER_REFUSED_HANDSHAKES] = { "handshakes", "too many TLS handshakes, or failing ones" },
    [LISTENER_REFUSED_MEMORY] = { "memory", "out of memory" },
    [LISTENER_REFUSED_TLS_VERSION] = { "tls_version", "does not speak TLS 1.3" },
    [LISTENER_REFUSED_NO_CERTIFICATE] = { "no_certificate", "showed no certificate" },
    [LISTENER_REFUSED_UNKNOWN_CA] = { "unknown_ca", "certificate of an unknown authority" },
    [LISTENER_REFUSED_EXPIRED] = { "expired", "certificate expired or not yet valid" },
    [LISTENER_REFUSED_REVOKED] = { "revoked", "certificate revoked" },
    [LISTENER_REFUSED_UNCHECKED] = { "unchecked", "certificate whose revocation is not known" },
    [LISTENER_REFUSED_NOT_SPOKEN_FOR] = { "not_spoken_for",
                                          "certificate of an authority that may not give it" },
    [LISTENER_REFUSED_BAD_CERTIFICATE] = { "bad_certificate", "certificate unfit" },
    [LISTENER_REFUSED_HANDSHAKE] = { "handshake", "TLS handshake failed or was given up" },
    [LISTENER_REFUSED_HANDSHAKE_TIMEOUT] = { "handshake_timeout", "TLS handshake too slow" },
    [LISTENER_ENDED_SLOW_REQUEST] = { "slow_request", "request not complete in time" },
    [LISTENER_ENDED_SLOW_READER] = { "slow_reader", "reads its answer too slowly" },
};

const char *listener_refusal_name(enum listener_refusal r)
{
    return refusals[r].name;
}

void tally_init(struct tally *t)
{
    *t = (struct tally){ .period_start_ns = clock_monotonic_ns() };
    (void)pthread_mutex_init(&t->lock, NULL);
}

void tally_done(struct tally *t)
{
    (void)pthread_mutex_destroy(&t->lock);
}

/* True if there is still a line to write; `*left_out`: how many the period that has just ended hid. */
static bool take_line(struct tally *t, uint64_t *left_out)
{
    uint64_t now_ns = clock_monotonic_ns();
    bool taken;

    (void)pthread_mutex_lock(&t->lock);
    *left_out = 0;
    if (now_ns - t->period_start_ns >= TALLY_PERIOD_S * CLOCK_NS_PER_S) {
        *left_out = t->left_out;
        t->period_start_ns = now_ns;
        t->lines = 0;
        t->left_out = 0;
    }
    taken = t->lines < TALLY_LINES;
    if (taken) {
        t->lines++;
    } else {
        t->left_out++;
    }
    (void)pthread_mutex_unlock(&t->lock);
    return taken;
}

/* Who could not show who he is, and who is one too many. A handshake that failed or was not finished may be
 * one whose client does not hold the key of the certificate that he showed. What else goes wrong decides
 * nothing. */
static void tell_audit(const struct tally *t, enum listener_refusal why, const char *peer,
                       const char *detail)
{
    bool is_limit = why == LISTENER_REFUSED_CONNECTIONS || why == LISTENER_REFUSED_ADDRESS ||
                    why == LISTENER_REFUSED_HANDSHAKES;
    const struct audit_record r = {
        .event = is_limit ? AUDIT_LIMIT : AUDIT_AUTHENTICATION_FAILED,
        .outcome = is_limit ? ERROR_RESOURCE_EXHAUSTED : ERROR_UNAUTHENTICATED,
        .peer = peer,
        .reason = refusals[why].name,
        .detail = detail != NULL ? detail : refusals[why].text,
    };

    if (is_limit ||
        (why >= LISTENER_REFUSED_TLS_VERSION && why <= LISTENER_REFUSED_HANDSHAKE_TIMEOUT)) {
        (void)audit_write(t->audit, &r, NULL);
    }
}

void tally_refuse(struct tally *t, enum listener_refusal why, const char *peer, const char *detail)
{
    uint64_t left_out;

    atomic_fetch_add_explicit(&t->refused[why], 1, memory_order_relaxed);
    tell_audit(t, why, peer, detail);
    if (take_line(t, &left_out)) {
        log_info("%s: %s: %s%s%s", peer, why < LISTENER_ENDED_SLOW_REQUEST ? "refused" : "ended",
                 refusals[why].text, detail != NULL ? ": " : "", detail != NULL ? detail : "");
    }
    if (left_out > 0) {
        log_info("%" PRIu64 " more refusals in %d s were not logged one by one", left_out,
                 TALLY_PERIOD_S);
    }
}
