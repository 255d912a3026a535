/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* InspectService: decoded grants, ioreqs and run times. */
#include "tests/lib/rpc_rig.h"

#include "common/layout.h"
#include "common/log.h"
#include "xenres/v1/inspect.pb-c.h"

typedef Xenres__V1__GetGrantTableResponse grants_response;
typedef Xenres__V1__GetIoreqServerResponse ioreqs_response;
typedef Xenres__V1__GetVcpuStatsResponse stats_response;

static char web_1[] = "web-1";

/* --- grants ----------------------------------------------------------------------------------- */

static void call_grants(struct rpc_rig *r, struct flight *f, uint32_t first, int64_t count,
                        bool unused)
{
    Xenres__V1__GetGrantTableRequest request;

    xenres__v1__get_grant_table_request__init(&request);
    request.domain = web_1;
    request.first_reference = first;
    request.include_unused = unused;
    if (count >= 0) {
        request.reference_count_choice_case =
            XENRES__V1__GET_GRANT_TABLE_REQUEST__REFERENCE_COUNT_CHOICE_REFERENCE_COUNT;
        request.reference_count = (uint32_t)count;
    }
    flight_call(r, f, &r->alice, "InspectService/GetGrantTable", &request.base);
}

static void describe(struct rpc_rig *r, uint32_t version, uint32_t frames_in_use)
{
    union message request, answer;

    fake_mapper_request(&r->mapper, &request);
    assert_int_equal(request.head.type, MESSAGE_DESCRIBE);
    memset(&answer, 0, sizeof(answer));
    answer.describe_answer.resource_count = 1;
    answer.describe_answer.resources[0] =
        (struct message_resource){ .type = RESOURCE_GRANT_TABLE,
                                   .id_count = 1,
                                   .availability = RESOURCE_AVAILABLE,
                                   .frames_in_use = frames_in_use,
                                   .frames_max = frames_in_use,
                                   .grant_version = version };
    fake_mapper_send(&r->mapper, &answer, MESSAGE_DESCRIBE | MESSAGE_ANSWER, request.head.serial);
}

/* Answers the copy, of a table with so many frames, from the arena's start; its range to the
 * caller. */
static struct message_snapshot copy(struct rpc_rig *r, uint32_t version, uint32_t frames_in_use)
{
    union message request, answer;
    struct message_snapshot_answer *a = &answer.snapshot_answer;

    fake_mapper_request(&r->mapper, &request);
    assert_int_equal(request.head.type, MESSAGE_SNAPSHOT);
    assert_int_equal(request.snapshot.flags, SNAPSHOT_WITH_STATUS);
    fake_snapshot(&r->mapper, &request, 0, request.snapshot.frame_count, &answer);
    a->observation.grant_version = version;
    a->observation.frames_in_use = a->observation.frames_max = frames_in_use;
    if (version == 2) {
        layout_status_range(request.snapshot.first_frame, request.snapshot.frame_count,
                            &a->first_status_frame, &a->status_frame_count);
        a->slot.len_bytes += (uint64_t)a->status_frame_count * MESSAGE_FRAME_BYTES;
    }
    fake_mapper_send(&r->mapper, &answer, MESSAGE_SNAPSHOT | MESSAGE_ANSWER, request.head.serial);
    return request.snapshot;
}

static void put_v1(struct rpc_rig *r, uint32_t index, uint16_t flags, uint16_t domid,
                   uint64_t frame)
{
    const struct layout_grant grant = {
        .kind = (enum layout_grant_kind)(flags & 3), .flags = flags, .domid = domid, .frame = frame
    };

    layout_put_grant_v1(r->mapper.arena + index * LAYOUT_GRANT_V1_BYTES, &grant);
}

static void entries_of_version_1_are_decoded(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    rpc_rig_init(&r, true);
    memset(r.mapper.arena, 0, 2 * MESSAGE_FRAME_BYTES);
    put_v1(&r, 8, LAYOUT_GRANT_PERMIT_ACCESS | LAYOUT_GTF_READONLY | LAYOUT_GTF_READING, 7, 0x1234);
    put_v1(&r, 1023, LAYOUT_GRANT_ACCEPT_TRANSFER, 3, 0x99);
    call_grants(&r, &f, 0, -1, false);
    rpc_rig_domains(&r);
    describe(&r, 1, 2);
    copy(&r, 1, 2);
    grants_response *m = flight_message(&f, &xenres__v1__get_grant_table_response__descriptor);

    assert_int_equal(m->n_entries, 2);
    assert_int_equal(m->entries[0]->reference, 8);
    assert_int_equal(m->entries[0]->kind, XENRES__V1__GRANT_KIND__GRANT_KIND_PERMIT_ACCESS);
    assert_int_equal(m->entries[0]->domid, 7);
    assert_int_equal(m->entries[0]->frame, 0x1234);
    assert_true(m->entries[0]->readonly && m->entries[0]->reading && !m->entries[0]->writing);
    assert_int_equal(m->entries[1]->reference, 1023);
    assert_int_equal(m->entries[1]->kind, XENRES__V1__GRANT_KIND__GRANT_KIND_ACCEPT_TRANSFER);
    assert_int_equal(m->next_reference, 0);
    assert_int_equal(m->reference_capacity, 1024);
    xenres__v1__get_grant_table_response__free_unpacked(m, NULL);
    flight_done(&f);
    rpc_rig_done(&r);
}

static void entries_of_version_2_have_their_status_and_their_kinds(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };
    const struct layout_grant sub_page = { .kind = LAYOUT_GRANT_PERMIT_ACCESS,
                                           .flags =
                                               LAYOUT_GRANT_PERMIT_ACCESS | LAYOUT_GTF_SUB_PAGE,
                                           .status = LAYOUT_GTF_WRITING,
                                           .domid = 4,
                                           .frame = 0x55,
                                           .has_sub_page = true,
                                           .sub_page_offset_bytes = 16,
                                           .sub_page_length_bytes = 32 };
    const struct layout_grant transitive = { .kind = LAYOUT_GRANT_TRANSITIVE,
                                             .flags = LAYOUT_GRANT_TRANSITIVE,
                                             .domid = 5,
                                             .transitive_domid = 6,
                                             .transitive_reference = 77 };

    (void)state;
    rpc_rig_init(&r, true);
    memset(r.mapper.arena, 0, 3 * MESSAGE_FRAME_BYTES);
    uint8_t *status = r.mapper.arena + 2 * MESSAGE_FRAME_BYTES;

    /* Frames 9 and 10 of the table: references 2304 to 2815; their status is in status frame 1. */
    layout_put_grant_v2(r.mapper.arena, status + (2304 - 2048) * 2, &sub_page);
    layout_put_grant_v2(r.mapper.arena + 511 * LAYOUT_GRANT_V2_BYTES, status + (2815 - 2048) * 2,
                        &transitive);
    call_grants(&r, &f, 2304, 512, false);
    rpc_rig_domains(&r);
    describe(&r, 2, 16);
    struct message_snapshot asked = copy(&r, 2, 16);

    assert_int_equal(asked.first_frame, 9);
    assert_int_equal(asked.frame_count, 2);
    grants_response *m = flight_message(&f, &xenres__v1__get_grant_table_response__descriptor);

    assert_int_equal(m->n_entries, 2);
    assert_int_equal(m->entries[0]->reference, 2304);
    assert_true(m->entries[0]->writing && !m->entries[0]->reading);
    assert_int_equal(m->entries[0]->sub_page->offset_bytes, 16);
    assert_int_equal(m->entries[0]->sub_page->length_bytes, 32);
    assert_null(m->entries[0]->transitive);
    assert_int_equal(m->entries[0]->raw_status, LAYOUT_GTF_WRITING);
    assert_int_equal(m->entries[1]->reference, 2815);
    assert_int_equal(m->entries[1]->transitive->domid, 6);
    assert_int_equal(m->entries[1]->transitive->reference, 77);
    assert_int_equal(m->reference_capacity, 4096);
    xenres__v1__get_grant_table_response__free_unpacked(m, NULL);
    flight_done(&f);
    rpc_rig_done(&r);
}

static void exactly_the_references_asked_for_are_looked_at(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    rpc_rig_init(&r, true);
    memset(r.mapper.arena, 0xff, 2 * MESSAGE_FRAME_BYTES); /* all in use */
    call_grants(&r, &f, 510, 4, false);                    /* across two frames */
    rpc_rig_domains(&r);
    describe(&r, 1, 8);
    struct message_snapshot asked = copy(&r, 1, 8);

    assert_int_equal(asked.first_frame, 0);
    assert_int_equal(asked.frame_count, 2);
    grants_response *m = flight_message(&f, &xenres__v1__get_grant_table_response__descriptor);

    assert_int_equal(m->n_entries, 4);
    assert_int_equal(m->entries[0]->reference, 510);
    assert_int_equal(m->entries[3]->reference, 513);
    assert_int_equal(m->next_reference, 0);
    xenres__v1__get_grant_table_response__free_unpacked(m, NULL);
    flight_done(&f);
    rpc_rig_done(&r);
}

static void unused_entries_come_when_asked_for(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    rpc_rig_init(&r, true);
    memset(r.mapper.arena, 0, MESSAGE_FRAME_BYTES);
    call_grants(&r, &f, 500, -1, true);
    rpc_rig_domains(&r);
    describe(&r, 1, 1);
    copy(&r, 1, 1);
    grants_response *m = flight_message(&f, &xenres__v1__get_grant_table_response__descriptor);

    assert_int_equal(m->n_entries, 12);
    assert_int_equal(m->entries[11]->kind, XENRES__V1__GRANT_KIND__GRANT_KIND_UNUSED);
    xenres__v1__get_grant_table_response__free_unpacked(m, NULL);
    flight_done(&f);
    rpc_rig_done(&r);
}

static void a_large_table_is_looked_at_in_parts(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };
    union message request;

    (void)state;
    rpc_rig_init(&r, true);
    call_grants(&r, &f, 600, -1, false);
    rpc_rig_domains(&r);
    describe(&r, 1, 16384);
    fake_mapper_request(&r.mapper, &request);
    assert_int_equal(request.snapshot.first_frame, 1);
    assert_int_equal(request.snapshot.frame_count, 2048);
    fake_mapper_failed(&r.mapper, request.head.serial, ERROR_RESOURCE_EXHAUSTED, 0);
    flight_error(&f, 429, "resource_exhausted", NULL);
    rpc_rig_done(&r);
}

static void references_beyond_the_table_are_refused(void **state)
{
    static const struct {
        uint32_t first;
        int64_t count;
    } beyond[] = {
        { 512, -1 }, { 0, 513 }, { 511, 2 }, { UINT32_MAX, 1 }, { 1, UINT32_MAX },
    };
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    rpc_rig_init(&r, true);
    for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
        call_grants(&r, &f, beyond[i].first, beyond[i].count, false);
        if (i == 0) {
            rpc_rig_domains(&r);
        }
        describe(&r, 1, 1);
        flight_error(&f, 400, "out_of_range", "EINVAL");
    }
    call_grants(&r, &f, 0, 0, false);
    flight_error(&f, 400, "invalid_argument", "EINVAL");
    rpc_rig_done(&r);
}

static void a_table_whose_version_changes_is_asked_once_more_and_then_aborted(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    rpc_rig_init(&r, true);
    call_grants(&r, &f, 0, -1, false);
    rpc_rig_domains(&r);
    describe(&r, 1, 1);
    copy(&r, 2, 1);
    rpc_rig_domains(&r); /* once more, from the beginning */
    describe(&r, 2, 1);
    copy(&r, 1, 1);
    flight_error(&f, 409, "aborted", NULL);
    call_grants(&r, &f, 0, -1, false);
    describe(&r, 1, 2);
    copy(&r, 2, 2);
    rpc_rig_domains(&r);
    describe(&r, 2, 2);
    copy(&r, 2, 2);
    grants_response *m = flight_message(&f, &xenres__v1__get_grant_table_response__descriptor);

    assert_int_equal(m->reference_capacity, 512);
    xenres__v1__get_grant_table_response__free_unpacked(m, NULL);
    flight_done(&f);
    rpc_rig_done(&r);
}

/* --- ioreqs ----------------------------------------------------------------------------------- */

static void call_ioreqs(struct rpc_rig *r, struct flight *f)
{
    Xenres__V1__GetIoreqServerRequest request;

    xenres__v1__get_ioreq_server_request__init(&request);
    request.domain = web_1;
    request.id = 3;
    flight_call(r, f, &r->alice, "InspectService/GetIoreqServer", &request.base);
}

static void answer_ioreqs(struct rpc_rig *r, uint32_t present)
{
    union message request, answer;

    fake_mapper_request(&r->mapper, &request);
    assert_int_equal(request.snapshot.type, RESOURCE_IOREQ_SERVER);
    assert_int_equal(request.snapshot.id, 3);
    assert_int_equal(request.snapshot.frame_count, 2);
    assert_int_equal(request.snapshot.flags, SNAPSHOT_SPARSE);
    fake_snapshot(&r->mapper, &request, 0, 2, &answer);
    answer.snapshot_answer.frames_present = present;
    fake_mapper_send(&r->mapper, &answer, MESSAGE_SNAPSHOT | MESSAGE_ANSWER, request.head.serial);
}

static void requests_of_each_vcpu_and_the_queue_are_decoded(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };
    const struct layout_ioreq ioreq = { .address = 0xfee00000,
                                        .data = 5,
                                        .count = 1,
                                        .size_bytes = 4,
                                        .state = LAYOUT_IOREQ_READY,
                                        .type = LAYOUT_IOREQ_COPY,
                                        .read = true };
    const struct layout_ioreq odd = { .state = 9, .type = 99 };
    const struct layout_buffered_ioreq byte = {
        .address = 0xa0000, .data = 0x41, .size_bytes = 1, .type = LAYOUT_IOREQ_COPY
    };
    const struct layout_buffered_ioreq wide = { .address = 0xa0008,
                                                .data = UINT64_C(0x1122334455667788),
                                                .size_bytes = 8,
                                                .type = LAYOUT_IOREQ_COPY };

    (void)state;
    rpc_rig_init(&r, true);
    memset(r.mapper.arena, 0, 2 * MESSAGE_FRAME_BYTES);
    layout_put_ioreq(r.mapper.arena + MESSAGE_FRAME_BYTES, &ioreq);
    layout_put_ioreq(r.mapper.arena + MESSAGE_FRAME_BYTES + LAYOUT_IOREQ_BYTES, &odd);
    uint32_t pointers[2] = { 510, 510 }; /* the queue wraps behind its last slot */

    pointers[1] += layout_put_buffered_ioreq(r.mapper.arena, pointers[1], &byte);
    pointers[1] += layout_put_buffered_ioreq(r.mapper.arena, pointers[1], &wide);
    memcpy(r.mapper.arena, pointers, sizeof(pointers));
    call_ioreqs(&r, &f);
    rpc_rig_domains(&r);
    answer_ioreqs(&r, 3);
    ioreqs_response *m = flight_message(&f, &xenres__v1__get_ioreq_server_response__descriptor);

    assert_int_equal(m->id, 3);
    assert_int_equal(m->n_vcpus, 2);
    assert_int_equal(m->vcpus[0]->address, 0xfee00000);
    assert_int_equal(m->vcpus[0]->state, XENRES__V1__IOREQ_STATE__IOREQ_STATE_READY);
    assert_int_equal(m->vcpus[0]->type, XENRES__V1__IOREQ_TYPE__IOREQ_TYPE_COPY);
    assert_true(m->vcpus[0]->read);
    assert_int_equal(m->vcpus[1]->state, XENRES__V1__IOREQ_STATE__IOREQ_STATE_UNSPECIFIED);
    assert_int_equal(m->vcpus[1]->type, XENRES__V1__IOREQ_TYPE__IOREQ_TYPE_UNKNOWN);
    assert_int_equal(m->vcpus[1]->raw_type, 99);
    assert_true(m->buffered->pointers_valid);
    assert_int_equal(m->buffered->read_pointer, 510);
    assert_int_equal(m->buffered->n_requests, 2);
    assert_int_equal(m->buffered->requests[0]->data, 0x41);
    assert_true(m->buffered->requests[1]->data == UINT64_C(0x1122334455667788));
    xenres__v1__get_ioreq_server_response__free_unpacked(m, NULL);
    flight_done(&f);
    rpc_rig_done(&r);
}

static void a_server_without_a_queue_or_with_wild_pointers_is_shown_as_it_is(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    rpc_rig_init(&r, true);
    call_ioreqs(&r, &f);
    rpc_rig_domains(&r);
    answer_ioreqs(&r, 1U << IOREQ_FRAME_SYNCHRONOUS);
    ioreqs_response *m = flight_message(&f, &xenres__v1__get_ioreq_server_response__descriptor);

    assert_null(m->buffered);
    assert_int_equal(m->n_vcpus, 2);
    xenres__v1__get_ioreq_server_response__free_unpacked(m, NULL);
    flight_done(&f);
    const uint32_t wild[2] = { 5, 4 };

    memcpy(r.mapper.arena, wild, sizeof(wild));
    call_ioreqs(&r, &f);
    answer_ioreqs(&r, 1U << IOREQ_FRAME_BUFFERED);
    m = flight_message(&f, &xenres__v1__get_ioreq_server_response__descriptor);
    assert_int_equal(m->n_vcpus, 0);
    assert_false(m->buffered->pointers_valid);
    assert_int_equal(m->buffered->read_pointer, 5);
    assert_int_equal(m->buffered->n_requests, 0);
    xenres__v1__get_ioreq_server_response__free_unpacked(m, NULL);
    flight_done(&f);
    rpc_rig_done(&r);
}

/* --- run times -------------------------------------------------------------------------------- */

static void run_times_come_with_their_source(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };
    Xenres__V1__GetVcpuStatsRequest request;
    union message asked, answer;
    const struct message_vcpu vcpus[] = {
        { .vcpu = 0, .flags = VCPU_ONLINE, .run_time_ns = 123 },
        { .vcpu = 1, .flags = VCPU_UNREADABLE, .run_time_ns = 456 },
    };

    (void)state;
    rpc_rig_init(&r, true);
    memcpy(r.mapper.arena, vcpus, sizeof(vcpus));
    xenres__v1__get_vcpu_stats_request__init(&request);
    request.domain = web_1;
    flight_call(&r, &f, &r.alice, "InspectService/GetVcpuStats", &request.base);
    rpc_rig_domains(&r);
    fake_mapper_request(&r.mapper, &asked);
    assert_int_equal(asked.head.type, MESSAGE_VCPU_STATS);
    assert_true(asked.vcpu_stats.deadline_ns > 0);
    memset(&answer, 0, sizeof(answer));
    answer.vcpu_stats_answer.slot = (struct message_slot){ .len_bytes = MESSAGE_FRAME_BYTES };
    answer.vcpu_stats_answer.source = VCPU_STATS_INFO;
    answer.vcpu_stats_answer.vcpu_count = 2;
    fake_mapper_send(&r.mapper, &answer, MESSAGE_VCPU_STATS | MESSAGE_ANSWER, asked.head.serial);
    stats_response *m = flight_message(&f, &xenres__v1__get_vcpu_stats_response__descriptor);

    assert_int_equal(m->source, XENRES__V1__STATS_SOURCE__STATS_SOURCE_VCPU_INFO);
    assert_int_equal(m->n_vcpus, 2);
    assert_int_equal(m->vcpus[0]->run_time_ns, 123);
    assert_true(m->vcpus[0]->online && !m->vcpus[0]->unreadable);
    assert_true(m->vcpus[1]->unreadable && m->vcpus[1]->run_time_ns == 0);
    xenres__v1__get_vcpu_stats_response__free_unpacked(m, NULL);
    flight_done(&f);
    rpc_rig_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_of_version_1_are_decoded),
        cmocka_unit_test(entries_of_version_2_have_their_status_and_their_kinds),
        cmocka_unit_test(exactly_the_references_asked_for_are_looked_at),
        cmocka_unit_test(unused_entries_come_when_asked_for),
        cmocka_unit_test(a_large_table_is_looked_at_in_parts),
        cmocka_unit_test(references_beyond_the_table_are_refused),
        cmocka_unit_test(a_table_whose_version_changes_is_asked_once_more_and_then_aborted),
        cmocka_unit_test(requests_of_each_vcpu_and_the_queue_are_decoded),
        cmocka_unit_test(a_server_without_a_queue_or_with_wild_pointers_is_shown_as_it_is),
        cmocka_unit_test(run_times_come_with_their_source),
    };

    log_open("inspect_test", (enum log_level)0);
    return UNIT_RUN(tests);
}
