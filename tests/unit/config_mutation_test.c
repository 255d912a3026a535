/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * xenresd.conf, damaged at random: nothing crashes, and it is refused, or each option that decides who is let
 * in has what the damaged text says, as it is read here by other means. So no damage opens more than what
 * stands there. MUTATION_SEED=n begins with another seed.
 */
#include "server/config.h"

#include <stdlib.h>

#include "tests/lib/folder.h"
#include "tests/lib/unit.h"

enum {
    TEXT_MAX = 4096,
    DAMAGES = 10000,
    CHANGES_MAX = 3,
    WORD_BYTES = 256,
    WORDS_MAX = 16, /* of one option */
    ROWS_MAX = 64,
};

static const char original[] = "# who is let in\n"
                               "server { policy = \"/p\" deny = \"/etc/deny\" }\n"
                               "tls {\n"
                               "    client_ca = \"/ca\"\n"
                               "    client_crl = \"/crl\"\n"
                               "    client_certificate = \"optional\"\n"
                               "    expired_crl = \"refuse\" // as ever\n"
                               "}\n"
                               "trust \"corp\" {\n"
                               "    ca = \"/corp.crt\"\n"
                               "    identities = { \"spiffe:spiffe://corp/*\", \"dns:a.corp\" }\n"
                               "    crl = \"/corp.crl\"\n"
                               "}\n"
                               "/* those of the\n   laboratory */\n"
                               "trust \"lab\" { ca = \"/lab.crt\" identities = { \"cn:lab-*\" } }\n"
                               "issuer \"login\" {\n"
                               "    issuer = \"https://login\"\n"
                               "    audience = \"xenresd\"\n"
                               "    jwks = \"/login.jwks\"\n"
                               "    groups_claim = \"roles\"\n"
                               "    groups = { \"corp-*\", \"auditors\" }\n"
                               "}\n"
                               "tokens { file = \"/tokens\" }\n"
                               "mapper { export = \"/export\" }\n";

static uint64_t seed;

static uint32_t any(size_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 32) % (uint32_t)below;
}

/* --- the text, read by other means ---------------------------------------------------------------------- */

struct reader {
    const char *at;
    char word[WORD_BYTES]; /* a string, a word, or a mark; "" at the end */
    bool is_mark;
};

static void skip_space(struct reader *r)
{
    for (;;) {
        r->at += strspn(r->at, " \t\r\n");
        if (r->at[0] == '#' || strncmp(r->at, "//", 2) == 0) {
            r->at += strcspn(r->at, "\n");
        } else if (strncmp(r->at, "/*", 2) == 0 && strstr(r->at + 2, "*/") != NULL) {
            r->at = strstr(r->at + 2, "*/") + 2;
        } else {
            return;
        }
    }
}

/* False: longer than all that is meant here, or a string without an end. */
static bool next(struct reader *r)
{
    skip_space(r);
    bool is_string = *r->at == '"';
    const char *begin = r->at + is_string;

    r->is_mark = *r->at != '\0' && strchr("{}=,+", *r->at) != NULL;
    size_t len = is_string    ? strcspn(begin, "\"")
                 : r->is_mark ? 1
                              : strcspn(begin, " \t\r\n{}=,+\"#");

    if (len >= sizeof(r->word) || (is_string && begin[len] != '"')) {
        return false;
    }
    memcpy(r->word, begin, len);
    r->word[len] = '\0';
    r->at = begin + len + is_string;
    return true;
}

static bool is_mark(const struct reader *r, const char *mark)
{
    return r->is_mark && strcmp(r->word, mark) == 0;
}

/* An option: of which section, the how manieth of that kind, and its texts, each NUL-ended, an empty one last. */
struct row {
    char section[WORD_BYTES], title[WORD_BYTES], name[WORD_BYTES];
    unsigned number;
    char words[WORDS_MAX * WORD_BYTES];
    size_t words_bytes;
};
static struct row rows[ROWS_MAX];
static size_t row_count;

static bool read_words(struct reader *r, struct row *row)
{
    bool ok = next(r), is_list;

    ok = ok && (!is_mark(r, "+") || next(r)) && is_mark(r, "=") && next(r);
    is_list = ok && is_mark(r, "{");
    for (ok = ok && (!is_list || next(r)); ok && !(is_list && is_mark(r, "}")); ok = next(r)) {
        size_t bytes = strlen(r->word) + 1;

        if (row->words_bytes + bytes >= sizeof(row->words)) {
            return false;
        }
        if (!is_mark(r, ",")) {
            memcpy(row->words + row->words_bytes, r->word, bytes);
            row->words_bytes += bytes;
        }
        if (!is_list) {
            return true;
        }
    }
    return ok;
}

static bool read_section(struct reader *r, unsigned number)
{
    char section[WORD_BYTES], title[WORD_BYTES] = "";
    bool ok;

    memcpy(section, r->word, sizeof(section));
    ok = next(r);
    if (ok && !is_mark(r, "{")) {
        memcpy(title, r->word, sizeof(title));
        ok = next(r);
    }
    ok = ok && is_mark(r, "{");
    while (ok && (ok = next(r)) && !is_mark(r, "}")) {
        struct row *row = &rows[row_count++];

        if (row_count == ROWS_MAX) {
            return false;
        }
        *row = (struct row){ .number = number };
        memcpy(row->section, section, sizeof(section));
        memcpy(row->title, title, sizeof(title));
        memcpy(row->name, r->word, sizeof(row->name));
        ok = read_words(r, row);
    }
    return ok;
}

static unsigned count_of(const char *section, const char *const *sections, size_t count)
{
    unsigned same = 0;

    for (size_t i = 0; i < count; i++) {
        same += strcmp(sections[i], section) == 0;
    }
    return same;
}

static bool read_text(const char *text)
{
    static char names[ROWS_MAX][WORD_BYTES];
    const char *sections[ROWS_MAX];
    struct reader r = { .at = text };
    size_t count = 0;

    row_count = 0;
    while (next(&r) && r.word[0] != '\0') {
        if (count == ROWS_MAX) {
            return false;
        }
        unsigned number = count_of(r.word, sections, count);

        memcpy(names[count], r.word, WORD_BYTES);
        sections[count] = names[count];
        count++;
        if (!read_section(&r, number)) {
            return false;
        }
    }
    return *r.at == '\0';
}

/* The last one of that name: it counts where several are taken. NULL: not there. */
static const struct row *row_of(const char *section, unsigned number, const char *name)
{
    const struct row *found = NULL;

    for (size_t i = 0; i < row_count; i++) {
        if (rows[i].number == number && strcmp(rows[i].section, section) == 0 &&
            strcmp(rows[i].name, name) == 0) {
            found = &rows[i];
        }
    }
    return found;
}

/* --- does it say the same? ------------------------------------------------------------------------------- */

static bool is_text(const char *section, unsigned number, const char *name, const char *value,
                    const char *otherwise)
{
    const struct row *row = row_of(section, number, name);

    return strcmp(value, row != NULL ? row->words : otherwise) == 0;
}

static bool is_list(const char *section, unsigned number, const char *name, const char *value)
{
    static const struct row none = { .words_bytes = 0 };
    const struct row *row = row_of(section, number, name);
    size_t bytes = row != NULL ? row->words_bytes : 0;

    row = row != NULL ? row : &none;
    return memcmp(value, row->words, bytes) == 0 && value[bytes] == '\0';
}

static bool trust_agrees(const struct config_trust *t, unsigned i)
{
    const struct row *ca = row_of("trust", i, "ca");

    return ca != NULL && strcmp(ca->title, t->title) == 0 && is_text("trust", i, "ca", t->ca, "") &&
           is_text("trust", i, "crl", t->crl, "") &&
           is_list("trust", i, "identities", t->identities) && t->identities[0] != '\0';
}

static bool issuer_agrees(const struct config_issuer *s, unsigned i)
{
    const struct row *issuer = row_of("issuer", i, "issuer");

    return issuer != NULL && strcmp(issuer->title, s->title) == 0 &&
           is_text("issuer", i, "issuer", s->issuer, "") &&
           is_text("issuer", i, "audience", s->audience, "") &&
           is_text("issuer", i, "jwks", s->jwks, "") &&
           is_text("issuer", i, "groups_claim", s->groups_claim, "") &&
           s->groups_given == (row_of("issuer", i, "groups") != NULL) &&
           is_list("issuer", i, "groups", s->groups);
}

static bool config_agrees(const struct config *c, const struct config *defaults)
{
    const char *ca = c->trust_count > 0 ? "" : defaults->tls_client_ca;
    bool same = is_text("server", 0, "deny", c->server_deny, defaults->server_deny) &&
                is_text("server", 0, "policy", c->server_policy, defaults->server_policy) &&
                is_text("tls", 0, "client_ca", c->tls_client_ca, ca) &&
                is_text("tls", 0, "client_crl", c->tls_client_crl, defaults->tls_client_crl) &&
                is_text("tls", 0, "client_certificate", c->tls_client_certificate,
                        defaults->tls_client_certificate) &&
                is_text("tls", 0, "expired_crl", c->tls_expired_crl, defaults->tls_expired_crl) &&
                is_text("tokens", 0, "file", c->tokens_file, defaults->tokens_file) &&
                is_text("mapper", 0, "export", c->mapper_export, defaults->mapper_export);

    for (unsigned i = 0; same && i < c->trust_count; i++) {
        same = trust_agrees(&c->trust[i], i);
    }
    for (unsigned i = 0; same && i < c->issuer_count; i++) {
        same = issuer_agrees(&c->issuer[i], i);
    }
    return same;
}

/* --- damage ---------------------------------------------------------------------------------------------- */

static void damage(char *text)
{
    static const char marks[] = "{}=,\"#/*+ \n\ttrusidenygroup*?:-.";
    size_t len = strlen(text), at = any(len), piece = 1 + any(40), from = any(len);
    char copy[40];

    piece = piece < len - at ? piece : len - at;
    switch (any(5)) {
    case 0: text[at] = marks[any(sizeof(marks) - 1)]; break;
    case 1: text[at] = (char)(1 + any(255)); break;
    case 2: memmove(text + at, text + at + piece, len - at - piece + 1); break;
    case 3: /* what stands elsewhere, again */
        piece = piece < len - from ? piece : len - from;
        if (len + piece < TEXT_MAX) {
            memcpy(copy, text + from, piece);
            memmove(text + at + piece, text + at, len - at + 1);
            memcpy(text + at, copy, piece);
        }
        break;
    default:
        if (len + 1 < TEXT_MAX) {
            memmove(text + at + 1, text + at, len - at + 1);
            text[at] = marks[any(sizeof(marks) - 1)];
        }
    }
}

static bool load(const char *path, const char *text, struct config *out)
{
    BUFFER_AUTO(faults, 1 << 20);

    folder_write(path, text, strlen(text));
    int result = config_load(path, out, &faults, NULL);

    assert_int_equal(result == 0, faults.len_bytes == 0);
    return result == 0;
}

static void damage_is_refused_or_says_what_it_reads(void **state)
{
    static struct config config, defaults;
    static char text[TEXT_MAX];
    FOLDER_AUTO dir = folder_make();
    char path[FOLDER_PATH_BYTES];
    const char *begin = getenv("MUTATION_SEED");
    unsigned taken = 0, compared = 0;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", folder_path(&dir, "xenresd.conf"));
    seed = begin != NULL ? strtoull(begin, NULL, 10) : 20260101;
    seed = seed != 0 ? seed : 1;
    config_defaults(&defaults);
    assert_true(load(path, original, &config) && read_text(original));
    assert_true(config_agrees(&config, &defaults));
    for (int i = 0; i < DAMAGES; i++) {
        memcpy(text, original, sizeof(original));
        for (uint32_t c = 0; c <= any(CHANGES_MAX); c++) {
            damage(text);
        }
        if (!load(path, text, &config)) {
            continue;
        }
        taken++;
        if (strpbrk(text, "\\'") != NULL) {
            continue; /* which are read in ways that are not repeated here */
        }
        if (!read_text(text) || !config_agrees(&config, &defaults)) {
            fail_msg("number %d: %s", i, text);
        }
        compared++;
    }
    print_message("%u of %d were taken, %u compared\n", taken, DAMAGES, compared);
    assert_in_range(compared, DAMAGES / 20, DAMAGES / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_is_refused_or_says_what_it_reads),
    };

    return UNIT_RUN(tests);
}
