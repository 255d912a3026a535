/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/mapper/export.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buffer.h"
#include "tests/lib/unit.h"

static struct domain_identity domain(uint16_t domid, const char *name)
{
    struct domain_identity d = { .domid = domid, .uuid = { 1, 2, 3, [15] = (uint8_t)domid } };

    snprintf(d.name, sizeof(d.name), "%s", name);
    return d;
}

static struct export_list *parsed(const char *text)
{
    struct export_list *e = NULL;
    struct failure f;

    assert_int_equal(export_parse(text, strlen(text), "file", &e, &f), 0);
    return e;
}

static void refused(const char *text, const char *said)
{
    struct export_list *e = NULL;
    struct failure f;

    assert_int_equal(export_parse(text, strlen(text), "file", &e, &f), -ERROR_INVALID_ARGUMENT);
    assert_null(e);
    if (strstr(f.message, said) == NULL) {
        fail_msg("`%s` is not in `%s`", said, f.message);
    }
}

static void nothing_leaves_by_default(void **state)
{
    struct export_list *e = parsed("# nothing\n\n   \t\n  # nor here\n");
    struct domain_identity d = domain(5, "web-1");

    (void)state;
    assert_int_equal(export_rule_count(e), 0);
    for (uint32_t type = 0; type < RESOURCE_TYPE_COUNT; type++) {
        for (int action = 0; action < EXPORT_ACTION_COUNT; action++) {
            assert_false(export_allows(e, &d, type, (enum export_action)action));
        }
    }
    export_free(e);
}

static void a_line_allows_what_it_names_and_no_more(void **state)
{
    struct export_list *e = parsed("allow name:web-* grant_table,vcpu_stats list,snapshot");
    struct domain_identity web = domain(5, "web-1");
    struct domain_identity db = domain(6, "db-1");

    (void)state;
    assert_true(export_allows(e, &web, RESOURCE_GRANT_TABLE, EXPORT_SNAPSHOT));
    assert_true(export_allows(e, &web, RESOURCE_VCPU_STATS, EXPORT_LIST));
    assert_false(export_allows(e, &web, RESOURCE_IOREQ_SERVER, EXPORT_LIST));
    assert_false(export_allows(e, &web, RESOURCE_GRANT_TABLE, EXPORT_WATCH));
    assert_false(export_allows(e, &db, RESOURCE_GRANT_TABLE, EXPORT_SNAPSHOT));
    assert_false(export_allows_any(e, &db, EXPORT_LIST));
    assert_false(export_allows(e, &web, RESOURCE_TYPE_COUNT, EXPORT_LIST));
    assert_false(export_allows(e, &web, 99, EXPORT_LIST));
    export_free(e);
}

static void lines_add_up_but_do_not_mix(void **state)
{
    struct export_list *e =
        parsed("allow name:a grant_table list\nallow name:a vcpu_stats snapshot\n");
    struct domain_identity a = domain(5, "a");

    (void)state;
    assert_true(export_allows(e, &a, RESOURCE_GRANT_TABLE, EXPORT_LIST));
    assert_true(export_allows(e, &a, RESOURCE_VCPU_STATS, EXPORT_SNAPSHOT));
    assert_false(export_allows(e, &a, RESOURCE_GRANT_TABLE, EXPORT_SNAPSHOT));
    assert_false(export_allows(e, &a, RESOURCE_VCPU_STATS, EXPORT_LIST));
    export_free(e);
}

static void dom0_is_meant_only_where_it_is_named(void **state)
{
    static const struct {
        const char *domain;
        bool allowed;
    } rows[] = {
        { "all", false },           { "name:*", false },
        { "name:Domain-?", false }, { "dom0", true },
        { "name:Domain-0", true },  { "uuid:01020300-0000-0000-0000-000000000000", true },
    };
    struct domain_identity dom0 = domain(0, "Domain-0");

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char line[128];

        snprintf(line, sizeof(line), "allow %s all list", rows[i].domain);
        struct export_list *e = parsed(line);

        assert_int_equal(export_allows(e, &dom0, RESOURCE_GRANT_TABLE, EXPORT_LIST),
                         rows[i].allowed);
        export_free(e);
    }
}

static void a_name_that_was_cut_matches_no_name(void **state)
{
    struct export_list *e = parsed("allow name:* all list");
    struct domain_identity d = domain(5, "");

    (void)state;
    assert_true(export_allows_any(e, &d, EXPORT_LIST));
    d.name_cut = 1;
    assert_false(export_allows_any(e, &d, EXPORT_LIST));
    export_free(e);
}

static void a_uuid_is_compared_whole(void **state)
{
    struct export_list *e = parsed("allow uuid:01020300-0000-0000-0000-000000000005 all list");
    struct domain_identity right = domain(5, "x"), wrong = domain(6, "x");

    (void)state;
    assert_true(export_allows_any(e, &right, EXPORT_LIST));
    assert_false(export_allows_any(e, &wrong, EXPORT_LIST));
    export_free(e);
}

static void all_never_means_trace_control(void **state)
{
    struct export_list *e = parsed("allow all all list,snapshot,watch,decode,trace.read");
    struct export_list *with = parsed("allow all vmtrace_buf trace.control");
    struct domain_identity d = domain(5, "x");

    (void)state;
    assert_false(export_allows(e, &d, RESOURCE_VMTRACE_BUF, EXPORT_TRACE_CONTROL));
    assert_true(export_allows(with, &d, RESOURCE_VMTRACE_BUF, EXPORT_TRACE_CONTROL));
    assert_true(export_grants(with, EXPORT_TRACE_CONTROL));
    assert_false(export_grants(with, EXPORT_TRACE_READ));
    assert_true(export_grants(e, EXPORT_TRACE_READ));
    assert_false(export_grants(e, EXPORT_TRACE_CONTROL));
    refused("allow all all all", "file:1: `all`: expected a comma-separated list of list");
    export_free(e);
    export_free(with);
}

static void what_is_not_understood_is_refused_with_its_line(void **state)
{
    (void)state;
    refused("allow all all list\n\nallowed all all list\n", "file:3: `allowed`: expected `allow`");
    refused("allow all all", "file:1: `all`: expected `allow DOMAIN TYPES ACTIONS`");
    refused("allow all all list extra", "file:1: `extra`: expected nothing after");
    refused("allow web-1 all list", "`web-1`: expected which domains");
    refused("allow ALL all list", "`ALL`");
    refused("allow name: all list", "`name:`: expected a name");
    refused("allow uuid:12 all list", "`uuid:12`: expected a UUID");
    refused("allow all grant_tables list", "`grant_tables`");
    refused("allow all grant_table, list", "``");
    refused("allow all ,grant_table list", "``");
    refused("allow all grant_table,grant_table list", "each word once");
    refused("allow all all list,list", "each word once");
    refused("allow all all list\r\n", "\\x0d");
    refused("allow all all list # comment", "`#`: expected nothing after");
    refused("\xef\xbb\xbf"
            "allow all all list",
            "expected `allow`");
}

static void a_nul_does_not_hide_the_rest(void **state)
{
    static const char text[] = "# x\0\nallow all all list\n";
    struct export_list *e = NULL;
    struct failure f;

    (void)state;
    assert_int_equal(export_parse(text, sizeof(text) - 1, "file", &e, &f), -ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(f.message, "NUL"));
}

static void lines_and_rules_have_a_maximum(void **state)
{
    BUFFER_AUTO(text, 1 << 20);
    char line[EXPORT_LINE_BYTES_MAX + 2];

    (void)state;
    for (int i = 0; i < EXPORT_RULES_MAX; i++) {
        buffer_append_string(&text, "allow all all list\n");
    }
    struct export_list *e = parsed(buffer_string(&text));

    assert_int_equal(export_rule_count(e), EXPORT_RULES_MAX);
    export_free(e);
    buffer_append_string(&text, "allow all all list\n");
    refused(buffer_string(&text), "file:257:");

    memset(line, '#', sizeof(line));
    line[EXPORT_LINE_BYTES_MAX] = '\0';
    export_free(parsed(line));
    line[EXPORT_LINE_BYTES_MAX] = '#';
    line[EXPORT_LINE_BYTES_MAX + 1] = '\0';
    refused(line, "1024 bytes a line");
}

static void a_name_has_at_most_255_bytes(void **state)
{
    char line[400];
    char name[MESSAGE_NAME_BYTES + 1];

    (void)state;
    memset(name, 'n', sizeof(name));
    name[MESSAGE_NAME_BYTES - 1] = '\0';
    snprintf(line, sizeof(line), "allow name:%s all list", name);
    export_free(parsed(line));
    name[MESSAGE_NAME_BYTES - 1] = 'n';
    name[MESSAGE_NAME_BYTES] = '\0';
    snprintf(line, sizeof(line), "allow name:%s all list", name);
    refused(line, "1 to 255 bytes");
}

/* --- files ------------------------------------------------------------------------------------ */

static int write_file(char *path, const char *text, mode_t mode)
{
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    return close(fd);
}

static void a_file_that_others_may_write_is_refused(void **state)
{
    static const mode_t modes[] = { 0664, 0646, 0666 };

    (void)state;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        char path[] = "/tmp/export.XXXXXX";
        struct export_list *e = NULL;
        struct failure f;

        write_file(path, "allow all all list\n", modes[i]);
        assert_int_equal(export_load(path, getuid(), &e, &f), -ERROR_FAILED_PRECONDITION);
        assert_non_null(strstr(f.next_step, "chmod go-w"));
        unlink(path);
    }
}

static void a_file_of_another_user_is_refused(void **state)
{
    char path[] = "/tmp/export.XXXXXX";
    struct export_list *e = NULL;
    struct failure f;

    (void)state;
    write_file(path, "allow all all list\n", 0644);
    if (getuid() == 0) {
        assert_int_equal(chown(path, 65534, 65534), 0);
        assert_int_equal(export_load(path, 0, &e, &f), -ERROR_FAILED_PRECONDITION);
        assert_int_equal(export_load(path, 65534, &e, &f), 0);
    } else {
        assert_int_equal(export_load(path, getuid() + 1, &e, &f), -ERROR_FAILED_PRECONDITION);
        assert_int_equal(export_load(path, getuid(), &e, &f), 0);
    }
    export_free(e);
    unlink(path);
}

static void what_is_no_file_is_refused_without_waiting(void **state)
{
    char path[] = "/tmp/export.XXXXXX";
    struct export_list *e = NULL;
    struct failure f;

    (void)state;
    assert_int_equal(export_load("/nonexistent/export", 0, &e, &f), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(f.xen_errno, 2);
    assert_int_equal(export_load("/tmp", 0, &e, &f), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(close(mkstemp(path)), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(export_load(path, getuid(), &e, &f), -ERROR_FAILED_PRECONDITION);
    unlink(path);
}

static void a_file_has_a_maximum(void **state)
{
    char path[] = "/tmp/export.XXXXXX";
    struct export_list *e = NULL;
    struct failure f;

    (void)state;
    write_file(path, "", 0600);
    for (int more = 0; more < 2; more++) {
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        for (int i = 0; i < EXPORT_FILE_BYTES_MAX + more; i++) {
            fputc('\n', file);
        }
        fclose(file);
        assert_int_equal(export_load(path, getuid(), &e, &f), more ? -ERROR_INVALID_ARGUMENT : 0);
    }
    export_free(e);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_leaves_by_default),
        cmocka_unit_test(a_line_allows_what_it_names_and_no_more),
        cmocka_unit_test(lines_add_up_but_do_not_mix),
        cmocka_unit_test(dom0_is_meant_only_where_it_is_named),
        cmocka_unit_test(a_name_that_was_cut_matches_no_name),
        cmocka_unit_test(a_uuid_is_compared_whole),
        cmocka_unit_test(all_never_means_trace_control),
        cmocka_unit_test(what_is_not_understood_is_refused_with_its_line),
        cmocka_unit_test(a_nul_does_not_hide_the_rest),
        cmocka_unit_test(lines_and_rules_have_a_maximum),
        cmocka_unit_test(a_name_has_at_most_255_bytes),
        cmocka_unit_test(a_file_that_others_may_write_is_refused),
        cmocka_unit_test(a_file_of_another_user_is_refused),
        cmocka_unit_test(what_is_no_file_is_refused_without_waiting),
        cmocka_unit_test(a_file_has_a_maximum),
    };

    return UNIT_RUN(tests);
}
