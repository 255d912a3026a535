/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* How many snapshots may be in flight: the mapper's parts in this process, on the simulator. */
#include "server/mapper/snapshot.h"

#include <stdlib.h>

#include "common/channel.h"
#include "server/mapper/copy.h"
#include "server/mapper/peer.h"
#include "tests/lib/folder.h"
#include "tests/lib/unit.h"

/* Two steps each: with one, a job is over before the next begins. */
enum {
    FRAMES = COPY_STEP_BYTES / MESSAGE_FRAME_BYTES + 1,
    JOB_BYTES = FRAMES * MESSAGE_FRAME_BYTES,
    STEPS_MAX = 8,
};

static const char scenario[] =
    "domain \"large\" { domid = 1 uuid = \"11111111-1111-1111-1111-111111111111\"\n"
    "  grants { frames = 512 frames_max = 512 entries = 1000 } }\n";

static struct mapper m;
static struct folder folder;
static struct domain_identity large;

static void on_gone(void *arg, const uint8_t incarnation[16])
{
    mapping_drop_incarnation(arg, incarnation);
}

static int set_up(void **state)
{
    static const char export[] = "allow all all list,snapshot\n";
    uid_t user = getuid();
    int listen_fd;
    uint32_t count;

    (void)state;
    m = (struct mapper){ .ops = backend_ops };
    folder = folder_make();
    folder_write(folder_path(&folder, "scenario"), scenario, sizeof(scenario) - 1);
    assert_int_equal(copy_init(NULL), 0);
    assert_int_equal(channel_listen(folder_path(&folder, "socket"), &listen_fd, NULL), 0);
    assert_int_equal(peer_new(listen_fd, &user, 1, &m.peer, NULL), 0);
    assert_int_equal(export_parse(export, sizeof(export) - 1, "test", &m.export, NULL), 0);
    assert_int_equal(backend_open(folder_path(&folder, "scenario"), &m.backend, NULL), 0);
    ceiling_init(&m.ceiling, 1000000, 0);
    assert_int_equal(mapping_cache_new(m.ops, m.backend, 4, UINT64_MAX, &m.mappings, NULL), 0);
    assert_int_equal(directory_new(m.ops, m.backend, on_gone, m.mappings, &m.directory, NULL), 0);
    assert_int_equal(snapshot_jobs_new(&m.jobs, NULL), 0);
    assert_int_equal(
        arena_new((uint64_t)(SNAPSHOT_JOBS_MAX + 1) * JOB_BYTES, JOB_BYTES, &m.arena, NULL), 0);
    assert_int_equal(directory_drain(m.directory, NULL), 0);
    const struct directory_entry *entries = directory_entries(m.directory, &count);

    assert_int_equal(count, 1);
    large = entries[0].identity;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    snapshot_abandon(&m);
    snapshot_jobs_free(m.jobs);
    directory_free(m.directory);
    mapping_cache_free(m.mappings);
    arena_free(m.arena);
    peer_free(m.peer);
    m.ops->close(m.backend);
    export_free(m.export);
    folder_done(&folder);
    return 0;
}

static int begin(uint64_t serial, struct failure *f)
{
    union message request;

    memset(&request, 0, sizeof(request));
    message_init(&request, MESSAGE_SNAPSHOT, serial);
    request.snapshot.domain = large;
    request.snapshot.type = RESOURCE_GRANT_TABLE;
    request.snapshot.frame_count = FRAMES;
    return snapshot_begin(&m, &request.snapshot, f);
}

static void so_many_are_in_flight_and_not_one_more(void **state)
{
    struct failure f = { 0 };
    int steps = 0;

    (void)state;
    for (int i = 0; i < SNAPSHOT_JOBS_MAX; i++) {
        assert_int_equal(begin((uint64_t)i + 1, &f), 0);
    }
    assert_int_equal(arena_usage(m.arena).slot_count, SNAPSHOT_JOBS_MAX);
    assert_int_equal(begin(SNAPSHOT_JOBS_MAX + 1, &f), -ERROR_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(f.message, "64 snapshots are in flight"));
    assert_true(f.next_step[0] != '\0');
    assert_int_equal(arena_usage(m.arena).slot_count, SNAPSHOT_JOBS_MAX); /* it holds nothing */
    while (snapshot_step(&m) && steps < STEPS_MAX) {
        steps++;
    }
    assert_true(steps < STEPS_MAX);
    assert_int_equal(begin(SNAPSHOT_JOBS_MAX + 2, &f), 0); /* and there is room again */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(so_many_are_in_flight_and_not_one_more, set_up, tear_down),
    };

    return UNIT_RUN(tests);
}
