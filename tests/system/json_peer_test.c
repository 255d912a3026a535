/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Our JSON and that of protobuf's own implementation, for random messages of every type of the API
 * and of tests/proto/zoo.proto: the same value, whatever the spelling; and each takes what the other
 * has printed, for the same message. Run from the source tree. */
#include "tests/lib/unit.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buffer.h"
#include "proto/json/parse.h"
#include "proto/json/print.h"
#include "proto/wire/wire.h"
#include "tests/proto/zoo.pb-c.h"
#include "xenres/v1/access.pb-c.h"
#include "xenres/v1/host.pb-c.h"
#include "xenres/v1/inspect.pb-c.h"
#include "xenres/v1/resource.pb-c.h"
#include "xenres/v1/trace.pb-c.h"
#include "xenres/v1/watch.pb-c.h"

enum { RECORD_MAX_BYTES = 1 << 20, MESSAGES_A_TYPE = 60, SEED = 1 };

static const ProtobufCMessageDescriptor *const types[] = {
    &xenres__v1__domain_identity__descriptor,
    &xenres__v1__observation__descriptor,
    &xenres__v1__xen_failure__descriptor,
    &xenres__v1__get_host_request__descriptor,
    &xenres__v1__get_host_response__descriptor,
    &xenres__v1__host__descriptor,
    &xenres__v1__hypervisor__descriptor,
    &xenres__v1__gateway__descriptor,
    &xenres__v1__check__descriptor,
    &xenres__v1__list_domains_request__descriptor,
    &xenres__v1__domain_filter__descriptor,
    &xenres__v1__list_domains_response__descriptor,
    &xenres__v1__domain__descriptor,
    &xenres__v1__get_grant_table_request__descriptor,
    &xenres__v1__get_grant_table_response__descriptor,
    &xenres__v1__grant_entry__descriptor,
    &xenres__v1__grant_sub_page__descriptor,
    &xenres__v1__grant_transitive__descriptor,
    &xenres__v1__get_ioreq_server_request__descriptor,
    &xenres__v1__get_ioreq_server_response__descriptor,
    &xenres__v1__ioreq__descriptor,
    &xenres__v1__buffered_ioreqs__descriptor,
    &xenres__v1__buffered_ioreq__descriptor,
    &xenres__v1__get_vcpu_stats_request__descriptor,
    &xenres__v1__get_vcpu_stats_response__descriptor,
    &xenres__v1__vcpu_stats__descriptor,
    &xenres__v1__list_resources_request__descriptor,
    &xenres__v1__list_resources_response__descriptor,
    &xenres__v1__resource__descriptor,
    &xenres__v1__get_snapshot_request__descriptor,
    &xenres__v1__get_snapshot_response__descriptor,
    &xenres__v1__read_snapshot_request__descriptor,
    &xenres__v1__read_snapshot_response__descriptor,
    &xenres__v1__snapshot_head__descriptor,
    &xenres__v1__snapshot_chunk__descriptor,
    &xenres__v1__watch_request__descriptor,
    &xenres__v1__watch_response__descriptor,
    &xenres__v1__watch_begin__descriptor,
    &xenres__v1__watch_domains_request__descriptor,
    &xenres__v1__watch_domains_response__descriptor,
    &xenres__v1__watch_domains_begin__descriptor,
    &xenres__v1__watch_domains_list__descriptor,
    &xenres__v1__domain_change__descriptor,
    &xenres__v1__sample_time__descriptor,
    &xenres__v1__watch_image__descriptor,
    &xenres__v1__watch_changes__descriptor,
    &xenres__v1__grant_change__descriptor,
    &xenres__v1__ioreq_change__descriptor,
    &xenres__v1__watch_decoded__descriptor,
    &xenres__v1__watch_gap__descriptor,
    &xenres__v1__watch_checkpoint__descriptor,
    &xenres__v1__watch_heartbeat__descriptor,
    &xenres__v1__watch_end__descriptor,
    &xenres__v1__start_trace_request__descriptor,
    &xenres__v1__start_trace_response__descriptor,
    &xenres__v1__stop_trace_request__descriptor,
    &xenres__v1__stop_trace_response__descriptor,
    &xenres__v1__renew_trace_request__descriptor,
    &xenres__v1__renew_trace_response__descriptor,
    &xenres__v1__get_trace_request__descriptor,
    &xenres__v1__get_trace_response__descriptor,
    &xenres__v1__list_traces_request__descriptor,
    &xenres__v1__list_traces_response__descriptor,
    &xenres__v1__trace_metadata__descriptor,
    &xenres__v1__trace__descriptor,
    &xenres__v1__trace_vcpu__descriptor,
    &xenres__v1__read_trace_request__descriptor,
    &xenres__v1__read_trace_response__descriptor,
    &xenres__v1__trace_begin__descriptor,
    &xenres__v1__trace_segment__descriptor,
    &xenres__v1__trace_data__descriptor,
    &xenres__v1__trace_gap__descriptor,
    &xenres__v1__trace_checkpoint__descriptor,
    &xenres__v1__trace_heartbeat__descriptor,
    &xenres__v1__trace_end__descriptor,
    &xenres__v1__who_am_irequest__descriptor,
    &xenres__v1__who_am_iresponse__descriptor,
    &xenres__v1__caller__descriptor,
    &xenres__v1__caller_limits__descriptor,
    &xenres__v1__explain_access_request__descriptor,
    &xenres__v1__explain_access_response__descriptor,
    &zoo__zoo__descriptor,
    &zoo__leaf__descriptor,
    &zoo__pairs__descriptor,
};

/* That random messages have in an Any, beside some of these. */
static const ProtobufCMessageDescriptor *const more_types[] = {
    &google__protobuf__any__descriptor,         &google__protobuf__duration__descriptor,
    &google__protobuf__empty__descriptor,       &google__protobuf__struct__descriptor,
    &google__protobuf__int32_value__descriptor, &google__protobuf__value__descriptor,
};

static const ProtobufCMessageDescriptor *find_among(const ProtobufCMessageDescriptor *const *among,
                                                    size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(among[i]->name, name) == 0) {
            return among[i];
        }
    }
    return NULL;
}

static const ProtobufCMessageDescriptor *find_type(void *context, const char *name)
{
    const ProtobufCMessageDescriptor *type =
        find_among(types, sizeof(types) / sizeof(types[0]), name);

    (void)context;
    return type != NULL ? type
                        : find_among(more_types, sizeof(more_types) / sizeof(more_types[0]), name);
}

static const struct json_types known = { .find = find_type };

static const struct wire_limits limits = { .len_max_bytes = RECORD_MAX_BYTES,
                                           .elements_max = 100000,
                                           .memory_max_bytes = 16 * (size_t)RECORD_MAX_BYTES };

/* False at the end. */
static bool read_record(FILE *peer, struct buffer *out)
{
    uint32_t len;

    buffer_reset(out);
    if (fread(&len, sizeof(len), 1, peer) != 1) {
        return false;
    }
    len = ntohl(len);
    uint8_t *room = buffer_extend(out, len);

    assert_non_null(room);
    assert_int_equal(fread(room, 1, len, peer), len);
    return true;
}

static void write_record(FILE *out, const struct buffer *content)
{
    uint32_t len = htonl((uint32_t)content->len_bytes);

    assert_int_equal(fwrite(&len, sizeof(len), 1, out), 1);
    assert_int_equal(fwrite(content->data, 1, content->len_bytes, out), content->len_bytes);
}

/* Numbers as reals: theirs may be written as integers of any length. */
static json_t *load(struct buffer *text)
{
    json_t *value =
        json_loads(buffer_string(text),
                   JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);

    assert_non_null(value);
    return value;
}

/* Prints into `ours`. */
static void expect_same(const ProtobufCMessage *message, bool with_defaults, struct buffer *theirs,
                        struct buffer *ours)
{
    const struct json_print_options options = { .with_defaults = with_defaults,
                                                .pretty = with_defaults,
                                                .types = &known };
    struct failure f = { 0 };

    if (json_print(message, &options, ours, &f) != 0) {
        fail_msg("%s", f.message);
    }
    json_t *a = load(ours);
    json_t *b = load(theirs);

    if (!json_equal(a, b)) {
        fail_msg("%s:\n%s\n%s", message->descriptor->name, buffer_string(ours),
                 buffer_string(theirs));
    }
    json_decref(a);
    json_decref(b);
}

/* Their text as a message's bytes. */
static void parse_theirs(const ProtobufCMessageDescriptor *type, struct buffer *text,
                         struct buffer *out)
{
    const struct json_parse_options options = { .refuse_unknown = true, .types = &known };
    ProtobufCMessage *message = NULL;
    struct failure f = { 0 };

    if (json_parse(type, text->data, text->len_bytes, &limits, &options, &message, &f) != 0) {
        fail_msg("%s: %s", f.message, buffer_string(text));
    }
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *room = buffer_extend(out, len);

    assert_non_null(room);
    assert_int_equal(protobuf_c_message_pack(message, room), len);
    wire_free(message);
}

/* One of the peer's messages; what `check` wants of it goes to `answers`. */
static void exchange(const struct buffer *name, FILE *peer, FILE *answers)
{
    BUFFER_AUTO(bytes, RECORD_MAX_BYTES);
    BUFFER_AUTO(plain, RECORD_MAX_BYTES);
    BUFFER_AUTO(with_defaults, RECORD_MAX_BYTES);
    BUFFER_AUTO(ours, RECORD_MAX_BYTES);
    BUFFER_AUTO(ours_with_defaults, RECORD_MAX_BYTES);
    BUFFER_AUTO(parsed, RECORD_MAX_BYTES);
    const ProtobufCMessageDescriptor *type = find_type(NULL, (const char *)name->data);
    ProtobufCMessage *message = NULL;

    if (type == NULL) {
        fail_msg("add %s to the test's list", (const char *)name->data);
    }
    assert_true(read_record(peer, &bytes) && read_record(peer, &plain) &&
                read_record(peer, &with_defaults));
    int result = wire_unpack(type, bytes.data, bytes.len_bytes, &limits, &message, NULL);

    assert_int_equal(result, 0);
    expect_same(message, false, &plain, &ours);
    expect_same(message, true, &with_defaults, &ours_with_defaults);
    wire_free(message);
    parse_theirs(type, &plain, &parsed);
    write_record(answers, &parsed);
    buffer_reset(&parsed);
    parse_theirs(type, &with_defaults, &parsed);
    write_record(answers, &parsed);
    write_record(answers, &ours);
    write_record(answers, &ours_with_defaults);
}

static FILE *start_peer(const char *what, const char *input)
{
    char command[256];

    (void)snprintf(command, sizeof(command),
                   "exec /usr/bin/python3 tests/lib/json_messages.py %s %d %d <%s", what,
                   MESSAGES_A_TYPE, SEED, input);
    FILE *peer = popen(command, "r");

    assert_non_null(peer);
    return peer;
}

static void messages_are_those_of_the_reference_implementation(void **state)
{
    char path[] = "/tmp/xr-json.XXXXXX";
    BUFFER_AUTO(name, RECORD_MAX_BYTES);
    unsigned count = 0;

    (void)state;
    if (system("command -v protoc >/dev/null && "
               "/usr/bin/python3 -c 'import google.protobuf.json_format' 2>/dev/null") != 0) {
        print_message("needs protoc and python3-protobuf\n");
        skip();
    }
    FILE *answers = fdopen(mkstemp(path), "wb");
    FILE *peer = start_peer("make", "/dev/null");

    assert_non_null(answers);
    while (read_record(peer, &name)) {
        (void)buffer_string(&name);
        exchange(&name, peer, answers);
        count++;
    }
    assert_int_equal(pclose(peer), 0);
    assert_int_equal(count, MESSAGES_A_TYPE * sizeof(types) / sizeof(types[0]));
    assert_int_equal(fclose(answers), 0);
    assert_int_equal(pclose(start_peer("check", path)), 0);
    assert_int_equal(remove(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_those_of_the_reference_implementation),
    };

    return UNIT_RUN(tests);
}
