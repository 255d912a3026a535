/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The handlers, for the method table. One file for each service of the API, and for the frames. */
#ifndef XENRES_RPC_SERVICES_H
#define XENRES_RPC_SERVICES_H

#include "server/rpc/call.h"

extern const struct handler host_service_get_host;
extern const struct handler host_service_list_domains;
extern const struct handler host_service_watch_domains;
extern const struct handler resource_service_list_resources;
extern const struct handler resource_service_get_snapshot;
extern const struct handler resource_service_read_snapshot;
extern const struct handler resource_service_watch;
extern const struct handler inspect_service_get_grant_table;
extern const struct handler inspect_service_get_ioreq_server;
extern const struct handler inspect_service_get_vcpu_stats;
extern const struct handler trace_service_start_trace;
extern const struct handler trace_service_stop_trace;
extern const struct handler trace_service_renew_trace;
extern const struct handler trace_service_get_trace;
extern const struct handler trace_service_list_traces;
extern const struct handler trace_service_read_trace;
extern const struct handler access_service_who_am_i;
extern const struct handler access_service_explain_access;
extern const struct handler frames_handler;
extern const struct handler schema_handler;

#endif
