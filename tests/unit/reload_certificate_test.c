/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Which server's certificates a start and a reload take, and which they refuse. */
#include "server/reload.h"

#include <stdio.h>

#include "auth/guarded_file.h"
#include "auth/pki.h"
#include "server/faults.h"
#include "tests/lib/folder.h"
#include "tests/lib/unit.h"

struct place {
    struct folder folder;
    struct config config;
    struct reload reload;
    struct buffer faults;
};

static void place_init(struct place *p)
{
    *p = (struct place){ .folder = folder_make() };
    config_defaults(&p->config);
    snprintf(p->config.server_listen, sizeof(p->config.server_listen), "127.0.0.1:8443");
    buffer_init(&p->faults, FAULTS_MAX_BYTES);
    assert_int_equal(pki_make_ca(p->folder.path, "ca", "test CA", 30, NULL), 0);
    reload_init(&p->reload, &p->config);
}

static void place_done(struct place *p)
{
    reload_done(&p->reload);
    buffer_done(&p->faults);
    folder_done(&p->folder);
}

/* Made when it is asked for first. */
static void take(struct place *p, const char *name, const struct pki_subject *subject,
                 struct material *out)
{
    *out = (struct material){ 0 };
    (void)pki_issue(p->folder.path, "ca", name, subject, NULL);
    snprintf(p->config.tls_certificate, CONFIG_TEXT_BYTES, "%s/%s.crt", p->folder.path, name);
    buffer_init(&out->certificate, MATERIAL_PEM_MAX_BYTES);
    assert_int_equal(
        guarded_file_read(p->config.tls_certificate, GUARDED_PUBLIC, &out->certificate, NULL), 0);
}

static int judge(struct place *p, const struct material *m, struct failure *f)
{
    buffer_reset(&p->faults);
    return reload_judge_certificate(&p->reload, &p->config, m, &p->faults, f);
}

static const char *const addresses[] = { "127.0.0.1", NULL };
static const struct pki_subject right = { .addresses = addresses,
                                          .server = true,
                                          .valid_days = 10 },
                                expired = { .addresses = addresses,
                                            .server = true,
                                            .valid_days = -1 },
                                a_clients = { .addresses = addresses, .valid_days = 10 };

static void a_reload_refuses_what_clients_would(void **state)
{
    struct place p;
    struct material m;
    struct failure f = { 0 };

    (void)state;
    place_init(&p);
    take(&p, "right", &right, &m);
    assert_int_equal(judge(&p, &m, NULL), 0);
    reload_note_certificate(&p.reload, &m);
    take(&p, "expired", &expired, &m);
    assert_int_equal(judge(&p, &m, &f), -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(f.message, "expired.crt will not do"));
    assert_non_null(strstr(buffer_string(&p.faults), "expired.crt:1: it expired at 2"));
    material_done(&m);
    take(&p, "client", &a_clients, &m);
    assert_int_equal(judge(&p, &m, NULL), -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(buffer_string(&p.faults), "it was not issued for TLS servers"));
    material_done(&m);
    take(&p, "right", &right, &m);
    assert_int_equal(judge(&p, &m, NULL), 0);
    assert_int_equal(p.faults.len_bytes, 0);
    material_done(&m);
    place_done(&p);
}

static void a_start_refuses_what_time_does_not_cure(void **state)
{
    struct place p;
    struct material m;

    (void)state;
    place_init(&p);
    take(&p, "client", &a_clients, &m);
    assert_int_equal(judge(&p, &m, NULL), -ERROR_FAILED_PRECONDITION);
    material_done(&m);
    take(&p, "expired", &expired, &m);
    assert_int_equal(judge(&p, &m, NULL), 0); /* and is in the log */
    assert_int_equal(p.faults.len_bytes, 0);
    material_done(&m);
    place_done(&p);
}

/* The rest of a reload is not kept from being. */
static void what_is_in_force_in_any_case_is_not_refused(void **state)
{
    struct place p;
    struct material m;

    (void)state;
    place_init(&p);
    take(&p, "expired", &expired, &m);
    assert_int_equal(judge(&p, &m, NULL), 0);
    reload_note_certificate(&p.reload, &m);
    assert_null(m.certificate.data);
    take(&p, "expired", &expired, &m);
    assert_int_equal(judge(&p, &m, NULL), 0);
    material_done(&m);
    take(&p, "another", &expired, &m);
    assert_int_equal(judge(&p, &m, NULL), -ERROR_FAILED_PRECONDITION);
    material_done(&m);
    place_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reload_refuses_what_clients_would),
        cmocka_unit_test(a_start_refuses_what_time_does_not_cure),
        cmocka_unit_test(what_is_in_force_in_any_case_is_not_refused),
    };

    return UNIT_RUN(tests);
}
