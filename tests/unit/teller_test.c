/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What a watch tells in words: of bytes what is not as it was, of decoded content each thing, and
 * nothing that steers a terminal. */
#include "tests/lib/unit.h"

#include "client/cli/lines.h"
#include "tests/lib/folder.h"
#include "tests/lib/recording_file.h"

enum { TEXT_BYTES = 1 << 20 };

/* A teller whose lines go to a file. */
struct rig {
    struct folder folder;
    struct output output;
    struct lines lines;
    struct teller teller;
    struct teller_out out;
    uint64_t wall_ns;
    char text[TEXT_BYTES];
};

static struct rig *start(void)
{
    static struct rig r;

    r.folder = folder_make();
    r.wall_ns = RECORDING_FILE_WALL_NS(0);
    assert_int_equal(output_open(&r.output, folder_path(&r.folder, "lines")), 0);
    lines_init(&r.lines, &r.output, &r.wall_ns);
    r.out = lines_out(&r.lines);
    teller_init(&r.teller, &r.out);
    return &r;
}

/* Without the time that each begins with, which is as long in all of them. */
static void expect(struct rig *r, const char *expected)
{
    static char shown[TEXT_BYTES];
    const char *path = folder_path(&r->folder, "lines");
    size_t skipped = strlen("2026-02-01 00:00:00.000000 UTC  ");

    assert_int_equal(output_commit(&r->output), 0);
    FILE *file = fopen(path, "re");

    assert_non_null(file);
    shown[0] = '\0';
    while (fgets(r->text, sizeof(r->text), file) != NULL) {
        assert_true(strlen(r->text) > skipped);
        assert_memory_equal(r->text + skipped - 5, "UTC  ", 5);
        strcat(shown, r->text + skipped);
    }
    fclose(file);
    assert_string_equal(shown, expected);
    output_abandon(&r->output);
    teller_done(&r->teller);
    lines_done(&r->lines);
    folder_done(&r->folder);
}

static const xenres_identity guest = {
    .domid = 5, .uuid = UUID_A, .name = "web\x1b[31m-1", .incarnation = LIFE_A
};

static void tell_begin(struct rig *r, bool decode)
{
    const xenres_watch_begin begin = { .domain = guest,
                                       .type = XENRES_GRANT_TABLE,
                                       .mode = XENRES_WATCH_DELTA,
                                       .decode = decode,
                                       .period_ms = 100,
                                       .feed = FEED_A };

    assert_int_equal(teller_sink(&r->teller).begin(&r->teller, &begin), 0);
}

static void tell_image(struct rig *r, uint64_t sequence, const uint8_t *bytes, size_t len)
{
    const xenres_observation observation = { .frame_count = (uint32_t)(len / 4096),
                                             .frame_bytes = 4096,
                                             .wall_seconds = 1769904007 };
    const xenres_watch_image piece = { .sequence = sequence,
                                       .observation = &observation,
                                       .bytes = bytes,
                                       .len_bytes = len,
                                       .complete = true };

    assert_int_equal(teller_sink(&r->teller).image(&r->teller, &piece), 0);
}

static void of_bytes_what_is_not_as_it_was(void **state)
{
    static uint8_t bytes[4096], block[64];
    static const uint32_t blocks[] = { 2 };
    struct rig *r = start();
    const xenres_watch_changes changes = {
        .first_sequence = 4, .sequence = 5, .blocks = blocks, .block_count = 1, .content = block
    };

    (void)state;
    block[9] = 0xab; /* one byte of the second word */
    tell_begin(r, false);
    tell_image(r, 3, bytes, sizeof(bytes));
    assert_int_equal(teller_sink(&r->teller).changes(&r->teller, &changes), 0);
    assert_int_equal(teller_sink(&r->teller).changes(&r->teller, &changes), 0); /* now they are */
    bytes[4095] = 1;
    tell_image(r, 6, bytes, sizeof(bytes)); /* another whole one: what is different */
    assert_int_equal(r->teller.sums.changes, 3);
    assert_int_equal(r->teller.sums.batches, 4);
    expect(r, "begin: web\\x1b[31m-1 grant_table 0, every 100.0 ms, delta (domain 5, " UUID_A
              ", incarnation " LIFE_A ")\n"
              "whole: 4096 bytes as they were behind batch 3\n"
              "5  00000088 changed: 00 ab 00 00 00 00 00 00 (was 00 00 00 00 00 00 00 00)\n"
              "6  00000088 changed: 00 00 00 00 00 00 00 00 (was 00 ab 00 00 00 00 00 00)\n"
              "6  00000ff8 changed: 00 00 00 00 00 00 00 01 (was 00 00 00 00 00 00 00 00)\n");
}

static void an_image_of_another_size_is_whole(void **state)
{
    static uint8_t bytes[8192];
    struct rig *r = start();

    (void)state;
    tell_image(r, 3, bytes, 4096);
    tell_image(r, 4, bytes, 8192);
    expect(r, "whole: 4096 bytes as they were behind batch 3\n"
              "whole: 8192 bytes as they were behind batch 4\n");
}

static void changes_of_what_is_not_known_are_told_once(void **state)
{
    static uint8_t bytes[4096], block[64];
    static const uint32_t blocks[] = { 64 };
    struct rig *r = start();
    xenres_watch_changes changes = {
        .first_sequence = 4, .sequence = 4, .blocks = blocks, .block_count = 1, .content = block
    };
    const xenres_watch_sink sink = teller_sink(&r->teller);

    (void)state;
    assert_int_equal(sink.changes(&r->teller, &changes), 0);
    assert_int_equal(sink.changes(&r->teller, &changes), 0);
    tell_image(r, 5, bytes, sizeof(bytes));
    assert_int_equal(sink.changes(&r->teller, &changes), 0); /* beyond its end */
    assert_int_equal(sink.changes(&r->teller, &changes), 0);
    tell_image(r, 6, bytes, sizeof(bytes));
    expect(r,
           "cut: the content is not known until it comes whole again: no image came before these "
           "changes\n"
           "whole: 4096 bytes as they were behind batch 5\n"
           "cut: the content is not known until it comes whole again: a block is beyond the image\n"
           "whole: 4096 bytes as they were behind batch 6\n");
}

static void grants_appear_change_and_go_away(void **state)
{
    struct rig *r = start();
    xenres_grant_change change = {
        .kind = XENRES_GRANT_APPEARED,
        .grant = { .reference = 8, .kind = XENRES_GRANT_PERMIT_ACCESS, .frame = 0x1234 },
    };
    xenres_watch_decoded decoded = {
        .sequence = 3, .whole = true, .grants = &change, .grant_count = 1
    };
    const xenres_watch_sink sink = teller_sink(&r->teller);

    (void)state;
    assert_int_equal(sink.decoded(&r->teller, &decoded), 0);
    decoded.whole = false;
    decoded.first_sequence = decoded.sequence = 4;
    change.kind = XENRES_GRANT_CHANGED;
    change.has_before = true;
    change.before = change.grant;
    change.grant.readonly = change.grant.reading = true;
    assert_int_equal(sink.decoded(&r->teller, &decoded), 0);
    decoded.first_sequence = decoded.sequence = 5;
    change.kind = XENRES_GRANT_WENT_AWAY;
    change.before = change.grant;
    change.grant = (xenres_grant){ .reference = 8, .kind = XENRES_GRANT_UNUSED };
    assert_int_equal(sink.decoded(&r->teller, &decoded), 0);
    assert_int_equal(r->teller.sums.changes, 2);
    expect(r, "whole: decoded as it was behind batch 3\n"
              "3  grant 8 is: access for 0, frame 0x1234, rw\n"
              "4  grant 8 changed: access for 0, frame 0x1234, ro, in use (r)"
              " (was access for 0, frame 0x1234, rw)\n"
              "5  grant 8 went away: unused"
              " (was access for 0, frame 0x1234, ro, in use (r))\n");
}

static void requests_and_run_times_are_told(void **state)
{
    struct rig *r = start();
    const xenres_ioreq_change request = {
        .ioreq = { .vcpu = 1,
                   .state = XENRES_IOREQ_READY,
                   .type = XENRES_IOREQ_PIO,
                   .address = 0x3f8,
                   .data = 0x41,
                   .size_bytes = 1,
                   .count = 1 },
        .before_state = XENRES_IOREQ_NONE,
    };
    const xenres_vcpu vcpu = { .vcpu = 2, .run_time_ns = 1500000000, .online = true };
    const xenres_watch_decoded decoded = { .first_sequence = 4,
                                           .sequence = 4,
                                           .ioreqs = &request,
                                           .ioreq_count = 1,
                                           .has_buffered = true,
                                           .read_pointer = 1,
                                           .write_pointer = 2,
                                           .pointers_valid = true,
                                           .vcpus = &vcpu,
                                           .vcpu_count = 1 };

    (void)state;
    assert_int_equal(teller_sink(&r->teller).decoded(&r->teller, &decoded), 0);
    expect(r, "4  vcpu 1 changed: ready: pio write at 0x3f8, data 0x41, size 1 (was none)\n"
              "4  buffered changed: read 1, write 2\n"
              "4  vcpu 2 changed: ran 1.500000000 s\n");
}

static void domains_come_and_go_and_steer_nothing(void **state)
{
    struct rig *r = start();
    const xenres_domain domain = { .identity = guest,
                                   .type = XENRES_DOMAIN_PV,
                                   .state = XENRES_DOMAIN_RUNNING,
                                   .online_vcpus = 1,
                                   .max_vcpus = 2,
                                   .memory_kib = 2048 };
    const xenres_domains_begin begin = { .feed = FEED_A };
    const xenres_domains_piece piece = {
        .sequence = 7, .domains = &domain, .domain_count = 1, .complete = true
    };
    xenres_domain_change change = { .first_sequence = 8,
                                    .sequence = 8,
                                    .kind = XENRES_DOMAIN_CHANGE_RENAMED,
                                    .domain = domain,
                                    .previous_name = "\xe2\x80\xaeold",
                                    .wall_seconds = 1769904001 };
    const xenres_watch_gap gap = {
        .reason = XENRES_GAP_TOO_SLOW, .first_sequence = 9, .sequence = 9, .exact = true
    };
    const xenres_domains_sink sink = teller_domains_sink(&r->teller);
#define SHOWN "web\\x1b[31m-1, PV, running, 1/2 vCPUs, 2 MiB, " UUID_A ", incarnation " LIFE_A

    (void)state;
    assert_int_equal(sink.begin(&r->teller, &begin), 0);
    assert_int_equal(sink.list(&r->teller, &piece), 0);
    assert_int_equal(sink.change(&r->teller, &change), 0);
    change.kind = XENRES_DOMAIN_CHANGE_GONE;
    change.previous_name = "";
    assert_int_equal(sink.change(&r->teller, &change), 0);
    assert_int_equal(sink.gap(&r->teller, &gap), 0);
    assert_int_equal(teller_tell_cut(&r->teller, "the network is down"), 0);
    expect(r, "begin: domains\n"
              "whole: the domains as they were behind event 7\n"
              "7  domain 5 is: " SHOWN "\n"
              "8  domain 5 changed: " SHOWN " (was \\xe2\\x80\\xaeold)\n"
              "8  domain 5 went away: " SHOWN "\n"
              "lost: event 9: too_slow\n"
              "cut: the network is down\n");
}

/* A text that is too long is cut, and not lost. */
static void a_long_text_is_cut(void **state)
{
    static xenres_buffered_ioreq requests[4096];
    struct rig *r = start();
    const xenres_watch_decoded decoded = { .first_sequence = 4,
                                           .sequence = 4,
                                           .has_buffered = true,
                                           .pointers_valid = true,
                                           .requests = requests,
                                           .request_count = 4096 };

    (void)state;
    assert_int_equal(teller_sink(&r->teller).decoded(&r->teller, &decoded), 0);
    assert_int_equal(output_commit(&r->output), 0);
    FILE *file = fopen(folder_path(&r->folder, "lines"), "re");

    assert_non_null(file);
    assert_non_null(fgets(r->text, sizeof(r->text), file));
    assert_in_range(strlen(r->text), TELLER_TEXT_MAX_BYTES / 2, TELLER_TEXT_MAX_BYTES + 128);
    fclose(file);
    output_abandon(&r->output);
    teller_done(&r->teller);
    lines_done(&r->lines);
    folder_done(&r->folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_bytes_what_is_not_as_it_was),
        cmocka_unit_test(an_image_of_another_size_is_whole),
        cmocka_unit_test(changes_of_what_is_not_known_are_told_once),
        cmocka_unit_test(grants_appear_change_and_go_away),
        cmocka_unit_test(requests_and_run_times_are_told),
        cmocka_unit_test(domains_come_and_go_and_steer_nothing),
        cmocka_unit_test(a_long_text_is_cut),
    };

    return UNIT_RUN(tests);
}
