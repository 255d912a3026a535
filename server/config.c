/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "auth/guarded_file.h"
#include "common/settings.h"
#include "common/text.h"
#include "server/config_titled.h"

/* A row of the table, as the code below walks it. */
struct option {
    const char *section, *name;
    size_t offset;
    bool is_number;
    const char *default_text;
    const char *words; /* the only texts that may be; NULL: any */
    int64_t default_number, low, high;
    const char *unit, *text;
};

static const struct option options[] = {
#define CONFIG_TEXT(section_, name_, value, text_)                                                 \
    { .section = #section_,                                                                        \
      .name = #name_,                                                                              \
      .offset = offsetof(struct config, section_##_##name_),                                       \
      .default_text = (value),                                                                     \
      .text = (text_) },
#define CONFIG_CHOICE(section_, name_, value, words_, text_)                                       \
    { .section = #section_,                                                                        \
      .name = #name_,                                                                              \
      .offset = offsetof(struct config, section_##_##name_),                                       \
      .default_text = (value),                                                                     \
      .words = (words_),                                                                           \
      .text = (text_) },
#define CONFIG_NUMBER(section_, name_, value, low_, high_, unit_, text_)                           \
    { .section = #section_,                                                                        \
      .name = #name_,                                                                              \
      .offset = offsetof(struct config, section_##_##name_),                                       \
      .is_number = true,                                                                           \
      .default_number = (value),                                                                   \
      .low = (low_),                                                                               \
      .high = (high_),                                                                             \
      .unit = (unit_),                                                                             \
      .text = (text_) },
#include "server/config.def"
#undef CONFIG_TEXT
#undef CONFIG_CHOICE
#undef CONFIG_NUMBER
};

enum { OPTION_COUNT = sizeof(options) / sizeof(options[0]), SECTIONS_MAX = 8 };

/* Where each option was given: the validator's memory, by row. */
static _Thread_local unsigned given_at_line[OPTION_COUNT];
/* Which values were refused. */
static _Thread_local bool is_faulty[OPTION_COUNT];

static char *text_field(struct config *c, const struct option *o)
{
    return (char *)c + o->offset;
}

static int64_t *number_field(struct config *c, const struct option *o)
{
    return (int64_t *)(void *)((char *)c + o->offset);
}

void config_defaults(struct config *out)
{
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *o = &options[i];

        if (o->is_number) {
            *number_field(out, o) = o->default_number;
        } else {
            snprintf(text_field(out, o), CONFIG_TEXT_BYTES, "%s", o->default_text);
        }
    }
}

static const struct option *find_option(const char *section, const char *name, size_t *index)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strcmp(options[i].section, section) == 0 && strcmp(options[i].name, name) == 0) {
            *index = i;
            return &options[i];
        }
    }
    return NULL;
}

static bool validate_text(cfg_t *section, const struct option *o, const char *text)
{
    if (strlen(text) >= CONFIG_TEXT_BYTES) {
        settings_fault(section, "%s.%s has more than %d bytes", o->section, o->name,
                       CONFIG_TEXT_BYTES - 1);
        return false;
    }
    if (o->words != NULL && !text_is_word(o->words, text)) {
        settings_fault(section, "%s.%s is \"%s\"; expected one of: %s", o->section, o->name, text,
                       o->words);
        return false;
    }
    return true;
}

static bool validate_number(cfg_t *section, const struct option *o, long value)
{
    bool is_within = value >= o->low && value <= o->high;

    if (!is_within) {
        settings_fault(section, "%s.%s is %ld; expected %lld to %lld %s", o->section, o->name,
                       value, (long long)o->low, (long long)o->high, o->unit);
    }
    return is_within;
}

/* libconfuse calls it after each value that it has read. Returning 0 lets it go on, so that all
 * faults are told at once. */
static int validate(cfg_t *section, cfg_opt_t *opt)
{
    size_t index = 0;
    const struct option *o = find_option(cfg_name(section), cfg_opt_name(opt), &index);

    if (o == NULL) {
        return 0;
    }
    if (given_at_line[index] != 0) {
        settings_fault(section, "%s.%s is given twice, first in line %u", o->section, o->name,
                       given_at_line[index]);
    }
    given_at_line[index] = (unsigned)section->line;
    is_faulty[index] = o->is_number ? !validate_number(section, o, cfg_opt_getnint(opt, 0))
                                    : !validate_text(section, o, cfg_opt_getnstr(opt, 0));
    return 0;
}

/* libconfuse's schema, built from the table. Sections stand together in it. */
struct schema {
    cfg_opt_t root[SECTIONS_MAX + CONFIG_TITLED_KINDS_MAX + 1];
    cfg_opt_t rows[OPTION_COUNT + SECTIONS_MAX];
    struct config_titled_schema titled;
};

static void build_schema(struct schema *s)
{
    const cfg_opt_t end = CFG_END();
    size_t row = 0, section = 0;

    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *o = &options[i];
        const cfg_opt_t number = CFG_INT(o->name, (long)o->default_number, CFGF_NONE);
        const cfg_opt_t text = CFG_STR(o->name, o->default_text, CFGF_NONE);

        if (i == 0 || strcmp(o->section, options[i - 1].section) != 0) {
            const cfg_opt_t head = CFG_SEC(o->section, &s->rows[row], CFGF_NONE);

            s->root[section++] = head;
        }
        s->rows[row] = o->is_number ? number : text;
        s->rows[row++].validcb = validate;
        if (i + 1 == OPTION_COUNT || strcmp(o->section, options[i + 1].section) != 0) {
            s->rows[row++] = end;
        }
    }
    section += config_titled_schema(&s->titled, &s->root[section]);
    s->root[section] = end;
}

static void take_values(cfg_t *cfg, struct config *out)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *o = &options[i];
        cfg_t *section = cfg_getsec(cfg, o->section);

        if (is_faulty[i]) {
            continue; /* as if it were not given */
        }
        if (o->is_number) {
            *number_field(out, o) = cfg_getint(section, o->name);
        } else {
            snprintf(text_field(out, o), CONFIG_TEXT_BYTES, "%s", cfg_getstr(section, o->name));
        }
    }
}

static unsigned line_of(const char *section, const char *name)
{
    size_t index = 0;

    return find_option(section, name, &index) != NULL ? given_at_line[index] : 0;
}

/* Where it is put aside, its folder is written: not the root's, and none that a name leads to by the way. */
static void check_audit(const struct config *c, struct buffer *faults)
{
    const char *file = c->audit_file, *slash = strrchr(file, '/');
    const char *name = slash != NULL ? slash + 1 : file;

    if (file[0] != '\0' && (slash == file || (slash != NULL && file[0] != '/') || name[0] == '\0' ||
                            strcmp(name, ".") == 0 || strcmp(name, "..") == 0)) {
        settings_fault_at(
            faults, c->path, line_of("audit", "file"),
            "audit.file is \"%s\"; expected the absolute path of a file, not in /, or "
            "a name without \"/\", which is in server.state_dir then",
            file);
    }
}

/* What no single option can know. */
static void check_together(const struct config *c, struct buffer *faults)
{
    if (c->mapper_slot_max_mib > c->mapper_arena_mib) {
        settings_fault_at(faults, c->path, line_of("mapper", "slot_max_mib"),
                          "mapper.slot_max_mib is %lld; expected at most mapper.arena_mib (%lld)",
                          (long long)c->mapper_slot_max_mib, (long long)c->mapper_arena_mib);
    }
    if (c->mapper_program[0] == '\0' && c->mapper_socket[0] == '\0') {
        settings_fault_at(faults, c->path, line_of("mapper", "socket"),
                          "mapper.socket and mapper.program are both empty; expected one of them");
    }
    if (c->mapper_scenario[0] != '\0' && c->mapper_program[0] == '\0') {
        settings_fault_at(
            faults, c->path, line_of("mapper", "scenario"),
            "mapper.scenario is for a supervised mapper; expected mapper.program too");
    }
    if (c->limits_connections_per_address > c->limits_connections) {
        settings_fault_at(faults, c->path, line_of("limits", "connections_per_address"),
                          "limits.connections_per_address is %lld; expected at most "
                          "limits.connections (%lld)",
                          (long long)c->limits_connections_per_address,
                          (long long)c->limits_connections);
    }
    if (c->limits_open_files < c->limits_connections + CONFIG_OTHER_FILES) {
        settings_fault_at(faults, c->path, line_of("limits", "open_files"),
                          "limits.open_files is %lld; expected at least limits.connections + %d",
                          (long long)c->limits_open_files, CONFIG_OTHER_FILES);
    }
}

/* A listener at which nobody could be known, or nobody come in, is a mistake. */
static void check_door(const struct config *c, const char *listener, unsigned line,
                       const char *certificate, const char *token, bool takes_tokens,
                       struct buffer *faults)
{
    const char *missing = !takes_tokens                ? "a section issuer, or tokens.file"
                          : strcmp(token, "none") == 0 ? "bearer_token optional or required"
                                                       : NULL;

    if (missing != NULL && strcmp(certificate, "required") != 0) {
        settings_fault_at(
            faults, c->path, line,
            "%sclient_certificate is %s, and no bearer token is accepted; expected %s", listener,
            certificate, missing);
    } else if (!takes_tokens && strcmp(token, "required") == 0) {
        settings_fault_at(faults, c->path, line,
                          "%sbearer_token is required, and none is accepted; expected %s", listener,
                          missing);
    }
}

static void check_doors(const struct config *c, bool has_issuers, struct buffer *faults)
{
    bool takes_tokens = has_issuers || c->tokens_file[0] != '\0';
    char listener[CONFIG_TITLE_BYTES + 16];
    unsigned line = line_of("tls", "client_certificate");

    check_door(c, "tls.", line != 0 ? line : line_of("tokens", "bearer_token"),
               c->tls_client_certificate, c->tokens_bearer_token, takes_tokens, faults);
    for (size_t i = 0; i < c->listener_count; i++) {
        const struct config_listener *l = &c->listener[i];

        (void)snprintf(listener, sizeof(listener), "listener \"%s\": ", l->title);
        check_door(c, listener, l->line, l->client_certificate, l->bearer_token, takes_tokens,
                   faults);
    }
}

/* Is a certificate demanded anywhere? */
static bool demands_certificates(const struct config *c)
{
    bool demands = strcmp(c->tls_client_certificate, "required") == 0;

    for (size_t i = 0; i < c->listener_count; i++) {
        demands |= strcmp(c->listener[i].client_certificate, "required") == 0;
    }
    return demands;
}

/* Whoever names authorities with bounds does not want those of a default that has none. */
static void check_authorities(struct config *c, bool has_sections, struct buffer *faults)
{
    unsigned given = line_of("tls", "client_ca");

    if (has_sections && given == 0) {
        c->tls_client_ca[0] = '\0';
    }
    if (c->tls_client_ca[0] == '\0' && !has_sections && demands_certificates(c)) {
        settings_fault_at(faults, c->path, given,
                          "tls.client_ca is empty; expected a file, or a section trust");
    }
    if (c->tls_client_ca[0] == '\0' && c->tls_client_crl[0] != '\0') {
        settings_fault_at(faults, c->path, line_of("tls", "client_crl"),
                          "tls.client_crl is for the authorities of tls.client_ca; expected that "
                          "too, or crl in a section trust");
    }
}

/* The file names the program that is started as root: who can write it is root. */
static int read_file(cfg_t *cfg, const char *path, struct buffer *faults, bool *is_whole,
                     struct failure *f)
{
    BUFFER_AUTO(content, CONFIG_FILE_MAX_BYTES);
    char none[] = "";
    int result = guarded_file_read(path, GUARDED_PUBLIC, &content, f);

    if (result == -ERROR_NOT_FOUND) {
        return failure_next(f, result, "check the path; see xenresd.conf(5) for what to write");
    }
    if (result == 0 && buffer_string(&content) == NULL) {
        result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "cannot read %s: out of memory", path);
    }
    if (result != 0) {
        return result;
    }
    return settings_parse_text(cfg, path, content.data != NULL ? (char *)content.data : none,
                               content.len_bytes, faults, is_whole, f);
}

int config_examine(const char *path, struct config *out, bool *is_whole, struct buffer *faults,
                   struct failure *f)
{
    struct schema schema;
    cfg_t *cfg;
    int result;

    *is_whole = false;
    config_defaults(out);
    snprintf(out->path, sizeof(out->path), "%s", path);
    memset(given_at_line, 0, sizeof(given_at_line));
    memset(is_faulty, 0, sizeof(is_faulty));
    build_schema(&schema);
    cfg = cfg_init(schema.root, CFGF_NONE);
    if (cfg == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "cannot read %s: out of memory", path);
    }
    result = read_file(cfg, path, faults, is_whole, f);
    if (*is_whole) {
        take_values(cfg, out);
        config_titled_take(cfg, out, faults);
        check_together(out, faults);
        check_audit(out, faults);
        check_authorities(out, cfg_size(cfg, "trust") > 0, faults);
        check_doors(out, cfg_size(cfg, "issuer") > 0, faults);
        if (faults->len_bytes > 0) {
            result = failure_set(f, ERROR_INVALID_ARGUMENT, "%s has faults", path);
        }
    }
    cfg_free(cfg);
    return result;
}

int config_load(const char *path, struct config *out, struct buffer *faults, struct failure *f)
{
    struct config loaded;
    bool is_whole;
    int result = config_examine(path, &loaded, &is_whole, faults, f);

    if (result == 0) {
        *out = loaded;
    }
    return result;
}

void config_place(const struct config *c, const char *option, struct buffer *faults)
{
    unsigned line = config_line(option);

    if (line > 0) {
        buffer_printf(faults, "%s:%u: ", c->path, line);
    }
    buffer_printf(faults, "%s: ", option);
}

void config_print_options(FILE *out)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *o = &options[i];

        if (o->is_number) {
            fprintf(out, "%s.%s = %lld (%lld to %lld %s): %s\n", o->section, o->name,
                    (long long)o->default_number, (long long)o->low, (long long)o->high, o->unit,
                    o->text);
        } else {
            fprintf(out, "%s.%s = \"%s\"%s%s%s: %s\n", o->section, o->name, o->default_text,
                    o->words != NULL ? " (one of: " : "", o->words != NULL ? o->words : "",
                    o->words != NULL ? ")" : "", o->text);
        }
    }
    config_titled_print(out);
}

unsigned config_line(const char *option)
{
    char section[CONFIG_TEXT_BYTES];
    const char *dot = strchr(option, '.');

    if (dot == NULL || (size_t)(dot - option) >= sizeof(section)) {
        return 0;
    }
    memcpy(section, option, (size_t)(dot - option));
    section[dot - option] = '\0';
    return line_of(section, dot + 1);
}

static const char *value_given(const struct option *o, const struct config_given *given)
{
    char name[CONFIG_TEXT_BYTES];

    snprintf(name, sizeof(name), "%s.%s", o->section, o->name);
    for (; given->option != NULL; given++) {
        if (strcmp(given->option, name) == 0) {
            return given->value;
        }
    }
    return NULL;
}

static void print_option(struct buffer *out, const struct option *o, const char *given)
{
    const char *sign = given != NULL ? "" : "# ";

    buffer_printf(out, "    # %s", o->text);
    if (o->is_number) {
        buffer_printf(out, " (%lld to %lld %s)", (long long)o->low, (long long)o->high, o->unit);
    }
    buffer_printf(out, "\n    %s%s = ", sign, o->name);
    if (o->is_number && given == NULL) {
        buffer_printf(out, "%lld\n", (long long)o->default_number);
    } else {
        const char *quote = o->is_number ? "" : "\"";

        buffer_printf(out, "%s%s%s\n", quote, given != NULL ? given : o->default_text, quote);
    }
}

void config_print_file(struct buffer *out, const struct config_given *given)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *o = &options[i];

        if (i == 0 || strcmp(o->section, options[i - 1].section) != 0) {
            buffer_printf(out, "%s%s {\n", i > 0 ? "\n" : "", o->section);
        }
        print_option(out, o, value_given(o, given));
        if (i + 1 == OPTION_COUNT || strcmp(o->section, options[i + 1].section) != 0) {
            buffer_append_string(out, "}\n");
        }
    }
}
