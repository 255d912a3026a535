/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What is cheaper for several answers than for each: done once, behind all that have come. */
#include "tests/lib/fake_mapper.h"

#include <errno.h>

#include "common/log.h"

enum { CALLS = 3 };

/* What happens on the receiving thread, in its order. */
struct order {
    struct mapper_client *client;
    struct outcome begun, go_on, over;
    char events[8];
    size_t count;
};

static void at_rest(void *arg)
{
    struct order *o = arg;

    o->events[o->count++] = 'r';
    outcome_tick(&o->over);
}

/* Ends once another answer has come. */
static void on_first(void *arg, const struct mapper_result *result)
{
    struct order *o = arg;

    (void)result;
    o->events[o->count++] = 'a';
    mapper_client_at_rest(o->client, at_rest, o);
    outcome_tick(&o->begun);
    outcome_wait(&o->go_on, 1);
}

static void on_later(void *arg, const struct mapper_result *result)
{
    struct order *o = arg;

    (void)result;
    o->events[o->count++] = 'b';
    outcome_tick(&o->begun);
}

static void call(struct order *o, struct fake_mapper *m, mapper_done *done, union message *asked)
{
    union message request;

    memset(&request.snapshot, 0, sizeof(request.snapshot));
    request.head.type = MESSAGE_SNAPSHOT;
    request.snapshot.type = RESOURCE_GRANT_TABLE;
    request.snapshot.frame_count = 1;
    assert_int_equal(
        mapper_client_call(o->client, &request, fake_deadline(FAKE_WAIT_MS), done, o, NULL), 0);
    fake_mapper_request(m, asked);
}

static void it_comes_once_behind_all_that_has_come(void **state)
{
    struct order o = { .begun = OUTCOME_INIT, .go_on = OUTCOME_INIT, .over = OUTCOME_INIT };
    struct outcome connected = OUTCOME_INIT;
    struct fake_mapper m;
    union message asked[CALLS];

    (void)state;
    fake_mapper_init(&m);
    fake_mapper_listen(&m);
    o.client = fake_mapper_client(&m, &connected);
    fake_mapper_join(&m);
    outcome_wait(&connected, 1);
    for (size_t i = 0; i < CALLS; i++) {
        call(&o, &m, i == 0 ? on_first : on_later, &asked[i]);
    }
    fake_mapper_failed(&m, asked[0].head.serial, ERROR_NOT_FOUND, ENOENT);
    outcome_wait(&o.begun, 1);
    fake_mapper_failed(&m, asked[1].head.serial, ERROR_NOT_FOUND, ENOENT);
    outcome_tick(&o.go_on);
    outcome_wait(&o.over, 1);
    fake_mapper_failed(&m, asked[2].head.serial, ERROR_NOT_FOUND, ENOENT);
    outcome_wait(&o.begun, CALLS);
    mapper_client_free(o.client);
    assert_string_equal(o.events, "abrb");
    fake_mapper_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_comes_once_behind_all_that_has_come),
    };

    log_open("mapper_rest_test", LOG_LEVEL_ERROR);
    return UNIT_RUN(tests);
}
