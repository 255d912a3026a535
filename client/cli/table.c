/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/table.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/render.h"
#include "common/scope.h"

enum { GAP = 2, WRAPPED_MIN = 20 }; /* spaces between columns; the least to wrap to */

enum { PAINT_BYTE = 'a' }; /* of PAINT_PLAIN: no NUL, which ends a cell */

static void add_cell(struct table *t, enum paint paint, const char *text)
{
    size_t start = t->cells.len_bytes + 1;

    buffer_append_byte(&t->cells, (uint8_t)(PAINT_BYTE + paint));
    render_safe(&t->cells, text);
    buffer_append_byte(&t->cells, 0);
    if (t->cells.failed) {
        return;
    }
    unsigned width = render_width((const char *)t->cells.data + start);

    if (width > t->width[t->column]) {
        t->width[t->column] = width;
    }
    t->column = (t->column + 1) % t->column_count;
}

void table_init(struct table *t, const char *titles)
{
    *t = (struct table){ .column_count = 2, .has_titles = titles != NULL };
    buffer_init(&t->cells, TABLE_MAX_BYTES);
    if (titles == NULL) {
        return;
    }
    t->column_count = 1;
    for (const char *p = titles; *p != '\0'; p++) {
        t->column_count += *p == '|' ? 1 : 0;
    }
    assert(t->column_count <= TABLE_COLUMNS_MAX);
    for (unsigned i = 0; i < t->column_count; i++) {
        char title[64];
        size_t len = strcspn(titles, "|");

        assert(len < sizeof(title));
        memcpy(title, titles, len);
        t->right[i] = len > 0 && title[len - 1] == '>';
        title[t->right[i] ? len - 1 : len] = '\0';
        add_cell(t, PAINT_TITLE, title);
        titles += len + 1;
    }
}

void table_done(struct table *t)
{
    buffer_done(&t->cells);
}

static void cell(struct table *t, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void cell(struct table *t, const char *format, va_list args)
{
    SCOPE_FREE char *text = NULL;

    if (vasprintf(&text, format, args) < 0) {
        text = NULL;
        t->cells.failed = true;
        return;
    }
    add_cell(t, PAINT_PLAIN, text);
}

void table_cell(struct table *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    cell(t, format, args);
    va_end(args);
}

void table_painted(struct table *t, enum paint paint, const char *text)
{
    add_cell(t, paint, text);
}

void table_pair(struct table *t, const char *name, const char *format, ...)
{
    va_list args;

    add_cell(t, PAINT_TITLE, name);
    va_start(args, format);
    cell(t, format, args);
    va_end(args);
}

static void spaces(struct buffer *out, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        buffer_append_byte(out, ' ');
    }
}

/* Bytes of `text` that go on a line of `room` columns: up to a space where there is one. */
static size_t line_length(const char *text, unsigned room)
{
    size_t fits = 0, space = 0;
    char prefix[1025];
    size_t len = strlen(text);

    for (size_t i = 1; i <= len && i < sizeof(prefix); i++) {
        if (i < len && ((unsigned char)text[i] & 0xc0U) == 0x80) {
            continue; /* within a character */
        }
        memcpy(prefix, text, i);
        prefix[i] = '\0';
        if (render_width(prefix) > room) {
            return space > 0 ? space : fits > 0 ? fits : i;
        }
        fits = i;
        space = i < len && text[i] == ' ' ? i : space;
    }
    return len;
}

static void last_cell(struct buffer *out, const char *text, unsigned indent, unsigned columns)
{
    if (columns == 0 || columns < indent + WRAPPED_MIN) {
        buffer_append_string(out, text);
        return;
    }
    for (;;) {
        size_t len = line_length(text, columns - indent);

        buffer_append(out, text, len);
        text += len + strspn(text + len, " ");
        if (*text == '\0') {
            return;
        }
        buffer_append_byte(out, '\n');
        spaces(out, indent);
    }
}

/* Escapes have no width: they stand around what was measured without them. */
static void paint_cell(struct buffer *out, char paint_byte, const char *text, bool is_last,
                       unsigned indent, unsigned columns)
{
    enum paint paint = text[0] != '\0' ? (enum paint)(paint_byte - PAINT_BYTE) : PAINT_PLAIN;

    buffer_append_string(out, paint_begin(STDOUT_FILENO, paint));
    if (is_last) {
        last_cell(out, text, indent, columns);
    } else {
        buffer_append_string(out, text);
    }
    buffer_append_string(out, paint_end(STDOUT_FILENO, paint));
}

static const char *render_row(const struct table *t, const char *at, unsigned columns,
                              struct buffer *out)
{
    unsigned indent = 0;

    for (unsigned i = 0; i < t->column_count; i++, at += strlen(at) + 1) {
        bool is_last = i == t->column_count - 1;
        char paint_byte = *at++;
        unsigned padding = t->width[i] - render_width(at);

        if (t->right[i]) {
            spaces(out, padding);
        }
        paint_cell(out, paint_byte, at, is_last, indent, columns);
        if (!is_last) {
            spaces(out, (t->right[i] ? 0 : padding) + GAP);
        }
        indent += t->width[i] + GAP;
    }
    /* A row whose last cells are empty ends without spaces. */
    while (out->len_bytes > 0 && out->data[out->len_bytes - 1] == ' ') {
        out->len_bytes--;
    }
    buffer_append_byte(out, '\n');
    return at;
}

void table_render(struct table *t, unsigned columns, struct buffer *out)
{
    assert(t->column == 0);
    if (t->cells.failed) {
        out->failed = true;
        return;
    }
    const char *at = (const char *)t->cells.data;
    const char *end = at + t->cells.len_bytes;

    while (at < end) {
        at = render_row(t, at, columns, out);
    }
}
