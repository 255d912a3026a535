/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Many watches of the real gateway: of one feed, of a thousand, idle ones, and ones that hardly read
 * beside ones that do; what they cost, and what happens at each limit and one beyond.
 */
#include "tests/lib/gateway.h"

#include <inttypes.h>
#include <sys/resource.h>

#include "tests/lib/load_streams.h"
#include "tests/lib/units_rig.h"

#ifdef XENRES_SANITIZED
#define MANY 1000 /* each costs five times as much there */
#else
#define MANY 5000
#endif

enum {
    STREAMS_MAX = MANY,
    SUBSCRIBERS = 1000,
    IDLE_DOMAINS = 500,
    FEEDS = 1000,
    READERS = 100, /* of each kind */
    STEPS = 250,   /* of 30 KiB: more than the kernel keeps for who does not read */
    WAIT_S = 20,
    IDLE_KIB =
        48, /* of memory that a stream costs xenresd; more while it sends batches of 16 KiB */
    BUSY_KIB = 96,
    UNREAD_KIB = 256,  /* of who hardly reads: a message of 30 each, and what is for TLS */
    HELD_BYTES = 4096, /* of the kernel, for who hardly reads */
};

static struct units units;
static struct load load;
static struct load_stream streams[STREAMS_MAX];

static const char *const mapper_options[] = {
    "--feeds-max", "2048", "--spools-mib", "2048", "--spool-kib-max", "128", NULL
};

/* --- the host, the gateway --------------------------------------------------------------------------- */

static void write_host(void)
{
    static char text[256 << 10];
    size_t len = 0;

    len += (size_t)snprintf(
        text, sizeof(text),
        "seed = 5\nclock = \"virtual\" step_ms = 100\nhost { memory_mib = 65536 }\n"
        "domain \"active\" { domid = 1 uuid = \"11111111-1111-1111-1111-111111111111\"\n"
        "  grants { frames = 4 entries = 2048 changes_per_second = 20000 } }\n"
        "domain \"broad\" { domid = 2 uuid = \"33333333-3333-3333-3333-333333333333\"\n"
        "  grants { frames = 32 entries = 16384 changes_per_second = 5000 } }\n");
    for (unsigned i = 0; i < IDLE_DOMAINS; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len,
                                "domain \"idle-%u\" { domid = %u\n"
                                "  uuid = \"22222222-2222-2222-2222-%012u\"\n"
                                "  grants { frames = 2 entries = 64 } }\n",
                                i, 10 + i, i);
    }
    units_write(&units, "scenario", "%s", text);
}

static void start_with(const char *limits, const char *const *options)
{
    units_make(&units, gateway.dir, limits);
    write_host();
    units_start_mapper(&units, options);
    units_start_xenresd(&units);
    load_begin(&load, gateway.dir, units.port);
}

static void stop(void)
{
    load_end(&load);
    assert_true(units_end(&units.xenresd, SIGTERM));
    assert_true(units_end(&units.mapper, SIGTERM));
    units_done(&units);
}

#define LIMITS_LARGE                                                                               \
    "connections = 8192 connections_per_address = 8192 open_files = 16384 subscribers = 8192\n"    \
    "subscribers_per_identity = 8192 feeds = 2048 drain_min_bytes_per_s = 0"

/* Memory of xenresd's own, in KiB: what is shared with the mapper is not. */
static long resident_kib(void)
{
    char path[64], line[256];
    long kib = -1;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)units.xenresd);
    FILE *file = fopen(path, "re");

    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        (void)sscanf(line, "RssAnon: %ld", &kib);
    }
    (void)fclose(file);
    assert_true(kib > 0);
    return kib;
}

static void assert_streams_cost(long before_kib, size_t count, long each_kib)
{
#ifndef XENRES_SANITIZED
    long kib = resident_kib() - before_kib;

    print_message("# %zu streams: %ld KiB, %.1f each\n", count, kib, (double)kib / (double)count);
    assert_true(kib <= (long)count * each_kib);
#else
    (void)before_kib;
    (void)count;
    (void)each_kib;
#endif
}

/* --- streams ------------------------------------------------------------------------------------------- */

/* What stands still need not be looked at often: the mapper has a ceiling. */
static uint32_t period_of(const char *domain)
{
    return strncmp(domain, "idle", 4) == 0 ? 1000 : 10;
}

/* Asked again while the gateway has just begun, and has no mapper yet. */
static void open_first(struct load_stream *s, const char *domain)
{
    uint64_t until_ns = clock_monotonic_ns() + WAIT_S * CLOCK_NS_PER_S;

    do {
        assert_true(clock_monotonic_ns() < until_ns);
        load_open(&load, s, 0);
        load_ask(s, domain, 0, period_of(domain));
        load_follow(&load, s);
        while (!s->has_content && s->part != LOAD_OVER && s->error[0] == '\0') {
            load_poll(&load, 100);
        }
        if (!s->has_content) {
            load_close(s);
        }
    } while (s->fd < 0);
}

/* Of "idle" the one that stream `i` watches. */
static void name_domain(const char *domain, size_t i, char name[32])
{
    if (strcmp(domain, "idle") == 0) {
        (void)snprintf(name, 32, "idle-%zu", i % IDLE_DOMAINS);
    } else {
        (void)snprintf(name, 32, "%s", domain);
    }
}

static void open_streams(size_t first, size_t end, const char *domain, uint32_t frames)
{
    for (size_t i = first; i < end; i++) {
        char name[32];

        name_domain(domain, i, name);
        load_open(&load, &streams[i], 0);
        load_ask(&streams[i], name, frames, period_of(name));
        load_follow(&load, &streams[i]);
        load_poll(&load, 0);
    }
}

static bool all_have(size_t first, size_t end, uint64_t sequence)
{
    for (size_t i = first; i < end; i++) {
        if (!streams[i].has_content || streams[i].is_due || streams[i].sequence < sequence) {
            return false;
        }
    }
    return true;
}

static void tell_behind(size_t first, size_t end, uint64_t sequence)
{
    for (size_t i = first; i < end; i++) {
        const struct load_stream *s = &streams[i];

        if (!all_have(i, i + 1, sequence)) {
            fail_msg("stream %zu: status %d, begun %d, content %d, at %" PRIu64 ", %s", i,
                     s->status, s->begun, s->has_content, s->sequence, s->said);
        }
    }
}

/* Until each is at `sequence`; how long that took. */
static uint64_t wait_for(size_t first, size_t end, uint64_t sequence)
{
    uint64_t began_ns = clock_monotonic_ns();

    while (!all_have(first, end, sequence)) {
        if (clock_monotonic_ns() - began_ns > WAIT_S * CLOCK_NS_PER_S) {
            tell_behind(first, end, sequence);
        }
        load_poll(&load, 100);
    }
    return clock_monotonic_ns() - began_ns;
}

static void step(void)
{
    assert_int_equal(kill(units.mapper, SIGUSR1), 0);
}

static void assert_nothing_missing(size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        assert_int_equal(streams[i].holes, 0);
        assert_int_equal(streams[i].gap_reason, 0);
        assert_int_equal(streams[i].gaps, 0);
        assert_string_equal(streams[i].error, "");
    }
}

static void close_streams(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        load_close(&streams[i]);
    }
}

/* --- many ---------------------------------------------------------------------------------------------- */

static void a_thousand_subscribers_of_one_feed_get_every_batch(void **state)
{
    (void)state;
    start_with(LIMITS_LARGE, mapper_options);
    open_first(&streams[0], "active");
    long before_kib = resident_kib();

    open_streams(1, SUBSCRIBERS, "active", 0);
    (void)wait_for(0, SUBSCRIBERS, 0);
    assert_streams_cost(before_kib, SUBSCRIBERS - 1, IDLE_KIB);
    for (unsigned i = 0; i < 20; i++) {
        step();
        (void)wait_for(0, SUBSCRIBERS, streams[0].sequence + 1);
    }
    assert_nothing_missing(0, SUBSCRIBERS);
    assert_int_equal(units_metric(&units, "xenresd_feeds"), 1);
    assert_streams_cost(before_kib, SUBSCRIBERS - 1, BUSY_KIB);
    close_streams(SUBSCRIBERS);
    stop();
}

static void a_thousand_feeds_have_one_subscriber_each(void **state)
{
    (void)state;
    start_with(LIMITS_LARGE, mapper_options);
    open_first(&streams[0], "idle-0");
    open_streams(1, FEEDS / 2, "idle", 0);
    open_streams(FEEDS / 2, FEEDS, "idle", 1); /* of the first frame alone: other feeds */
    (void)wait_for(0, FEEDS, 0);
    assert_int_equal(units_metric(&units, "xenresd_feeds"), FEEDS);
    assert_nothing_missing(0, FEEDS);
    close_streams(FEEDS);
    stop();
}

static void thousands_of_idle_streams_cost_little_and_hold_up_nobody(void **state)
{
    (void)state;
    start_with(LIMITS_LARGE, mapper_options);
    open_first(&streams[0], "active");
    long before_kib = resident_kib();

    open_streams(1, STREAMS_MAX, "idle", 0);
    (void)wait_for(0, STREAMS_MAX, 0);
    assert_streams_cost(before_kib, STREAMS_MAX - 1, IDLE_KIB);
    for (unsigned i = 0; i < 10; i++) {
        step();
        uint64_t took_ns = wait_for(0, 1, streams[0].sequence + 1);

        assert_true(took_ns < CLOCK_NS_PER_S);
    }
    assert_nothing_missing(0, STREAMS_MAX);
    close_streams(STREAMS_MAX);
    stop();
}

/* --- fast and slow ------------------------------------------------------------------------------------- */

static int compare_times(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* One byte each; what is in the kernel's buffers stays there. */
static void read_hardly(void)
{
    for (size_t i = READERS; i < 2 * (size_t)READERS; i++) {
        uint8_t byte;

        if (streams[i].ssl != NULL && SSL_read(streams[i].ssl, &byte, 1) == 1) {
            load_bytes(&streams[i], &byte, 1);
        }
    }
}

/* Steps, and the median of the time until all of the fast ones have each. */
static uint64_t median_delay_ns(void)
{
    static uint64_t times[STEPS];

    for (unsigned i = 0; i < STEPS; i++) {
        step();
        read_hardly();
        times[i] = wait_for(0, READERS, streams[0].sequence + 1);
    }
    qsort(times, STEPS, sizeof(times[0]), compare_times);
    return times[STEPS / 2];
}

/* Readers are nothing to the sampler; a busy machine may be. What the mapper counts is asked for anew at
 * a reload. */
static void assert_sampled_in_time(void)
{
    uint64_t samples = 0, until_ns = clock_monotonic_ns() + WAIT_S * CLOCK_NS_PER_S;

    while (samples == 0 || samples == UINT64_MAX) {
        assert_true(clock_monotonic_ns() < until_ns);
        assert_int_equal(kill(units.xenresd, SIGHUP), 0);
        samples = units_metric(&units, "xenresd_mapper_samples_total");
    }
    assert_true(units_metric(&units, "xenresd_mapper_late_samples_total") < samples / 2);
}

static void who_hardly_reads_gets_gaps_and_holds_up_nobody(void **state)
{
    (void)state;
    start_with(LIMITS_LARGE, mapper_options);
    open_first(&streams[0], "broad");
    open_streams(1, READERS, "broad", 0);
    (void)wait_for(0, READERS, 0);
    uint64_t alone_ns = median_delay_ns();
    long before_kib = resident_kib();

    for (size_t i = READERS; i < 2 * (size_t)READERS; i++) {
        load_open(&load, &streams[i], HELD_BYTES);
        load_ask(&streams[i], "broad", 0, period_of("broad"));
        assert_int_equal(fcntl(streams[i].fd, F_SETFL, O_NONBLOCK), 0);
    }
    uint64_t beside_ns = median_delay_ns();

    print_message("# delay of %d: %.2f ms alone, %.2f ms beside as many that hardly read\n",
                  READERS, (double)alone_ns / 1e6, (double)beside_ns / 1e6);
    assert_true(beside_ns < 3 * alone_ns + 20 * CLOCK_NS_PER_MS);
    assert_sampled_in_time();
    assert_nothing_missing(0, READERS);
    assert_streams_cost(before_kib, READERS, UNREAD_KIB);
    for (size_t i = READERS; i < 2 * (size_t)READERS; i++) { /* and now they do */
        load_follow(&load, &streams[i]);
    }
    (void)wait_for(READERS, 2 * READERS, streams[0].sequence);
    for (size_t i = READERS; i < 2 * (size_t)READERS; i++) {
        assert_int_equal(streams[i].holes, 0);
        assert_true(streams[i].gaps > 0 && streams[i].lost > 0);
    }
    close_streams(2 * (size_t)READERS);
    stop();
}

/* --- limits -------------------------------------------------------------------------------------------- */

/* So many of `domain` are let in, and not one more; the next one is once one has gone. */
static void expect_limit(size_t limit, const char *domain)
{
    struct load_stream *last = &streams[limit];
    char name[32];

    name_domain(domain, 0, name);
    open_first(&streams[0], name);
    open_streams(1, limit, domain, 0);
    (void)wait_for(0, limit, 0);
    for (int round = 0; round < 2; round++) {
        open_streams(limit, limit + 1, domain, 0);
        while (last->error[0] == '\0' && last->part != LOAD_OVER && !last->has_content) {
            load_poll(&load, 100);
        }
        if (last->error[0] == '\0') {
            fail_msg("one more than %zu was let in", limit);
        }
        assert_string_equal(last->error, "resource_exhausted");
        load_close(last);
    }
    assert_nothing_missing(0, limit);
    close_streams(limit);
    open_first(&streams[0], name);
    load_close(&streams[0]);
}

static void each_limit_lets_in_as_many_as_it_says_and_not_one_more(void **state)
{
    static const char *const few_feeds[] = { "--feeds-max", "7", NULL };
    static const char *const little_spool[] = { "--spools-mib", "1", "--spool-kib-max", "128",
                                                NULL };
    static const struct {
        const char *limits, *domain;
        const char *const *options;
        size_t limit;
    } rows[] = {
        { "connections_per_address = 1000 subscribers_per_identity = 9", "active", NULL, 9 },
        { "connections_per_address = 1000 subscribers = 9", "active", NULL, 9 },
        { "connections_per_address = 1000 feeds = 9 feed_linger_s = 0", "idle", NULL, 9 },
        { "connections_per_address = 1000 feed_linger_s = 0", "idle", few_feeds, 7 },
        /* Images of 8 KiB, and spools of 128. */
        { "connections_per_address = 1000 feed_linger_s = 0", "idle", little_spool, 7 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        start_with(rows[i].limits, rows[i].options);
        expect_limit(rows[i].limit, rows[i].domain);
        stop();
    }
}

static int begin(void **state)
{
    struct rlimit files;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    (void)snprintf(gateway.dir, sizeof(gateway.dir), "/tmp/load.XXXXXX");
    assert_non_null(mkdtemp(gateway.dir));
    assert_int_equal(chmod(gateway.dir, 0755), 0);
    gateway_start(false);
    gateway_stop();
    strcat(gateway.dir, "/demo");
    return files.rlim_cur > STREAMS_MAX + 64 ? 0 : -1;
}

static int end(void **state)
{
    char command[GATEWAY_PATH_BYTES];

    (void)state;
    *strrchr(gateway.dir, '/') = '\0';
    (void)snprintf(command, sizeof(command), "rm -rf %s", gateway.dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_subscribers_of_one_feed_get_every_batch),
        cmocka_unit_test(a_thousand_feeds_have_one_subscriber_each),
        cmocka_unit_test(thousands_of_idle_streams_cost_little_and_hold_up_nobody),
        cmocka_unit_test(who_hardly_reads_gets_gaps_and_holds_up_nobody),
        cmocka_unit_test(each_limit_lets_in_as_many_as_it_says_and_not_one_more),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    cmocka_set_test_filter(getenv("LOAD_ONLY")); /* one of them by hand; NULL: all */
    return cmocka_run_group_tests(tests, begin, end);
}
