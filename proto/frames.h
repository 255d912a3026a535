/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The raw frames endpoint, for the server and the client alike: its path, its query, and the
 * headers that carry the identity and the observation beside the bytes (also beside 304).
 *
 *      GET /v1/domains/{domain}/resources/{type}/{id}/frames?first=N&count=M&incarnation=HEX
 *
 * All parts of the query may be left out; names in the path are percent-encoded. Numbers are
 * decimal without sign or leading zeros.
 */
#ifndef XENRES_PROTO_FRAMES_H
#define XENRES_PROTO_FRAMES_H

#define FRAMES_PATH_PREFIX       "/v1/domains/"
#define FRAMES_QUERY_FIRST       "first"
#define FRAMES_QUERY_COUNT       "count"
#define FRAMES_QUERY_INCARNATION "incarnation"
#define FRAMES_CONTENT_TYPE      "application/octet-stream"

enum { FRAMES_FRAME_BYTES = 4096 }; /* Xen's pages */

#define FRAMES_HEADER_DOMID         "Xenres-Domid"
#define FRAMES_HEADER_UUID          "Xenres-Uuid"
#define FRAMES_HEADER_NAME          "Xenres-Name" /* ASCII, else \xNN; left out where there is none */
#define FRAMES_HEADER_INCARNATION   "Xenres-Incarnation"
#define FRAMES_HEADER_TYPE          "Xenres-Type" /* "grant_table" */
#define FRAMES_HEADER_ID            "Xenres-Id"
#define FRAMES_HEADER_WALL_TIME     "Xenres-Wall-Time" /* RFC 3339, UTC ("Z"), 0, 3, 6 or 9 digits */
#define FRAMES_HEADER_MONOTONIC     "Xenres-Monotonic-Ns"
#define FRAMES_HEADER_DURATION      "Xenres-Copy-Duration-Ns"
#define FRAMES_HEADER_FIRST         "Xenres-First-Frame"
#define FRAMES_HEADER_COUNT         "Xenres-Frame-Count"
#define FRAMES_HEADER_FRAME_BYTES   "Xenres-Frame-Bytes" /* left out: FRAMES_FRAME_BYTES */
#define FRAMES_HEADER_IN_USE        "Xenres-Frames-In-Use"
#define FRAMES_HEADER_MAX           "Xenres-Frames-Max"
#define FRAMES_HEADER_GRANT_VERSION "Xenres-Grant-Version"
/* The name of enum Consistency's value, short and small: "aligned_8_bytes", "sequence_locked"; left
 * out where nothing is promised. */
#define FRAMES_HEADER_CONSISTENCY "Xenres-Consistency"
/* ETag: "…" is Observation.content_tag in quotes. */

#endif
