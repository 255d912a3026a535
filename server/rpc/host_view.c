/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* WatchDomains: which domains, and what an event is to one who sees only some of them. */
#include <string.h>

#include "server/rpc/host_watch.h"

enum { SHOWN_BYTES = (DOMAIN_LIST_MAX + 7) / 8 };

bool host_view_init(struct host_view *v, struct call *c, const Xenres__V1__DomainFilter *filter)
{
    *v = (struct host_view){ .call = c, .filter = filter };
    if (filter == NULL || filter->n_states == 0) {
        return true;
    }
    v->shown = pool_alloc(&c->pool, SHOWN_BYTES);
    return v->shown != NULL;
}

void host_view_clear(struct host_view *v)
{
    if (v->shown != NULL) {
        memset(v->shown, 0, SHOWN_BYTES);
    }
}

static bool is_visible(const struct host_view *v, const struct message_domain *row)
{
    return present_filter_fits(v->filter, row) &&
           call_allows(v->call, &row->identity, -1, ACTION_LIST);
}

static void show(struct host_view *v, uint16_t domid, bool shown)
{
    if (v->shown != NULL && domid < DOMAIN_LIST_MAX) {
        uint8_t bit = (uint8_t)(1U << domid % 8);

        v->shown[domid / 8] =
            (uint8_t)(shown ? v->shown[domid / 8] | bit : v->shown[domid / 8] & ~bit);
    }
}

bool host_view_shows(struct host_view *v, const struct message_domain *row)
{
    bool shown = is_visible(v, row);

    show(v, row->identity.domid, shown);
    return shown;
}

/* The domain as it was before the event, as far as that tells. */
static struct message_domain before(const struct feed_domain *event)
{
    struct message_domain row = event->now;

    if (event->kind == FEED_DOMAIN_RENAMED || event->kind == FEED_DOMAIN_RETAGGED) {
        if (event->had_name != 0) {
            row.identity = event->before;
        } else {
            memset(row.identity.name, 0, sizeof(row.identity.name));
        }
    }
    return row;
}

/* Was it there, to this stream? */
static bool was_shown(const struct host_view *v, const struct feed_domain *event,
                      const struct message_domain *row)
{
    uint16_t domid = row->identity.domid;

    if (v->shown != NULL) {
        return domid < DOMAIN_LIST_MAX && (v->shown[domid / 8] >> domid % 8 & 1) != 0;
    }
    return event->kind != FEED_DOMAIN_CREATED && is_visible(v, row);
}

static const Xenres__V1__DomainChangeKind kinds[] = {
    [FEED_DOMAIN_CREATED] = XENRES__V1__DOMAIN_CHANGE_KIND__DOMAIN_CHANGE_KIND_CREATED,
    [FEED_DOMAIN_RENAMED] = XENRES__V1__DOMAIN_CHANGE_KIND__DOMAIN_CHANGE_KIND_RENAMED,
    [FEED_DOMAIN_STATE] = XENRES__V1__DOMAIN_CHANGE_KIND__DOMAIN_CHANGE_KIND_STATE,
    [FEED_DOMAIN_DYING] = XENRES__V1__DOMAIN_CHANGE_KIND__DOMAIN_CHANGE_KIND_DYING,
    [FEED_DOMAIN_GONE] = XENRES__V1__DOMAIN_CHANGE_KIND__DOMAIN_CHANGE_KIND_GONE,
    [FEED_DOMAIN_RETAGGED] = XENRES__V1__DOMAIN_CHANGE_KIND__DOMAIN_CHANGE_KIND_RETAGGED,
};

Xenres__V1__DomainChange *host_view_change(struct host_view *v, const struct feed_domain *event,
                                           struct pool *p)
{
    struct message_domain earlier = before(event);
    bool was = was_shown(v, event, &earlier);
    bool is = event->kind != FEED_DOMAIN_GONE && is_visible(v, &event->now);

    show(v, event->now.identity.domid, is);
    if (!was && !is) {
        return NULL;
    }
    Xenres__V1__DomainChange *m =
        PRESENT_NEW(p, Xenres__V1__DomainChange, xenres__v1__domain_change);

    if (m == NULL) {
        return NULL;
    }
    /* feed_record_check() has seen that the kind is one. */
    m->kind = was && is ? kinds[event->kind]
              : is      ? XENRES__V1__DOMAIN_CHANGE_KIND__DOMAIN_CHANGE_KIND_CREATED
                        : XENRES__V1__DOMAIN_CHANGE_KIND__DOMAIN_CHANGE_KIND_GONE;
    m->domain = present_domain(p, is ? &event->now : &earlier);
    if (was && is && event->kind == FEED_DOMAIN_RENAMED) {
        m->previous_name = present_text(p, earlier.identity.name);
    }
    m->time = present_time(p, event->wall_ns);
    m->monotonic_ns = event->monotonic_ns;
    return m;
}
