/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Answers that come together: their records are written before any of them is let go, or it is not sent. */
#include "tests/lib/rpc_rig.h"

#include "server/rpc/audited.h"
#include "tests/lib/audit_rig.h"

#define FRAMES   "/v1/domains/web-1/resources/grant_table/0/frames?first=0&count=1"
#define SNAPSHOT "\"event\":\"snapshot\""

/* More than one batch has room for, and all of a copy that they share: they are answered by one message. */
enum { TOGETHER = AUDIT_BATCH_RECORDS + 8 };

struct audited_rig {
    struct rpc_rig rpc;
    struct audit_rig audit;
    struct flight first, flights[TOGETHER];
};

static void make(struct audited_rig *r)
{
    const struct quota_limits limits = { .each = { .calls = TOGETHER + 1,
                                                   .arena_bytes = UINT64_C(1) << 30 } };
    struct policy *policy = rpc_rig_parse_policy(rpc_rig_policy);

    memset(r, 0, sizeof(*r));
    rpc_rig_init(&r->rpc, true);
    audit_rig_init(&r->audit);
    audit_rig_start(&r->audit);
    rpc_free(r->rpc.rpc);
    quota_free(r->rpc.quota);
    assert_int_equal(quota_new(&limits, &r->rpc.quota, NULL), 0);
    const struct rpc_options options = {
        .methods = &services_table,
        .mapper = r->rpc.client,
        .feeds = r->rpc.feeds,
        .policy = policy,
        .quota = r->rpc.quota,
        .audit = r->audit.audit,
        .seal = r->rpc.seal,
        .request_timeout_ms = FAKE_WAIT_MS,
        .request_max_bytes = RPC_RIG_REQUEST_MAX_BYTES,
        .response_max_bytes = RPC_RIG_RESPONSE_MAX_BYTES,
        .heartbeat_ms = RPC_RIG_HEARTBEAT_MS,
    };

    assert_int_equal(rpc_new(&options, &r->rpc.rpc, NULL), 0);
    policy_unref(policy);
}

static void get(struct audited_rig *r, struct flight *f)
{
    flight_send(&r->rpc, f, &r->rpc.alice, "GET", FRAMES, NULL, 0);
}

/* All but the first wait for a copy of their own time: the mapper has that to answer now. */
static void begin(struct audited_rig *r, union message *request)
{
    make(r);
    get(r, &r->first);
    rpc_rig_domains(&r->rpc);
    fake_mapper_request(&r->rpc.mapper, request);
    for (size_t i = 0; i < TOGETHER; i++) {
        get(r, &r->flights[i]);
    }
    fake_mapper_snapshot(&r->rpc.mapper, request, 0, 1);
    assert_int_equal(flight_reply(&r->first)->status, 200);
    fake_mapper_request(&r->rpc.mapper, request);
}

static void end(struct audited_rig *r)
{
    flight_done(&r->first);
    rpc_rig_done(&r->rpc);
    audit_rig_stop(&r->audit);
    (void)audit_rig_whole(&r->audit);
    audit_rig_done(&r->audit);
}

static void all_are_written_before_one_is_let_go(void **state)
{
    static struct audited_rig r;
    union message request;

    (void)state;
    begin(&r, &request);
    assert_int_equal(audit_rig_count(&r.audit, SNAPSHOT), 1);
    fake_mapper_snapshot(&r.rpc.mapper, &request, 1, 1);
    outcome_wait(&r.flights[0].ready, 1);
    assert_int_equal(audit_rig_count(&r.audit, SNAPSHOT), 1 + TOGETHER);
    for (size_t i = 0; i < TOGETHER; i++) {
        assert_int_equal(flight_reply(&r.flights[i])->status, 200);
        assert_int_equal(r.flights[i].reply->body_len_bytes, MESSAGE_FRAME_BYTES);
        flight_done(&r.flights[i]);
    }
    assert_int_equal(audit_rig_count(&r.audit, SNAPSHOT), 1 + TOGETHER);
    assert_int_equal(audit_rig_count(&r.audit, "\"bytes\":4096,\"mac\""), 1 + TOGETHER);
    end(&r);
}

/* The file has room for the first batch, and not for all of the next. */
static void leave_room_for_one_batch(const struct audited_rig *r)
{
    struct audit_bytes file = audit_rig_read(folder_path(&r->audit.dir, "audit.log"));
    const char *last = memrchr(file.bytes, '\n', file.len - 1); /* before its own end */

    assert_non_null(last);
    size_t line_len = file.len - (size_t)(last + 1 - file.bytes);

    audit_rig_limit_files(file.len + (AUDIT_BATCH_RECORDS + 4) * line_len);
    free(file.bytes);
}

/* Some of them fit on the disk and the others do not: each is told of its own. */
static void those_without_a_record_are_not_sent(void **state)
{
    static struct audited_rig r;
    union message request;
    size_t sent = 0;

    (void)state;
    begin(&r, &request);
    leave_room_for_one_batch(&r);
    fake_mapper_snapshot(&r.rpc.mapper, &request, 1, 1);
    for (size_t i = 0; i < TOGETHER; i++) {
        if (flight_reply(&r.flights[i])->status == 200) {
            sent++;
            flight_done(&r.flights[i]);
        } else {
            flight_error(&r.flights[i], 503, "unavailable", NULL);
        }
    }
    assert_int_equal(sent, AUDIT_BATCH_RECORDS);
    assert_int_equal(audit_rig_count(&r.audit, SNAPSHOT), 1 + sent);
    audit_rig_limit_files(0);
    end(&r);
}

/* The caller of one of them has gone: its record is there all the same. */
static void one_that_is_never_sent_keeps_none_of_the_others(void **state)
{
    static struct audited_rig r;
    union message request;

    (void)state;
    begin(&r, &request);
    fake_mapper_snapshot(&r.rpc.mapper, &request, 1, 1);
    outcome_wait(&r.flights[0].ready, 1);
    flight_done(&r.flights[0]);
    for (size_t i = 1; i < TOGETHER; i++) {
        assert_int_equal(flight_reply(&r.flights[i])->status, 200);
        flight_done(&r.flights[i]);
    }
    assert_int_equal(audit_rig_count(&r.audit, SNAPSHOT), 1 + TOGETHER);
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_written_before_one_is_let_go),
        cmocka_unit_test(those_without_a_record_are_not_sent),
        cmocka_unit_test(one_that_is_never_sent_keeps_none_of_the_others),
    };

    return UNIT_RUN(tests);
}
