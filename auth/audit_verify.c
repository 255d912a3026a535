/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/audit_verify.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct anchor {
    uint64_t sequence;
    uint8_t digest[AUDIT_DIGEST_BYTES]; /* of its line alone */
    uint8_t chain[AUDIT_ID_BYTES];
    char time[AUDIT_TIME_BYTES];
};

struct audit_verifier {
    struct audit_crypto *crypto;
    bool has_key, has_public_key;
    uint8_t public_key[AUDIT_SIGNING_KEY_BYTES];
    uint64_t steps_max, expected_last;
    struct audit_link link; /* of the record that comes next; sequence 0: none was read yet */
    uint8_t key_chain[AUDIT_ID_BYTES], chain[AUDIT_ID_BYTES];

    struct anchor *anchors;
    size_t anchor_count, next_anchor;
    bool is_begun;

    char name[AUDIT_VERIFY_NAME_BYTES];
    uint64_t line_number;
    bool is_file_first; /* the next line is its file's first */
    bool was_torn;      /* the file before ended within a line */
    char line[AUDIT_LINE_MAX_BYTES];
    size_t line_len;

    struct audit_report report;
    struct failure fault; /* code 0: none yet */
};

/* --- life ------------------------------------------------------------------------------------------ */

int audit_verifier_new(const struct audit_verify_options *options, struct audit_verifier **out,
                       struct failure *f)
{
    assert(options->key != NULL || options->public_key != NULL);
    struct audit_verifier *v = calloc(1, sizeof *v);

    if (v == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory");
    }
    int result = audit_crypto_new(&v->crypto, f);

    if (result == 0 && options->key != NULL) {
        v->has_key = true;
        audit_link_first(&v->link, options->key);
        if (audit_chain_id(v->crypto, options->key, v->key_chain) != 0) {
            result = failure_set(f, ERROR_INTERNAL, "cannot compute MACs");
        }
    }
    if (result != 0) {
        audit_verifier_free(v);
        return result;
    }
    v->link.sequence = 0;
    v->has_public_key = options->public_key != NULL;
    if (v->has_public_key) {
        memcpy(v->public_key, options->public_key, sizeof v->public_key);
    }
    v->steps_max = options->steps_max;
    v->expected_last = options->expected_last;
    *out = v;
    return 0;
}

void audit_verifier_free(struct audit_verifier *v)
{
    if (v != NULL) {
        audit_crypto_free(v->crypto);
        free(v->anchors);
        OPENSSL_cleanse(v, sizeof *v);
        free(v);
    }
}

/* --- faults ------------------------------------------------------------------------------------------ */

/* The first one stands. */
static int fault(struct audit_verifier *v, const char *what, uint64_t sequence)
{
    if (v->fault.code == 0) {
        (void)failure_set(&v->fault, ERROR_DATA_LOSS, "%s:%llu: %s", v->name,
                          (unsigned long long)v->line_number, what);
        if (sequence > 0) {
            (void)failure_cause(&v->fault, 0, "record %llu was to come",
                                (unsigned long long)sequence);
        }
    }
    return -ERROR_DATA_LOSS;
}

static int tell(const struct audit_verifier *v, struct failure *f)
{
    if (v->fault.code != 0 && f != NULL) {
        *f = v->fault;
    }
    return -v->fault.code;
}

/* --- checkpoints from elsewhere ---------------------------------------------------------------------- */

static int refuse_anchor(struct failure *f, const char *why)
{
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "a checkpoint %s", why);

    return failure_next(f, result, "give them as journalctl -o cat prints them");
}

static int digest_alone(struct audit_verifier *v, const char *line, size_t len,
                        uint8_t digest[AUDIT_DIGEST_BYTES])
{
    static const struct audit_link nothing;

    return audit_chain_digest(v->crypto, &nothing, line, len, digest);
}

static bool add_anchor(struct audit_verifier *v, const struct anchor *a)
{
    if ((v->anchor_count & (v->anchor_count - 1)) == 0) { /* full at each power of two */
        size_t room = v->anchor_count == 0 ? 1 : 2 * v->anchor_count;
        struct anchor *grown = reallocarray(v->anchors, room, sizeof *grown);

        if (grown == NULL) {
            return false;
        }
        v->anchors = grown;
    }
    v->anchors[v->anchor_count++] = *a;
    return true;
}

int audit_verify_anchor(struct audit_verifier *v, const char *line, size_t len, struct failure *f)
{
    char whole[AUDIT_LINE_MAX_BYTES];
    struct audit_line read;
    struct anchor a = { 0 };

    assert(!v->is_begun);
    len -= len > 0 && line[len - 1] == '\n' ? 1 : 0;
    if (len + 1 > sizeof whole) {
        return refuse_anchor(f, "is too long");
    }
    memcpy(whole, line, len);
    whole[len] = '\n';
    if (!audit_line_parse(whole, len + 1, &read) || read.event != AUDIT_CHECKPOINT) {
        return refuse_anchor(f, "is none");
    }
    if (v->has_public_key && !audit_chain_signed(v->public_key, whole, read.checkpoint.signed_len,
                                                 read.checkpoint.signature)) {
        return refuse_anchor(f, "was not signed with this key");
    }
    if (v->anchor_count == AUDIT_ANCHORS_MAX) {
        return refuse_anchor(f, "is one too many");
    }
    a.sequence = read.sequence;
    memcpy(a.chain, read.chain, sizeof a.chain);
    memcpy(a.time, read.time, sizeof a.time);
    if (digest_alone(v, whole, len + 1, a.digest) != 0 || !add_anchor(v, &a)) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory");
    }
    return 0;
}

static int compare_anchors(const void *left, const void *right)
{
    const struct anchor *a = left, *b = right;

    return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

static bool is_of_chain(const struct audit_verifier *v, const struct anchor *a)
{
    return memcmp(a->chain, v->chain, sizeof a->chain) == 0;
}

/* The line with this sequence is the one that was a checkpoint elsewhere, if one was. */
static bool agrees_with_anchors(struct audit_verifier *v, uint64_t sequence, size_t len)
{
    uint8_t digest[AUDIT_DIGEST_BYTES];
    bool agrees = true;

    while (v->next_anchor < v->anchor_count && v->anchors[v->next_anchor].sequence <= sequence) {
        const struct anchor *a = &v->anchors[v->next_anchor++];

        if (a->sequence == sequence && is_of_chain(v, a)) {
            agrees = agrees && digest_alone(v, v->line, len, digest) == 0 &&
                     memcmp(digest, a->digest, sizeof digest) == 0;
        }
    }
    return agrees;
}

/* --- a line ------------------------------------------------------------------------------------------- */

/* The very first one: where it stands in the chain it says itself, and with the key has to prove. */
static int take_beginning(struct audit_verifier *v, const struct audit_line *line)
{
    static const uint8_t zeros[AUDIT_DIGEST_BYTES];

    if (v->has_key && line->sequence - 1 > v->steps_max) {
        return fault(v, "its number is beyond what can be checked", 0);
    }
    if (line->sequence == 1 && (memcmp(line->previous.mac, zeros, sizeof line->previous.mac) != 0 ||
                                memcmp(line->previous.digest, zeros, sizeof zeros) != 0)) {
        return fault(v, "the first record of all says that others were before it", 0);
    }
    for (uint64_t n = 1; v->has_key && n < line->sequence; n++) {
        if (audit_chain_next_key(v->crypto, v->link.key) != 0) {
            return fault(v, "its key could not be computed", 0);
        }
    }
    v->link.sequence = line->sequence;
    memcpy(v->link.mac, line->previous.mac, sizeof v->link.mac);
    memcpy(v->link.digest, line->previous.digest, sizeof v->link.digest);
    memcpy(v->chain, line->chain, sizeof v->chain);
    v->report.first_sequence = line->sequence;
    return v->has_key && memcmp(v->chain, v->key_chain, sizeof v->chain) != 0
               ? fault(v, "the file is of another chain than the key", 0)
               : 0;
}

/* A file's first line ties it to the file before. */
static int check_file_begun(struct audit_verifier *v, const struct audit_line *line)
{
    if (line->event != AUDIT_FILE_BEGUN) {
        return fault(v, "the file does not begin with its first record", v->link.sequence);
    }
    if (v->was_torn && !line->previous.is_broken) {
        return fault(v, "the file before it ends within a line", v->link.sequence);
    }
    v->was_torn = false;
    if (v->link.sequence == 0) {
        return take_beginning(v, line);
    }
    return memcmp(line->chain, v->chain, sizeof v->chain) != 0 ||
                   memcmp(line->previous.mac, v->link.mac, sizeof v->link.mac) != 0 ||
                   memcmp(line->previous.digest, v->link.digest, sizeof v->link.digest) != 0
               ? fault(v, "the file does not follow the one before it", v->link.sequence)
               : 0;
}

static int check_mac(struct audit_verifier *v, const struct audit_line *line,
                     const uint8_t digest[AUDIT_DIGEST_BYTES])
{
    uint8_t mac[AUDIT_MAC_BYTES];

    if (v->has_key && (audit_chain_mac(v->crypto, v->link.key, digest, mac) != 0 ||
                       CRYPTO_memcmp(mac, line->mac, sizeof mac) != 0)) {
        return fault(v, "the record is not as it was written", 0);
    }
    return 0;
}

static int check_checkpoint(struct audit_verifier *v, const struct audit_line *line)
{
    uint8_t sum[AUDIT_DIGEST_BYTES];

    if (audit_chain_sum(v->crypto, &v->link, sum) != 0 ||
        memcmp(line->chain, v->chain, sizeof v->chain) != 0 ||
        memcmp(line->checkpoint.digest, sum, sizeof sum) != 0) {
        return fault(v, "a record since the last checkpoint is not as it was written", 0);
    }
    if (!v->has_public_key) {
        return 0;
    }
    if (!audit_chain_signed(v->public_key, v->line, line->checkpoint.signed_len,
                            line->checkpoint.signature)) {
        return fault(v, "the checkpoint was not signed with this key", 0);
    }
    v->report.checkpoint_sequence = line->sequence;
    memcpy(v->report.checkpoint_time, line->time, sizeof line->time);
    return 0;
}

static void note_verified(struct audit_verifier *v, const struct audit_line *line)
{
    v->report.records++;
    v->report.last_sequence = line->sequence;
    if (v->has_key || line->event == AUDIT_CHECKPOINT) {
        v->report.verified_sequence = line->sequence;
        memcpy(v->report.verified_time, line->time, sizeof line->time);
    }
}

static int take_line(struct audit_verifier *v)
{
    struct audit_line line;
    uint8_t digest[AUDIT_DIGEST_BYTES];

    v->line_number++;
    if (!audit_line_parse(v->line, v->line_len, &line)) {
        return fault(v, "this is no record", v->link.sequence);
    }
    if (v->is_file_first ? check_file_begun(v, &line) != 0 : line.event == AUDIT_FILE_BEGUN) {
        return fault(v, "two files were put together here",
                     v->link.sequence); /* or what was found */
    }
    if (line.sequence != v->link.sequence) {
        return fault(v,
                     line.sequence > v->link.sequence
                         ? "records are missing before this one"
                         : "the record was there before, or stands in another's place",
                     v->link.sequence);
    }
    if (audit_chain_digest(v->crypto, &v->link, v->line, line.covered_len, digest) != 0) {
        return fault(v, "it could not be computed", 0);
    }
    if (check_mac(v, &line, digest) != 0 ||
        (line.event == AUDIT_CHECKPOINT && check_checkpoint(v, &line) != 0)) {
        return -ERROR_DATA_LOSS;
    }
    if (!agrees_with_anchors(v, line.sequence, v->line_len)) {
        return fault(v, "the record is not the checkpoint that is known from elsewhere", 0);
    }
    note_verified(v, &line);
    v->is_file_first = false;
    v->link.sequence++;
    memcpy(v->link.mac, line.mac, sizeof v->link.mac);
    memcpy(v->link.digest, digest, sizeof v->link.digest);
    return !v->has_key || audit_chain_next_key(v->crypto, v->link.key) == 0
               ? 0
               : fault(v, "it could not be computed", 0);
}

/* --- files ---------------------------------------------------------------------------------------------- */

int audit_verify_file(struct audit_verifier *v, const char *name, struct failure *f)
{
    if (!v->is_begun && v->anchor_count > 0) {
        qsort(v->anchors, v->anchor_count, sizeof *v->anchors, compare_anchors);
    }
    v->is_begun = true;
    v->was_torn = v->was_torn || v->line_len > 0;
    v->line_len = 0;
    (void)snprintf(v->name, sizeof v->name, "%s", name);
    v->line_number = 0;
    v->is_file_first = true;
    return tell(v, f);
}

int audit_verify_bytes(struct audit_verifier *v, const char *bytes, size_t len, struct failure *f)
{
    while (len > 0 && v->fault.code == 0) {
        const char *end = memchr(bytes, '\n', len);
        size_t piece = end != NULL ? (size_t)(end - bytes) + 1 : len;

        if (piece > sizeof v->line - v->line_len) {
            v->line_number++;
            (void)fault(v, "a line is longer than any record", v->link.sequence);
            break;
        }
        memcpy(v->line + v->line_len, bytes, piece);
        v->line_len += piece;
        bytes += piece;
        len -= piece;
        if (end != NULL) {
            (void)take_line(v);
            v->line_len = v->fault.code == 0 ? 0 : v->line_len;
        }
    }
    return tell(v, f);
}

/* That the end is there, as far as it is known from elsewhere. */
static void check_end(struct audit_verifier *v)
{
    const struct anchor *last = NULL;

    for (size_t i = v->next_anchor; i < v->anchor_count; i++) {
        if (v->link.sequence == 0 || is_of_chain(v, &v->anchors[i])) {
            last = &v->anchors[i];
        }
    }
    v->line_number++;
    if (last != NULL) {
        (void)fault(v, "the end is missing: a later checkpoint is known from elsewhere",
                    v->link.sequence);
        (void)failure_cause(&v->fault, 0, "records were written up to %llu at least, at %s",
                            (unsigned long long)last->sequence, last->time);
    } else if (v->expected_last > v->report.last_sequence) {
        (void)fault(v, "the end is missing: the state is of a later record", v->link.sequence);
        (void)failure_cause(&v->fault, 0, "records were written up to %llu",
                            (unsigned long long)v->expected_last);
    } else if (v->was_torn) {
        (void)fault(v, "the file before it ends within a line", 0);
    }
}

int audit_verify_end(struct audit_verifier *v, struct audit_report *report, struct failure *f)
{
    if (v->fault.code == 0) {
        check_end(v);
    }
    *report = v->report;
    report->torn_bytes = v->fault.code == 0 ? v->line_len : 0;
    return tell(v, f);
}
