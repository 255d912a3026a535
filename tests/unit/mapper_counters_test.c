/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/resource/mapper_counters.h"

#include "common/log.h"
#include "tests/lib/fake_mapper.h"

/* A mapper, a client of it, and what is known of its counters. */
struct watch {
    struct fake_mapper mapper;
    struct outcome connected, gone;
    struct mapper_client *client;
    struct mapper_counters counters;
};

static void on_connected(void *arg, bool connected)
{
    struct watch *w = arg;

    if (!connected) { /* as the service does */
        mapper_counters_forget(&w->counters);
    }
    outcome_tick(connected ? &w->connected : &w->gone);
}

static void begin(struct watch *w)
{
    *w = (struct watch){ .connected = OUTCOME_INIT, .gone = OUTCOME_INIT };
    fake_mapper_init(&w->mapper);
    mapper_counters_init(&w->counters);
    const struct mapper_client_options options = {
        .socket_path = w->mapper.path,
        .backoff_min_ms = 1,
        .backoff_max_ms = 5,
        .on_connected = on_connected,
        .arg = w,
    };

    assert_int_equal(mapper_client_new(&options, &w->client, NULL), 0);
}

static void join(struct watch *w, unsigned count)
{
    fake_mapper_join(&w->mapper);
    outcome_wait(&w->connected, count);
}

static void end(struct watch *w)
{
    mapper_client_free(w->client);
    mapper_counters_done(&w->counters);
    fake_mapper_done(&w->mapper);
}

static uint64_t receive_question(struct watch *w)
{
    union message m;

    fake_mapper_receive(&w->mapper, &m);
    assert_int_equal(m.head.type, MESSAGE_COUNTERS);
    return m.head.serial;
}

static void answer(struct watch *w, uint64_t serial, uint64_t hypercalls)
{
    union message m;

    memset(&m.counters_answer, 0, sizeof(m.counters_answer));
    m.counters_answer.hypercalls = hypercalls;
    fake_mapper_send(&w->mapper, &m, MESSAGE_COUNTERS | MESSAGE_ANSWER, serial);
}

/* A call that is answered behind all that was answered before. */
static void settle(struct watch *w)
{
    struct outcome o = OUTCOME_INIT;
    union message m;

    memset(&m.plain, 0, sizeof(m.plain));
    m.head.type = MESSAGE_HOST;
    assert_int_equal(
        mapper_client_call(w->client, &m, fake_deadline(FAKE_WAIT_MS), outcome_done, &o, NULL), 0);
    fake_mapper_receive(&w->mapper, &m);
    assert_int_equal(m.head.type, MESSAGE_HOST); /* and nothing was asked before */
    fake_mapper_failed(&w->mapper, m.head.serial, ERROR_UNAVAILABLE, 0);
    outcome_wait(&o, 1);
}

static void nothing_is_known_before_the_first_answer(void **state)
{
    struct watch w;
    struct message_counters_answer a;
    uint64_t age_ns;

    (void)state;
    begin(&w);
    mapper_counters_ask(&w.counters, w.client); /* nobody is there: it is not asked for ever */
    assert_false(mapper_counters_read(&w.counters, &a, &age_ns));
    fake_mapper_listen(&w.mapper);
    join(&w, 1);
    mapper_counters_ask(&w.counters, w.client);
    uint64_t serial = receive_question(&w);

    assert_false(mapper_counters_read(&w.counters, &a, &age_ns));
    answer(&w, serial, 42);
    settle(&w);
    assert_true(mapper_counters_read(&w.counters, &a, &age_ns));
    assert_int_equal(a.hypercalls, 42);
    end(&w);
}

static void one_that_stalls_is_asked_once_and_what_it_said_stands(void **state)
{
    struct watch w;
    struct message_counters_answer a;
    uint64_t first_ns, age_ns;

    (void)state;
    begin(&w);
    fake_mapper_listen(&w.mapper);
    join(&w, 1);
    mapper_counters_ask(&w.counters, w.client);
    answer(&w, receive_question(&w), 42);
    settle(&w);
    mapper_counters_ask(&w.counters, w.client);
    uint64_t serial = receive_question(&w);

    for (int i = 0; i < 3 * MAPPER_CALLS_MAX; i++) {
        mapper_counters_ask(&w.counters, w.client);
    }
    assert_true(mapper_counters_read(&w.counters, &a, &first_ns));
    assert_true(mapper_counters_read(&w.counters, &a, &age_ns));
    assert_true(age_ns >= first_ns);
    assert_int_equal(a.hypercalls, 42);
    settle(&w); /* there is room for others, and no second question */
    answer(&w, serial, 43);
    settle(&w);
    assert_true(mapper_counters_read(&w.counters, &a, &age_ns));
    assert_int_equal(a.hypercalls, 43);
    end(&w);
}

static void what_a_mapper_said_goes_with_it(void **state)
{
    struct watch w;
    struct message_counters_answer a;
    uint64_t age_ns;

    (void)state;
    begin(&w);
    fake_mapper_listen(&w.mapper);
    join(&w, 1);
    mapper_counters_ask(&w.counters, w.client);
    answer(&w, receive_question(&w), 42);
    settle(&w);
    mapper_counters_ask(&w.counters, w.client);
    receive_question(&w);
    fake_mapper_leave(&w.mapper); /* with a question that is not answered */
    outcome_wait(&w.gone, 1);
    assert_false(mapper_counters_read(&w.counters, &a, &age_ns));
    join(&w, 2);
    mapper_counters_ask(&w.counters, w.client);
    answer(&w, receive_question(&w), 1);
    settle(&w);
    assert_true(mapper_counters_read(&w.counters, &a, &age_ns));
    assert_int_equal(a.hypercalls, 1);
    end(&w);
}

static void a_refusal_tells_nothing_and_the_next_question_is_asked(void **state)
{
    struct watch w;
    struct message_counters_answer a;
    uint64_t age_ns;

    (void)state;
    begin(&w);
    fake_mapper_listen(&w.mapper);
    join(&w, 1);
    mapper_counters_ask(&w.counters, w.client);
    fake_mapper_failed(&w.mapper, receive_question(&w), ERROR_RESOURCE_EXHAUSTED, 0);
    settle(&w);
    assert_false(mapper_counters_read(&w.counters, &a, &age_ns));
    mapper_counters_ask(&w.counters, w.client);
    answer(&w, receive_question(&w), 5);
    settle(&w);
    assert_true(mapper_counters_read(&w.counters, &a, &age_ns));
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_before_the_first_answer),
        cmocka_unit_test(one_that_stalls_is_asked_once_and_what_it_said_stands),
        cmocka_unit_test(what_a_mapper_said_goes_with_it),
        cmocka_unit_test(a_refusal_tells_nothing_and_the_next_question_is_asked),
    };

    log_open("mapper_counters_test", LOG_LEVEL_ERROR);
    return UNIT_RUN(tests);
}
