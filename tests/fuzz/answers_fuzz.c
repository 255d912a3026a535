/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the client takes from a server, behind HTTP: the first byte chooses the size of the pieces in
 * which a stream comes (0: the rest is the body of an error instead). What is taken keeps within its
 * bounds, whatever the pieces, and an error always has a code and a message.
 */
#include <stdlib.h>

#include "client/envelope.h"
#include "client/inflate.h"
#include "client/refusal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGE_MAX_BYTES = 4096 };

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_fault(int result, const struct fault *fault)
{
    xenres_error error;

    check(result <= 0 && result >= -ERROR_UNAUTHENTICATED);
    if (result < 0) {
        check(fault_export(result, fault, &error) == result);
        check(error.code == (uint32_t)-result && error.message[0] != '\0');
    }
}

static void check_details(const xenres *handle)
{
    const xenres_detail *details;
    size_t count = xenres_error_details(handle, &details);

    check(count <= DETAILS_MAX);
    for (size_t i = 0; i < count; i++) {
        check(details[i].type_name[0] != '\0' && details[i].len_bytes <= DETAIL_MAX_BYTES);
    }
}

static void look_at(const struct envelope *e)
{
    struct xenres handle = { .server = NULL };
    struct fault fault = { 0 };
    bool is_end = envelope_has(e, ENVELOPE_END);
    size_t max_bytes = is_end ? (size_t)ENVELOPE_END_MAX_BYTES : MESSAGE_MAX_BYTES;
    BUFFER_AUTO(unpacked, max_bytes);
    const struct buffer *payload = &e->payload;

    check(payload->len_bytes <= max_bytes);
    if (envelope_has(e, ENVELOPE_COMPRESSED)) {
        int result = inflate_gzip(payload->data, payload->len_bytes, &unpacked, &fault);

        check_fault(result, &fault);
        check(unpacked.capacity_bytes <= max_bytes + 1);
        if (result != 0) {
            return;
        }
        payload = &unpacked;
    }
    if (is_end) {
        check_fault(refusal_read_end(&handle, payload->data, payload->len_bytes, &fault), &fault);
        check_details(&handle);
        details_clear(&handle.details);
    }
}

/* Returns what came of it: the number of messages, or what failed. */
static int take_stream(const uint8_t *data, size_t size, size_t piece)
{
    struct envelope e;
    struct fault fault = { 0 };
    int result = 0, messages = 0;

    envelope_init(&e, MESSAGE_MAX_BYTES);
    for (size_t at = 0; at < size && result == 0;) {
        size_t len = size - at < piece ? size - at : piece, taken = 0;

        result = envelope_feed(&e, data + at, len, &taken, &fault);
        check(taken <= len && (result != 0 || taken > 0));
        at += taken;
        if (result == 0 && envelope_is_whole(&e)) {
            messages++;
            look_at(&e);
            envelope_reset(&e);
        }
    }
    check_fault(result, &fault);
    envelope_done(&e);
    return result != 0 ? result : messages;
}

static void take_refusal(const uint8_t *data, size_t size)
{
    struct xenres handle = { .server = (char *)(uintptr_t) "https://h" };
    struct fault fault = { 0 };
    int result = refusal_read(&handle, 503, data, size, &fault);

    check(result < 0);
    check_fault(result, &fault);
    check_details(&handle);
    details_clear(&handle.details);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    if (data[0] == 0) {
        take_refusal(data + 1, size - 1);
    } else {
        check(take_stream(data + 1, size - 1, data[0]) ==
              take_stream(data + 1, size - 1, SIZE_MAX));
    }
    return 0;
}
