/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/examine_part.h"

#include <openssl/err.h>
#include <openssl/pem.h>

enum { HOUR_S = 3600, SOON_S = EXAMINE_LIST_SOON_DAYS * 86400, SOON_FRACTION = 4 };

struct looking {
    const struct examine_options *o;
    bool accept_expired;
    struct examine_file authorities;
    bool has_list[EXAMINE_CERTIFICATES_MAX]; /* of each authority */
};

static void check_times(const struct looking *l, const X509_CRL *list, const char *issuer,
                        unsigned line)
{
    int64_t begin_s = examine_seconds(X509_CRL_get0_lastUpdate(list));
    int64_t end_s = X509_CRL_get0_nextUpdate(list) != NULL
                        ? examine_seconds(X509_CRL_get0_nextUpdate(list))
                        : INT64_MIN;
    int64_t left_s = end_s - l->o->now_s;
    char when[EXAMINE_DATE_BYTES];

    examine_date(end_s, when);
    if (begin_s == INT64_MIN || end_s == INT64_MIN) {
        return; /* crl_parse() refuses it, and says why */
    }
    if (begin_s > l->o->now_s) {
        examine_date(begin_s, when);
        examine_tell(l->o, EXAMINE_FAULT, line,
                     "the list of \"%s\" is of %s, and whomever that authority has issued is "
                     "refused until then: set this host's clock, or fetch the list that counts now",
                     issuer, when);
    } else if (left_s < 0 && l->accept_expired) {
        examine_tell(l->o, EXAMINE_WARNING, line,
                     "the list of \"%s\" was to be replaced by %s, and counts all the same "
                     "(tls.expired_crl): fetch the new one",
                     issuer, when);
    } else if (left_s < 0) {
        examine_tell(l->o, EXAMINE_FAULT, line,
                     "the list of \"%s\" was to be replaced by %s, and whomever that authority has "
                     "issued is refused since: fetch the new one",
                     issuer, when);
    } else if (left_s < SOON_S && left_s < (end_s - begin_s) / SOON_FRACTION) {
        examine_tell(l->o, EXAMINE_WARNING, line,
                     "the list of \"%s\" is to be replaced within %lld hours, by %s: fetch the new "
                     "one",
                     issuer, (long long)(left_s / HOUR_S + 1), when);
    } else {
        examine_tell(l->o, EXAMINE_NOTE, line, "the list of \"%s\" counts until %s", issuer, when);
    }
}

static bool take_list(void *arg, const char *at, const char *end, unsigned line)
{
    struct looking *l = arg;
    BIO *bio = BIO_new_mem_buf(at, (int)(end - at));
    X509_CRL *list = bio != NULL ? PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL) : NULL;
    char issuer[EXAMINE_NAME_BYTES];
    bool is_known = false;

    BIO_free(bio);
    ERR_clear_error();
    if (list == NULL) {
        examine_tell(l->o, EXAMINE_FAULT, line,
                     "what begins here is no revocation list: fetch it again, whole");
        return true;
    }
    for (size_t i = 0; i < l->authorities.count; i++) {
        bool is_of = X509_NAME_cmp(X509_get_subject_name(l->authorities.items[i].x509),
                                   X509_CRL_get_issuer(list)) == 0;

        l->has_list[i] |= is_of;
        is_known |= is_of;
    }
    examine_name(X509_CRL_get_issuer(list), issuer);
    check_times(l, list, issuer, line);
    if (!is_known) {
        examine_tell(l->o, EXAMINE_WARNING, line,
                     "the list is by \"%s\", which is none of the authorities here: it counts only "
                     "where that one is below them; else put it with its own authority",
                     issuer);
    }
    X509_CRL_free(list);
    return true;
}

void examine_lists(const struct examine_options *o, const struct examine_lists *what)
{
    static const char *const labels[] = { PEM_STRING_X509_CRL, NULL };
    struct looking l = { .o = o, .accept_expired = what->accept_expired };
    char name[EXAMINE_NAME_BYTES];

    examine_read(&l.authorities, what->authorities, what->authorities_len_bytes);
    examine_each(what->lists, what->lists_len_bytes, labels, take_list, &l);
    for (size_t i = 0; i < l.authorities.count; i++) {
        if (!l.has_list[i]) {
            examine_name(X509_get_subject_name(l.authorities.items[i].x509), name);
            examine_tell(o, EXAMINE_FAULT, 0,
                         "there is no list of \"%s\", and whomever that authority has issued is "
                         "refused: add its list",
                         name);
        }
    }
    examine_file_done(&l.authorities);
}
