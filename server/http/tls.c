/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/http/tls.h"

#include <microhttpd.h>
#include <string.h>

#include "common/clock.h"

enum {
    /* One handshake message: a chain of the longest certificates, and what frames it. Bounds what a
     * stranger can make us hold. */
    HANDSHAKE_MAX_BYTES = IDENTITY_CHAIN_MAX * (IDENTITY_CERTIFICATE_MAX_BYTES + 16) + 64,
    EXTENSION_SUPPORTED_VERSIONS = 43, /* RFC 8446, 4.2.1 */
    TLS_1_3 = 0x0304,
    /* TLS_PRIORITIES' suites: RFC 8446, appendix B.4. */
    TLS_AES_128_GCM_SHA256 = 0x1301,
    TLS_AES_256_GCM_SHA384 = 0x1302,
    HELLO_SESSION_ID_AT = 2 + 32, /* behind version and random: RFC 8446, 4.1.2 */
};

/* What the hooks find again through the session. */
static struct connection *connection_of(gnutls_session_t session)
{
    struct MHD_Connection *mhd = gnutls_session_get_ptr(session); /* the daemon sets it */
    const union MHD_ConnectionInfo *info;

    info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

static struct tally *tally_of(gnutls_session_t session)
{
    return gnutls_db_get_ptr(session); /* ours to use: there is no session database */
}

/* Tells the peer, the counters and the log; the daemon closes what fails, and says nothing. */
static void refuse(struct connection *c, gnutls_session_t session, enum listener_refusal why,
                   gnutls_alert_description_t alert, const char *detail)
{
    c->refused = true;
    c->linger = true; /* else the alert is lost: the client has sent its request already */
    tally_refuse(tally_of(session), why, c->peer, detail);
    (void)gnutls_alert_send(session, GNUTLS_AL_FATAL, alert);
}

/* A verification that fails must say why; if it does not (IDENTITY_OK), it is refused all the same. */
static const struct {
    enum listener_refusal why;
    gnutls_alert_description_t alert;
} faults[] = {
    [IDENTITY_OK] = { LISTENER_REFUSED_BAD_CERTIFICATE, GNUTLS_A_BAD_CERTIFICATE },
    [IDENTITY_NO_CERTIFICATE] = { LISTENER_REFUSED_NO_CERTIFICATE, GNUTLS_A_CERTIFICATE_REQUIRED },
    [IDENTITY_UNKNOWN_CA] = { LISTENER_REFUSED_UNKNOWN_CA, GNUTLS_A_UNKNOWN_CA },
    [IDENTITY_EXPIRED] = { LISTENER_REFUSED_EXPIRED, GNUTLS_A_CERTIFICATE_EXPIRED },
    [IDENTITY_REVOKED] = { LISTENER_REFUSED_REVOKED, GNUTLS_A_CERTIFICATE_REVOKED },
    [IDENTITY_UNCHECKED] = { LISTENER_REFUSED_UNCHECKED, GNUTLS_A_BAD_CERTIFICATE },
    [IDENTITY_NOT_SPOKEN_FOR] = { LISTENER_REFUSED_NOT_SPOKEN_FOR, GNUTLS_A_ACCESS_DENIED },
    [IDENTITY_BAD_CERTIFICATE] = { LISTENER_REFUSED_BAD_CERTIFICATE, GNUTLS_A_BAD_CERTIFICATE },
};

size_t tls_certificates(gnutls_session_t session, struct identity_der out[IDENTITY_CHAIN_MAX])
{
    unsigned count = 0;
    const gnutls_datum_t *certificates = gnutls_certificate_get_peers(session, &count);

    if (certificates == NULL || count > IDENTITY_CHAIN_MAX) {
        return 0;
    }
    for (unsigned i = 0; i < count; i++) {
        out[i] = (struct identity_der){ certificates[i].data, certificates[i].size };
    }
    return count;
}

static bool showed_none(gnutls_session_t session)
{
    unsigned count = 0;

    return gnutls_certificate_get_peers(session, &count) == NULL || count == 0;
}

/* Who proved in the handshake to be there, by `access`. */
static int identify(gnutls_session_t session, const struct access *access, struct identity *who,
                    enum identity_fault *fault, struct failure *f)
{
    struct identity_der chain[IDENTITY_CHAIN_MAX];
    size_t count = tls_certificates(session, chain);

    *fault = IDENTITY_NO_CERTIFICATE;
    if (showed_none(session)) {
        return -ERROR_UNAUTHENTICATED;
    }
    *fault = IDENTITY_BAD_CERTIFICATE;
    if (count == 0) {
        return failure_set(f, ERROR_UNAUTHENTICATED, "too many certificates");
    }
    return access_certificate(access, chain, count, (int64_t)(clock_wall_ns() / CLOCK_NS_PER_S),
                              who, fault, f);
}

/*
 * Runs when the client has proved that it holds the key of the certificate that it sent, and also
 * when it sent none. Fails closed: only a verified identity returns 0, or none where none is required,
 * which makes nobody known.
 */
static int verify(gnutls_session_t session)
{
    struct connection *c = connection_of(session);
    enum identity_fault fault;
    struct failure f = { 0 };

    if (c == NULL) {
        return GNUTLS_E_CERTIFICATE_ERROR;
    }
    if (c->may_be_anonymous && showed_none(session)) {
        c->anonymous = true;
        return 0;
    }
    if (identify(session, credentials_access(c->credentials), &c->who, &fault, &f) != 0) {
        refuse(c, session, faults[fault].why, faults[fault].alert,
               f.message[0] != '\0' ? f.message : NULL);
        return GNUTLS_E_CERTIFICATE_ERROR;
    }
    c->known = true;
    c->until_s = c->who.not_after_s;
    return 0;
}

/* `c->who` stays as it is, since exchanges that ended may still read it: the certificate is the same. */
void tls_verify_again(struct connection *c, struct tally *t)
{
    struct identity again;
    enum identity_fault fault;
    struct failure f = { 0 };

    c->known = identify(c->tls, credentials_access(c->judged), &again, &fault, &f) == 0;
    if (c->known) { /* by an authority, perhaps, that ends before the one that vouched before */
        c->until_s =
            again.not_after_s < c->who.not_after_s ? again.not_after_s : c->who.not_after_s;
    } else {
        tally_refuse(t, faults[fault].why, c->peer, f.message[0] != '\0' ? f.message : NULL);
    }
}

static int find_tls_1_3(void *arg, unsigned extension, const unsigned char *data, unsigned size)
{
    bool *found = arg;

    if (extension != EXTENSION_SUPPORTED_VERSIONS || size < 1) {
        return 0;
    }
    for (unsigned i = 1; i + 1 < size; i += 2) {
        if (((unsigned)data[i] << 8 | data[i + 1]) == TLS_1_3) {
            *found = true;
        }
    }
    return 0;
}

static unsigned two_bytes(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* Is a suite of ours among those offered? Hostile bytes: what is cut short offers none. */
static bool offers_suite(const gnutls_datum_t *hello)
{
    const uint8_t *at = hello->data;
    size_t left = hello->size;

    if (left <= HELLO_SESSION_ID_AT ||
        left < HELLO_SESSION_ID_AT + 1U + at[HELLO_SESSION_ID_AT] + 2) {
        return false;
    }
    size_t skip = HELLO_SESSION_ID_AT + 1U + at[HELLO_SESSION_ID_AT];
    size_t suites_bytes = two_bytes(at + skip);

    at += skip + 2;
    left -= skip + 2;
    for (size_t i = 0; i + 1 < suites_bytes && i + 1 < left; i += 2) {
        unsigned suite = two_bytes(at + i);

        if (suite == TLS_AES_128_GCM_SHA256 || suite == TLS_AES_256_GCM_SHA384) {
            return true;
        }
    }
    return false;
}

/* GnuTLS refuses by itself what is older or has no cipher of ours, but without the alert that tells why. */
static int look_at_hello(gnutls_session_t session, struct connection *c,
                         const gnutls_datum_t *hello)
{
    bool found = false;

    if (gnutls_ext_raw_parse(&found, find_tls_1_3, hello, GNUTLS_EXT_RAW_FLAG_TLS_CLIENT_HELLO) ==
            0 &&
        found) {
        if (offers_suite(hello)) {
            return 0;
        }
        refuse(c, session, LISTENER_REFUSED_HANDSHAKE, GNUTLS_A_HANDSHAKE_FAILURE,
               "offers none of our ciphers");
        return GNUTLS_E_NO_CIPHER_SUITES;
    }
    refuse(c, session, LISTENER_REFUSED_TLS_VERSION, GNUTLS_A_PROTOCOL_VERSION, NULL);
    return GNUTLS_E_UNSUPPORTED_VERSION_PACKET;
}

static int on_message(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
                      const gnutls_datum_t *message)
{
    struct connection *c = connection_of(session);

    if (c == NULL || incoming == 0) {
        return 0;
    }
    if (type == GNUTLS_HANDSHAKE_CLIENT_HELLO && when == GNUTLS_HOOK_PRE) {
        return look_at_hello(session, c, message);
    }
    if (type == GNUTLS_HANDSHAKE_FINISHED && when == GNUTLS_HOOK_POST) {
        atomic_fetch_add_explicit(&tally_of(session)->handshakes_done, 1, memory_order_relaxed);
        connection_enter(c, CONNECTION_IDLE);
    }
    return 0;
}

bool tls_begin(struct connection *c, struct tally *t, bool with_client_certificate,
               gnutls_session_t session)
{
    if (gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE,
                               credentials_gnutls(c->credentials)) != 0) {
        return false;
    }
    c->tls = session;
    gnutls_transport_set_ptr2(session, &c->inflow, &c->outflow);
    inflow_begin(&c->inflow, c->fd, session);
    outflow_begin(&c->outflow, c->fd, session);
    gnutls_db_set_ptr(session, t);
    gnutls_handshake_set_max_packet_length(session, HANDSHAKE_MAX_BYTES);
    if (with_client_certificate) {
        /* Requested and not required in GnuTLS' sense, which would refuse without calling verify(). */
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
        gnutls_session_set_verify_function(session, verify);
    }
    gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_ANY, GNUTLS_HOOK_BOTH, on_message);
    return true;
}

int tls_no_certificate(gnutls_session_t session, const gnutls_datum_t *ca_names, int ca_count,
                       const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                       gnutls_pcert_st **chain, unsigned *chain_len, gnutls_privkey_t *key)
{
    (void)session, (void)ca_names, (void)ca_count, (void)algorithms, (void)algorithm_count;
    *chain = NULL;
    *chain_len = 0;
    *key = NULL;
    return -1;
}
