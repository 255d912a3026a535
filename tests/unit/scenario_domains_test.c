/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* A recording of domains as a scenario, read by the simulator's own parser: who was there, and what
 * became of them when. */
#include "client/cli/scenario_files.h"
#include "common/text.h"
#include "server/mapper/sim/scenario.h"
#include "tests/lib/folder.h"
#include "tests/lib/recording_file.h"
#include "xenres/v1/host.pb-c.h"

enum { TEXT_BYTES = 4 << 20 };

struct made {
    struct folder folder;
    struct recording_file file;
    struct buffer stream;
    struct scenario *scenario;
};

static void say(struct made *m, Xenres__V1__WatchDomainsResponse *message)
{
    stream_message(&m->stream, &message->base);
    recording_file_messages(&m->file, &m->stream); /* each a second behind the one before */
}

static struct made *begin(void)
{
    static struct made m;
    Xenres__V1__WatchDomainsResponse message;
    Xenres__V1__WatchDomainsBegin content;

    m.folder = folder_make();
    recording_file_begin(&m.file, RECORDING_OF_DOMAINS);
    buffer_init(&m.stream, 1 << 26);
    xenres__v1__watch_domains_response__init(&message);
    xenres__v1__watch_domains_begin__init(&content);
    content.feed = (char *)(uintptr_t)FEED_A;
    message.content_case = XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_BEGIN;
    message.begin = &content;
    say(&m, &message);
    return &m;
}

/* A domain as it stands in a message; `life` makes its incarnation. */
struct guest {
    Xenres__V1__Domain domain;
    Xenres__V1__DomainIdentity identity;
    char incarnation[33];
};

static Xenres__V1__Domain *guest(struct guest *g, uint32_t domid, unsigned life, const char *name)
{
    xenres__v1__domain__init(&g->domain);
    xenres__v1__domain_identity__init(&g->identity);
    (void)snprintf(g->incarnation, sizeof(g->incarnation), "%032x", life);
    g->identity.domid = domid;
    g->identity.uuid = (char *)(uintptr_t)UUID_A;
    g->identity.name = (char *)(uintptr_t)name;
    g->identity.incarnation = g->incarnation;
    g->domain.identity = &g->identity;
    g->domain.type = XENRES__V1__DOMAIN_TYPE__DOMAIN_TYPE_HVM;
    g->domain.state = XENRES__V1__DOMAIN_STATE__DOMAIN_STATE_RUNNING;
    g->domain.online_vcpus = 2;
    g->domain.max_vcpus = 4;
    g->domain.memory_kib = 512 * 1024;
    return &g->domain;
}

static void say_list(struct made *m, uint64_t sequence, Xenres__V1__Domain **domains, size_t count)
{
    Xenres__V1__WatchDomainsResponse message;
    Xenres__V1__WatchDomainsList content;

    xenres__v1__watch_domains_response__init(&message);
    xenres__v1__watch_domains_list__init(&content);
    content.sequence = sequence;
    content.domains = domains;
    content.n_domains = count;
    content.complete = true;
    message.content_case = XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_LIST;
    message.list = &content;
    say(m, &message);
}

static void say_change(struct made *m, uint64_t sequence, uint32_t kind, Xenres__V1__Domain *domain)
{
    Xenres__V1__WatchDomainsResponse message;
    Xenres__V1__DomainChange content;

    xenres__v1__watch_domains_response__init(&message);
    xenres__v1__domain_change__init(&content);
    content.first_sequence = content.sequence = sequence;
    content.kind = (Xenres__V1__DomainChangeKind)kind;
    content.domain = domain;
    content.previous_name = (char *)(uintptr_t) "";
    message.content_case = XENRES__V1__WATCH_DOMAINS_RESPONSE__CONTENT_CHANGE;
    message.change = &content;
    say(m, &message);
}

/* The scenario, as the simulator reads it. */
static const struct scenario *make(struct made *m)
{
    RECORDING_READER_AUTO reader = { 0 };
    static char text[TEXT_BYTES];
    struct failure f = { 0 };

    recording_file_close(&m->file);
    assert_int_equal(recording_reader_open(
                         &reader, recording_file_open(&m->file, m->file.bytes.len_bytes), NULL),
                     0);
    assert_int_equal(scenario_files_write(&reader, folder_path(&m->folder, "host")), 0);
    FILE *file = fopen(folder_path(&m->folder, "host.scenario"), "re");

    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    if (scenario_parse(text, "host", &m->scenario, &f) != 0) {
        fail_msg("%s", f.message);
    }
    return m->scenario;
}

static void done(struct made *m)
{
    scenario_free(m->scenario);
    recording_file_done(&m->file);
    buffer_done(&m->stream);
    folder_done(&m->folder);
}

static void expect_event(const struct scenario *s, unsigned index, uint64_t at_ms, uint32_t domain,
                         enum scenario_action action)
{
    assert_true(index < s->event_count);
    assert_int_equal(s->events[index].at_ms, at_ms);
    assert_int_equal(s->events[index].domain, domain);
    assert_int_equal(s->events[index].action, action);
}

static void what_was_there_and_what_became_of_it(void **state)
{
    struct guest a, b, c;
    struct made *m = begin();
    Xenres__V1__Domain *both[] = { guest(&a, 1, 1, "web-1"),
                                   guest(&b, 2, 2, "d\\\\b\\x1b\"${HOME}") };

    (void)state;
    say_list(m, 5, both, 2); /* at 0 */
    say_change(m, 6, XENRES_DOMAIN_CHANGE_DYING, &b.domain);
    say_change(m, 7, XENRES_DOMAIN_CHANGE_GONE, &b.domain);
    say_change(m, 8, XENRES_DOMAIN_CHANGE_CREATED, guest(&c, 2, 3, "db-2")); /* its number again */
    a.identity.name = (char *)(uintptr_t) "web-2";
    say_change(m, 9, XENRES_DOMAIN_CHANGE_RENAMED, &a.domain);
    a.domain.state = XENRES__V1__DOMAIN_STATE__DOMAIN_STATE_PAUSED;
    say_change(m, 10, XENRES_DOMAIN_CHANGE_STATE, &a.domain);
    a.domain.state = XENRES__V1__DOMAIN_STATE__DOMAIN_STATE_RUNNING;
    say_change(m, 11, XENRES_DOMAIN_CHANGE_STATE, &a.domain);
    a.domain.state = XENRES__V1__DOMAIN_STATE__DOMAIN_STATE_CRASHED;
    say_change(m, 12, XENRES_DOMAIN_CHANGE_STATE, &a.domain);
    const struct scenario *s = make(m);

    assert_int_equal(s->domain_count, 3);
    assert_int_equal(s->domains[0].domid, 1);
    assert_string_equal(s->domains[0].name, "web-1");
    assert_int_equal(s->domains[0].max_vcpus, 4);
    assert_int_equal(s->domains[0].memory_mib, 512);
    assert_true(s->domains[0].present && s->domains[1].present && !s->domains[2].present);
    assert_string_equal(s->domains[1].name, "d\\b\\x1b\"$\\x7bHOME}");
    assert_int_equal(s->domains[2].domid, 2);
    assert_int_equal(s->event_count, 6);
    expect_event(s, 0, 1000, 1, SCENARIO_DESTROY);
    expect_event(s, 1, 3000, 2, SCENARIO_CREATE);
    expect_event(s, 2, 4000, 0, SCENARIO_RENAME);
    assert_string_equal(s->events[2].text, "web-2");
    expect_event(s, 3, 5000, 0, SCENARIO_PAUSE);
    expect_event(s, 4, 6000, 0, SCENARIO_UNPAUSE);
    expect_event(s, 5, 7000, 0, SCENARIO_SHUTDOWN);
    done(m);
}

static void tags_go_along_and_what_is_none_does_not(void **state)
{
    static char *tags[] = { (char *)(uintptr_t) "a-1", (char *)(uintptr_t) "prod" };
    static char *lies[] = { (char *)(uintptr_t) "a\" }\nevent {" };
    struct guest g;
    struct made *m = begin();
    Xenres__V1__Domain *one[] = { guest(&g, 1, 1, "web-1") };

    (void)state;
    g.domain.tags = tags;
    g.domain.n_tags = 2;
    say_list(m, 5, one, 1);
    g.domain.tags = tags + 1;
    g.domain.n_tags = 1;
    say_change(m, 6, XENRES_DOMAIN_CHANGE_RETAGGED, &g.domain);
    g.domain.tags = lies;
    say_change(m, 7, XENRES_DOMAIN_CHANGE_RETAGGED, &g.domain);
    const struct scenario *s = make(m);

    assert_string_equal(s->domains[0].tags, "a-1 prod");
    assert_int_equal(s->event_count, 2);
    expect_event(s, 0, 1000, 0, SCENARIO_RETAG);
    assert_string_equal(s->events[0].text, "prod");
    assert_string_equal(s->events[1].text, "");
    done(m);
}

/* A name has at most 255 bytes there. */
static void long_names_are_cut(void **state)
{
    char name[400] = { 0 };
    struct guest g;
    struct made *m = begin();
    Xenres__V1__Domain *one[] = { guest(&g, 1, 1, name) };

    (void)state;
    for (size_t i = 0; i + 3 < sizeof(name); i += 3) {
        memcpy(name + i, "\xe4\xb8\xad", 3);
    }
    say_list(m, 5, one, 1);
    memset(name, 0, sizeof(name));
    for (size_t i = 0; i + 2 < sizeof(name); i += 2) {
        memcpy(name + i, "${", 2);
    }
    say_change(m, 6, XENRES_DOMAIN_CHANGE_RENAMED, &g.domain);
    const struct scenario *s = make(m);

    assert_in_range(strlen(s->domains[0].name), 252, 255);
    assert_true(text_is_utf8(s->domains[0].name, strlen(s->domains[0].name)));
    assert_in_range(strlen(s->events[0].text), 250, 255);
    done(m);
}

static void what_a_gap_has_hidden_is_seen_in_the_next_list(void **state)
{
    struct guest a, b;
    struct made *m = begin();
    Xenres__V1__Domain *first[] = { guest(&a, 1, 1, "web-1") };
    Xenres__V1__Domain *second[] = { guest(&b, 2, 2, "db-1") };

    (void)state;
    say_list(m, 5, first, 1);
    say_list(m, 9, second, 1);
    const struct scenario *s = make(m);

    assert_int_equal(s->event_count, 2);
    expect_event(s, 0, 1000, 1, SCENARIO_CREATE);
    expect_event(s, 1, 1000, 0, SCENARIO_DESTROY);
    done(m);
}

static void more_than_the_simulator_takes_is_left_out(void **state)
{
    struct guest g;
    struct made *m = begin();
    Xenres__V1__Domain *none[] = { NULL };

    (void)state;
    say_list(m, 5, none, 0);
    for (unsigned i = 1; i <= 600; i++) {
        say_change(m, 4 + 2 * i, XENRES_DOMAIN_CHANGE_CREATED, guest(&g, i, i, "guest"));
        say_change(m, 5 + 2 * i, XENRES_DOMAIN_CHANGE_GONE, &g.domain);
    }
    const struct scenario *s = make(m);

    assert_int_equal(s->domain_count, 512);
    assert_int_equal(s->event_count, 1024);
    done(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_there_and_what_became_of_it),
        cmocka_unit_test(tags_go_along_and_what_is_none_does_not),
        cmocka_unit_test(long_names_are_cut),
        cmocka_unit_test(what_a_gap_has_hidden_is_seen_in_the_next_list),
        cmocka_unit_test(more_than_the_simulator_takes_is_left_out),
    };

    return UNIT_RUN(tests);
}
