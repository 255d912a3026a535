/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * One identity that takes all it gets, with 64 connections that ask for 4 MiB as fast as they can, watches
 * and traces, beside one that asks once in a while: the real gateway on the simulator. The one is told to
 * wait, and how long; the other is never refused, and hardly notices.
 */
#include "tests/lib/gateway.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    GREEDY = 64,          /* connections */
    GREEDY_FRAMES = 1024, /* 4 MiB */
    CALLS = 60,           /* of the one who asks once in a while */
    PAUSE_MS = 20,
    BODY_BYTES = 4096,
    WATCHES = 8, /* as many as one may have, below */
    /* Much, since the 64 clients and the gateway share the test's processors. */
    FACTOR = 25,
    LEAST_MS = 100,
};

static const char scenario[] =
    "seed = 1\n"
    "domain \"big\" {\n"
    "  domid = 1  uuid = \"0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a01\"  type = \"pv\"\n"
    "  grants { version = 1 frames = 1024 frames_max = 1024 entries = 1000 }\n"
    "}\n"
#define TRACED(number)                                                                             \
    "domain \"traced" #number "\" { domid = 1" #number                                             \
    " uuid = \"0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9b0" #number                                        \
    "\" type = \"hvm\" vcpus = 1 vmtrace { size = 65536 rate = 1024 } }\n"
    TRACED(1) TRACED(2) TRACED(3) TRACED(4);

static const char limits[] = "limits {\n"
                             "  requests_per_s_per_identity = 100\n"
                             "  snapshots_per_identity = 8\n"
                             "  subscribers_per_identity = 8\n"
                             "  arena_percent_per_identity = 25\n"
                             "  pauses_percent_per_identity = 50\n" /* 2500 of 5000 */
                             "  pauses_percent = 80\n"              /* 4000 */
                             "}\n";

static const char policy[] = "rule \"all\" {\n"
                             "  effect = allow\n"
                             "  identities = { \"spiffe:spiffe://xenres.demo/operator\","
                             " \"spiffe:spiffe://xenres.demo/visitor\" }\n"
                             "  domains = { \"all\" }\n"
                             "  types = { \"all\" }\n"
                             "  actions = { \"list\", \"snapshot\", \"watch\", \"decode\", "
                             "\"trace.read\", \"trace.control\" }\n"
                             "}\n";

static int start_gateway(void **state)
{
    (void)state;
    int result = gateway_set_up("fairness", scenario, limits);

    gateway_stop();
    gateway_write("demo/policy.conf", "we", policy);
    gateway_start(false);
    return result;
}

static int stop_gateway(void **state)
{
    (void)state;
    return gateway_tear_down();
}

/* --- asking --------------------------------------------------------------------------------------- */

static void open_as(struct tls_peer *p, const char *name)
{
    struct tls_peer_options options = gateway_operator(0);

    options.name = name;
    assert_true(tls_peer_open(p, gateway.port, &options));
}

/* The answer's status, and the beginning of its body, NUL-ended. */
static int answer(struct tls_peer *p, char body[BODY_BYTES])
{
    int status = tls_peer_head(p);
    const char *length = tls_peer_header(p, "Content-Length");
    size_t left = length != NULL ? strtoul(length, NULL, 10) : 0, kept = 0;
    char bytes[16384];

    while (status != 0 && left > 0) {
        size_t n = tls_peer_read(p, bytes, left < sizeof(bytes) ? left : sizeof(bytes));
        size_t room = BODY_BYTES - 1 - kept, taken = n < room ? n : room;

        if (n == 0) {
            return 0;
        }
        memcpy(body + kept, bytes, taken);
        kept += taken;
        left -= n;
    }
    body[kept] = '\0';
    return status;
}

static int get_frames(struct tls_peer *p, unsigned frames, char body[BODY_BYTES])
{
    char request[256];

    (void)snprintf(request, sizeof(request),
                   "GET /v1/domains/1/resources/grant_table/0/frames?first=0&count=%u HTTP/1.1\r\n"
                   "Host: test\r\n\r\n",
                   frames);
    return tls_peer_say(p, request) ? answer(p, body) : 0;
}

static int start_trace(struct tls_peer *p, unsigned domid, unsigned pauses, char body[BODY_BYTES])
{
    char json[128], request[512];
    int len =
        snprintf(json, sizeof(json), "{\"domain\":\"%u\",\"pausesPerSecond\":%u}", domid, pauses);

    (void)snprintf(request, sizeof(request),
                   "POST /xenres.v1.TraceService/StartTrace HTTP/1.1\r\nHost: test\r\n"
                   "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                   len, json);
    return tls_peer_say(p, request) ? answer(p, body) : 0;
}

/* True: it has begun; else it was refused, and `said` has how. */
static bool open_watch(struct tls_peer *p, char said[BODY_BYTES])
{
    static const char json[] = "{\"domain\":\"1\",\"type\":\"RESOURCE_TYPE_GRANT_TABLE\"}";
    char request[512];
    int len = snprintf(request, sizeof(request),
                       "POST /xenres.v1.ResourceService/Watch HTTP/1.1\r\nHost: test\r\n"
                       "Content-Type: application/connect+json\r\nContent-Length: %zu\r\n\r\n",
                       sizeof(json) - 1 + 5);

    memcpy(request + len, (const char[]){ 0, 0, 0, 0, sizeof(json) - 1 }, 5);
    memcpy(request + len + 5, json, sizeof(json) - 1);
    assert_true(tls_peer_send(p, request, (size_t)len + 5 + sizeof(json) - 1));
    assert_int_equal(tls_peer_head(p), 200);
    size_t n = tls_peer_read(p, said, BODY_BYTES - 1);

    for (size_t i = 0; i < n; i++) {
        said[i] = said[i] != '\0' ? said[i] : ' ';
    }
    said[n] = '\0';
    return strstr(said, "\"begin\"") != NULL;
}

/* --- the greedy one ------------------------------------------------------------------------------- */

static atomic_bool over;
static atomic_uint served, refused, refused_without_retry, otherwise;

/* Of a connection that is open: OpenSSL does not always load certificates where many threads do. */
static void *be_greedy(void *arg)
{
    struct tls_peer *p = arg;
    char body[BODY_BYTES];

    while (!atomic_load(&over)) {
        int status = get_frames(p, GREEDY_FRAMES, body);

        if (status == 200) {
            atomic_fetch_add(&served, 1);
        } else if (status == 429 && strstr(body, "\"code\":\"resource_exhausted\"") != NULL) {
            atomic_fetch_add(&refused, 1);
            atomic_fetch_add(&refused_without_retry,
                             strstr(body, "google.rpc.RetryInfo") == NULL ? 1 : 0);
        } else {
            atomic_fetch_add(&otherwise, 1);
            break;
        }
    }
    return NULL;
}

/* --- the other one -------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y ? 1 : 0;
}

/* Its median latency. */
static uint64_t ask_now_and_then(void)
{
    uint64_t took_ns[CALLS];
    struct tls_peer p;
    char body[BODY_BYTES];

    open_as(&p, "visitor");
    for (int i = 0; i < CALLS; i++) {
        uint64_t began_ns = clock_monotonic_ns();
        int status = get_frames(&p, 1, body);

        took_ns[i] = clock_monotonic_ns() - began_ns;
        if (status != 200) {
            fail_msg("%d: %s", status, body);
        }
        gateway_pause_ms(PAUSE_MS);
    }
    tls_peer_close(&p);
    qsort(took_ns, CALLS, sizeof(took_ns[0]), compare);
    return took_ns[CALLS / 2];
}

static void who_asks_now_and_then_hardly_notices_who_asks_all_the_time(void **state)
{
    pthread_t threads[GREEDY];
    struct tls_peer peers[GREEDY];
    uint64_t alone_ns = ask_now_and_then();

    (void)state;
    for (int i = 0; i < GREEDY; i++) {
        open_as(&peers[i], "operator");
    }
    for (int i = 0; i < GREEDY; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, be_greedy, &peers[i]), 0);
    }
    while (atomic_load(&refused) == 0) { /* it has begun to be too much */
        gateway_pause_ms(1);
    }
    uint64_t beside_ns = ask_now_and_then();
    uint64_t most_ns = alone_ns * FACTOR > LEAST_MS * CLOCK_NS_PER_MS ? alone_ns * FACTOR
                                                                      : LEAST_MS * CLOCK_NS_PER_MS;

    atomic_store(&over, true);
    for (int i = 0; i < GREEDY; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        tls_peer_close(&peers[i]);
    }
    print_message("median: %.2f ms alone, %.2f ms beside %u answers of 4 MiB and %u refusals\n",
                  (double)alone_ns / 1e6, (double)beside_ns / 1e6, atomic_load(&served),
                  atomic_load(&refused));
    assert_true(beside_ns <= most_ns);
    assert_int_equal(atomic_load(&otherwise), 0);
    assert_true(atomic_load(&served) > 0 && atomic_load(&refused) > 0);
    assert_int_equal(atomic_load(&refused_without_retry), 0);
}

static void watches_of_one_leave_room_for_the_other(void **state)
{
    struct tls_peer greedy[WATCHES + 1], other;
    char said[BODY_BYTES];

    (void)state;
    for (int i = 0; i < WATCHES; i++) {
        open_as(&greedy[i], "operator");
        assert_true(open_watch(&greedy[i], said));
    }
    open_as(&greedy[WATCHES], "operator");
    assert_false(open_watch(&greedy[WATCHES], said));
    assert_non_null(strstr(said, "resource_exhausted"));
    assert_non_null(strstr(said, "google.rpc.RetryInfo"));
    open_as(&other, "visitor");
    assert_true(open_watch(&other, said));
    tls_peer_close(&other);
    for (int i = 0; i <= WATCHES; i++) {
        tls_peer_close(&greedy[i]);
    }
}

/* Half of the mapper's 5000 pauses a second are one's: two of 1250, and not one more; and 4000 are all that
 * traces may make together. */
static void traces_of_one_leave_pauses_for_the_other(void **state)
{
    struct tls_peer p, other;
    char body[BODY_BYTES];

    (void)state;
    open_as(&p, "operator");
    open_as(&other, "visitor");
    assert_int_equal(start_trace(&p, 11, 2501, body), 429); /* more than ever */
    assert_null(strstr(body, "google.rpc.RetryInfo"));
    assert_int_equal(start_trace(&p, 11, 1250, body), 200);
    assert_int_equal(start_trace(&p, 11, 1250, body), 200); /* joined: the same trace */
    assert_int_equal(start_trace(&p, 12, 1250, body), 200);
    assert_int_equal(start_trace(&p, 13, 1, body), 429);
    assert_non_null(strstr(body, "google.rpc.RetryInfo"));
    assert_int_equal(start_trace(&other, 13, 1501, body), 429); /* within his share … */
    assert_non_null(strstr(body, "all traces may make (at most 4000)"));
    assert_int_equal(start_trace(&other, 13, 1500, body), 200);
    assert_int_equal(start_trace(&other, 14, 1, body), 429);
    tls_peer_close(&p);
    tls_peer_close(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_now_and_then_hardly_notices_who_asks_all_the_time),
        cmocka_unit_test(watches_of_one_leave_room_for_the_other),
        cmocka_unit_test(traces_of_one_leave_pauses_for_the_other),
    };

    return cmocka_run_group_tests(tests, start_gateway, stop_gateway);
}
