#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Generates gen/ from proto/, with protoc and the two plugins in venv/.
set -eu
cd "$(dirname "$0")"
rm -rf gen
mkdir gen
PATH=$PWD/venv/bin:$PATH protoc -I ../../proto --py_out=gen --connectrpc_out=gen \
    ../../proto/xenres/v1/*.proto
