/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Our JSON, measured: json_codec FOLDER. FOLDER has NAME.bin (a message) and NAME.json (its text, by
 * protobuf's own printer). For each line of standard input, "encode|decode NAME MILLISECONDS", it
 * does that for so long and prints the bytes of JSON and the seconds of CPU. json_peer.cc does the
 * same with protobuf's own implementation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/scope.h"
#include "proto/json/parse.h"
#include "proto/json/print.h"
#include "xenres/v1/host.pb-c.h"
#include "xenres/v1/inspect.pb-c.h"
#include "xenres/v1/resource.pb-c.h"

enum { FILE_MAX_BYTES = 1 << 24 };

static const struct wire_limits limits = { .len_max_bytes = FILE_MAX_BYTES,
                                           .elements_max = 1 << 20,
                                           .memory_max_bytes = 1 << 28 };

static const struct {
    const char *name;
    const ProtobufCMessageDescriptor *type;
} subjects[] = {
    { "grants", &xenres__v1__get_grant_table_response__descriptor },
    { "domains", &xenres__v1__list_domains_response__descriptor },
    { "snapshot", &xenres__v1__get_snapshot_response__descriptor },
};

static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "json_codec: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static const ProtobufCMessageDescriptor *type_of(const char *name)
{
    for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
        if (strcmp(subjects[i].name, name) == 0) {
            return subjects[i].type;
        }
    }
    die(name, "no such message");
    return NULL;
}

static void read_file(const char *folder, const char *name, const char *suffix, struct buffer *out)
{
    char path[4096];

    (void)snprintf(path, sizeof(path), "%s/%s.%s", folder, name, suffix);
    SCOPE_FILE FILE *file = fopen(path, "rbe");
    uint8_t *room = buffer_extend(out, FILE_MAX_BYTES);

    if (file == NULL || room == NULL) {
        die(path, "cannot be read");
    }
    out->len_bytes = fread(room, 1, FILE_MAX_BYTES, file);
}

static double cpu_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t encode(const ProtobufCMessage *message)
{
    static const struct json_print_options options;
    BUFFER_AUTO(out, FILE_MAX_BYTES);
    struct failure f;

    if (json_print(message, &options, &out, &f) != 0) {
        die("encode", f.message);
    }
    return out.len_bytes;
}

static ProtobufCMessage *decode(const ProtobufCMessageDescriptor *type, const struct buffer *text)
{
    ProtobufCMessage *message = NULL;
    struct failure f;

    if (json_parse(type, text->data, text->len_bytes, &limits, NULL, &message, &f) != 0) {
        die("decode", f.message);
    }
    return message;
}

/* What is measured is right: their text is the message that they made. */
static void check(const ProtobufCMessage *decoded, const struct buffer *bytes)
{
    BUFFER_AUTO(packed, FILE_MAX_BYTES);
    uint8_t *room = buffer_extend(&packed, protobuf_c_message_get_packed_size(decoded));

    if (room == NULL || protobuf_c_message_pack(decoded, room) != bytes->len_bytes ||
        memcmp(room, bytes->data, bytes->len_bytes) != 0) {
        die(decoded->descriptor->name, "not what it was");
    }
}

static void measure(const char *folder, bool is_encoding, const char *name, unsigned for_ms)
{
    const ProtobufCMessageDescriptor *type = type_of(name);
    BUFFER_AUTO(bytes, FILE_MAX_BYTES);
    BUFFER_AUTO(text, FILE_MAX_BYTES);

    read_file(folder, name, "bin", &bytes);
    read_file(folder, name, "json", &text);
    ProtobufCMessage *message = decode(type, &text);

    check(message, &bytes);
    size_t done_bytes = 0;
    double begin_s = cpu_s();
    double taken_s;

    do {
        if (is_encoding) {
            done_bytes += encode(message);
        } else {
            wire_free(decode(type, &text));
            done_bytes += text.len_bytes;
        }
        taken_s = cpu_s() - begin_s;
    } while (taken_s < for_ms / 1e3);
    wire_free(message);
    (void)printf("%zu %.9f\n", done_bytes, taken_s);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    char direction[16];
    char name[16];
    unsigned for_ms;

    if (argc != 2) {
        die("usage", "json_codec FOLDER");
    }
    while (scanf("%15s %15s %u", direction, name, &for_ms) == 3) {
        measure(argv[1], strcmp(direction, "encode") == 0, name, for_ms);
    }
    return EXIT_SUCCESS;
}
