/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Domains' names and tags, and events, from xenstore. xenstored may be absent, silent or gone at any time:
 * every call comes back within STORE_THREAD_WAIT_MS, at once while an earlier one is still
 * unanswered, and a connection is tried at most once in STORE_RETRY_MS.
 *
 * Never a stale name, nor stale tags: whenever they cannot be watched (no connection, no answer), each
 * draining of the events begins with a NAME or TAGS event for them, and a new or lost connection is a DOMAINS
 * event. xenstored sends an event before the answer to any later question, so that what was written
 * before a store_name() or store_tags() began is reported by the draining after it at the latest. Each
 * registration makes xenstored fire once by itself; that one is not reported.
 *
 * The mapper's thread. xenstored's socket is root's alone (mode 0600), and each connection starts a
 * thread: one that is lost after the mapper dropped its privileges comes back only where it may
 * still start threads, and its group may open /dev/xen/xenbus; else with the mapper's next start.
 */
#ifndef XENRES_MAPPER_XEN_STORE_H
#define XENRES_MAPPER_XEN_STORE_H

#include "server/mapper/backend.h"

struct store;

enum { STORE_RETRY_MS = 1000 };

/* Succeeds without xenstored as well; fails for want of memory, threads, descriptors. */
int store_open(struct store **out, struct failure *f);
void store_close(struct store *s);

/* 0 if xenstored answers now. */
int store_check(struct store *s, struct failure *f);

/* "" for no name. *cut, with "": longer than MESSAGE_NAME_BYTES - 1, or with a NUL inside. */
int store_name(struct store *s, uint16_t domid, char out[MESSAGE_NAME_BYTES], bool *cut,
               struct failure *f);

/* What is trusted is asked after what it says: a change of either in between is a TAGS event. */
int store_tags(struct store *s, uint16_t domid, struct backend_tags *out, struct failure *f);

/* The same descriptor as long as the store is open. */
int store_event_fd(const struct store *s);
bool store_next_event(struct store *s, unsigned *events, uint16_t *domid);
/* Of name and tags. Watch first, then read them: a change in between is reported. Numbers that no
 * domain can have are ignored, as are watching twice and unwatching what is not watched. */
void store_watch_name(struct store *s, uint16_t domid);
void store_unwatch_name(struct store *s, uint16_t domid);

#endif
