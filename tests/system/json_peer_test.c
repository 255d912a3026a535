/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Our JSON and that of protobuf's own implementation, for random messages of every type of the API:
 * the same value, whatever the spelling. Run from the source tree. */
#include "tests/lib/unit.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buffer.h"
#include "proto/json/print.h"
#include "proto/wire/wire.h"
#include "xenres/v1/host.pb-c.h"
#include "xenres/v1/inspect.pb-c.h"
#include "xenres/v1/resource.pb-c.h"

enum { RECORD_MAX_BYTES = 1 << 20, MESSAGES_A_TYPE = 60 };

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
    &xenres__v1__domain_filter__descriptor,
    &xenres__v1__read_snapshot_request__descriptor,
    &xenres__v1__read_snapshot_response__descriptor,
    &xenres__v1__snapshot_head__descriptor,
    &xenres__v1__snapshot_chunk__descriptor,
};

static const ProtobufCMessageDescriptor *type_of(const struct buffer *name)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strlen(types[i]->name) == name->len_bytes &&
            memcmp(types[i]->name, name->data, name->len_bytes) == 0) {
            return types[i];
        }
    }
    return NULL;
}

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

static void expect_same(const ProtobufCMessage *message, bool with_defaults, bool pretty,
                        struct buffer *theirs)
{
    const struct json_print_options options = { .with_defaults = with_defaults, .pretty = pretty };
    BUFFER_AUTO(ours, RECORD_MAX_BYTES);
    struct failure f = { 0 };

    if (json_print(message, &options, &ours, &f) != 0) {
        fail_msg("%s", f.message);
    }
    json_t *a = json_loadb((const char *)ours.data, ours.len_bytes, JSON_REJECT_DUPLICATES, NULL);
    json_t *b = json_loadb((const char *)theirs->data, theirs->len_bytes, 0, NULL);

    assert_non_null(a);
    assert_non_null(b);
    if (!json_equal(a, b)) {
        fail_msg("%s:\n%s\n%s", message->descriptor->name, buffer_string(&ours),
                 buffer_string(theirs));
    }
    json_decref(a);
    json_decref(b);
}

static void values_are_those_of_the_reference_implementation(void **state)
{
    static const struct wire_limits limits = { .len_max_bytes = RECORD_MAX_BYTES,
                                               .elements_max = 100000,
                                               .memory_max_bytes = 16 * (size_t)RECORD_MAX_BYTES };
    BUFFER_AUTO(name, RECORD_MAX_BYTES);
    BUFFER_AUTO(bytes, RECORD_MAX_BYTES);
    BUFFER_AUTO(json, RECORD_MAX_BYTES);
    char command[128];
    unsigned count = 0;

    (void)state;
    if (system("command -v protoc >/dev/null && "
               "/usr/bin/python3 -c 'import google.protobuf.json_format' 2>/dev/null") != 0) {
        print_message("needs protoc and python3-protobuf\n");
        skip();
    }
    (void)snprintf(command, sizeof(command),
                   "exec /usr/bin/python3 tests/lib/json_messages.py proto %d 1", MESSAGES_A_TYPE);
    FILE *peer = popen(command, "r");

    assert_non_null(peer);
    while (read_record(peer, &name)) {
        const ProtobufCMessageDescriptor *type = type_of(&name);
        ProtobufCMessage *message = NULL;

        if (type == NULL) {
            fail_msg("add %s to the test's list", buffer_string(&name));
        }
        assert_true(read_record(peer, &bytes));
        int result = wire_unpack(type, bytes.data, bytes.len_bytes, &limits, &message, NULL);

        assert_int_equal(result, 0);
        assert_true(read_record(peer, &json));
        expect_same(message, false, false, &json);
        assert_true(read_record(peer, &json));
        expect_same(message, true, true, &json);
        wire_free(message);
        count++;
    }
    assert_int_equal(pclose(peer), 0);
    assert_int_equal(count, MESSAGES_A_TYPE * sizeof(types) / sizeof(types[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_those_of_the_reference_implementation),
    };

    return UNIT_RUN(tests);
}
