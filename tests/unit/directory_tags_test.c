/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The tags in the directory: a part of the identity, read with the name. */
#include "common/message_tags.h"
#include "tests/lib/directory_rig.h"

static void tag(const char *value)
{
    world.tags = (struct backend_tags){ 0 };
    memcpy(world.tags.value, value, strlen(value));
}

static bool has_tag(uint16_t domid, const char *name)
{
    struct domain_identity identity = who(domid);

    return domain_has_tag(&identity, name);
}

static void other_tags_are_another_identity_of_the_same_incarnation(void **state)
{
    struct domain_identity before = who(2);

    (void)state;
    tag("prod web");
    event(BACKEND_EVENT_TAGS, 2);
    drain();
    expect_told("T");
    assert_true(domain_has_tag(&last_told.identity, "prod"));
    assert_int_equal(last_told.identity.domid, 2);
    assert_memory_equal(who(2).incarnation, before.incarnation, 16);
    assert_false(domain_identity_equal(&before, &last_told.identity));
    assert_int_equal(who(1).tags[0][0], '\0'); /* nobody said that it was written */
}

static void tags_that_are_written_again_are_no_news(void **state)
{
    (void)state;
    tag("a b");
    event(BACKEND_EVENT_TAGS, 2);
    event(BACKEND_EVENT_TAGS, 2);
    drain();
    expect_told("T");
    tag("b  a");
    event(BACKEND_EVENT_TAGS, 2);
    drain();
    expect_told("");
}

static void a_name_and_tags_at_once_are_one_rename(void **state)
{
    (void)state;
    tag("prod");
    memcpy(world.name, "other", 6);
    event(BACKEND_EVENT_TAGS, 2);
    event(BACKEND_EVENT_NAME, 2);
    drain();
    expect_told("R");
    assert_true(domain_has_tag(&last_told.identity, "prod"));
}

static void a_new_incarnation_has_the_tags_of_now(void **state)
{
    (void)state;
    tag("prod");
    event(BACKEND_EVENT_TAGS, 2);
    drain();
    tag("test");
    event(BACKEND_EVENT_NAME, 2); /* the same name, again */
    drain();
    expect_told("TGC");
    assert_true(domain_has_tag(&last_told.identity, "test"));
    assert_false(domain_has_tag(&last_told.identity, "prod"));
}

static void another_domain_by_the_same_number_has_its_own(void **state)
{
    (void)state;
    tag("prod");
    event(BACKEND_EVENT_TAGS, 2);
    drain();
    tag("");
    world.rows[1].uuid[3] = 9;
    event(BACKEND_EVENT_DOMAINS, 0);
    drain();
    expect_told("TGC");
    assert_false(has_tag(2, "prod"));
}

static void what_a_guest_could_write_is_unknown_and_counted(void **state)
{
    (void)state;
    tag("prod");
    event(BACKEND_EVENT_TAGS, 2);
    drain();
    world.tags = (struct backend_tags){ .is_untrusted = true };
    event(BACKEND_EVENT_TAGS, 2);
    drain();
    expect_told("TT");
    assert_int_equal(who(2).tags_unknown, 1);
    assert_int_equal(who(2).tags[0][0], '\0');
    assert_int_equal(directory_tags_ignored(d), 1);
    event(BACKEND_EVENT_TAGS, 2);
    drain();
    expect_told("");
    assert_int_equal(directory_tags_ignored(d), 2);
    tag("Prod"); /* malformed: the same */
    event(BACKEND_EVENT_TAGS, 2);
    drain();
    expect_told("");
    assert_int_equal(directory_tags_ignored(d), 3);
}

static void tags_that_cannot_be_read_are_unknown_until_they_are(void **state)
{
    (void)state;
    tag("prod");
    event(BACKEND_EVENT_TAGS, 2);
    drain();
    expect_told("T");
    world.tags_fail = true;
    event(BACKEND_EVENT_TAGS, 2);
    assert_int_equal(directory_drain(d, NULL), -ERROR_UNAVAILABLE);
    expect_told("T");
    assert_int_equal(who(2).tags_unknown, 1);
    assert_int_equal(directory_drain(d, NULL), -ERROR_UNAVAILABLE);
    expect_told("");
    world.tags_fail = false;
    drain(); /* without another event */
    expect_told("T");
    assert_true(has_tag(2, "prod"));
    assert_int_equal(directory_tags_ignored(d), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIRECTORY_TEST(other_tags_are_another_identity_of_the_same_incarnation),
        DIRECTORY_TEST(tags_that_are_written_again_are_no_news),
        DIRECTORY_TEST(a_name_and_tags_at_once_are_one_rename),
        DIRECTORY_TEST(a_new_incarnation_has_the_tags_of_now),
        DIRECTORY_TEST(another_domain_by_the_same_number_has_its_own),
        DIRECTORY_TEST(what_a_guest_could_write_is_unknown_and_counted),
        DIRECTORY_TEST(tags_that_cannot_be_read_are_unknown_until_they_are),
    };

    return UNIT_RUN(tests);
}
