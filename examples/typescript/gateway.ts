// SPDX-License-Identifier: Apache-2.0
// Copyright (C) 2026 The xenresd authors
//
// The way to the gateway that the environment names: HTTP/1.1, TLS with a certificate on both sides.
import { readFileSync } from "node:fs";
import type { ConnectTransportOptions } from "@connectrpc/connect-node";

function setting(name: string): string {
  const value = process.env[name];
  if (!value) {
    throw new Error(`${name} is not set`);
  }
  return value;
}

export const gateway: ConnectTransportOptions = {
  baseUrl: setting("XENRES_SERVER"),
  httpVersion: "1.1",
  nodeOptions: {
    ca: readFileSync(setting("XENRES_CACERT")),
    cert: readFileSync(setting("XENRES_CERT")),
    key: readFileSync(setting("XENRES_KEY")),
  },
};
