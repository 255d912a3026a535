/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * All services before a real mapper with the simulated host, which is killed and stopped while many
 * threads ask. Every exchange gets exactly one reply, and nothing is held when all are answered.
 */
#include "tests/lib/mapper_rig.h"
#include "tests/lib/rpc_rig.h"

#include <stdatomic.h>

#include "common/log.h"
#include "xenres/v1/host.pb-c.h"
#include "xenres/v1/inspect.pb-c.h"

static const char scenario[] =
    "domain \"web\" { domid = 1 uuid = \"0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a01\" type = pv vcpus = "
    "2\n"
    "  grants { version = 1 frames = 4 frames_max = 64 entries = 900 changes_per_second = 400 } }\n"
    "domain \"win\" { domid = 4 uuid = \"0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a04\" type = hvm vcpus = "
    "4\n"
    "  grants { version = 2 frames = 3 frames_max = 64 entries = 700 } }\n";

/* A mapper at a path that stays while mappers come and go. */
struct host {
    struct rig mapper;
    struct folder folder;
    char path[FOLDER_PATH_BYTES];
};

static void host_start(struct host *h)
{
    static const char *const options[] = { "--arena-mib", "16", "--slot-max-mib", "4", NULL };

    rig_start(&h->mapper, scenario, RIG_EXPORT_ALL, options);
    (void)unlink(h->path);
    assert_int_equal(symlink(h->mapper.socket, h->path), 0);
}

static void host_kill(struct host *h)
{
    assert_int_equal(kill(h->mapper.pid, SIGKILL), 0);
    (void)rig_wait(&h->mapper);
    rig_remove(&h->mapper);
}

static void begin(struct host *h, struct rpc_rig *r)
{
    h->folder = folder_make();
    memcpy(h->path, folder_path(&h->folder, "mapper"), FOLDER_PATH_BYTES);
    host_start(h);
    rpc_rig_init_at(r, h->path);
    outcome_wait(&r->connected, 1);
}

static void end(struct host *h, struct rpc_rig *r)
{
    rpc_rig_done(r);
    rig_stop(&h->mapper);
    folder_done(&h->folder);
}

#define FRAMES "/v1/domains/web/resources/grant_table/0/frames"

static int get_status(struct rpc_rig *r, const char *target)
{
    struct flight f = { 0 };

    flight_send(r, &f, &r->alice, "GET", target, NULL, 0);
    int status = flight_reply(&f)->status;

    flight_done(&f);
    return status;
}

static void the_main_job_is_done(void **state)
{
    struct host h;
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    begin(&h, &r);
    flight_send(&r, &f, &r.alice, "GET", FRAMES "?first=1&count=2", NULL, 0);
    assert_int_equal(flight_reply(&f)->status, 200);
    assert_int_equal(f.reply->body_len_bytes, 2 * MESSAGE_FRAME_BYTES);
    assert_string_equal(flight_reply_header(&f, "Xenres-Frames-In-Use"), "4");
    flight_done(&f);
    flight_send(&r, &f, &r.alice, "GET", FRAMES "?first=4&count=1", NULL, 0);
    flight_error(&f, 400, "out_of_range", NULL);
    flight_send(&r, &f, &r.alice, "GET", "/v1/domains/nobody/resources/grant_table/0/frames", NULL,
                0);
    flight_error(&f, 404, "not_found", "ESRCH");
    end(&h, &r);
}

static void a_killed_mapper_is_unavailable_until_the_next_one_is_there(void **state)
{
    struct host h;
    struct rpc_rig r;

    (void)state;
    begin(&h, &r);
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(get_status(&r, FRAMES), 200);
        host_kill(&h);
        int status = get_status(&r, FRAMES);

        assert_int_equal(status, 503);
        host_start(&h);
        outcome_wait(&r.connected, round + 2);
        assert_int_equal(get_status(&r, FRAMES), 200); /* with the incarnation of the new one */
    }
    end(&h, &r);
}

static void a_stopped_mapper_holds_nobody_beyond_the_deadline(void **state)
{
    struct host h;
    struct rpc_rig r;
    struct flight grants = { 0 }, host = { 0 };
    Xenres__V1__GetGrantTableRequest request;
    Xenres__V1__GetHostRequest nothing;
    char name[] = "web";

    (void)state;
    begin(&h, &r);
    assert_int_equal(get_status(&r, FRAMES), 200);
    assert_int_equal(kill(h.mapper.pid, SIGSTOP), 0);
    xenres__v1__get_grant_table_request__init(&request);
    request.domain = name;
    flight_add(&grants, "Connect-Timeout-Ms", "100");
    flight_call(&r, &grants, &r.alice, "InspectService/GetGrantTable", &request.base);
    xenres__v1__get_host_request__init(&nothing);
    flight_call(&r, &host, &r.alice, "HostService/GetHost", &nothing.base);
    flight_error(&grants, 504, "deadline_exceeded", NULL);
    assert_int_equal(flight_reply(&host)->status, 200);
    flight_done(&host);
    assert_int_equal(kill(h.mapper.pid, SIGCONT), 0);
    assert_int_equal(get_status(&r, FRAMES), 200);
    end(&h, &r);
}

/* --- many at once ----------------------------------------------------------------------------- */

enum { ASKERS = RPC_RIG_CALLS, GOOD_EACH_ROUND = 100 };

struct asker {
    pthread_t thread;
    struct rpc_rig *rig;
    atomic_bool *stop;
    struct outcome *good; /* counted by all */
    unsigned odd;
};

static void count_status(struct asker *a, const struct exchange_reply *reply)
{
    switch (reply->status) {
    case 200: outcome_tick(a->good); break;
    case 409: /* aborted: another mapper, another incarnation */
    case 429:
    case 503: break;
    default:
        a->odd++;
        print_message("%d: %.*s\n", reply->status, (int)reply->body_len_bytes,
                      (const char *)reply->body);
        break;
    }
}

/* Until so many more were good. */
static void wait_good(struct outcome *good)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += FAKE_WAIT_MS / 1000;
    pthread_mutex_lock(&good->lock);
    unsigned wanted = good->count + GOOD_EACH_ROUND;

    while (good->count < wanted &&
           pthread_cond_timedwait(&good->changed, &good->lock, &until) == 0) {
    }
    assert_true(good->count >= wanted);
    pthread_mutex_unlock(&good->lock);
}

static void *ask_on(void *arg)
{
    static const char *const targets[] = {
        FRAMES,
        FRAMES "?first=3",
        "/v1/domains/4/resources/grant_table/1/frames",
        "/v1/domains/0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a04/resources/grant_table/0/frames?count=3",
    };
    struct asker *a = arg;
    char name[] = "win";

    for (unsigned i = 0; !atomic_load(a->stop); i++) {
        struct flight f = { 0 };

        if (i % 3 == 0) {
            Xenres__V1__GetGrantTableRequest request;

            xenres__v1__get_grant_table_request__init(&request);
            request.domain = name;
            flight_call(a->rig, &f, &a->rig->alice, "InspectService/GetGrantTable", &request.base);
        } else {
            flight_send(a->rig, &f, &a->rig->alice, "GET", targets[i % 4], NULL, 0);
        }
        count_status(a, flight_reply(&f));
        flight_done(&f);
    }
    return NULL;
}

static void each_of_many_is_answered_once_while_mappers_are_killed(void **state)
{
    struct host h;
    struct rpc_rig r;
    struct asker askers[ASKERS] = { { 0 } };
    struct outcome good = OUTCOME_INIT;
    atomic_bool stop = false;

    (void)state;
    begin(&h, &r);
    for (int i = 0; i < ASKERS; i++) {
        askers[i].rig = &r;
        askers[i].stop = &stop;
        askers[i].good = &good;
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask_on, &askers[i]), 0);
    }
    for (unsigned round = 0; round < 3; round++) {
        wait_good(&good);
        host_kill(&h);
        host_start(&h);
        outcome_wait(&r.connected, round + 2);
    }
    wait_good(&good);
    atomic_store(&stop, true);
    for (int i = 0; i < ASKERS; i++) {
        pthread_join(askers[i].thread, NULL);
        assert_int_equal(askers[i].odd, 0);
    }
    assert_int_equal(get_status(&r, FRAMES), 200);
    end(&h, &r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_main_job_is_done),
        cmocka_unit_test(a_killed_mapper_is_unavailable_until_the_next_one_is_there),
        cmocka_unit_test(a_stopped_mapper_holds_nobody_beyond_the_deadline),
        cmocka_unit_test(each_of_many_is_answered_once_while_mappers_are_killed),
    };

    log_open("gateway_test", (enum log_level)0);
    return UNIT_RUN(tests);
}
