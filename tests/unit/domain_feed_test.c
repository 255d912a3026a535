/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What happens to domains, from the backend's word over the directory to the records of the feed. */
#include "server/mapper/domain_feed.h"

#include "common/clock.h"
#include "common/ring_view.h"
#include "tests/lib/unit.h"

enum { ROWS_MAX = 8, RECORD_BYTES = 1 << 20 };

struct backend {
    struct backend_domain rows[ROWS_MAX];
    char names[ROWS_MAX][MESSAGE_NAME_BYTES];
    uint32_t count;
    uint16_t renamed; /* 0: none was */
    bool name_fails;
};

static struct backend world;
static struct directory *directory;
static struct export_list *export;
static struct allowance memory;
static struct domain_feed *feed;
static struct ring_view *view;
static struct ring_place place;
static _Alignas(8) uint8_t bytes[RECORD_BYTES];
static struct feed_record record;

static uint32_t row_of(uint16_t domid)
{
    uint32_t i = 0;

    while (i < world.count && world.rows[i].domid != domid) {
        i++;
    }
    return i;
}

static int fake_list(struct backend *b, uint16_t first, struct backend_domain *out, uint32_t max,
                     uint32_t *count, struct failure *f)
{
    (void)f;
    *count = 0;
    for (uint32_t i = 0; i < b->count && *count < max; i++) {
        if (b->rows[i].domid >= first) {
            out[(*count)++] = b->rows[i];
        }
    }
    return 0;
}

static int fake_name(struct backend *b, uint16_t domid, char out[MESSAGE_NAME_BYTES], bool *cut,
                     struct failure *f)
{
    if (b->name_fails) {
        return failure_set(f, ERROR_UNAVAILABLE, "no name");
    }
    memcpy(out, b->names[row_of(domid)], MESSAGE_NAME_BYTES);
    *cut = false;
    return 0;
}

static bool fake_next_event(struct backend *b, unsigned *events, uint16_t *domid)
{
    if (b->renamed == 0) {
        return false;
    }
    *events = BACKEND_EVENT_NAME;
    *domid = b->renamed;
    b->renamed = 0;
    return true;
}

static void fake_watch(struct backend *b, uint16_t domid)
{
    (void)b, (void)domid;
}

static int fake_tags(struct backend *b, uint16_t domid, struct backend_tags *out, struct failure *f)
{
    (void)b;
    (void)domid;
    (void)f;
    (void)out; /* none */
    return 0;
}

static const struct backend_ops fake_ops = {
    .name = "fake",
    .list = fake_list,
    .domain_name = fake_name,
    .domain_tags = fake_tags,
    .next_event = fake_next_event,
    .watch_name = fake_watch,
    .unwatch_name = fake_watch,
};

static void ignore(void *arg, const uint8_t incarnation[16])
{
    (void)arg, (void)incarnation;
}

static void on_changed(void *arg, enum feed_domain_kind kind, const struct directory_entry *e,
                       const struct domain_identity *before)
{
    (void)arg;
    domain_feed_tell(feed, kind, e, before, directory_generation(directory));
}

static void set_name(uint16_t domid, const char *name)
{
    memset(world.names[row_of(domid)], 0, MESSAGE_NAME_BYTES);
    memcpy(world.names[row_of(domid)], name, strlen(name));
    world.renamed = domid;
}

static void add(uint16_t domid, const char *name)
{
    world.rows[world.count++] = (struct backend_domain){
        .domid = domid, .uuid = { 1, (uint8_t)domid }, .type = DOMAIN_PV, .state = DOMAIN_RUNNING
    };
    set_name(domid, name);
    world.renamed = 0;
}

static void look(void)
{
    assert_int_equal(directory_refresh(directory, 0, NULL), 0);
}

static int set_up(void **state)
{
    static const char rules[] = "allow name:web-* all list\n";

    (void)state;
    memset(&world, 0, sizeof(world));
    add(1, "web-1");
    add(2, "vault");
    allowance_init(&memory, 4 << 20);
    assert_int_equal(export_parse(rules, sizeof(rules) - 1, "test", &export, NULL), 0);
    assert_int_equal(directory_new(&fake_ops, &world, ignore, NULL, &directory, NULL), 0);
    look();
    assert_int_equal(domain_feed_new(export, 4 << 20, &memory, &feed, NULL), 0);
    assert_int_equal(domain_feed_bytes(feed), DOMAIN_FEED_BYTES);
    assert_int_equal(ring_view_open(domain_feed_fd(feed), DOMAIN_FEED_BYTES, &view, NULL), 0);
    place = (struct ring_place){ 0 };
    directory_listen(directory, on_changed, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ring_view_close(view);
    domain_feed_free(feed);
    directory_free(directory);
    export_free(export);
    assert_int_equal(allowance_used(&memory), 0);
    return 0;
}

static bool next(void)
{
    struct ring_record found;
    struct failure f;
    int answer = ring_view_read(view, &place, bytes, sizeof(bytes), &found, NULL);

    if (answer == RING_NOTHING) {
        return false;
    }
    assert_int_equal(answer, RING_RECORD);
    if (feed_record_check(found.kind, bytes, found.len_bytes, &record, &f) < 0) {
        fail_msg("%s", f.message);
    }
    return true;
}

static uint64_t last_number, last_generation;

/* The next event is this one, and its number follows. */
static void expect(enum feed_domain_kind kind, const char *name)
{
    assert_true(next());
    assert_int_equal(record.kind, FEED_RECORD_DOMAIN);
    assert_int_equal(record.domain->kind, kind);
    assert_string_equal(record.domain->now.identity.name, name);
    assert_int_equal(record.domain->number, last_number + 1);
    assert_true(record.domain->generation >= last_generation);
    assert_true(record.domain->generation <= directory_generation(directory));
    last_number = record.domain->number;
    last_generation = record.domain->generation;
}

static void start_counting(void)
{
    last_number = last_generation = 0;
}

static void a_life_is_told_from_its_beginning_to_its_end(void **state)
{
    (void)state;
    start_counting();
    look();
    assert_false(next()); /* what was there is no event */
    add(3, "web-3");
    look();
    expect(FEED_DOMAIN_CREATED, "web-3");
    uint8_t incarnation[16];

    memcpy(incarnation, record.domain->now.identity.incarnation, 16);
    world.rows[2].state = DOMAIN_BLOCKED; /* as it always is */
    look();
    assert_false(next());
    world.rows[2].state = DOMAIN_SHUTDOWN;
    look();
    expect(FEED_DOMAIN_STATE, "web-3");
    assert_int_equal(record.domain->now.state, DOMAIN_SHUTDOWN);
    world.rows[2].dying = true;
    look();
    expect(FEED_DOMAIN_DYING, "web-3");
    assert_int_equal(record.domain->now.state, DOMAIN_DYING);
    world.count = 2;
    look();
    expect(FEED_DOMAIN_GONE, "web-3");
    assert_memory_equal(record.domain->now.identity.incarnation, incarnation, 16);
    assert_false(next());
    assert_int_equal(domain_feed_events(feed), 4);
}

static void another_life_is_an_end_and_a_beginning(void **state)
{
    uint8_t incarnation[16];

    (void)state;
    start_counting();
    world.rows[0].uuid[5] = 9; /* the number was used again */
    look();
    expect(FEED_DOMAIN_GONE, "web-1");
    assert_int_equal(record.domain->now.identity.uuid[5], 0);
    memcpy(incarnation, record.domain->now.identity.incarnation, 16);
    expect(FEED_DOMAIN_CREATED, "web-1");
    assert_int_equal(record.domain->now.identity.uuid[5], 9);
    assert_memory_not_equal(record.domain->now.identity.incarnation, incarnation, 16);
    set_name(1, "web-1"); /* written again */
    look();
    expect(FEED_DOMAIN_GONE, "web-1");
    expect(FEED_DOMAIN_CREATED, "web-1");
    set_name(1, "web-5");
    world.name_fails = true;
    assert_int_equal(directory_drain(directory, NULL), -ERROR_UNAVAILABLE);
    world.name_fails = false;
    expect(FEED_DOMAIN_GONE, "web-1"); /* and who is there now has no name that is known */
    assert_false(next());
    look();
    expect(FEED_DOMAIN_CREATED, "web-5");
    assert_false(next());
}

/* What a toolstack leaves for a moment that destroys a domain: told of whoever may be listed without a name, it
 * would be a life of its own. */
static void what_is_left_of_a_destroyed_domain_is_not_told(void **state)
{
    static const char rules[] = "allow all all list\n";
    struct export_list *all;
    struct domain_feed *of_all, *some = feed;
    uint64_t next_ns;

    (void)state;
    assert_int_equal(export_parse(rules, sizeof(rules) - 1, "test", &all, NULL), 0);
    assert_int_equal(domain_feed_new(all, 1 << 20, &memory, &of_all, NULL), 0);
    feed = of_all;
    set_name(2, "");
    look();
    assert_int_equal(domain_feed_events(of_all), 1); /* that it is gone */
    assert_int_equal(directory_settle(directory, 1, &next_ns, NULL), 0);
    world.rows[1].dying = true;
    look();
    assert_int_equal(directory_settle(directory, next_ns, &next_ns, NULL), 0);
    world.count = 1;
    look();
    assert_int_equal(domain_feed_events(of_all), 1);
    set_name(1, "");
    look();
    set_name(1, "web-1");
    look();
    assert_int_equal(domain_feed_events(of_all), 3); /* gone, and another life */
    feed = some;
    domain_feed_free(of_all);
    export_free(all);
}

/* Told of in whichever order: the name that is taken away with a domain, and written with the next. */
static void a_name_that_goes_and_comes_with_its_domain_is_no_event(void **state)
{
    (void)state;
    start_counting();
    add(3, "web-3");
    look();
    expect(FEED_DOMAIN_CREATED, "web-3");
    set_name(3, "");
    world.count = 2;
    assert_int_equal(directory_drain(directory, NULL),
                     0); /* the list is not stale, as far as it knows */
    expect(FEED_DOMAIN_GONE, "web-3");
    assert_false(next());
    add(3, "web-3");
    look();
    expect(FEED_DOMAIN_CREATED, "web-3");
    world.rows[2].uuid[5] = 9;
    set_name(3, "web-4");
    assert_int_equal(directory_drain(directory, NULL), 0);
    expect(FEED_DOMAIN_GONE, "web-3");
    expect(FEED_DOMAIN_CREATED, "web-4");
    assert_false(next());
    world.rows[2].dying = true;
    set_name(3, "");
    assert_int_equal(directory_drain(directory, NULL), 0);
    expect(FEED_DOMAIN_DYING, "web-4");
    assert_false(next());
}

static void a_name_tells_who_may_be_told_of(void **state)
{
    (void)state;
    start_counting();
    set_name(1, "web-9");
    look();
    expect(FEED_DOMAIN_RENAMED, "web-9");
    assert_int_equal(record.domain->had_name, 1);
    assert_string_equal(record.domain->before.name, "web-1");
    assert_memory_equal(record.domain->before.incarnation, record.domain->now.identity.incarnation,
                        16);
    set_name(2, "crypt"); /* neither is exported */
    look();
    assert_false(next());
    set_name(2, "web-2");
    look();
    expect(FEED_DOMAIN_CREATED, "web-2");
    assert_int_equal(record.domain->had_name, 0);
    set_name(2, "vault");
    look();
    expect(FEED_DOMAIN_GONE, "web-2"); /* and not who it is now */
    world.rows[1].dying = true;
    look();
    assert_false(next());
}

static void events_overwrite_the_oldest_and_the_end_counts_all(void **state)
{
    uint64_t count = 0;

    (void)state;
    for (int i = 0; i < 4000; i++) {
        world.rows[0].state = i % 2 == 0 ? DOMAIN_SHUTDOWN : DOMAIN_RUNNING;
        look();
    }
    domain_feed_end(feed, FEED_END_STOPPED);
    struct ring_missed missed;

    assert_int_equal(ring_view_skip(view, RING_OLDEST, &place, &missed, NULL), 0);
    while (next() && record.kind == FEED_RECORD_DOMAIN) {
        count++;
        assert_int_equal(record.domain->number, missed.records + count);
    }
    assert_int_equal(record.kind, FEED_RECORD_END);
    assert_int_equal(record.end->batch, 4000);
    assert_int_equal(missed.records + count, 4000);
    assert_true(count > 1200);
}

static void without_memory_there_is_none(void **state)
{
    struct domain_feed *more;

    (void)state;
    assert_int_equal(allowance_take(&memory, (4 << 20) - DOMAIN_FEED_BYTES - (100 << 10), NULL), 0);
    assert_int_equal(domain_feed_new(export, 1, &memory, &more, NULL), -ERROR_RESOURCE_EXHAUSTED);
    allowance_give(&memory, 28 << 10);
    assert_int_equal(domain_feed_new(export, 1, &memory, &more, NULL), 0);
    assert_int_equal(domain_feed_bytes(more), 128 << 10); /* the least */
    assert_memory_not_equal(domain_feed_id(more), domain_feed_id(feed), FEED_ID_BYTES);
    domain_feed_free(more);
    allowance_give(&memory, (4 << 20) - DOMAIN_FEED_BYTES - (128 << 10));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_life_is_told_from_its_beginning_to_its_end, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(another_life_is_an_end_and_a_beginning, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_left_of_a_destroyed_domain_is_not_told, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_name_that_goes_and_comes_with_its_domain_is_no_event,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_tells_who_may_be_told_of, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_overwrite_the_oldest_and_the_end_counts_all, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_memory_there_is_none, set_up, tear_down),
    };

    return UNIT_RUN(tests);
}
