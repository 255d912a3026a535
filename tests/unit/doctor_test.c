/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What --doctor says of simulated hosts: each `no` with its cure, and nothing is changed by asking. */
#include "server/mapper/doctor.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/mapper/journal.h"
#include "tests/lib/mapper_rig.h"
#include "tests/lib/sim_rig.h"

#define UUID(n)    "0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a0" n
#define TRACEABLE  "domain \"a\" { domid = 1 uuid = \"" UUID("1") "\" type = \"hvm\" vcpus = 2\n"
#define BUFFER     "vmtrace { size = 65536 rate = 1000 } }\n"
#define FOREIGN    "vmtrace { size = 65536 rate = 1000 enabled = true } }\n"
#define BARE       "domain \"b\" { domid = 2 uuid = \"" UUID("2") "\" type = \"hvm\" }\n"
#define BOOT_ID_AT "/proc/sys/kernel/random/boot_id"

static char *said;

/* What is said of this host; true: there is no `no`. */
static bool look_with(struct backend *b, const char *journal_path)
{
    size_t len = 0;

    free(said);
    FILE *to = open_memstream(&said, &len);

    assert_non_null(to);
    bool is_well = doctor_look(to, backend_ops, b, journal_path);

    assert_int_equal(fclose(to), 0);
    assert_int_equal(is_well, strncmp(said, "no ", 3) != 0 && strstr(said, "\nno ") == NULL);
    return is_well;
}

static bool look(const char *scenario, const char *journal_path)
{
    SIM_AUTO *b = sim_rig_open(scenario);

    return look_with(b, journal_path);
}

static void assert_says(const char *words)
{
    if (strstr(said, words) == NULL) {
        fail_msg("no `%s` in:\n%s", words, said);
    }
}

static void a_host_that_can_be_traced_is_well(void **state)
{
    (void)state;
    assert_true(look(TRACEABLE BUFFER BARE, NULL));
    assert_says("ok  vmtrace ");
    assert_says(
        "ok  domain 1             has buffers of 64 KiB for each of its 2 vCPUs, and nobody");
    assert_says("ok  trace buffers        1 domains have some, and 1 have none");
    assert_says("ok  journal ");
}

static void a_host_without_buffers_is_told_how_to_get_some(void **state)
{
    (void)state;
    assert_false(look(BARE, NULL));
    assert_says("no  trace buffers        none of 1 domains has any: set vmtrace_buf_kb");
    assert_false(look("seed = 1\n", NULL));
    assert_says("none of 0 domains");
}

static void who_traces_is_told_from_who_does_not(void **state)
{
    (void)state;
    assert_false(look(TRACEABLE FOREIGN, NULL));
    assert_says(
        "no  domain 1             has buffers of 64 KiB, and 2 of its vCPUs (0 first) are traced "
        "by somebody");
    assert_says("--takeover");
}

static void what_the_journal_has_is_the_mappers(void **state)
{
    char path[] = "/tmp/doctor.XXXXXX", boot_id[UUID_TEXT_BYTES + 1] = "";
    struct journal *j = NULL;
    struct journal_entry e = { .domid = 1 };
    int fd = mkstemp(path);
    FILE *file = fopen(BOOT_ID_AT, "re");

    (void)state;
    assert_true(fd >= 0 && file != NULL && fgets(boot_id, UUID_TEXT_BYTES, file) != NULL);
    close(fd);
    fclose(file);
    assert_int_equal(journal_open(path, getuid(), boot_id, &j, NULL), 0);
    assert_true(text_to_uuid(UUID("1"), e.uuid));
    assert_int_equal(journal_add(j, &e, NULL), 0);
    assert_false(look(TRACEABLE FOREIGN, path)); /* vCPU 1 is not in it */
    assert_says("1 of its vCPUs (1 first) are traced by somebody");
    assert_says("ok  journal              1 vCPUs are traced by a mapper");
    e.vcpu = 1;
    assert_int_equal(journal_add(j, &e, NULL), 0);
    assert_true(look(TRACEABLE FOREIGN, path));
    assert_says(
        "ok  domain 1             has buffers of 64 KiB, and 2 of its vCPUs are traced by the");
    journal_close(j);

    assert_int_equal(unlink(path), 0);
    assert_true(look(TRACEABLE BUFFER, path));
    assert_says("there is none at /tmp/doctor");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_false(look(TRACEABLE BUFFER, path));
    assert_says("no  journal ");
    assert_int_equal(rmdir(path), 0);
}

static void what_fails_is_a_no_and_the_rest_is_looked_at(void **state)
{
    (void)state;
    assert_false(look(
        TRACEABLE BUFFER "fault { operation = \"vmtrace_get_option\" errno = \"EPERM\" }\n", NULL));
    assert_says("no  domain 1 ");
    assert_says("run the mapper in dom0");
    assert_says("trace buffers");
    assert_false(
        look(TRACEABLE BUFFER "fault { operation = \"list\" errno = \"EACCES\" }\n", NULL));
    assert_says("no  domains ");
    assert_false(look(TRACEABLE BUFFER "fault { operation = \"size\" errno = \"EPERM\" }\n", NULL));
    assert_says("no  domain 1 "); /* which does not mean that it has none */
    assert_says("none of 0 domains");
    (void)look(TRACEABLE BUFFER "fault { operation = \"size\" errno = \"ESRCH\" }\n", NULL);
    assert_says("none of 0 domains");
}

static void nothing_is_enabled_or_mapped_to_find_out(void **state)
{
    SIM_AUTO *b = sim_rig_open(TRACEABLE BUFFER);
    FILE *to = fopen("/dev/null", "we");
    struct sim_trace t;

    (void)state;
    assert_non_null(to);
    (void)doctor_look(to, backend_ops, b, NULL);
    fclose(to);
    assert_int_equal(backend_ops->pauses(b), 2);
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(sim_trace(b, 1, i, &t));
        assert_false(t.is_enabled);
        assert_int_equal(t.resets, 0);
    }
}

static void more_domains_than_one_look_takes(void **state)
{
    static char scenario[70 * 160];
    size_t len = 0;

    (void)state;
    for (int i = 1; i <= 70; i++) {
        len += (size_t)snprintf(scenario + len, sizeof(scenario) - len,
                                "domain \"d%d\" { domid = %d uuid = "
                                "\"11111111-1111-1111-1111-1111111111%02x\" type = \"hvm\"\n"
                                "  vmtrace { size = 4096 } }\n",
                                i, i == 70 ? 32000 : i, i);
    }
    assert_true(look(scenario, NULL));
    assert_says("70 domains have some, and 0 have none");
    assert_says("domain 32000 ");
}

enum { LARGE = 4, LARGE_VCPUS = DOCTOR_VCPUS_MAX / LARGE };

/* So many domains of as many vCPUs that all of them may be asked, and one of `more` behind them, traced by
 * somebody else. How many vCPUs were paused is the answer. */
static uint64_t look_at_many(uint32_t more)
{
    static char scenario[(LARGE + 1) * 200];
    size_t len = 0;

    for (uint32_t i = 1; i <= LARGE + (more > 0); i++) {
        len += (size_t)snprintf(scenario + len, sizeof(scenario) - len,
                                "domain \"d%u\" { domid = %u uuid = "
                                "\"11111111-1111-1111-1111-1111111111%02x\" type = \"hvm\"\n"
                                "  vcpus = %u vmtrace { size = 4096 %s } }\n",
                                i, i, i, i <= LARGE ? LARGE_VCPUS : more,
                                i <= LARGE ? "" : "enabled = true");
    }
    SIM_AUTO *b = sim_rig_open(scenario);

    look_with(b, NULL);
    return backend_ops->pauses(b);
}

static void as_many_vcpus_are_paused_and_not_one_more(void **state)
{
    (void)state;
    assert_int_equal(look_at_many(0), DOCTOR_VCPUS_MAX);
    assert_null(strstr(said, "not asked"));
    assert_int_equal(look_at_many(1), DOCTOR_VCPUS_MAX);
    assert_says("ok  vCPUs not asked      1, whether they are traced");
    assert_says("domain 5             has buffers of 4 KiB for each of its 1 vCPUs; 0 were asked,"
                " and nobody traces them");
    assert_int_equal(look_at_many(128), DOCTOR_VCPUS_MAX);
    assert_says("ok  vCPUs not asked      128, ");
}

static void a_clock_of_1970_is_a_no(void **state)
{
    const int64_t back_ns = -(int64_t)(clock_wall_ns() - CLOCK_NS_PER_S);

    (void)state;
    look(TRACEABLE BUFFER, NULL);
    assert_says("ok  clock ");
    clock_shift_wall(back_ns);
    bool is_well = look(TRACEABLE BUFFER, NULL);
    clock_shift_wall(-back_ns);
    assert_false(is_well);
    assert_says("no  clock ");
    assert_says("set dom0's clock");
}

/* The program itself, by its exit status. */
static int run_doctor(const char *scenario)
{
    char program[PATH_MAX], command[PATH_MAX + 128], path[] = "/tmp/doctor.XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, scenario, strlen(scenario)), strlen(scenario));
    close(fd);
    rig_program(program);
    snprintf(command, sizeof(command), "'%s' --doctor --scenario %s >/dev/null", program, path);
    int status = system(command); /* NOLINT: the test's own words */

    assert_true(WIFEXITED(status));
    assert_int_equal(unlink(path), 0);
    return WEXITSTATUS(status);
}

static void the_exit_status_says_it_too(void **state)
{
    (void)state;
    assert_int_equal(run_doctor(TRACEABLE BUFFER), 0);
    assert_int_equal(run_doctor(BARE), 1);
}

static int free_said(void **state)
{
    (void)state;
    free(said);
    said = NULL;
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_that_can_be_traced_is_well),
        cmocka_unit_test(a_host_without_buffers_is_told_how_to_get_some),
        cmocka_unit_test(who_traces_is_told_from_who_does_not),
        cmocka_unit_test(what_the_journal_has_is_the_mappers),
        cmocka_unit_test(what_fails_is_a_no_and_the_rest_is_looked_at),
        cmocka_unit_test(nothing_is_enabled_or_mapped_to_find_out),
        cmocka_unit_test(more_domains_than_one_look_takes),
        cmocka_unit_test(as_many_vcpus_are_paused_and_not_one_more),
        cmocka_unit_test(a_clock_of_1970_is_a_no),
        cmocka_unit_test(the_exit_status_says_it_too),
    };

    return cmocka_run_group_tests(tests, NULL, free_said);
}
