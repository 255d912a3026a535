#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# The Go client of Connect, with code generated from proto/.
# time-limit: 600
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires jq curl go protoc
# shellcheck source=tests/clients/clients.sh
. "$top/tests/clients/clients.sh"

mapfile -t commands < <(readme go)
make_workspace go
fetch "${commands[0]}"
start_gateway
check "code is generated and built" in_workspace "${commands[1]}"
check "the example does its job" does_the_job "${commands[2]}"
check "a program for every method is built" in_workspace "go vet ./... && go build -o bin/every ./every"
for way in proto json get; do
    check "every method, by $way" same_outcomes "bin/every $way"
done
