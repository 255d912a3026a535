// SPDX-License-Identifier: Apache-2.0
// Copyright (C) 2026 The xenresd authors
//
// ask [DOMAIN]: asks a gateway from code that was generated from proto/.
import { ConnectError, createClient } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { gateway } from "./gateway.js";
import { ResourceType } from "./gen/xenres/v1/domain_pb.js";
import { XenFailureSchema } from "./gen/xenres/v1/failure_pb.js";
import { DomainState, HostService } from "./gen/xenres/v1/host_pb.js";
import { InspectService } from "./gen/xenres/v1/inspect_pb.js";
import { Availability, ResourceService } from "./gen/xenres/v1/resource_pb.js";

const domain = process.argv[2] ?? "standby";
const type = ResourceType.GRANT_TABLE;
const transport = createConnectTransport(gateway);
const hosts = createClient(HostService, transport);
const resources = createClient(ResourceService, transport);
const inspect = createClient(InspectService, transport);

const { host } = await hosts.getHost({});
console.log(`host ${host?.hostname}: Xen ${host?.hypervisor?.version}`);

const filter = { nameGlob: "*s*", states: [DomainState.PAUSED] };
for (const { identity } of (await hosts.listDomains({ filter })).domains) {
  console.log(`domain ${identity?.domid}: ${identity?.name}`);
}

for (const r of (await resources.listResources({ domain, type })).resources) {
  const availability = Availability[r.availability].toLowerCase();
  console.log(`resource ${ResourceType[r.type].toLowerCase()} ${r.id}: ${availability}`);
}

let bytes = 0;
const frameCountChoice = { case: "frameCount", value: 1 } as const;
for await (const { content } of resources.readSnapshot({ domain, type, frameCountChoice })) {
  if (content.case === "chunk") {
    bytes += content.value.frames.length;
  }
}
console.log(`first frame: ${bytes} bytes`);

try {
  await inspect.getGrantTable({ domain: "nobody" });
} catch (reason) {
  const error = ConnectError.from(reason);
  console.log(`error ${codeToString(error.code)}: ${error.rawMessage}`);
  for (const failure of error.findDetails(XenFailureSchema)) {
    console.log(`  cause: ${failure.cause}\n  next step: ${failure.nextStep}`);
  }
}
