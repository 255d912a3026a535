/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/config_titled.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "auth/identity_pattern.h"
#include "auth/trust.h"
#include "common/settings.h"
#include "common/text.h"

enum need { OPTIONAL, REQUIRED };

/* A row of the table, as the code below walks it. */
struct row {
    enum { ROW_BEGIN, ROW_TEXT, ROW_NUMBER, ROW_LIST, ROW_END } kind;
    const char *section, *name;
    size_t offset; /* in the section's struct; of ROW_BEGIN: of the sections in struct config */
    enum need need;
    const char *(*fault)(const char *text); /* of ROW_LIST: of each text; NULL: any */
    int64_t default_number, low, high;
    const char *unit, *text;
    size_t given_offset;                     /* of ROW_LIST */
    size_t max, section_bytes, count_offset; /* of ROW_BEGIN */
};

static const struct row table[] = {
#define TITLED(section_, max_, text_)                                                              \
    { .kind = ROW_BEGIN,                                                                           \
      .section = #section_,                                                                        \
      .offset = offsetof(struct config, section_),                                                 \
      .text = (text_),                                                                             \
      .max = (max_),                                                                               \
      .section_bytes = sizeof(struct config_##section_),                                           \
      .count_offset = offsetof(struct config, section_##_count) },
#define TITLED_TEXT(section_, name_, need_, text_)                                                 \
    { .kind = ROW_TEXT,                                                                            \
      .section = #section_,                                                                        \
      .name = #name_,                                                                              \
      .offset = offsetof(struct config_##section_, name_),                                         \
      .need = (need_),                                                                             \
      .text = (text_) },
#define TITLED_NUMBER(section_, name_, value_, low_, high_, unit_, text_)                          \
    { .kind = ROW_NUMBER,                                                                          \
      .section = #section_,                                                                        \
      .name = #name_,                                                                              \
      .offset = offsetof(struct config_##section_, name_),                                         \
      .default_number = (value_),                                                                  \
      .low = (low_),                                                                               \
      .high = (high_),                                                                             \
      .unit = (unit_),                                                                             \
      .text = (text_) },
#define TITLED_LIST(section_, name_, need_, fault_, text_)                                         \
    { .kind = ROW_LIST,                                                                            \
      .section = #section_,                                                                        \
      .name = #name_,                                                                              \
      .offset = offsetof(struct config_##section_, name_),                                         \
      .given_offset = offsetof(struct config_##section_, name_##_given),                           \
      .need = (need_),                                                                             \
      .fault = (fault_),                                                                           \
      .text = (text_) },
#define TITLED_END(section_, max_) { .kind = ROW_END, .section = #section_ },
#include "server/config_titled.def"
#undef TITLED
#undef TITLED_TEXT
#undef TITLED_NUMBER
#undef TITLED_LIST
#undef TITLED_END
};

enum { ROW_COUNT = sizeof(table) / sizeof(table[0]) };

_Static_assert((int)ROW_COUNT <= (int)CONFIG_TITLED_ROWS_MAX, "the schema has room for all rows");

/* Every kind of section begins with this. */
struct head {
    char title[CONFIG_TITLE_BYTES];
    unsigned line;
};

/* --- libconfuse's side: values with their lines ----------------------------------------------- */

struct value {
    unsigned line;
    char text[];
};

static int parse_value(cfg_t *section, cfg_opt_t *option, const char *text, void *result)
{
    size_t len = strlen(text);
    struct value *value = malloc(sizeof *value + len + 1);

    if (value == NULL) {
        return -1;
    }
    value->line = (unsigned)section->line;
    memcpy(value->text, text, len + 1);
    *(void **)result = value;
    /* As in the policy's file: libconfuse makes room before it calls and drops what was there at each
     * `=`, so that one value is there when it is an assignment's first; and it does not use `def.number`
     * in options of this type, of which every section has its own. */
    if (option->nvalues == 1 && ++option->def.number > 1) {
        settings_fault(section, "%s stands twice in this section", option->name);
    }
    return 0;
}

static void free_value(void *value)
{
    free(value);
}

size_t config_titled_schema(struct config_titled_schema *s, cfg_opt_t *root)
{
    size_t kinds = 0;

    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct row *row = &table[i];
        const cfg_opt_t end = CFG_END();
        const cfg_opt_t one = CFG_PTR_CB(row->name, NULL, CFGF_NONE, parse_value, free_value);
        const cfg_opt_t list = CFG_PTR_LIST_CB(row->name, NULL, CFGF_NONE, parse_value, free_value);
        const cfg_opt_t section =
            CFG_SEC(row->section, &s->rows[i + 1], CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);

        if (row->kind == ROW_BEGIN) {
            assert(kinds < CONFIG_TITLED_KINDS_MAX);
            root[kinds++] = section;
        }
        s->rows[i] = row->kind == ROW_LIST                              ? list
                     : row->kind == ROW_TEXT || row->kind == ROW_NUMBER ? one
                                                                        : end;
    }
    return kinds;
}

/* --- what was read ---------------------------------------------------------------------------- */

struct reading {
    const char *path;
    struct buffer *faults;
    const struct head *section; /* that is being taken */
};

#define FAULT(r, row, line, format, ...)                                                           \
    settings_fault_at((r)->faults, (r)->path, line, "%s \"%s\": " format, (row)->section,          \
                      (r)->section->title, __VA_ARGS__)

/* It may become a part of an identity, and a label of a metric. */
static bool is_title(const char *title)
{
    size_t len = strlen(title);

    for (const char *c = title; *c != '\0'; c++) {
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
              *c == '-' || *c == '_' || *c == '.')) {
            return false;
        }
    }
    return len > 0 && len < CONFIG_TITLE_BYTES;
}

static void take_text(struct reading *r, const struct row *row, const struct value *value,
                      char *field)
{
    if (value->text[0] == '\0' && row->need == REQUIRED) {
        FAULT(r, row, value->line, "%s is empty", row->name);
    } else if (strlen(value->text) >= CONFIG_TEXT_BYTES) {
        FAULT(r, row, value->line, "%s has more than %d bytes", row->name, CONFIG_TEXT_BYTES - 1);
    } else {
        memcpy(field, value->text, strlen(value->text) + 1);
    }
}

static void take_number(struct reading *r, const struct row *row, const struct value *value,
                        int64_t *field)
{
    const char *digits = value->text + (value->text[0] == '-' ? 1 : 0);
    uint64_t magnitude = 0;
    bool is_number = text_to_u64(digits, INT64_MAX, &magnitude);
    int64_t number = digits == value->text ? (int64_t)magnitude : -(int64_t)magnitude;

    if (!is_number || number < row->low || number > row->high) {
        FAULT(r, row, value->line, "%s is %s; expected %lld to %lld %s", row->name, value->text,
              (long long)row->low, (long long)row->high, row->unit);
    } else {
        *field = number;
    }
}

/* Each NUL-ended, an empty one last. */
static void take_list(struct reading *r, const struct row *row, const cfg_opt_t *option,
                      char *field)
{
    size_t used = 0;

    for (unsigned i = 0; i < option->nvalues; i++) {
        const struct value *value = option->values[i]->ptr;
        size_t bytes = strlen(value->text) + 1;

        const char *fault = bytes == 1           ? "expected no empty text"
                            : row->fault != NULL ? row->fault(value->text)
                                                 : NULL;

        if (fault != NULL) {
            FAULT(r, row, value->line, "%s: \"%s\": %s", row->name, value->text, fault);
        } else if (bytes >= CONFIG_LIST_BYTES - used) {
            FAULT(r, row, value->line, "%s has more than %d bytes in all", row->name,
                  CONFIG_LIST_BYTES - 2);
            return;
        } else {
            memcpy(field + used, value->text, bytes);
            used += bytes;
        }
    }
    field[used] = '\0';
}

static void take_option(struct reading *r, const struct row *row, const cfg_opt_t *option,
                        void *field)
{
    if (option->nvalues == 0) {
        if (row->need == REQUIRED) {
            FAULT(r, row, r->section->line, "%s is missing; expected %s", row->name, row->text);
        }
        if (row->kind == ROW_NUMBER) {
            *(int64_t *)field = row->default_number;
        }
        return;
    }
    switch (row->kind) {
    case ROW_TEXT: take_text(r, row, option->values[0]->ptr, field); break;
    case ROW_NUMBER: take_number(r, row, option->values[0]->ptr, field); break;
    default: take_list(r, row, option, field);
    }
}

static void take_section(struct reading *r, const struct row *begin, cfg_t *section,
                         struct head *out)
{
    r->section = out;
    out->line = (unsigned)section->line; /* libconfuse's, which has moved on to the end */
    if (is_title(cfg_title(section))) {
        (void)snprintf(out->title, sizeof(out->title), "%s", cfg_title(section));
    } else {
        settings_fault_at(r->faults, r->path, out->line,
                          "%s \"%s\": expected a title of 1 to %d letters, digits, and - _ .",
                          begin->section, cfg_title(section), CONFIG_TITLE_BYTES - 1);
    }
    for (const struct row *row = begin + 1; row->kind != ROW_END; row++) {
        const cfg_opt_t *option = cfg_getopt(section, row->name);

        take_option(r, row, option, (char *)out + row->offset);
        if (row->kind == ROW_LIST) {
            bool *is_given = (void *)((char *)out + row->given_offset);

            *is_given = (option->flags & CFGF_MODIFIED) != 0;
        }
    }
}

void config_titled_take(cfg_t *cfg, struct config *out, struct buffer *faults)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct row *begin = &table[i];
        struct reading r = { .path = out->path, .faults = faults };

        if (begin->kind != ROW_BEGIN) {
            continue;
        }
        size_t count = cfg_size(cfg, begin->section);
        size_t *taken = (size_t *)(void *)((char *)out + begin->count_offset);

        if (count > begin->max) {
            settings_fault_at(
                faults, out->path,
                (unsigned)cfg_getnsec(cfg, begin->section, (unsigned)begin->max)->line,
                "more than %zu sections %s", begin->max, begin->section);
            count = begin->max;
        }
        for (size_t n = 0; n < count; n++) {
            take_section(
                &r, begin, cfg_getnsec(cfg, begin->section, (unsigned)n),
                (struct head *)(void *)((char *)out + begin->offset + n * begin->section_bytes));
        }
        *taken = count;
    }
}

void config_titled_print(FILE *out)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct row *row = &table[i];

        switch (row->kind) {
        case ROW_NUMBER:
            fprintf(out, "%s.%s = %lld (%lld to %lld %s): %s\n", row->section, row->name,
                    (long long)row->default_number, (long long)row->low, (long long)row->high,
                    row->unit, row->text);
            break;
        case ROW_TEXT:
        case ROW_LIST:
            fprintf(out, "%s.%s = %s%s: %s\n", row->section, row->name,
                    row->kind == ROW_LIST ? "{…}" : "\"\"",
                    row->need == REQUIRED ? " (required)" : "", row->text);
            break;
        default: break;
        }
    }
}
