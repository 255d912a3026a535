/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* xenresd's feeds with the real mapper, either of which may go at any time. */
#include "tests/lib/mapper_rig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "common/log.h"
#include "server/resource/feeds.h"

enum { IMAGE_MAX_BYTES = 16 * MESSAGE_FRAME_BYTES, PERIOD_MS = 10 };

#define MOVING                                                                                     \
    "domain \"moving\" { domid = 1 uuid = \"11111111-1111-1111-1111-111111111111\" type = "        \
    "\"hvm\"\n"                                                                                    \
    "  grants { frames = 2 entries = 900 changes_per_second = 2000 } }\n"
#define NEXT                                                                                       \
    "domain \"next\" { domid = 2 uuid = \"22222222-2222-2222-2222-222222222222\" present = false " \
    "}\n"                                                                                          \
    "event { step = 1 do = \"create\" domain = \"next\" }\n"                                       \
    "event { step = 2 do = \"destroy\" domain = \"moving\" }\n"

static const struct feeds_options options = {
    .feeds_max = 16,
    .subscribers_max = 16,
    .subscribers_per_identity = 16,
    .linger_ms = 1000,
};

/* An xenresd, as far as this is one. */
struct gateway {
    struct mapper_client *client;
    _Atomic(struct feeds *) feeds;
    atomic_bool is_connected;
    struct domain_identity domain;
};

static void on_connected(void *arg, bool connected)
{
    struct gateway *g = arg;
    struct feeds *feeds = atomic_load(&g->feeds);

    if (feeds != NULL) {
        feeds_connected(feeds, connected);
    }
    atomic_store(&g->is_connected, connected);
}

struct asked {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_done;
    struct domain_identity domain;
};

static void on_domains(void *arg, const struct mapper_result *result)
{
    struct asked *a = arg;

    pthread_mutex_lock(&a->lock);
    a->is_done = true;
    for (uint32_t i = 0; result->answer != NULL && i < result->answer->domains_answer.domain_count;
         i++) {
        const struct domain_identity *d = &result->answer->domains_answer.domains[i].identity;

        if (strcmp(d->name, "moving") == 0) {
            a->domain = *d;
        }
    }
    pthread_cond_signal(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

static void start(struct gateway *g, const struct rig *rig)
{
    const struct mapper_client_options client_options = {
        .socket_path = rig->socket,
        .backoff_min_ms = 1,
        .backoff_max_ms = 5,
        .on_connected = on_connected,
        .arg = g,
    };
    struct asked a = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
    struct feeds *feeds = NULL;
    union message m;

    *g = (struct gateway){ 0 };
    assert_int_equal(mapper_client_new(&client_options, &g->client, NULL), 0);
    assert_int_equal(feeds_new(g->client, &options, &feeds, NULL), 0);
    atomic_store(&g->feeds, feeds);
    while (!atomic_load(&g->is_connected)) {
        poll(NULL, 0, 1);
    }
    memset(&m, 0, sizeof(m));
    m.head.type = MESSAGE_DOMAINS;
    assert_int_equal(mapper_client_call(g->client, &m, UINT64_MAX, on_domains, &a, NULL), 0);
    pthread_mutex_lock(&a.lock);
    while (!a.is_done) {
        pthread_cond_wait(&a.changed, &a.lock);
    }
    pthread_mutex_unlock(&a.lock);
    assert_string_equal(a.domain.name, "moving");
    g->domain = a.domain;
}

static void stop(struct gateway *g)
{
    struct feeds *feeds = atomic_exchange(&g->feeds, NULL);

    feeds_stop(feeds);
    mapper_client_free(g->client);
    feeds_free(feeds);
}

/* --- who watches --------------------------------------------------------------------------------------- */

struct viewer {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned wakes;
    struct subscription *u;
    uint8_t image[IMAGE_MAX_BYTES];
    size_t image_bytes;
    uint64_t batch;
};
#define VIEWER_INIT                                                                                \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                     \
    }

static void on_wake(void *arg)
{
    struct viewer *v = arg;

    pthread_mutex_lock(&v->lock);
    v->wakes++;
    pthread_cond_signal(&v->changed);
    pthread_mutex_unlock(&v->lock);
}

static void view(struct gateway *g, struct viewer *v, const struct feed_cursor *cursor)
{
    static const struct identity who = { .text = "cn:somebody" };
    const struct subscription_request request = {
        .source = { .domain = g->domain,
                    .type = RESOURCE_GRANT_TABLE,
                    .frame_count = MESSAGE_FRAMES_ALL,
                    .flags = SNAPSHOT_WITH_STATUS },
        .who = &who,
        .mode = SUBSCRIPTION_DELTA,
        .period_ns = PERIOD_MS * CLOCK_NS_PER_MS,
        .cursor = cursor,
        .deadline_ns = clock_monotonic_ns() + RIG_LIMIT_MS * CLOCK_NS_PER_MS,
        .wake = on_wake,
        .arg = v,
    };

    assert_int_equal(subscription_begin(g->feeds, &request, &v->u, NULL), 0);
}

static int next(struct viewer *v, struct subscription_item *out, struct failure *f)
{
    uint64_t end_ns = clock_monotonic_ns() + RIG_LIMIT_MS * CLOCK_NS_PER_MS;

    for (;;) {
        struct timespec until;

        pthread_mutex_lock(&v->lock);
        unsigned before = v->wakes;

        pthread_mutex_unlock(&v->lock);
        int result = subscription_next(v->u, out, f);

        if (result != 0 || out->kind != SUBSCRIPTION_NOTHING) {
            return result;
        }
        assert_true(clock_monotonic_ns() < end_ns);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += RIG_LIMIT_MS / 1000;
        pthread_mutex_lock(&v->lock);
        while (v->wakes == before && pthread_cond_timedwait(&v->changed, &v->lock, &until) == 0) {
        }
        pthread_mutex_unlock(&v->lock);
    }
}

/* Takes one item into the image, with its number held against what came before. Its kind. */
static enum subscription_item_kind take(struct viewer *v, struct subscription_item *item)
{
    struct failure f = { 0 };
    int result = next(v, item, &f);
    const struct feed_record *r = &item->record.record;

    assert_string_equal(result != 0 ? f.message : "", "");
    assert_int_equal(result, 0);
    if (item->kind == SUBSCRIPTION_IMAGE) {
        const void *bytes = mapper_slot_bytes(item->image.slot, &v->image_bytes);

        assert_true(v->image_bytes <= IMAGE_MAX_BYTES);
        memcpy(v->image, bytes, v->image_bytes);
        v->batch = item->image.answer.batch;
    } else if (item->kind == SUBSCRIPTION_RECORD) {
        assert_int_equal(r->changes->batch, v->batch + 1);
        for (uint32_t i = 0; i < r->changes->block_count; i++) {
            assert_true(r->blocks[i] < v->image_bytes / FEED_BLOCK_BYTES);
            memcpy(v->image + (size_t)r->blocks[i] * FEED_BLOCK_BYTES,
                   r->contents + (size_t)i * FEED_BLOCK_BYTES, FEED_BLOCK_BYTES);
        }
        v->batch += r->changes->more != 0 ? 0 : 1;
    }
    return item->kind;
}

static void take_batches(struct viewer *v, unsigned count)
{
    struct subscription_item item;

    for (uint64_t end = v->batch + count; v->batch < end;) {
        enum subscription_item_kind kind = take(v, &item);

        assert_true(kind == SUBSCRIPTION_RECORD || kind == SUBSCRIPTION_STILL);
    }
}

static void begin(struct viewer *v)
{
    struct subscription_item item;

    assert_int_equal(take(v, &item), SUBSCRIPTION_BEGUN);
    assert_int_equal(take(v, &item), SUBSCRIPTION_IMAGE);
}

/* --- the tests ----------------------------------------------------------------------------------------- */

static void changes_add_up_to_the_image(void **state)
{
    struct rig rig;
    struct gateway g;
    struct viewer first = VIEWER_INIT, second = VIEWER_INIT;

    (void)state;
    rig_start(&rig, MOVING, RIG_EXPORT_ALL, NULL);
    start(&g, &rig);
    view(&g, &first, NULL);
    begin(&first);
    take_batches(&first, 20);
    view(&g, &second, NULL);
    begin(&second);
    take_batches(&first, (unsigned)(second.batch - first.batch));
    assert_int_equal(first.batch, second.batch);
    assert_int_equal(first.image_bytes, second.image_bytes);
    assert_memory_equal(first.image, second.image, first.image_bytes);
    subscription_end(first.u);
    subscription_end(second.u);
    stop(&g);
    rig_stop(&rig);
}

static void an_xenresd_that_starts_again_goes_on_where_it_was(void **state)
{
    struct rig rig;
    struct gateway g;
    struct viewer v = VIEWER_INIT, other = VIEWER_INIT;
    struct subscription_item item;
    struct feed_cursor cursor;

    (void)state;
    rig_start(&rig, MOVING, RIG_EXPORT_ALL, NULL);
    start(&g, &rig);
    view(&g, &v, NULL);
    begin(&v);
    take_batches(&v, 5);
    assert_true(subscription_cursor(v.u, &cursor));
    subscription_end(v.u);
    stop(&g);
    start(&g, &rig);
    view(&g, &v, &cursor);
    assert_int_equal(take(&v, &item), SUBSCRIPTION_BEGUN);
    assert_true(item.begun.resumed);
    assert_memory_equal(item.begun.feed_id, cursor.feed_id, FEED_ID_BYTES);
    take_batches(&v, 20); /* by number: nothing is missing, nothing comes twice */
    view(&g, &other, NULL);
    begin(&other);
    take_batches(&v, (unsigned)(other.batch - v.batch));
    assert_memory_equal(v.image, other.image, v.image_bytes);
    subscription_end(v.u);
    subscription_end(other.u);
    stop(&g);
    rig_stop(&rig);
}

static void a_mapper_that_is_killed_ends_what_it_fed(void **state)
{
    struct rig rig, second;
    struct gateway g;
    struct viewer v = VIEWER_INIT;
    struct subscription_item item;
    struct feed_cursor cursor;

    (void)state;
    rig_start(&rig, MOVING, RIG_EXPORT_ALL, NULL);
    start(&g, &rig);
    view(&g, &v, NULL);
    begin(&v);
    take_batches(&v, 3);
    assert_int_equal(kill(rig.pid, SIGKILL), 0);
    while (take(&v, &item) != SUBSCRIPTION_ENDED) { /* what it had published is not lost */
        assert_true(item.kind == SUBSCRIPTION_RECORD || item.kind == SUBSCRIPTION_STILL);
    }
    assert_true(item.ended.mapper_gone);
    assert_int_equal(item.ended.batch, v.batch);
    assert_true(subscription_cursor(v.u, &cursor));
    assert_int_equal(subscription_next(v.u, &item, NULL), 0);
    assert_int_equal(item.kind, SUBSCRIPTION_NOTHING);
    subscription_end(v.u);
    stop(&g);
    (void)rig_wait(&rig);
    rig_remove(&rig);
    /* Another mapper gives each domain another incarnation: nothing is gone on from there. */
    rig_start(&second, MOVING, RIG_EXPORT_ALL, NULL);
    start(&g, &second);
    const struct subscription_request request = { .source = { .domain = g.domain,
                                                              .type = RESOURCE_GRANT_TABLE,
                                                              .frame_count = MESSAGE_FRAMES_ALL,
                                                              .flags = SNAPSHOT_WITH_STATUS },
                                                  .cursor = &cursor };

    assert_int_equal(subscription_begin(g.feeds, &request, &v.u, NULL), -ERROR_INVALID_ARGUMENT);
    memcpy(cursor.incarnation, g.domain.incarnation, sizeof(cursor.incarnation));
    view(&g, &v, &cursor);
    assert_int_equal(next(&v, &item, NULL), -ERROR_OUT_OF_RANGE);
    subscription_end(v.u);
    stop(&g);
    rig_stop(&second);
}

static void a_domain_that_is_destroyed_ends_its_feed(void **state)
{
    struct rig rig;
    struct gateway g;
    struct viewer v = VIEWER_INIT, events = VIEWER_INIT;
    struct subscription_item item;
    static const struct identity who = { .text = "cn:somebody" };

    (void)state;
    rig_start(&rig, MOVING NEXT, RIG_EXPORT_ALL, NULL);
    start(&g, &rig);
    view(&g, &v, NULL);
    begin(&v);
    const struct subscription_request request = { .source = { .is_domains = true },
                                                  .who = &who,
                                                  .mode = SUBSCRIPTION_DELTA,
                                                  .wake = on_wake,
                                                  .arg = &events };

    assert_int_equal(subscription_begin(g.feeds, &request, &events.u, NULL), 0);
    assert_int_equal(next(&events, &item, NULL), 0);
    assert_int_equal(item.kind, SUBSCRIPTION_BEGUN);
    uint64_t number = item.begun.batch;

    assert_int_equal(kill(rig.pid, SIGUSR1), 0);
    do { /* in several steps, maybe */
        assert_int_equal(next(&events, &item, NULL), 0);
        assert_int_equal(item.kind, SUBSCRIPTION_RECORD);
        assert_int_equal(item.record.record.domain->number, ++number);
    } while (strcmp(item.record.record.domain->now.identity.name, "next") != 0);
    assert_int_equal(item.record.record.domain->kind, FEED_DOMAIN_CREATED);
    assert_int_equal(kill(rig.pid, SIGUSR1), 0);
    while (take(&v, &item) != SUBSCRIPTION_ENDED) {
        assert_true(item.kind == SUBSCRIPTION_RECORD || item.kind == SUBSCRIPTION_STILL);
    }
    assert_false(item.ended.mapper_gone);
    assert_int_equal(item.ended.end.reason, FEED_END_INCARNATION);
    assert_int_equal(item.ended.batch, v.batch);
    subscription_end(v.u);
    subscription_end(events.u);
    stop(&g);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_add_up_to_the_image),
        cmocka_unit_test(an_xenresd_that_starts_again_goes_on_where_it_was),
        cmocka_unit_test(a_mapper_that_is_killed_ends_what_it_fed),
        cmocka_unit_test(a_domain_that_is_destroyed_ends_its_feed),
    };

    log_open("feeds_mapper_test", (enum log_level)0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
