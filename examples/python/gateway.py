# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
"""The way to the gateway that the environment names: TLS with a certificate on both sides."""

import os
from pathlib import Path

from pyqwest import SyncClient, SyncHTTPTransport

address = os.environ["XENRES_SERVER"]
http_client = SyncClient(
    SyncHTTPTransport(
        tls_ca_cert=Path(os.environ["XENRES_CACERT"]).read_bytes(),
        tls_cert=Path(os.environ["XENRES_CERT"]).read_bytes(),
        tls_key=Path(os.environ["XENRES_KEY"]).read_bytes(),
    )
)
