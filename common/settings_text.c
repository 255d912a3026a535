/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/settings_text.h"

#include <string.h>

#include "common/settings.h"
#include "common/text.h"

enum token {
    TOKEN_NONE,
    TOKEN_WORD,
    TOKEN_STRING,
    TOKEN_EQUALS,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_COMMA,
};

/* Walks a text as libconfuse's lexer would, and refuses whatever the two might read differently. */
struct scan {
    const char *name;
    const char *text;
    size_t len_bytes;
    struct buffer *faults; /* NULL: only walk */
    size_t at;
    unsigned line;
    size_t depth;            /* braces open */
    unsigned open_line;      /* where the last one of the top level opened */
    enum token last, before; /* the last token, and the one before it */
    size_t begins[3];        /* where the last tokens begin: this one, and the two before it */
    const char *section;     /* the name of those that are looked for */
    unsigned *section_lines;
    size_t section_max, section_count;
};

#define FAULT(s, line, ...) settings_fault_at((s)->faults, (s)->name, line, __VA_ARGS__)

static char peek(const struct scan *s, size_t ahead)
{
    return ahead < s->len_bytes - s->at ? s->text[s->at + ahead] : '\0';
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("_.:/-", c) != NULL);
}

static bool scan_string(struct scan *s)
{
    for (s->at++; s->at < s->len_bytes; s->at++) {
        char c = s->text[s->at];

        if (c == '"') {
            s->at++;
            return true;
        }
        if (c == '\n') {
            break; /* nearly always a quote forgotten: the next one would turn all inside out */
        }
        if (c == '\\') {
            if (peek(s, 1) != '"' && peek(s, 1) != '\\') {
                FAULT(s, s->line, "in a string, \\ may only stand before \" or \\");
                return false;
            }
            s->at++;
        } else if ((unsigned char)c < ' ' || c == 0x7f) {
            FAULT(s, s->line, "a control character (%u) in a string", (unsigned char)c);
            return false;
        }
    }
    FAULT(s, s->line, "a string is not closed; expected \" on the same line");
    return false;
}

static bool scan_word(struct scan *s)
{
    while (s->at < s->len_bytes && is_word(s->text[s->at])) {
        if (peek(s, 0) == '/' && (peek(s, 1) == '/' || peek(s, 1) == '*')) {
            FAULT(s, s->line, "a comment within a word; expected a space, or \"…\" around it");
            return false;
        }
        s->at++;
    }
    return true;
}

/* The word two tokens before the brace: between them is the title. */
static bool is_section(const struct scan *s)
{
    const char *name = s->text + s->begins[2];
    size_t len = s->section != NULL ? strlen(s->section) : 0;

    return len > 0 && s->before != TOKEN_EQUALS && strncmp(name, s->section, len) == 0 &&
           !is_word(name[len]);
}

static bool scan_open(struct scan *s)
{
    if (s->depth++ > 0) {
        return true;
    }
    s->open_line = s->line;
    if (is_section(s)) {
        if (s->section_count < s->section_max) {
            s->section_lines[s->section_count] = s->line;
        }
        s->section_count++;
    }
    return true;
}

static bool scan_close(struct scan *s)
{
    if (s->depth == 0) {
        FAULT(s, s->line, "a } that closes nothing");
        return false;
    }
    s->depth--;
    return true;
}

/* + only as +=, which libconfuse has for lists. */
static bool scan_mark(struct scan *s, char c)
{
    static const struct {
        char mark;
        enum token token;
        bool (*scan)(struct scan *s);
    } marks[] = {
        { '=', TOKEN_EQUALS, NULL },
        { ',', TOKEN_COMMA, NULL },
        { '{', TOKEN_OPEN, scan_open },
        { '}', TOKEN_CLOSE, scan_close },
    };

    if (c == '+' && peek(s, 1) == '=') {
        s->at++;
        c = '=';
    }
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        if (marks[i].mark == c) {
            s->last = marks[i].token;
            s->at++;
            return marks[i].scan == NULL || marks[i].scan(s);
        }
    }
    if (c > ' ' && c < 0x7f) {
        FAULT(s, s->line, "'%c' may only stand within \"…\"", c);
    } else {
        FAULT(s, s->line, "byte %u may only stand within \"…\"", (unsigned char)c);
    }
    return false;
}

static bool scan_token(struct scan *s)
{
    enum token before_last = s->before;
    char c = s->text[s->at];
    bool string_for_name;

    s->before = s->last;
    s->begins[2] = s->begins[1];
    s->begins[1] = s->begins[0];
    s->begins[0] = s->at;
    if (c == '"') {
        s->last = TOKEN_STRING;
        if (!scan_string(s)) {
            return false;
        }
    } else if (is_word(c)) {
        s->last = TOKEN_WORD;
        if (!scan_word(s)) {
            return false;
        }
    } else if (!scan_mark(s, c)) {
        return false;
    }
    /* libconfuse takes strings for names, and | in them for paths into other sections. */
    string_for_name =
        s->before == TOKEN_STRING && (s->last == TOKEN_EQUALS || s->last == TOKEN_STRING ||
                                      (s->last == TOKEN_OPEN && before_last != TOKEN_WORD));
    if (string_for_name) {
        FAULT(s, s->line, "names of options are written without quotes");
    }
    return !string_for_name;
}

static bool scan(struct scan *s)
{
    while (s->at < s->len_bytes) {
        char c = s->text[s->at];

        if (c == '\n') {
            s->line++;
            s->at++;
        } else if (c == ' ' || c == '\t' || c == '\r') {
            s->at++;
        } else if (!scan_token(s)) {
            return false;
        }
    }
    if (s->depth > 0) {
        FAULT(s, s->line, "the file ends within what { opened in line %u; expected }",
              s->open_line);
        return false;
    }
    return true;
}

/* --- comments and bytes ----------------------------------------------------------------------- */

/* Behind the string that begins at `at`, or at the end of its line. */
static size_t skip_string(const char *text, size_t len_bytes, size_t at)
{
    for (at++; at < len_bytes && text[at] != '\n'; at++) {
        if (text[at] == '"') {
            return at + 1;
        }
        if (text[at] == '\\' && at + 1 < len_bytes && text[at + 1] != '\n') {
            at++;
        }
    }
    return at;
}

/* Behind the comment that begins at `at`; `at` where none does; 0 where it never ends. */
static size_t comment_end(const char *text, size_t len_bytes, size_t at)
{
    const char *rest = text + at;
    size_t rest_bytes = len_bytes - at;
    const char *end;

    if (rest[0] == '#' || (rest_bytes > 1 && rest[0] == '/' && rest[1] == '/')) {
        end = memchr(rest, '\n', rest_bytes);
        return end != NULL ? (size_t)(end - text) : len_bytes;
    }
    if (rest_bytes > 1 && rest[0] == '/' && rest[1] == '*') {
        end = memmem(rest + 2, rest_bytes - 2, "*/", 2);
        return end != NULL ? (size_t)(end - text) + 2 : 0;
    }
    return at;
}

static unsigned line_of(const char *text, size_t at)
{
    unsigned line = 1;

    for (size_t i = 0; i < at; i++) {
        line += text[i] == '\n';
    }
    return line;
}

/* A slash within a word begins none: scan_word() refuses what libconfuse might take for one. */
static bool blank_comments(struct scan *s, char *text)
{
    bool in_word = false;

    for (size_t at = 0; at < s->len_bytes;) {
        bool slash_in_word = in_word && text[at] == '/';
        size_t end = slash_in_word ? at : comment_end(text, s->len_bytes, at);

        in_word = is_word(text[at]);
        if (end == 0 && !slash_in_word && at + 1 < s->len_bytes && text[at + 1] == '*') {
            FAULT(s, line_of(text, at), "a comment is not closed; expected */");
            return false;
        }
        if (end > at) {
            in_word = false;
            for (; at < end; at++) {
                text[at] = text[at] == '\n' ? '\n' : ' ';
            }
        } else {
            at = text[at] == '"' ? skip_string(text, s->len_bytes, at) : at + 1;
        }
    }
    return true;
}

static bool check_bytes(struct scan *s)
{
    const char *nul = memchr(s->text, '\0', s->len_bytes);

    if (nul != NULL) {
        FAULT(s, line_of(s->text, (size_t)(nul - s->text)), "a NUL byte; expected plain text");
        return false;
    }
    if (!text_is_utf8(s->text, s->len_bytes)) {
        FAULT(s, 0, "not UTF-8; expected plain text");
        return false;
    }
    return true;
}

/* Over all that is left, strings or not, so that this check depends on nobody's lexer. */
static bool check_environment(struct scan *s)
{
    const char *found = memmem(s->text, s->len_bytes, "${", 2);

    if (found != NULL) {
        FAULT(s, line_of(s->text, (size_t)(found - s->text)),
              "${ is not allowed: the environment is not read; expected the value itself");
    }
    return found == NULL;
}

bool settings_text_check(const char *name, char *text, size_t len_bytes, struct buffer *faults)
{
    struct scan s = {
        .name = name,
        .text = text,
        .len_bytes = len_bytes,
        .faults = faults,
        .line = 1,
    };

    return check_bytes(&s) && blank_comments(&s, text) && check_environment(&s) && scan(&s);
}

size_t settings_text_sections(const char *text, size_t len_bytes, const char *name, unsigned *lines,
                              size_t max)
{
    struct scan s = {
        .text = text,
        .len_bytes = len_bytes,
        .line = 1,
        .section = name,
        .section_lines = lines,
        .section_max = max,
    };

    (void)scan(&s);
    return s.section_count;
}

/* --- statements ------------------------------------------------------------------------------- */

/* False: nothing more, or nothing that the check would have let pass. */
static bool next_token(struct scan *s)
{
    while (s->at < s->len_bytes && strchr(" \t\r\n", s->text[s->at]) != NULL) {
        s->line += s->text[s->at++] == '\n';
    }
    return s->at < s->len_bytes && scan_token(s);
}

/* To the brace that closes the one just read. */
static bool skip_braces(struct scan *s)
{
    for (size_t outside = s->depth - 1; s->depth > outside;) {
        if (!next_token(s)) {
            return false;
        }
    }
    return true;
}

/* From the name, which was read, to the end of the value, or to the brace that opens a section. */
static bool read_statement(struct scan *s, struct settings_statement *out, bool *is_section)
{
    out->name = s->text + s->begins[0];
    out->name_len = s->at - s->begins[0];
    out->line = s->line;
    out->value = NULL;
    if (!next_token(s)) {
        return false;
    }
    *is_section = s->last != TOKEN_EQUALS;
    if (*is_section) {
        return s->last == TOKEN_OPEN || ((s->last == TOKEN_WORD || s->last == TOKEN_STRING) &&
                                         next_token(s) && s->last == TOKEN_OPEN);
    }
    if (!next_token(s)) {
        return false;
    }
    if (s->last == TOKEN_OPEN) {
        return skip_braces(s);
    }
    size_t quote = s->last == TOKEN_STRING ? 1 : 0;

    out->value = s->text + s->begins[0] + quote;
    out->value_len = s->at - s->begins[0] - 2 * quote;
    return s->last == TOKEN_WORD || s->last == TOKEN_STRING;
}

static void blank(char *text, size_t from, size_t to)
{
    for (; from < to; from++) {
        text[from] = text[from] == '\n' ? '\n' : ' ';
    }
}

void settings_text_filter(char *text, size_t len_bytes, const void *level, settings_judge *judge,
                          void *arg)
{
    struct scan s = { .text = text, .len_bytes = len_bytes, .line = 1 };
    const void *levels[SETTINGS_DEPTH_MAX + 1] = { level };
    size_t depth = 0;

    while (next_token(&s)) {
        struct settings_statement statement = { .level = levels[depth] };
        const void *inside = NULL;
        size_t begin = s.begins[0];
        bool is_section = false;

        if (s.last == TOKEN_CLOSE && depth > 0) {
            depth--;
            continue;
        }
        if (s.last != TOKEN_WORD || !read_statement(&s, &statement, &is_section)) {
            return;
        }
        if (!judge(arg, &statement, &inside)) {
            if (is_section && !skip_braces(&s)) {
                return;
            }
            blank(text, begin, s.at);
        } else if (is_section) {
            if (depth == SETTINGS_DEPTH_MAX || inside == NULL) {
                return;
            }
            levels[++depth] = inside;
        }
    }
}
