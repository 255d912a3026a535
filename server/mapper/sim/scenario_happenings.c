/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See scenario_reader.h. */
#include "server/mapper/sim/scenario_reader.h"

#include <stdio.h>
#include <string.h>

#include "server/mapper/sim/draw.h"
#include "server/mapper/sim/scenario_schema.h"

bool scenario_operation_is_of_a_domain(enum scenario_operation operation)
{
    return operation != SCENARIO_OP_HOST && operation != SCENARIO_OP_LIST &&
           operation != SCENARIO_OP_EVENTS;
}

static uint32_t domain_titled(const struct scenario *s, const char *title)
{
    for (uint32_t i = 0; i < s->domain_count; i++) {
        if (strcmp(s->domains[i].title, title) == 0) {
            return i;
        }
    }
    return SCENARIO_NO_DOMAIN;
}

static bool is_of_a_trace(const struct scenario_event *e)
{
    return e->action >= SCENARIO_VMTRACE_ENABLE && e->action <= SCENARIO_VMTRACE_EMIT;
}

/* Of events that mean an ioreq server, or the content of a domain that plays a file. */
static void check_event(struct scenario_reader *r, cfg_t *section, const struct scenario_event *e)
{
    const struct scenario_domain *d = &r->s->domains[e->domain];
    bool is_of_ioreq = e->action == SCENARIO_CREATE_IOREQ || e->action == SCENARIO_DESTROY_IOREQ;
    if (is_of_ioreq && (e->value >= SCENARIO_IOREQ_SERVERS_MAX || !d->ioreq[e->value].exists)) {
        SCENARIO_FAULT(r, section, "value = %u: domain \"%s\" has no ioreq server of this id",
                       e->value, d->title);
    }
    if (e->action == SCENARIO_SHUTDOWN && e->value > SCENARIO_SHUTDOWN_CODE_MAX) {
        SCENARIO_FAULT(r, section, "value = %u: expected a reason from 0 to %d", e->value,
                       SCENARIO_SHUTDOWN_CODE_MAX);
    }
    if (is_of_a_trace(e) && d->vmtrace.size_bytes == 0) {
        SCENARIO_FAULT(r, section, "domain = \"%s\": it has no trace buffers", d->title);
    } else if (is_of_a_trace(e) && e->vcpu >= 0 && (uint32_t)e->vcpu >= d->max_vcpus) {
        SCENARIO_FAULT(r, section, "vcpu = %d: domain \"%s\" has %u", e->vcpu, d->title,
                       d->max_vcpus);
    } else if (!is_of_a_trace(e) && e->vcpu >= 0) {
        SCENARIO_FAULT(r, section, "vcpu = %d: the event is of a whole domain", e->vcpu);
    }
    bool is_of_content = e->action == SCENARIO_CHANGE || e->action == SCENARIO_SET_VERSION;
    if (is_of_content && d->grants_play) {
        SCENARIO_FAULT(r, section, "domain = \"%s\": its grants are those of its play file",
                       d->title);
    }
}

static void read_value(struct scenario_reader *r, cfg_t *section, struct scenario_event *e)
{
    long value = cfg_getint(section, "value");
    if (e->action == SCENARIO_CLOCK_STEP) {
        e->clock_step_ms = value;
        return;
    }
    if (value < 0) {
        SCENARIO_FAULT(r, section, "value = %ld: only a clock goes back", value);
    }
    e->value = (uint32_t)value;
    if (e->domain != SCENARIO_NO_DOMAIN) {
        check_event(r, section, e);
    }
}

void scenario_reader_event(struct scenario_reader *r, cfg_t *section, struct scenario_event *e)
{
    const char *title = cfg_getstr(section, "domain");
    if (!cfg_getstr(section, "do")[0]) {
        SCENARIO_FAULT(r, section, "an event without `do`");
    }
    e->action = (enum scenario_action)scenario_schema_word(section, "do");
    e->domain = domain_titled(r->s, title);
    e->vcpu = (int32_t)cfg_getint(section, "vcpu");
    if (e->action == SCENARIO_CLOCK_STEP && title[0]) {
        SCENARIO_FAULT(r, section, "domain = \"%s\": the clock is the host's", title);
    } else if (e->action != SCENARIO_CLOCK_STEP && e->domain == SCENARIO_NO_DOMAIN) {
        SCENARIO_FAULT(r, section, "domain = \"%s\": there is none", title);
    }
    e->step = scenario_reader_number(section, "step");
    if ((cfg_getint(section, "at_ms") >= 0) == (e->step > 0)) {
        SCENARIO_FAULT(r, section, "expected exactly one of at_ms and step");
    }
    e->at_ms = e->step ? 0 : (uint64_t)cfg_getint(section, "at_ms");
    read_value(r, section, e);
    scenario_reader_text(r, section, "text", cfg_getstr(section, "text"), e->text,
                         e->action == SCENARIO_RETAG ? sizeof(e->text) : MESSAGE_NAME_BYTES);
}

void scenario_reader_fault(struct scenario_reader *r, cfg_t *section, struct scenario_fault *f)
{
    const char *title = cfg_getstr(section, "domain");
    if (!cfg_getstr(section, "operation")[0]) {
        SCENARIO_FAULT(r, section, "a fault without `operation`");
    }
    f->operation = (enum scenario_operation)scenario_schema_word(section, "operation");
    f->effect = (enum scenario_effect)scenario_schema_word(section, "effect");
    f->errnum = scenario_schema_errno(cfg_getstr(section, "errno"));
    f->value = scenario_reader_number(section, "value");
    f->first_call = (uint64_t)cfg_getint(section, "call");
    f->call_count = (uint64_t)cfg_getint(section, "count");
    f->domain = SCENARIO_NO_DOMAIN;
    if (title[0]) {
        f->domain = domain_titled(r->s, title);
        if (f->domain == SCENARIO_NO_DOMAIN) {
            SCENARIO_FAULT(r, section, "domain = \"%s\": there is none", title);
        }
    }
    bool is_of_a_domain = scenario_operation_is_of_a_domain(f->operation);
    if (f->domain != SCENARIO_NO_DOMAIN && !is_of_a_domain) {
        SCENARIO_FAULT(r, section, "domain = \"%s\": operation = \"%s\" is about none", title,
                       cfg_getstr(section, "operation"));
    }
    if ((f->effect == SCENARIO_WRONG_SIZE && f->operation != SCENARIO_OP_SIZE) ||
        (f->effect == SCENARIO_PAGES_LOST && f->operation != SCENARIO_OP_MAP) ||
        (f->effect == SCENARIO_FROZEN && f->operation != SCENARIO_OP_VMTRACE_POSITION) ||
        (f->effect == SCENARIO_EVENTS_LOST && f->operation != SCENARIO_OP_EVENTS) ||
        (f->effect == SCENARIO_DIES && !is_of_a_domain)) {
        SCENARIO_FAULT(r, section, "effect = \"%s\" does not go with operation = \"%s\"",
                       cfg_getstr(section, "effect"), cfg_getstr(section, "operation"));
    }
}

static void add_churn_domain(struct scenario_reader *r, cfg_t *cfg, uint32_t like, uint32_t i)
{
    struct scenario *s = r->s;
    struct scenario_domain *d = &s->domains[s->domain_count];
    uint64_t seed = s->seed ^ ((uint64_t)(i + 1) << 40);
    *d = s->domains[like];
    snprintf(d->title, sizeof(d->title), "churn-%u", i);
    if (domain_titled(s, d->title) != SCENARIO_NO_DOMAIN) {
        SCENARIO_FAULT(r, cfg, "domain \"%s\": the name is one of the churn's", d->title);
    }
    snprintf(d->name, sizeof(d->name), "churn-%u", i);
    for (size_t at = 0; at < sizeof(d->uuid); at += sizeof(uint64_t)) {
        uint64_t drawn = draw_next(&seed);
        memcpy(d->uuid + at, &drawn, sizeof(drawn));
    }
    d->present = true;
    d->domid = (uint16_t)(s->churn.first_domid + i);
    s->domain_count++;
}

void scenario_reader_churn(struct scenario_reader *r, cfg_t *cfg)
{
    struct scenario *s = r->s;
    const char *title = cfg_getstr(cfg, "like");
    uint32_t count = scenario_reader_number(cfg, "domains");
    uint32_t like = domain_titled(s, title);
    if (count == 0) {
        return;
    }
    if (like == SCENARIO_NO_DOMAIN) {
        SCENARIO_FAULT(r, cfg, "like = \"%s\": there is no such domain", title);
        return;
    }
    if (count > SCENARIO_DOMAINS_MAX - s->domain_count) {
        SCENARIO_FAULT(r, cfg, "domains = %u: with the others more than %d", count,
                       SCENARIO_DOMAINS_MAX);
        return;
    }
    s->churn = (struct scenario_churn){
        .first_domain = s->domain_count,
        .domain_count = count,
        .first_domid = scenario_reader_number(cfg, "first_domid"),
        .domid_count = 2 * count, /* so that numbers are used again, and not at once */
        .period_ms = (uint64_t)cfg_getint(cfg, "period_ms"),
    };
    for (uint32_t i = 0; i < count; i++) {
        add_churn_domain(r, cfg, like, i);
    }
}
