/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/opaque.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/certificate.h"
#include "auth/guarded_file.h"
#include "common/base64.h"
#include "common/text.h"

enum {
    ID_DIGITS = OPAQUE_ID_BYTES - 1,
    PREFIX_LEN = sizeof(OPAQUE_PREFIX) - 1,
    SECRET_BYTES = 32,
    SECRET_DIGITS = 43,
    LINE_MAX_BYTES = 1023,
    FIELDS = 6,
};

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
#define NO_GROUPS       "-"

struct opaque_set {
    size_t count;
    struct opaque_entry entries[OPAQUE_TOKENS_MAX];
};

/* --- fields ----------------------------------------------------------------------------------- */

bool opaque_date(int64_t seconds, char out[OPAQUE_DATE_BYTES])
{
    const time_t time = (time_t)seconds;
    struct tm parts;

    return seconds >= 0 && gmtime_r(&time, &parts) != NULL &&
           strftime(out, OPAQUE_DATE_BYTES, "%Y-%m-%dT%H:%M:%SZ", &parts) == OPAQUE_DATE_BYTES - 1;
}

/* Only what opaque_date() writes. */
static bool read_date(const char *text, int64_t *out)
{
    char again[OPAQUE_DATE_BYTES];
    struct tm parts = { 0 };
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts);

    if (end == NULL || *end != '\0') {
        return false;
    }
    *out = (int64_t)timegm(&parts);
    return opaque_date(*out, again) && strcmp(again, text) == 0;
}

static bool is_name(const char *text)
{
    size_t len = strlen(text);

    return len > 0 && len < OPAQUE_NAME_BYTES && strspn(text, NAME_CHARACTERS) == len;
}

static bool is_id(const char *text, size_t len)
{
    return len == ID_DIGITS && strspn(text, "0123456789abcdef") >= ID_DIGITS;
}

/* "a,b" as "a\0b\0\0". */
static bool read_groups(const char *text, char out[IDENTITY_GROUPS_BYTES])
{
    size_t len = strlen(text);

    memset(out, 0, IDENTITY_GROUPS_BYTES);
    if (strcmp(text, NO_GROUPS) == 0) {
        return true;
    }
    if (len == 0 || len + 2 > IDENTITY_GROUPS_BYTES || text[0] == ',' || text[len - 1] == ',' ||
        strstr(text, ",,") != NULL) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '!' || text[i] > '~') {
            return false;
        }
        out[i] = text[i] == ',' ? '\0' : text[i];
    }
    return true;
}

/* --- the file --------------------------------------------------------------------------------- */

/* What is wrong with the line; NULL: nothing. The line is cut into its fields. */
static const char *read_line(char *line, struct opaque_entry *out)
{
    char *fields[FIELDS], *rest = line;
    size_t count = 0;

    for (char *field; (field = strtok_r(rest, " \t", &rest)) != NULL; count++) {
        if (count == FIELDS) {
            return "it has more than the six fields NAME ID SALT HASH EXPIRES GROUPS";
        }
        fields[count] = field;
    }
    if (count != FIELDS) {
        return "it has not the six fields NAME ID SALT HASH EXPIRES GROUPS";
    }
    if (!is_name(fields[0])) {
        return "its name is not 1 to 64 of letters, digits, and _ . -";
    }
    if (!is_id(fields[1], strlen(fields[1]))) {
        return "its id is not 16 digits, hexadecimal and in lower case";
    }
    if (!text_to_hex(fields[2], out->salt, sizeof(out->salt))) {
        return "its salt is not 32 hexadecimal digits";
    }
    if (!text_to_hex(fields[3], out->hash, sizeof(out->hash))) {
        return "its hash is not 64 hexadecimal digits";
    }
    if (!read_date(fields[4], &out->expires_s)) {
        return "its end is no date as 2027-01-31T00:00:00Z";
    }
    if (!read_groups(fields[5], out->groups)) {
        return "its groups are not a list with commas between, or - for none, or too long";
    }
    memcpy(out->name, fields[0], strlen(fields[0]) + 1);
    memcpy(out->id, fields[1], OPAQUE_ID_BYTES);
    return NULL;
}

static const struct opaque_entry *find(const struct opaque_set *set, const char *id)
{
    for (size_t i = 0; i < set->count; i++) {
        if (memcmp(set->entries[i].id, id, ID_DIGITS) == 0) {
            return &set->entries[i];
        }
    }
    return NULL;
}

static int add_line(struct opaque_set *set, const char *name, const char *text, size_t len,
                    unsigned number, struct failure *f)
{
    char line[LINE_MAX_BYTES + 1];
    struct opaque_entry entry = { .line = number };
    const char *why = NULL;

    if (len > LINE_MAX_BYTES || memchr(text, '\0', len) != NULL) {
        why = "it is longer than 1023 bytes, or has a NUL in it";
    } else {
        memcpy(line, text, len);
        line[len] = '\0';
        if (line[0] == '#' || line[strspn(line, " \t")] == '\0') {
            return 0;
        }
        why = read_line(line, &entry);
    }
    if (why == NULL && set->count == OPAQUE_TOKENS_MAX) {
        why = "there are more than 1024 tokens";
    }
    if (why == NULL && find(set, entry.id) != NULL) {
        why = "its id is that of another line";
    }
    if (why != NULL) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "%s:%u: %s", name, number, why);
    }
    set->entries[set->count++] = entry;
    return 0;
}

int opaque_parse(const char *name, const char *text, size_t len, struct opaque_set **out,
                 struct failure *f)
{
    struct opaque_set *set = calloc(1, sizeof(*set)); /* pages that are not written are none */
    unsigned number = 1;

    if (set == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for %s", name);
    }
    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t line_len = end != NULL ? (size_t)(end - text) : len;
        int result = add_line(set, name, text, line_len, number++, f);

        if (result != 0) {
            opaque_free(set);
            return result;
        }
        line_len += end != NULL;
        text += line_len;
        len -= line_len;
    }
    *out = set;
    return 0;
}

int opaque_load(const char *path, struct opaque_set **out, struct failure *f)
{
    BUFFER_AUTO(content, OPAQUE_FILE_MAX_BYTES);
    int result = guarded_file_read(path, GUARDED_PUBLIC, &content, f);

    return result != 0 ? result
                       : opaque_parse(path, content.data != NULL ? (const char *)content.data : "",
                                      content.len_bytes, out, f);
}

void opaque_free(struct opaque_set *set)
{
    free(set);
}

size_t opaque_count(const struct opaque_set *set)
{
    return set->count;
}

const struct opaque_entry *opaque_at(const struct opaque_set *set, size_t index)
{
    return &set->entries[index];
}

/* --- tokens ----------------------------------------------------------------------------------- */

bool opaque_is_one(const char *token, size_t len)
{
    return len >= PREFIX_LEN && memcmp(token, OPAQUE_PREFIX, PREFIX_LEN) == 0;
}

static bool hash(const uint8_t salt[OPAQUE_SALT_BYTES], const char *token,
                 uint8_t out[OPAQUE_HASH_BYTES])
{
    size_t len = 0;

    return EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, salt, OPAQUE_SALT_BYTES,
                     (const unsigned char *)token, OPAQUE_TOKEN_BYTES - 1, out, OPAQUE_HASH_BYTES,
                     &len) != NULL &&
           len == OPAQUE_HASH_BYTES;
}

static bool is_well_formed(const char *token, size_t len)
{
    return len == OPAQUE_TOKEN_BYTES - 1 && opaque_is_one(token, len) &&
           is_id(token + PREFIX_LEN, ID_DIGITS) && token[PREFIX_LEN + ID_DIGITS] == '_';
}

int opaque_verify(const struct opaque_set *set, const char *token, size_t len, int64_t now_s,
                  struct token *out, struct failure *f)
{
    const struct opaque_entry *e;
    uint8_t digest[OPAQUE_HASH_BYTES];

    if (!is_well_formed(token, len)) {
        return token_refuse(f, TOKEN_MALFORMED, "it is not xr_, 16 digits, _ and 43 characters");
    }
    e = find(set, token + PREFIX_LEN);
    if (e == NULL) {
        return token_refuse(f, TOKEN_UNKNOWN, "no line of the file of tokens has the id %.16s",
                            token + PREFIX_LEN);
    }
    /* How long a wrong one takes must not tell how much of it was right. */
    if (!hash(e->salt, token, digest) || CRYPTO_memcmp(digest, e->hash, sizeof(digest)) != 0) {
        return token_refuse(f, TOKEN_SIGNATURE, "it has the id %s of %s, and another secret", e->id,
                            e->name);
    }
    if (now_s >= e->expires_s) {
        return token_refuse(f, TOKEN_EXPIRED, "token %s of %s ended %lld s ago", e->id, e->name,
                            (long long)(now_s - e->expires_s));
    }
    *out = (struct token){ .who = { .not_after_s = e->expires_s - 1 } };
    (void)snprintf(out->who.text, sizeof(out->who.text), "token:%s", e->name);
    memcpy(out->who.token_id, e->id, OPAQUE_ID_BYTES);
    memcpy(out->who.groups, e->groups, sizeof(e->groups));
    memcpy(out->key, e->hash, sizeof(e->hash));
    return 0;
}

bool opaque_has(const struct opaque_set *set, const struct token *token, const char *name)
{
    const struct identity *who = &token->who;
    const struct opaque_entry *e =
        strlen(who->token_id) == ID_DIGITS ? find(set, who->token_id) : NULL;

    return e != NULL && strcmp(e->name, name) == 0 &&
           memcmp(e->hash, token->key, sizeof(e->hash)) == 0 && who->not_after_s < e->expires_s &&
           memcmp(e->groups, who->groups, sizeof(e->groups)) == 0;
}

static bool make_random(struct opaque_entry *e, char token[OPAQUE_TOKEN_BYTES])
{
    uint8_t id[ID_DIGITS / 2], secret[SECRET_BYTES];
    BUFFER_AUTO(text, SECRET_DIGITS + 1);
    bool done = RAND_bytes(id, sizeof(id)) == 1 && RAND_bytes(e->salt, sizeof(e->salt)) == 1 &&
                RAND_priv_bytes(secret, sizeof(secret)) == 1 &&
                base64_encode(&text, secret, sizeof(secret), BASE64_URL | BASE64_UNPADDED) &&
                text.len_bytes == SECRET_DIGITS;

    if (done) {
        text_from_hex(id, sizeof(id), e->id);
        (void)snprintf(token, OPAQUE_TOKEN_BYTES, OPAQUE_PREFIX "%s_%s", e->id,
                       buffer_string(&text));
        done = hash(e->salt, token, e->hash);
    }
    OPENSSL_cleanse(secret, sizeof(secret));
    if (text.data != NULL) {
        OPENSSL_cleanse(text.data, text.capacity_bytes);
    }
    return done;
}

int opaque_make(const char *name, const char *groups, int64_t expires_s,
                char token[OPAQUE_TOKEN_BYTES], struct buffer *line, struct failure *f)
{
    const char *listed = groups[0] != '\0' ? groups : NO_GROUPS;
    char date[OPAQUE_DATE_BYTES], salt[2 * OPAQUE_SALT_BYTES + 1],
        digest[2 * OPAQUE_HASH_BYTES + 1];
    struct opaque_entry e = { .expires_s = expires_s };

    if (!is_name(name)) {
        return failure_set(f, ERROR_INVALID_ARGUMENT,
                           "\"%.64s\" is no name: expected 1 to 64 of letters, digits, and _ . -",
                           name);
    }
    if (!read_groups(listed, e.groups)) {
        return failure_set(
            f, ERROR_INVALID_ARGUMENT,
            "groups are printable characters without spaces, with commas between, of "
            "%d bytes at most",
            IDENTITY_GROUPS_BYTES - 2);
    }
    if (!opaque_date(expires_s, date)) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "the token's end is no date");
    }
    if (!make_random(&e, token)) {
        return certificate_cause(f,
                                 failure_set(f, ERROR_INTERNAL, "no random numbers for a token"));
    }
    text_from_hex(e.salt, sizeof(e.salt), salt);
    text_from_hex(e.hash, sizeof(e.hash), digest);
    if (!buffer_printf(line, "%s %s %s %s %s %s\n", name, e.id, salt, digest, date, listed)) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no room for another token");
    }
    return 0;
}
