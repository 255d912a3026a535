/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* HostService, first half: the host as the mapper and this process see it. */
#include "xenres/v1/host.pb-c.h"

#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/rpc/host_memo.h"
#include "server/rpc/present.h"
#include "server/rpc/services.h"

enum {
    HOST_ANSWER_WITHIN_MS = 500, /* else GetHost answers without what only the mapper knows */
    HOST_ABIS_MAX = 16,
};

static const uint8_t none[UUID_BYTES];

static int host_prepare(struct call *c, struct failure *f)
{
    struct message_host_answer *known = pool_alloc(&c->pool, sizeof(*known));
    struct message_hello_answer hello;

    if (known == NULL) {
        return call_no_memory(f);
    }
    c->answer_optional = true;
    c->answer_within_ms = HOST_ANSWER_WITHIN_MS;
    if (mapper_client_hello(c->mapper, &hello) &&
        host_memo_get(c->host_memo, hello.mapper_id, known)) {
        c->answer = (const union message *)known;
    }
    return 0;
}

static void host_ask(struct call *c, union message *m)
{
    (void)c;
    m->head.type = MESSAGE_HOST;
}

static int host_take(struct call *c, const union message *answer, struct mapper_slot *slot,
                     struct failure *f)
{
    struct message_hello_answer hello;

    if (mapper_client_hello(c->mapper, &hello)) {
        host_memo_put(c->host_memo, hello.mapper_id, &answer->host_answer);
    }
    return call_keep(c, answer, slot, f);
}

static const struct {
    uint32_t bit;
    const char *name;
} capabilities[] = {
    { HOST_CAN_HVM, "hvm" },       { HOST_CAN_PV, "pv" },       { HOST_CAN_HAP, "hap" },
    { HOST_CAN_SHADOW, "shadow" }, { HOST_CAN_IOMMU, "iommu" }, { HOST_CAN_VMTRACE, "vmtrace" },
};
enum { CAPABILITIES = sizeof(capabilities) / sizeof(capabilities[0]) };

static void present_abis(struct pool *p, const char *words, Xenres__V1__Hypervisor *m)
{
    char **abis = pool_array(p, HOST_ABIS_MAX, sizeof(*abis));
    char *rest = present_text(p, words);
    char *word;

    while (abis != NULL && m->n_guest_abis < HOST_ABIS_MAX && (word = strsep(&rest, " ")) != NULL) {
        if (word[0] != '\0') {
            abis[m->n_guest_abis++] = word;
        }
    }
    m->guest_abis = abis;
}

static Xenres__V1__Hypervisor *present_hypervisor(struct pool *p,
                                                  const struct message_host_answer *a)
{
    Xenres__V1__Hypervisor *m = PRESENT_NEW(p, Xenres__V1__Hypervisor, xenres__v1__hypervisor);
    char **names = pool_array(p, CAPABILITIES, sizeof(*names));

    if (m == NULL || names == NULL) {
        return NULL;
    }
    m->version = present_text(p, a->xen_version);
    present_abis(p, a->guest_abis, m);
    m->capabilities = names;
    for (size_t i = 0; i < CAPABILITIES; i++) {
        if ((a->capabilities & capabilities[i].bit) != 0) {
            names[m->n_capabilities++] = pool_string(p, capabilities[i].name);
        }
    }
    m->cpu_count = a->cpu_count;
    m->total_memory_kib = a->total_memory_kib;
    m->free_memory_kib = a->free_memory_kib;
    return m;
}

static Xenres__V1__Check *present_check(struct pool *p, const char *name, bool ok,
                                        const char *detail)
{
    Xenres__V1__Check *m = PRESENT_NEW(p, Xenres__V1__Check, xenres__v1__check);

    if (m != NULL) {
        m->name = present_text(p, name);
        m->ok = ok;
        m->detail = present_text(p, detail);
    }
    return m;
}

/* What this process itself has found of the mapper, and what the mapper has found of the host. */
static void present_checks(struct call *c, Xenres__V1__Gateway *m)
{
    struct pool *p = &c->pool;
    Xenres__V1__Check **checks = pool_array(p, 1 + MESSAGE_CHECKS_MAX, sizeof(*checks));

    if (checks == NULL) {
        return;
    }
    m->checks = checks;
    if (c->answer == NULL) {
        checks[m->n_checks++] =
            present_check(p, "mapper", false,
                          pool_printf(p, "%s: %s; %s", c->answer_failure.message,
                                      c->answer_failure.cause, c->answer_failure.next_step));
        return;
    }
    const struct message_host_answer *a = &c->answer->host_answer;

    checks[m->n_checks++] = present_check(p, "mapper", true, "it answers");
    for (uint32_t i = 0; i < a->check_count; i++) {
        checks[m->n_checks++] =
            present_check(p, a->checks[i].name, a->checks[i].ok != 0, a->checks[i].detail);
    }
}

static Xenres__V1__Gateway *present_gateway(struct call *c)
{
    struct pool *p = &c->pool;
    Xenres__V1__Gateway *m = PRESENT_NEW(p, Xenres__V1__Gateway, xenres__v1__gateway);
    struct message_hello_answer hello;

    if (m == NULL) {
        return NULL;
    }
    m->version = pool_string(p, XENRES_VERSION);
    m->mapper_connected = mapper_client_hello(c->mapper, &hello);
    if (m->mapper_connected) {
        m->mapper_version = present_text(p, hello.version);
        m->backend = present_text(p, hello.backend);
    }
    present_checks(c, m);
    return m;
}

static void present_host_uuid(struct call *c, const struct message_host_answer *a,
                              Xenres__V1__Host *m)
{
    if (memcmp(a->uuid, none, sizeof(none)) != 0) {
        m->uuid = present_uuid(&c->pool, a->uuid);
        m->uuid_source = present_text(&c->pool, a->uuid_source);
    } else if (memcmp(c->machine_uuid, none, sizeof(none)) != 0) {
        m->uuid = present_uuid(&c->pool, c->machine_uuid);
        m->uuid_source = pool_string(&c->pool, "machine-id");
    }
}

static int host_respond(struct call *c, struct failure *f)
{
    struct pool *p = &c->pool;
    Xenres__V1__GetHostResponse *m =
        PRESENT_NEW(p, Xenres__V1__GetHostResponse, xenres__v1__get_host_response);
    Xenres__V1__Host *host = PRESENT_NEW(p, Xenres__V1__Host, xenres__v1__host);
    char hostname[256] = "";

    if (m == NULL || host == NULL) {
        return call_no_memory(f);
    }
    (void)gethostname(hostname, sizeof(hostname) - 1);
    if (memcmp(c->boot_uuid, none, sizeof(none)) != 0) {
        host->boot_id = present_uuid(p, c->boot_uuid);
    }
    host->hostname = present_text(p, hostname);
    if (c->answer != NULL) {
        present_host_uuid(c, &c->answer->host_answer, host);
        host->hypervisor = present_hypervisor(p, &c->answer->host_answer);
    }
    host->gateway = present_gateway(c);
    host->wall_time = present_time(p, clock_wall_ns());
    host->monotonic_ns = clock_monotonic_ns();
    m->host = host;
    c->response = &m->base;
    return 0;
}

const struct handler host_service_get_host = {
    .prepare = host_prepare, .ask = host_ask, .take = host_take, .respond = host_respond
};
