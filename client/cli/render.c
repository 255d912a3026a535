/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/render.h"

#include <inttypes.h>
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "common/text.h"

static enum text_charset charset = TEXT_ASCII;

void render_init(void)
{
    /* LC_CTYPE only: numbers are the same everywhere. */
    if (setlocale(LC_CTYPE, "") != NULL && strcmp(nl_langinfo(CODESET), "UTF-8") == 0) {
        charset = TEXT_UTF8;
    }
}

unsigned render_columns(void)
{
    struct winsize size;

    if (!isatty(STDOUT_FILENO)) {
        return 0;
    }
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
        return 80;
    }
    return size.ws_col;
}

void render_safe(struct buffer *out, const char *text)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < len;) {
        size_t taken = text_harmless_length(text + i, len - i, charset);

        if (taken > 0) {
            buffer_append(out, text + i, taken);
            i += taken;
        } else {
            buffer_printf(out, "\\x%02x", (unsigned)(unsigned char)text[i]);
            i++;
        }
    }
}

/* The length of what fits, with the columns that it takes. */
static size_t measure(const char *text, unsigned columns_max, unsigned *columns)
{
    size_t len = strlen(text);
    mbstate_t state = { 0 };

    *columns = 0;
    for (size_t i = 0; i < len;) {
        wchar_t wide;
        size_t taken = mbrtowc(&wide, text + i, len - i, &state);
        bool is_character =
            taken > 0 && taken <= len - i; /* else: cannot be, after render_safe() */
        int width = is_character ? wcwidth(wide) : 1;

        taken = is_character ? taken : 1;
        width = width > 0 ? width : 0;
        if ((unsigned)width > columns_max - *columns) {
            return i;
        }
        *columns += (unsigned)width;
        i += taken;
        if (!is_character) {
            state = (mbstate_t){ 0 };
        }
    }
    return len;
}

unsigned render_width(const char *text)
{
    unsigned columns;

    (void)measure(text, UINT_MAX, &columns);
    return columns;
}

size_t render_fitting(const char *text, unsigned columns)
{
    unsigned taken;

    return measure(text, columns, &taken);
}

void render_time(struct buffer *out, int64_t seconds, uint32_t nanoseconds)
{
    time_t when = (time_t)seconds;
    struct tm tm;
    char text[64];

    if (gmtime_r(&when, &tm) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm) == 0) {
        buffer_printf(out, "%" PRId64 " s after 1970", seconds);
        return;
    }
    buffer_printf(out, "%s.%06u UTC", text, nanoseconds / 1000);
}

void render_duration(struct buffer *out, uint64_t ns)
{
    if (ns < 1000) {
        buffer_printf(out, "%" PRIu64 " ns", ns);
    } else if (ns < 1000000) {
        buffer_printf(out, "%.1f us", (double)ns / 1e3);
    } else if (ns < 1000000000) {
        buffer_printf(out, "%.1f ms", (double)ns / 1e6);
    } else {
        buffer_printf(out, "%.3f s", (double)ns / 1e9);
    }
}

void render_memory(struct buffer *out, uint64_t kib)
{
    if (kib < 1024) {
        buffer_printf(out, "%" PRIu64 " KiB", kib);
    } else if (kib < 1024 * 1024) {
        buffer_printf(out, "%.1f MiB", (double)kib / 1024);
    } else {
        buffer_printf(out, "%.1f GiB", (double)kib / (1024 * 1024));
    }
}

void render_identity(struct buffer *out, const xenres_identity *identity)
{
    render_safe(out, identity->name[0] != '\0' ? identity->name : "(no name)");
    buffer_printf(out, " (domain %" PRIu32 ", ", identity->domid);
    render_safe(out, identity->uuid);
    buffer_append_string(out, ", incarnation ");
    render_safe(out, identity->incarnation);
    buffer_append_string(out, ")\n");
}

void render_observation(struct buffer *out, const xenres_observation *o)
{
    if (o->grant_version != 0) {
        buffer_printf(out, "grant table version %" PRIu32 ", ", o->grant_version);
    }
    if (o->frames_max != 0) {
        buffer_printf(out, "%" PRIu32 " of at most %" PRIu32 " frames in use, ", o->frames_in_use,
                      o->frames_max);
    }
    buffer_append_string(out, "copied ");
    render_time(out, o->wall_seconds, o->wall_nanoseconds);
    buffer_append_string(out, " in ");
    render_duration(out, o->copy_duration_ns);
    buffer_append_byte(out, '\n');
}

/* --- hex --- */

static void hex_line(struct buffer *out, uint64_t offset, const uint8_t *bytes, size_t len)
{
    buffer_printf(out, "%08" PRIx64, offset);
    for (size_t i = 0; i < 16; i++) {
        if (i % 8 == 0) {
            buffer_append_byte(out, ' ');
        }
        if (i < len) {
            buffer_printf(out, " %02x", (unsigned)bytes[i]);
        } else {
            buffer_append_string(out, "   ");
        }
    }
    buffer_append_string(out, "  |");
    for (size_t i = 0; i < len; i++) {
        buffer_append_byte(out, bytes[i] >= 0x20 && bytes[i] < 0x7f ? bytes[i] : '.');
    }
    buffer_append_string(out, "|\n");
}

static void flush_line(struct render_hex *hex, struct buffer *out)
{
    if (hex->has_last && hex->len == 16 && memcmp(hex->line, hex->last, 16) == 0) {
        if (!hex->folding) {
            buffer_append_string(out, "*\n");
        }
        hex->folding = true;
    } else {
        hex_line(out, hex->offset, hex->line, hex->len);
        hex->folding = false;
    }
    memcpy(hex->last, hex->line, sizeof(hex->last));
    hex->has_last = true;
    hex->offset += hex->len;
    hex->len = 0;
}

void render_hex(struct render_hex *hex, struct buffer *out, const void *bytes, size_t len_bytes)
{
    const uint8_t *at = bytes;

    while (len_bytes > 0) {
        size_t taken = 16 - hex->len < len_bytes ? 16 - hex->len : len_bytes;

        memcpy(hex->line + hex->len, at, taken);
        hex->len += taken;
        at += taken;
        len_bytes -= taken;
        if (hex->len == 16) {
            flush_line(hex, out);
        }
    }
}

void render_hex_end(struct render_hex *hex, struct buffer *out)
{
    if (hex->len > 0) {
        flush_line(hex, out);
    }
    buffer_printf(out, "%08" PRIx64 "\n", hex->offset);
}
