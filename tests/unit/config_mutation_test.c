/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * xenresd.conf, changed at random: nothing crashes, and a file is refused, or all that decides who is let in
 * (authorities with their patterns and lists, issuers, tokens, the deny list, the policy) is what the changed
 * text says, as it is read here by other means; so that no change is understood as more than what
 * stands there. What is looked at in spite of faults is within its bounds. MUTATION_SEED=n begins with another
 * seed.
 */
#include "server/config.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/scope.h"
#include "tests/lib/mutate.h"
#include "tests/lib/settings_reader.h"
#include "tests/lib/unit.h"

enum { CASES = 15000, OPTIONS_MAX = 64 };

static const char original[] = "# who is let in\n"
                               "server {\n"
                               "    policy = \"/etc/xenresd/policy.conf\"\n"
                               "    deny = \"/etc/xenresd/deny\" // in any case\n"
                               "    user = xenresd\n"
                               "}\n"
                               "tls {\n"
                               "    client_ca = \"/etc/xenresd/clients.crt\"\n"
                               "    client_crl = \"/etc/xenresd/clients.crl\"\n"
                               "    client_certificate = required\n"
                               "    expired_crl = refuse\n"
                               "}\n"
                               "tokens { file = \"/etc/xenresd/tokens\" }\n"
                               "limits { connections = 200 threads = 4 }\n"
                               "trust \"lab\" {\n"
                               "    ca = \"/etc/xenresd/lab.crt\"\n"
                               "    identities = { \"cn:lab-*\", \"dns:*.lab.example.org\" }\n"
                               "    crl = \"/etc/xenresd/lab.crl\"\n"
                               "}\n"
                               "/* theirs */ trust \"agents\" { ca = \"/a.crt\" identities = { "
                               "\"spiffe:spiffe://example.org/*\" } }\n"
                               "issuer \"corp\" {\n"
                               "    issuer = \"https://idp.example.org\"\n"
                               "    audience = \"xenresd\"\n"
                               "    jwks = \"/etc/xenresd/corp.jwks\"\n"
                               "}\n";

/* --- the text, read by other means ------------------------------------------------------------ */

/* "trust lab.identities" has these, a space behind each. */
struct option {
    char name[3 * SETTINGS_READER_WORD_BYTES], values[1024];
};

struct reading {
    struct option options[OPTIONS_MAX];
    size_t count;
};

static struct option *option_of(struct reading *all, const char *section, const char *name)
{
    struct option *o = all->options;
    char full[sizeof(o->name)];

    (void)snprintf(full, sizeof(full), "%s.%s", section, name);
    for (; o < all->options + all->count; o++) {
        if (strcmp(o->name, full) == 0) {
            return o;
        }
    }
    if (all->count == OPTIONS_MAX) {
        return NULL;
    }
    memcpy(o->name, full, sizeof(full));
    o->values[0] = '\0';
    all->count++;
    return o;
}

static void add_value(struct option *o, const char *value)
{
    size_t len = strlen(o->values);

    (void)snprintf(o->values + len, sizeof(o->values) - len, "%s ", value);
}

/* Behind the name: = VALUE, or = { VALUE, ... }, or += more. */
static bool read_values(struct settings_reader *r, struct option *o)
{
    bool is_more, is_list;

    if (!settings_reader_next(r)) {
        return false;
    }
    is_more = settings_reader_is(r, "+");
    if ((is_more && !settings_reader_next(r)) || !settings_reader_is(r, "=") ||
        !settings_reader_next(r)) {
        return false;
    }
    if (!is_more) {
        o->values[0] = '\0';
    }
    is_list = settings_reader_is(r, "{");
    if (!is_list) {
        add_value(o, r->word);
        return true;
    }
    while (settings_reader_next(r) && !settings_reader_is(r, "}")) {
        if (r->word[0] == '\0' && !r->is_string) {
            return false; /* the end */
        }
        if (!settings_reader_is(r, ",")) {
            add_value(o, r->word);
        }
    }
    return true;
}

/* Sections with titles are "KIND TITLE". */
static bool read_all(const char *text, struct reading *all)
{
    struct settings_reader r = { .at = text };
    char section[2 * SETTINGS_READER_WORD_BYTES];

    all->count = 0;
    while (settings_reader_next(&r) && r.word[0] != '\0') {
        (void)snprintf(section, sizeof(section), "%s", r.word);
        if (!settings_reader_next(&r)) {
            return false;
        }
        if (!settings_reader_is(&r, "{")) {
            size_t len = strlen(section);

            (void)snprintf(section + len, sizeof(section) - len, " %s", r.word);
            if (!settings_reader_next(&r) || !settings_reader_is(&r, "{")) {
                return false;
            }
        }
        while (settings_reader_next(&r) && !settings_reader_is(&r, "}")) {
            struct option *o = r.word[0] != '\0' ? option_of(all, section, r.word) : NULL;

            if (o == NULL || !read_values(&r, o)) {
                return false;
            }
        }
    }
    return *r.at == '\0';
}

/* --- what was loaded -------------------------------------------------------------------------- */

/* The text says just this; or nothing, and it is the default. */
static bool says(struct reading *all, const char *section, const char *name, const char *value,
                 const char *preset)
{
    char wanted[1024] = "";
    const struct option *o = option_of(all, section, name);

    if (o == NULL) {
        return false;
    }
    if (o->values[0] == '\0') {
        return strcmp(value, preset) == 0;
    }
    (void)snprintf(wanted, sizeof(wanted), "%s ", value);
    return strcmp(o->values, wanted) == 0;
}

static bool says_list(struct reading *all, const char *section, const char *name, const char *list)
{
    char wanted[CONFIG_LIST_BYTES + 1] = "";
    const struct option *o = option_of(all, section, name);

    for (; *list != '\0'; list += strlen(list) + 1) {
        size_t len = strlen(wanted);

        (void)snprintf(wanted + len, sizeof(wanted) - len, "%s ", list);
    }
    return o != NULL && strcmp(o->values, wanted) == 0;
}

/* NULL: it is as the text has it; else what is not. */
static const char *compare(const struct config *c, struct reading *all)
{
    static struct config defaults;
    char section[CONFIG_TITLE_BYTES + 16];
    bool has_trust = c->trust_count > 0;

    config_defaults(&defaults);
#define SAYS(section_, name_)                                                                      \
    if (!says(all, #section_, #name_, c->section_##_##name_, defaults.section_##_##name_)) {       \
        return #section_ "." #name_;                                                               \
    }
    SAYS(server, policy)
    SAYS(server, deny)
    SAYS(server, user)
    SAYS(tls, client_certificate)
    SAYS(tls, client_crl)
    SAYS(tls, expired_crl)
    SAYS(tokens, file)
#undef SAYS
    if (!says(all, "tls", "client_ca", c->tls_client_ca, has_trust ? "" : defaults.tls_client_ca)) {
        return "tls.client_ca";
    }
    for (size_t i = 0; i < c->trust_count; i++) {
        (void)snprintf(section, sizeof(section), "trust %s", c->trust[i].title);
        if (!says(all, section, "ca", c->trust[i].ca, "") ||
            !says(all, section, "crl", c->trust[i].crl, "") ||
            !says_list(all, section, "identities", c->trust[i].identities)) {
            return "trust";
        }
    }
    for (size_t i = 0; i < c->issuer_count; i++) {
        (void)snprintf(section, sizeof(section), "issuer %s", c->issuer[i].title);
        if (!says(all, section, "issuer", c->issuer[i].issuer, "") ||
            !says(all, section, "audience", c->issuer[i].audience, "") ||
            !says(all, section, "jwks", c->issuer[i].jwks, "")) {
            return "issuer";
        }
    }
    return NULL;
}

/* --- tests ------------------------------------------------------------------------------------ */

static int load(const char *path, int fd, const char *text, size_t len, struct config *out,
                bool *is_whole)
{
    BUFFER_AUTO(faults, 1 << 20);

    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, text, len, 0), (ssize_t)len);
    int result = config_examine(path, out, is_whole, &faults, NULL);

    assert_int_equal(result == 0, faults.len_bytes == 0); /* refused with a reason, and not else */
    return result;
}

static void the_two_readings_agree_on_the_whole_file(void **state)
{
    static struct reading all;
    static struct config c;
    char path[] = "/tmp/config_mutation.XXXXXX";
    SCOPE_FD int fd = mkstemp(path);
    bool is_whole;

    (void)state;
    assert_int_equal(load(path, fd, original, sizeof(original) - 1, &c, &is_whole), 0);
    assert_true(read_all(original, &all));
    assert_null(compare(&c, &all));
    assert_int_equal(c.trust_count, 2);
    assert_int_equal(c.issuer_count, 1);
    assert_int_equal(unlink(path), 0);
}

static void a_changed_file_is_refused_or_means_what_it_says(void **state)
{
    static struct reading all;
    static struct config c;
    static uint8_t text[MUTATE_MAX_BYTES + 1];
    char path[] = "/tmp/config_mutation.XXXXXX";
    SCOPE_FD int fd = mkstemp(path);
    unsigned taken = 0, looked_at = 0;

    (void)state;
    for (unsigned i = 0; i < CASES; i++) {
        unsigned long long began = mutate_seed;
        bool is_whole;

        memcpy(text, original, sizeof(original));
        size_t len = mutate(text, sizeof(original) - 1);

        text[len] = '\0';
        int result = load(path, fd, (const char *)text, len, &c, &is_whole);

        looked_at += result != 0 && is_whole;
        assert_in_range(c.limits_threads, 0, 16);
        assert_in_range(c.limits_connections, 1, 65536);
        assert_true(c.trust_count <= 2 && c.issuer_count <= 1);
        if (result != 0) {
            continue;
        }
        taken++;
        const char *wrong = strlen((const char *)text) != len     ? "a NUL byte"
                            : !read_all((const char *)text, &all) ? "no configuration"
                                                                  : compare(&c, &all);

        if (wrong != NULL) {
            fail_msg("seed %llu: %s: %s", began, wrong, (const char *)text);
        }
    }
    print_message("%u of %d were taken, %u more looked at\n", taken, CASES, looked_at);
    assert_in_range(taken, CASES / 50, CASES / 2);
    assert_in_range(looked_at, CASES / 50, CASES / 2);
    assert_int_equal(unlink(path), 0);
}

/* A section that was cut off whole is not there; half of one is refused. */
static void a_file_cut_short_is_refused_but_between_sections(void **state)
{
    static struct config c;
    char path[] = "/tmp/config_mutation.XXXXXX";
    SCOPE_FD int fd = mkstemp(path);
    bool is_whole;

    (void)state;
    for (size_t len = 0; len < sizeof(original) - 1; len++) {
        int depth = 0;

        for (size_t i = 0; i < len; i++) {
            depth += (original[i] == '{') - (original[i] == '}');
        }
        if (load(path, fd, original, len, &c, &is_whole) == 0 && depth != 0) {
            fail_msg("%zu bytes are taken", len);
        }
    }
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_two_readings_agree_on_the_whole_file),
        cmocka_unit_test(a_changed_file_is_refused_or_means_what_it_says),
        cmocka_unit_test(a_file_cut_short_is_refused_but_between_sections),
    };

    mutate_begin();
    return UNIT_RUN(tests);
}
