// SPDX-License-Identifier: Apache-2.0
// Copyright (C) 2026 The xenresd authors
//
// every proto|json|get: makes the calls that standard input lists (requests.json), with generated
// code, and prints what came of each: {"method", "messages", "error"}, a line a call.
import { readFileSync } from "node:fs";
import { fromJson, toJson } from "@bufbuild/protobuf";
import { ConnectError, createClient } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { gateway } from "./gateway.js";
import { AccessService } from "./gen/xenres/v1/access_pb.js";
import { HostService } from "./gen/xenres/v1/host_pb.js";
import { InspectService } from "./gen/xenres/v1/inspect_pb.js";
import { ResourceService } from "./gen/xenres/v1/resource_pb.js";
import { TraceService } from "./gen/xenres/v1/trace_pb.js";

const way = process.argv[2];
const transport = createConnectTransport({
  ...gateway,
  useBinaryFormat: way !== "json",
  useHttpGet: way === "get",
});
const services = [HostService, ResourceService, InspectService, TraceService, AccessService];

function errorJson(reason: unknown) {
  const error = ConnectError.from(reason);
  const details = error.details.map((detail) => {
    if (!("type" in detail)) {
      throw new Error("an error that did not come from the gateway");
    }
    return { type: detail.type, value: Buffer.from(detail.value).toString("base64").replace(/=*$/, "") };
  });
  return { code: codeToString(error.code), message: error.rawMessage, details };
}

// `take`: so many messages are wanted of a stream that has no end.
for (const { method: path, request, take } of JSON.parse(readFileSync(0, "utf8"))) {
  const [serviceName, methodName] = path.split("/");
  const service = services.find((s) => s.typeName === serviceName);
  const method = service?.methods.find((m) => m.name === methodName);
  if (!service || !method) {
    throw new Error(`${path} is not in the generated code`);
  }
  const call = (createClient(service, transport) as Record<string, any>)[method.localName];
  const messages: unknown[] = [];
  let error: unknown = null;
  const leave = new AbortController();
  try {
    const answer = call(fromJson(method.input, request), { signal: leave.signal });
    for await (const message of method.methodKind === "unary" ? [await answer] : answer) {
      messages.push(toJson(method.output, message));
      if (messages.length === take) {
        break;
      }
    }
    leave.abort();
  } catch (reason) {
    error = errorJson(reason);
  }
  console.log(JSON.stringify({ method: path, messages, error }));
}
