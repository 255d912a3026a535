/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* How a mapper starts and ends, and what it is meanwhile. */
#include <dirent.h>
#include <pwd.h>
#include <sys/un.h>

#include "tests/lib/mapper_rig.h"

static const char guest[] = "domain \"g\" { domid = 1 uuid = "
                            "\"11111111-1111-1111-1111-111111111111\" grants { frames = 4 } }\n";

static struct rig rig;

static void take_snapshot(struct rig_peer *p)
{
    union message a;
    struct domain_identity d = rig_domain(p, "g");
    union message m = rig_snapshot_message(&d, RESOURCE_GRANT_TABLE, 0, 0, 1);

    assert_true(rig_call(p, &m, &a));
}

/* The line of /proc/PID/status that begins with `field`. */
static void status_line_of(const char *path, const char *field, char out[256])
{
    FILE *file = fopen(path, "re");

    assert_non_null(file);
    while (fgets(out, 256, file) != NULL && strncmp(out, field, strlen(field)) != 0) {
    }
    fclose(file);
    assert_int_equal(strncmp(out, field, strlen(field)), 0);
}

static void status_line(const char *field, char out[256])
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/status", (int)rig.pid);
    status_line_of(path, field, out);
}

static void assert_does_not_start(const char *scenario, const char *export, const char *const *more,
                                  int exit_status, const char *said)
{
    rig_start(&rig, scenario, export, more);
    int status = rig_wait(&rig);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), exit_status);
    if (!rig_log_says(&rig, said)) {
        fail_msg("the log does not say `%s`", said);
    }
    rig_remove(&rig);
}

static void what_is_missing_or_wrong_is_said(void **state)
{
    static const char *const no_user[] = { "--user", "no-such-user", NULL };
    static const char *const unknown[] = { "--frobnicate", NULL };
    static const char *const too_many[] = { "--mappings-max", "4097", NULL };
    static const char *const both[] = { "--socket", "/tmp/x", NULL };

    (void)state;
    assert_does_not_start(guest, "allow everything\n", NULL, 1, "export:1:");
    assert_does_not_start("seed = x\n", RIG_EXPORT_ALL, NULL, 1, "scenario:1:");
    assert_does_not_start(guest, RIG_EXPORT_ALL, no_user, 1, "there is no user no-such-user");
    assert_does_not_start(guest, RIG_EXPORT_ALL, unknown, 2, "--frobnicate: no such option");
    assert_does_not_start(guest, RIG_EXPORT_ALL, too_many, 2, "expected a number from 1 to 4096");
    assert_does_not_start(guest, RIG_EXPORT_ALL, both, 2,
                          "exactly one of --socket and --listen-fd");
}

static void every_number_has_its_bounds(void **state)
{
    static const struct {
        const char *option, *least, *most, *below, *above;
    } rows[] = {
        { "--grace", "0", "3600", "-1", "3601" },
        { "--mapping-idle", "0", "3600", "", "3601" },
        { "--mappings-max", "1", "4096", "0", "4097" },
        { "--arena-mib", "1", "256", "0", "65537" },
        { "--slot-max-mib", "1", "65536", "0", "65537" },
        { "--hypercalls-per-second", "10", "10000000", "9", "10000001" },
        { "--samplers", "1", "8", "0", "9" },
        { "--feeds-max", "1", "4096", "0", "4097" },
        { "--spool-kib-max", "128", "1048576", "127", "1048577" },
        { "--spools-mib", "1", "65536", "0", "65537" },
        { "--period-min-ms", "1", "3600000", "0", "3600001" },
        { "--traces-max", "1", "64", "0", "65" },
        { "--trace-budget", "1", "1000000", "0", "1000001" },
        { "--pauses-per-second", "1", "1000000", "0", "1000001" },
        { "--trace-period-max-ms", "1", "1000", "0", "1001" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *values[] = { rows[i].least, rows[i].most, rows[i].below, rows[i].above };

        for (int k = 0; k < 4; k++) {
            const char *more[] = { rows[i].option, values[k], NULL };

            if (k >= 2) {
                assert_does_not_start(guest, RIG_EXPORT_ALL, more, 2, rows[i].option);
                continue;
            }
            struct rig_peer p;

            rig_start(&rig, guest, RIG_EXPORT_ALL, more);
            rig_join(&rig, &p);
            rig_leave(&p);
            rig_stop(&rig);
        }
    }
}

static void an_export_list_that_others_may_write_is_refused(void **state)
{
    char path[128];
    struct rig_peer p;

    (void)state;
    rig_start(&rig, guest, RIG_EXPORT_ALL, NULL);
    rig_join(&rig, &p);
    rig_leave(&p);
    kill(rig.pid, SIGTERM);
    rig_wait(&rig);
    snprintf(path, sizeof(path), "%s/export", rig.dir);
    assert_int_equal(chmod(path, 0666), 0);
    char program[PATH_MAX];

    rig_program(program);
    fflush(NULL);
    rig.pid = fork();
    if (rig.pid == 0) {
        int nowhere = open("/dev/null", O_WRONLY);

        (void)dup2(nowhere, STDERR_FILENO);
        execl(program, program, "--socket", rig.socket, "--export", path, (char *)NULL);
        _exit(127);
    }
    int status = rig_wait(&rig);

    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    rig_remove(&rig);
}

static void it_ends_with_its_peer_where_told_to(void **state)
{
    static const char *const with_peer[] = { "--exit-with-peer", NULL };
    struct rig_peer p;

    (void)state;
    rig_start(&rig, guest, RIG_EXPORT_ALL, with_peer);
    rig_join(&rig, &p);
    take_snapshot(&p);
    rig_leave(&p);
    assert_int_equal(rig_wait(&rig), 0);
    rig_remove(&rig);
}

static void a_signal_ends_it_in_the_midst_of_service(void **state)
{
    static const int signals[] = { SIGTERM, SIGINT, SIGHUP };

    (void)state;
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct rig_peer p;

        rig_start(&rig, guest, RIG_EXPORT_ALL, NULL);
        rig_join(&rig, &p);
        take_snapshot(&p);
        kill(rig.pid, signals[i]);
        assert_int_equal(rig_wait(&rig), 0);
        union message m;

        assert_int_equal(rig_receive(&p, &m, NULL), 0);
        rig_leave(&p);
        rig_remove(&rig);
    }
}

static void mappings_do_not_outlive_the_peer_for_longer_than_told(void **state)
{
    static const char *const no_grace[] = { "--grace", "0", NULL };
    struct rig_peer p;

    (void)state;
    rig_start(&rig, guest, RIG_EXPORT_ALL, no_grace);
    rig_join(&rig, &p);
    take_snapshot(&p);
    assert_int_equal(rig_ledger(&p, "live mappings"), 1);
    rig_leave(&p);
    rig_join(&rig, &p);
    assert_int_equal(rig_ledger(&p, "live mappings"), 0);
    rig_leave(&p);
    rig_stop(&rig);
}

static void each_peer_has_an_arena_of_its_own(void **state)
{
    struct rig_peer first, second;

    (void)state;
    rig_start(&rig, guest, RIG_EXPORT_ALL, NULL);
    rig_join(&rig, &first);
    const uint8_t *kept = first.arena;
    size_t kept_bytes = first.hello.arena_bytes;

    channel_close(&first.channel);
    rig_join(&rig, &second);
    take_snapshot(&second);
    assert_true(second.arena[0] != 0); /* the grant of the console */
    assert_int_equal(kept[0], 0);      /* not seen through what the first one kept */
    munmap((void *)(uintptr_t)kept, kept_bytes);
    rig_leave(&second);
    rig_stop(&rig);
}

static void it_gives_privileges_up(void **state)
{
    static const char *const nobody[] = { "--user", "nobody", "--peer-user", "0", NULL };
    struct rig_peer p;
    char line[256];
    unsigned uid[4];

    (void)state;
    bool is_root = getuid() == 0;

    rig_start(&rig, guest, RIG_EXPORT_ALL, is_root ? nobody : NULL);
    rig_join(&rig, &p);
    take_snapshot(&p);
    status_line("NoNewPrivs:", line);
    assert_non_null(strstr(line, "1"));
    if (is_root) {
        const struct passwd *who = getpwnam("nobody");

        status_line("Uid:", line);
        assert_int_equal(sscanf(line, "Uid: %u %u %u %u", &uid[0], &uid[1], &uid[2], &uid[3]), 4);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(uid[i], who->pw_uid);
        }
        status_line("CapEff:", line);
        assert_non_null(strstr(line, "0000000000000000"));
        status_line("CapPrm:", line);
        assert_non_null(strstr(line, "0000000000000000"));
    }
    rig_leave(&p);
    rig_stop(&rig);
}

/* Their threads begin while there are privileges, and while a user may still start some. */
static void threads_that_sample_give_them_up_as_well(void **state)
{
    static const char *const nobody[] = { "--samplers",  "8", "--user", "nobody",
                                          "--peer-user", "0", NULL };
    static const char *const as_we_are[] = { "--samplers", "8", NULL };
    struct rig_peer p;
    char folder[64], line[256], of_main[256];
    int threads = 0;

    (void)state;
    rig_start(&rig, guest, RIG_EXPORT_ALL, getuid() == 0 ? nobody : as_we_are);
    rig_join(&rig, &p);
    status_line("Uid:", of_main);
    snprintf(folder, sizeof(folder), "/proc/%d/task", (int)rig.pid);
    DIR *tasks = opendir(folder);

    assert_non_null(tasks);
    for (struct dirent *e = readdir(tasks); e != NULL; e = readdir(tasks)) {
        char path[400];

        if (e->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof(path), "%s/%s/status", folder, e->d_name);
        status_line_of(path, "Uid:", line);
        assert_string_equal(line, of_main);
        status_line_of(path, "NoNewPrivs:", line);
        assert_non_null(strstr(line, "1"));
        threads++;
    }
    closedir(tasks);
    assert_true(threads >= 1 + 8);
    rig_leave(&p);
    rig_stop(&rig);
}

static void a_manager_is_told_when_it_is_ready(void **state)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char said[64] = "";
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)state;
    /* Autobind: an abstract name that the kernel picks. */
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
    socklen_t len = sizeof(address);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    char name[sizeof(address.sun_path) + 1] = "@";

    memcpy(name + 1, address.sun_path + 1, len - sizeof(sa_family_t) - 1);
    setenv("NOTIFY_SOCKET", name, 1);
    rig_start(&rig, guest, RIG_EXPORT_ALL, NULL);
    unsetenv("NOTIFY_SOCKET");
    struct pollfd row = { .fd = fd, .events = POLLIN };

    assert_int_equal(poll(&row, 1, RIG_LIMIT_MS), 1);
    assert_true(recv(fd, said, sizeof(said) - 1, 0) > 0);
    assert_string_equal(said, "READY=1");
    rig_stop(&rig);
    close(fd);
}

static void memory_held_while_idle_is_small(void **state)
{
    struct rig_peer p;
    char line[256];
    unsigned long anon, file;

    (void)state;
    rig_start(&rig, NULL, RIG_EXPORT_ALL, NULL);
    rig_join(&rig, &p);
    status_line("RssAnon:", line);
    assert_int_equal(sscanf(line, "RssAnon: %lu", &anon), 1);
    status_line("RssFile:", line);
    assert_int_equal(sscanf(line, "RssFile: %lu", &file), 1);
    print_message("# memory beside the arena: %lu KiB\n", anon + file);
#ifndef XENRES_SANITIZED
    assert_true(anon + file <= 10240);
#endif
    rig_leave(&p);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_or_wrong_is_said),
        cmocka_unit_test(every_number_has_its_bounds),
        cmocka_unit_test(an_export_list_that_others_may_write_is_refused),
        cmocka_unit_test(it_ends_with_its_peer_where_told_to),
        cmocka_unit_test(a_signal_ends_it_in_the_midst_of_service),
        cmocka_unit_test(mappings_do_not_outlive_the_peer_for_longer_than_told),
        cmocka_unit_test(each_peer_has_an_arena_of_its_own),
        cmocka_unit_test(it_gives_privileges_up),
        cmocka_unit_test(threads_that_sample_give_them_up_as_well),
        cmocka_unit_test(a_manager_is_told_when_it_is_ready),
        cmocka_unit_test(memory_held_while_idle_is_small),
    };

    return UNIT_RUN(tests);
}
