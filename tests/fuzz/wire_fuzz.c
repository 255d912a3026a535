/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Any bytes as the message of each method that has one: the first byte chooses the method. What the
 * scan lets through is unpacked within its bounds, or refused; what is unpacked is packed again,
 * and that is taken again.
 */
#include <stdbool.h>
#include <stdlib.h>

#include "proto/wire/wire.h"
#include "server/rpc/method.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* Packed and taken again: what we pass on is what we would accept. */
static void check_round_trip(const ProtobufCMessageDescriptor *type,
                             const ProtobufCMessage *message)
{
    const struct wire_limits limits = { .len_max_bytes = 1 << 24,
                                        .elements_max = 1 << 20,
                                        .memory_max_bytes = 1 << 26 };
    size_t len_bytes = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(len_bytes + 1);
    ProtobufCMessage *again = NULL;

    if (bytes != NULL) {
        check(protobuf_c_message_pack(message, bytes) == len_bytes);
        check(wire_unpack(type, bytes, len_bytes, &limits, &again, NULL) == 0);
    }
    wire_free(again);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct wire_limits limits = { .len_max_bytes = 4096,
                                        .elements_max = 512,
                                        .memory_max_bytes = 65536 };
    ProtobufCMessage *message = NULL;
    struct failure f = { 0 };

    if (size == 0) {
        return 0;
    }
    const struct method *m = &services_table.methods[data[0] % services_table.count];
    /* Answers as well: they have messages within messages, and every kind of field. */
    const ProtobufCMessageDescriptor *type = (data[0] & 0x80) != 0 ? m->response : m->request;

    if (m->kind == METHOD_RAW) {
        return 0;
    }
    int scanned = wire_scan(type, data + 1, size - 1, &limits, NULL);
    int result = wire_unpack(type, data + 1, size - 1, &limits, &message, &f);

    check((result == 0) == (message != NULL));
    check(scanned == 0 || result == scanned);
    check(result == 0 || result == -ERROR_INVALID_ARGUMENT || result == -ERROR_RESOURCE_EXHAUSTED);
    check(result == 0 || f.message[0] != '\0');
    if (message != NULL) {
        check_round_trip(type, message);
    }
    wire_free(message);
    return 0;
}
