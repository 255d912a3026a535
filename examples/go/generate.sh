#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Generates gen/ from proto/, with protoc and the two plugins whose versions are in go.mod. The API's
# files name no Go package: all of xenres/v1 becomes the one that is named here.
set -eu
cd "$(dirname "$0")"
rm -rf gen
mkdir -p bin
GOBIN=$PWD/bin go install tool

set --
for file in ../../proto/xenres/v1/*.proto; do
    name=xenres/v1/${file##*/}
    package="M$name=xenres.example/ask/gen/xenres/v1;xenresv1"
    set -- "$@" "--go_opt=$package" "--connect-go_opt=$package" "$name"
done
PATH=$PWD/bin:$PATH protoc -I ../../proto --go_out=. --go_opt=module=xenres.example/ask \
    --connect-go_out=. --connect-go_opt=module=xenres.example/ask "$@"
