/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* HostService and ResourceService: what they ask of the mapper, and what they make of its
 * answers. */
#include "tests/lib/rpc_rig.h"

#include <errno.h>

#include "common/log.h"
#include "xenres/v1/host.pb-c.h"
#include "xenres/v1/resource.pb-c.h"

typedef Xenres__V1__GetHostResponse host_response;
typedef Xenres__V1__ListDomainsResponse domains_response;
typedef Xenres__V1__ListResourcesResponse resources_response;
typedef Xenres__V1__GetSnapshotResponse snapshot_response;

static char web_1[] = "web-1";

static void call_host(struct rpc_rig *r, struct flight *f)
{
    Xenres__V1__GetHostRequest request;

    xenres__v1__get_host_request__init(&request);
    flight_call(r, f, &r->alice, "HostService/GetHost", &request.base);
}

static void the_host_is_told_without_a_mapper(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    rpc_rig_init(&r, false);
    call_host(&r, &f);
    host_response *m = flight_message(&f, &xenres__v1__get_host_response__descriptor);

    assert_false(m->host->gateway->mapper_connected);
    assert_int_equal(strlen(m->host->boot_id), UUID_TEXT_BYTES - 1);
    assert_true(m->host->hostname[0] != '\0' && m->host->monotonic_ns > 0);
    assert_true(m->host->wall_time->seconds > 1700000000);
    assert_string_equal(m->host->uuid, "");
    assert_null(m->host->hypervisor);
    assert_string_equal(m->host->gateway->version, XENRES_VERSION);
    assert_int_equal(m->host->gateway->n_checks, 1);
    assert_string_equal(m->host->gateway->checks[0]->name, "mapper");
    assert_false(m->host->gateway->checks[0]->ok);
    assert_true(m->host->gateway->checks[0]->detail[0] != '\0');
    xenres__v1__get_host_response__free_unpacked(m, NULL);
    flight_done(&f);
    rpc_rig_done(&r);
}

static void a_mapper_that_stalls_does_not_stall_the_host(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    rpc_rig_init(&r, true);
    uint64_t begun_ns = clock_monotonic_ns();

    call_host(&r, &f);
    host_response *m = flight_message(&f, &xenres__v1__get_host_response__descriptor);

    assert_true(clock_monotonic_ns() - begun_ns < FAKE_WAIT_MS / 2 * CLOCK_NS_PER_MS);
    assert_true(m->host->gateway->mapper_connected);
    assert_null(m->host->hypervisor);
    assert_false(m->host->gateway->checks[0]->ok);
    xenres__v1__get_host_response__free_unpacked(m, NULL);
    flight_done(&f);
    rpc_rig_done(&r);
}

static void the_host_is_told_as_the_mapper_sees_it(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };
    union message request, answer;
    struct message_host_answer *a = &answer.host_answer;

    (void)state;
    rpc_rig_init(&r, true);
    call_host(&r, &f);
    fake_mapper_request(&r.mapper, &request);
    assert_int_equal(request.head.type, MESSAGE_HOST);
    memset(&answer, 0, sizeof(answer));
    *a = (struct message_host_answer){
        .uuid = { 0xab },
        .uuid_source = "dmi",
        .xen_version = "4.17\n5",
        .guest_abis = "xen-3.0  hvm-3.0",
        .capabilities = HOST_CAN_HVM | HOST_CAN_VMTRACE,
        .cpu_count = 8,
        .total_memory_kib = 100,
        .free_memory_kib = 50,
        .check_count = 1,
        .checks = { { .name = "xenstore", .ok = 0, .detail = "not there" } },
    };
    fake_mapper_send(&r.mapper, &answer, MESSAGE_HOST | MESSAGE_ANSWER, request.head.serial);
    host_response *m = flight_message(&f, &xenres__v1__get_host_response__descriptor);

    assert_string_equal(m->host->uuid, "ab000000-0000-0000-0000-000000000000");
    assert_string_equal(m->host->uuid_source, "dmi");
    assert_string_equal(m->host->hypervisor->version, "4.17\\x0a5");
    assert_int_equal(m->host->hypervisor->n_guest_abis, 2);
    assert_string_equal(m->host->hypervisor->guest_abis[1], "hvm-3.0");
    assert_int_equal(m->host->hypervisor->n_capabilities, 2);
    assert_string_equal(m->host->hypervisor->capabilities[1], "vmtrace");
    assert_int_equal(m->host->hypervisor->cpu_count, 8);
    assert_string_equal(m->host->gateway->backend, "fake");
    assert_int_equal(m->host->gateway->n_checks, 2);
    assert_true(m->host->gateway->checks[0]->ok);
    assert_string_equal(m->host->gateway->checks[1]->detail, "not there");
    xenres__v1__get_host_response__free_unpacked(m, NULL);
    flight_done(&f);
    rpc_rig_done(&r);
}

static void a_host_without_a_uuid_of_its_firmware_has_the_machines(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };
    union message request, answer;

    (void)state;
    rpc_rig_init(&r, true);
    call_host(&r, &f);
    fake_mapper_request(&r.mapper, &request);
    memset(&answer, 0, sizeof(answer));
    fake_mapper_send(&r.mapper, &answer, MESSAGE_HOST | MESSAGE_ANSWER, request.head.serial);
    host_response *m = flight_message(&f, &xenres__v1__get_host_response__descriptor);

    assert_string_equal(m->host->uuid, "cd000000-0000-0000-0000-000000000000");
    assert_string_equal(m->host->uuid_source, "machine-id");
    xenres__v1__get_host_response__free_unpacked(m, NULL);
    flight_done(&f);
    rpc_rig_done(&r);
}

/* --- ListDomains ------------------------------------------------------------------------------ */

static void call_domains(struct rpc_rig *r, struct flight *f, const struct identity *who,
                         int32_t page_size, char *token)
{
    Xenres__V1__ListDomainsRequest request;

    xenres__v1__list_domains_request__init(&request);
    request.page_size = page_size;
    request.page_token = token;
    flight_call(r, f, who, "HostService/ListDomains", &request.base);
}

static char none[] = "";

static void domains_that_may_be_seen_are_listed(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    rpc_rig_init(&r, true);
    call_domains(&r, &f, &r.alice, 0, none);
    rpc_rig_domains(&r);
    domains_response *m = flight_message(&f, &xenres__v1__list_domains_response__descriptor);

    assert_int_equal(m->n_domains, 3); /* not the vault */
    assert_string_equal(m->next_page_token, "");
    assert_int_equal(m->domains[0]->identity->domid, 1);
    assert_string_equal(m->domains[0]->identity->incarnation, "01000000000000000000000000000000");
    assert_int_equal(m->domains[0]->type, XENRES__V1__DOMAIN_TYPE__DOMAIN_TYPE_PVH);
    assert_int_equal(m->domains[0]->state, XENRES__V1__DOMAIN_STATE__DOMAIN_STATE_RUNNING);
    assert_int_equal(m->domains[0]->max_vcpus, 2);
    assert_string_equal(m->domains[2]->identity->name, "db\\x0a");
    xenres__v1__list_domains_response__free_unpacked(m, NULL);
    flight_done(&f);
    call_domains(&r, &f, &r.viewer, 0, none);
    rpc_rig_domains(&r);
    m = flight_message(&f, &xenres__v1__list_domains_response__descriptor);
    assert_int_equal(m->n_domains, 2);
    xenres__v1__list_domains_response__free_unpacked(m, NULL);
    flight_done(&f);
    rpc_rig_done(&r);
}

/* The next page's token, to be freed. */
static char *list_one(struct rpc_rig *r, char *token, uint32_t first_domid, uint32_t domid)
{
    struct flight f = { 0 };
    union message request;
    const struct message_domain domains[] = {
        fake_domain(1, "web-1", 0x11, 1),
        fake_domain(3, "vault", 0x33, 3),
        fake_domain(4, "db", 0x44, 4),
    };
    uint32_t skipped = first_domid > 1 ? first_domid > 3 ? 2 : 1 : 0;

    call_domains(r, &f, &r->alice, 1, token);
    fake_mapper_request(&r->mapper, &request);
    assert_int_equal(request.domains.first_domid, first_domid);
    fake_mapper_domains(&r->mapper, request.head.serial, domains + skipped, 3 - skipped, false);
    domains_response *m = flight_message(&f, &xenres__v1__list_domains_response__descriptor);

    assert_int_equal(m->n_domains, 1);
    assert_int_equal(m->domains[0]->identity->domid, domid);
    char *next = strdup(m->next_page_token);

    xenres__v1__list_domains_response__free_unpacked(m, NULL);
    flight_done(&f);
    return next;
}

static void pages_go_on_where_the_last_one_ended(void **state)
{
    struct rpc_rig r;

    (void)state;
    rpc_rig_init(&r, true);
    char *token = list_one(&r, none, 0, 1);

    assert_true(token[0] != '\0');
    char *end = list_one(&r, token, 4, 4); /* the vault is no page of its own */

    assert_string_equal(end, "");
    free(token);
    free(end);
    rpc_rig_done(&r);
}

static void a_list_of_many_pages_of_the_mapper_is_one_answer(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };
    union message request;
    struct message_domain page[2];

    (void)state;
    rpc_rig_init(&r, true);
    call_domains(&r, &f, &r.alice, 1000000, none);
    for (uint16_t i = 0; i < 5; i++) {
        page[0] = fake_domain((uint16_t)(10 * i + 1), "a", 1, 1);
        page[1] = fake_domain((uint16_t)(10 * i + 3), "b", 2, 1);
        fake_mapper_request(&r.mapper, &request);
        assert_int_equal(request.domains.first_domid, i == 0 ? 0 : 10 * (i - 1) + 4);
        fake_mapper_domains(&r.mapper, request.head.serial, page, 2, i < 4);
    }
    domains_response *m = flight_message(&f, &xenres__v1__list_domains_response__descriptor);

    assert_int_equal(m->n_domains, 10);
    assert_int_equal(m->domains[9]->identity->domid, 43);
    xenres__v1__list_domains_response__free_unpacked(m, NULL);
    flight_done(&f);
    rpc_rig_done(&r);
}

static void a_token_is_good_for_its_caller_and_as_it_came(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };
    char long_token[3000];

    (void)state;
    rpc_rig_init(&r, true);
    char *token = list_one(&r, none, 0, 1);

    call_domains(&r, &f, &r.viewer, 1, token);
    flight_error(&f, 400, "invalid_argument", NULL);
    for (size_t i = 0; i < strlen(token); i += 5) {
        char kept = token[i];

        token[i] = kept == 'A' ? 'B' : 'A';
        call_domains(&r, &f, &r.alice, 1, token);
        flight_error(&f, 400, "invalid_argument", NULL);
        token[i] = kept;
    }
    memset(long_token, 'A', sizeof(long_token));
    long_token[sizeof(long_token) - 1] = '\0';
    call_domains(&r, &f, &r.alice, 1, long_token);
    flight_error(&f, 400, "invalid_argument", NULL);
    call_domains(&r, &f, &r.alice, -1, none);
    flight_error(&f, 400, "invalid_argument", NULL);
    free(token);
    rpc_rig_done(&r);
}

/* --- ListResources ---------------------------------------------------------------------------- */

static void call_resources(struct rpc_rig *r, struct flight *f, const struct identity *who,
                           int type, int id, int32_t page_size, char *token)
{
    Xenres__V1__ListResourcesRequest request;

    xenres__v1__list_resources_request__init(&request);
    request.domain = web_1;
    request.type = (Xenres__V1__ResourceType)type;
    if (id >= 0) {
        request.id_choice_case = XENRES__V1__LIST_RESOURCES_REQUEST__ID_CHOICE_ID;
        request.id = (uint32_t)id;
    }
    request.page_size = page_size;
    request.page_token = token;
    flight_call(r, f, who, "ResourceService/ListResources", &request.base);
}

/* Grant table 0, and 1 unavailable; 200 trace buffers. In an order that is not the answer's. */
static void describe(struct rpc_rig *r)
{
    union message request, answer;
    struct message_describe_answer *a = &answer.describe_answer;

    fake_mapper_request(&r->mapper, &request);
    assert_int_equal(request.head.type, MESSAGE_DESCRIBE);
    memset(&answer, 0, sizeof(answer));
    a->resource_count = 3;
    a->resources[0] = (struct message_resource){ .type = RESOURCE_VMTRACE_BUF,
                                                 .first_id = 0,
                                                 .id_count = 200,
                                                 .availability = RESOURCE_AVAILABLE,
                                                 .frames_in_use = 16,
                                                 .frames_max = 16 };
    a->resources[1] = (struct message_resource){ .type = RESOURCE_GRANT_TABLE,
                                                 .first_id = 0,
                                                 .id_count = 1,
                                                 .availability = RESOURCE_AVAILABLE,
                                                 .frames_in_use = 4,
                                                 .frames_max = 64,
                                                 .grant_version = 1 };
    a->resources[2] = (struct message_resource){ .type = RESOURCE_GRANT_TABLE,
                                                 .first_id = 1,
                                                 .id_count = 1,
                                                 .availability = RESOURCE_UNAVAILABLE,
                                                 .grant_version = 1 };
    failure_set(&a->resources[2].failure, ERROR_FAILED_PRECONDITION, "no");
    failure_cause(&a->resources[2].failure, 0, "status frames need version 2");
    failure_next(&a->resources[2].failure, 0, "ask for id 0");
    failure_call(&a->resources[2].failure, 0, "the_call", EINVAL);
    fake_mapper_send(&r->mapper, &answer, MESSAGE_DESCRIBE | MESSAGE_ANSWER, request.head.serial);
}

static void resources_say_what_may_be_had_and_why_not(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    rpc_rig_init(&r, true);
    call_resources(&r, &f, &r.viewer, 0, -1, 0, none); /* may list grant tables only */
    rpc_rig_domains(&r);
    describe(&r);
    resources_response *m = flight_message(&f, &xenres__v1__list_resources_response__descriptor);

    assert_int_equal(m->domain->domid, 1);
    assert_int_equal(m->n_resources, 2);
    assert_string_equal(m->resources[0]->name,
                        "domains/11000000-0000-0000-0000-000000000000/resources/grant_table/0");
    assert_int_equal(m->resources[0]->frames_in_use, 4);
    assert_int_equal(m->resources[0]->frame_bytes, 4096);
    assert_null(m->resources[0]->failure);
    assert_int_equal(m->resources[1]->availability,
                     XENRES__V1__AVAILABILITY__AVAILABILITY_UNAVAILABLE);
    assert_string_equal(m->resources[1]->failure->errno_name, "EINVAL");
    assert_string_equal(m->resources[1]->failure->call, "the_call");
    assert_string_equal(m->resources[1]->failure->cause, "status frames need version 2");
    xenres__v1__list_resources_response__free_unpacked(m, NULL);
    flight_done(&f);
    rpc_rig_done(&r);
}

static void resources_come_in_pages_in_the_order_of_type_and_id(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };
    char *token = strdup("");
    uint32_t seen = 0, pages = 0;

    (void)state;
    rpc_rig_init(&r, true);
    do {
        call_resources(&r, &f, &r.alice, 0, -1, 60, token);
        if (pages++ == 0) {
            rpc_rig_domains(&r);
        }
        describe(&r);
        resources_response *m =
            flight_message(&f, &xenres__v1__list_resources_response__descriptor);

        for (size_t i = 0; i < m->n_resources; i++, seen++) {
            assert_int_equal(m->resources[i]->id, seen < 2 ? seen : seen - 2);
        }
        free(token);
        token = strdup(m->next_page_token);
        xenres__v1__list_resources_response__free_unpacked(m, NULL);
        flight_done(&f);
    } while (token[0] != '\0' && pages < 10);
    assert_int_equal(seen, 202);
    assert_int_equal(pages, 4);
    free(token);
    rpc_rig_done(&r);
}

static void one_resource_can_be_asked_for(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    rpc_rig_init(&r, true);
    call_resources(&r, &f, &r.alice, XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_VMTRACE_BUF, 199, 0,
                   none);
    rpc_rig_domains(&r);
    describe(&r);
    resources_response *m = flight_message(&f, &xenres__v1__list_resources_response__descriptor);

    assert_int_equal(m->n_resources, 1);
    assert_int_equal(m->resources[0]->id, 199);
    xenres__v1__list_resources_response__free_unpacked(m, NULL);
    flight_done(&f);
    call_resources(&r, &f, &r.alice, 0, 1, 0, none);
    flight_error(&f, 400, "invalid_argument", NULL); /* an id of what? */
    call_resources(&r, &f, &r.alice, 99, -1, 0, none);
    flight_error(&f, 400, "invalid_argument", "EINVAL");
    call_resources(&r, &f, &r.viewer, XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_VMTRACE_BUF, -1, 0,
                   none);
    flight_error(&f, 403, "permission_denied", NULL);
    rpc_rig_done(&r);
}

static void a_token_of_another_question_is_refused(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    rpc_rig_init(&r, true);
    call_resources(&r, &f, &r.alice, 0, -1, 1, none);
    rpc_rig_domains(&r);
    describe(&r);
    resources_response *m = flight_message(&f, &xenres__v1__list_resources_response__descriptor);
    char *token = strdup(m->next_page_token);

    xenres__v1__list_resources_response__free_unpacked(m, NULL);
    flight_done(&f);
    call_resources(&r, &f, &r.alice, XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_GRANT_TABLE, -1, 1,
                   token);
    describe(&r);
    flight_error(&f, 400, "invalid_argument", NULL);
    call_domains(&r, &f, &r.alice, 1, token); /* nor is it one of another list */
    flight_error(&f, 400, "invalid_argument", NULL);
    free(token);
    rpc_rig_done(&r);
}

/* --- GetSnapshot ------------------------------------------------------------------------------ */

static void call_snapshot(struct rpc_rig *r, struct flight *f, int type, uint32_t first, int count)
{
    Xenres__V1__GetSnapshotRequest request;

    xenres__v1__get_snapshot_request__init(&request);
    request.domain = web_1;
    request.type = (Xenres__V1__ResourceType)type;
    request.first_frame = first;
    if (count >= 0) {
        request.frame_count_choice_case =
            XENRES__V1__GET_SNAPSHOT_REQUEST__FRAME_COUNT_CHOICE_FRAME_COUNT;
        request.frame_count = (uint32_t)count;
    }
    flight_call(r, f, &r->alice, "ResourceService/GetSnapshot", &request.base);
}

static void a_snapshot_has_frames_and_observation(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };
    union message release;

    (void)state;
    rpc_rig_init(&r, true);
    call_snapshot(&r, &f, XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_GRANT_TABLE, 1, 2);
    rpc_rig_domains(&r);
    rpc_rig_frames(&r, 6, 2);
    snapshot_response *m = flight_message(&f, &xenres__v1__get_snapshot_response__descriptor);

    fake_mapper_receive(&r.mapper, &release); /* before the reply is sent: it is a copy */
    assert_int_equal(release.head.type, MESSAGE_RELEASE);
    assert_int_equal(m->frames.len, 2 * MESSAGE_FRAME_BYTES);
    assert_int_equal(m->frames.data[0], 7);
    assert_int_equal(m->frames.data[MESSAGE_FRAME_BYTES], 8);
    assert_int_equal(m->domain->domid, 1);
    assert_int_equal(m->observation->first_frame, 1);
    assert_int_equal(m->observation->frame_count, 2);
    assert_int_equal(m->observation->frame_bytes, 4096);
    assert_int_equal(m->observation->wall_time->seconds, 1700000000);
    assert_int_equal(m->observation->wall_time->nanos, 123456789);
    assert_int_equal(m->observation->consistency,
                     XENRES__V1__CONSISTENCY__CONSISTENCY_ALIGNED_8_BYTES);
    assert_string_equal(m->observation->content_tag, "abcd0000000000000000000000000000");
    xenres__v1__get_snapshot_response__free_unpacked(m, NULL);
    flight_done(&f);
    rpc_rig_done(&r);
}

static void snapshots_of_nothing_are_refused(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    rpc_rig_init(&r, true);
    call_snapshot(&r, &f, XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_GRANT_TABLE, 0, 0);
    flight_error(&f, 400, "invalid_argument", "EINVAL");
    call_snapshot(&r, &f, 0, 0, 1);
    flight_error(&f, 400, "invalid_argument", "EINVAL");
    call_snapshot(&r, &f, 77, 0, 1);
    flight_error(&f, 400, "invalid_argument", "EINVAL");
    rpc_rig_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_host_is_told_without_a_mapper),
        cmocka_unit_test(a_mapper_that_stalls_does_not_stall_the_host),
        cmocka_unit_test(the_host_is_told_as_the_mapper_sees_it),
        cmocka_unit_test(a_host_without_a_uuid_of_its_firmware_has_the_machines),
        cmocka_unit_test(domains_that_may_be_seen_are_listed),
        cmocka_unit_test(pages_go_on_where_the_last_one_ended),
        cmocka_unit_test(a_list_of_many_pages_of_the_mapper_is_one_answer),
        cmocka_unit_test(a_token_is_good_for_its_caller_and_as_it_came),
        cmocka_unit_test(resources_say_what_may_be_had_and_why_not),
        cmocka_unit_test(resources_come_in_pages_in_the_order_of_type_and_id),
        cmocka_unit_test(one_resource_can_be_asked_for),
        cmocka_unit_test(a_token_of_another_question_is_refused),
        cmocka_unit_test(a_snapshot_has_frames_and_observation),
        cmocka_unit_test(snapshots_of_nothing_are_refused),
    };

    log_open("services_test", (enum log_level)0);
    return UNIT_RUN(tests);
}
