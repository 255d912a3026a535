# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
"""ask.py [DOMAIN]: asks a gateway from code that was generated from proto/."""

import sys

from connectrpc.errors import ConnectError
from protobuf import Oneof

from gateway import address, http_client
from gen.xenres.v1.domain_pb import ResourceType
from gen.xenres.v1.failure_pb import XenFailure
from gen.xenres.v1.host_connect import HostServiceClientSync
from gen.xenres.v1.host_pb import DomainFilter, DomainState, GetHostRequest, ListDomainsRequest
from gen.xenres.v1.inspect_connect import InspectServiceClientSync
from gen.xenres.v1.inspect_pb import GetGrantTableRequest
from gen.xenres.v1.resource_connect import ResourceServiceClientSync
from gen.xenres.v1.resource_pb import ListResourcesRequest, ReadSnapshotRequest

domain = sys.argv[1] if len(sys.argv) > 1 else "standby"
grant_table = ResourceType.GRANT_TABLE
hosts = HostServiceClientSync(address, http_client=http_client)
resources = ResourceServiceClientSync(address, http_client=http_client)
inspect = InspectServiceClientSync(address, http_client=http_client)

host = hosts.get_host(GetHostRequest()).host
print(f"host {host.hostname}: Xen {host.hypervisor.version}")

paused = DomainFilter(name_glob="*s*", states=[DomainState.PAUSED])
for found in hosts.list_domains(ListDomainsRequest(filter=paused)).domains:
    print(f"domain {found.identity.domid}: {found.identity.name}")

for r in resources.list_resources(ListResourcesRequest(domain=domain, type=grant_table)).resources:
    print(f"resource {r.type.name.lower()} {r.id}: {r.availability.name.lower()}")

request = ReadSnapshotRequest(
    domain=domain, type=grant_table, frame_count_choice=Oneof("frame_count", 1)
)
count = 0
for message in resources.read_snapshot(request):
    if message.content.field == "chunk":
        count += len(message.content.value.frames)
print(f"first frame: {count} bytes")

try:
    inspect.get_grant_table(GetGrantTableRequest(domain="nobody"))
except ConnectError as error:
    print(f"error {error.code.value}: {error.message}")
    for detail in error.details:
        if detail.type_name == "xenres.v1.XenFailure":
            failure = detail.value(XenFailure)
            print(f"  cause: {failure.cause}\n  next step: {failure.next_step}")
