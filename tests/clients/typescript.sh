#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# The TypeScript client of Connect, on Node, with code generated from proto/.
# time-limit: 600
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires jq curl node npm
# shellcheck source=tests/clients/clients.sh
. "$top/tests/clients/clients.sh"

mapfile -t commands < <(readme typescript)
make_workspace typescript
fetch "${commands[0]}"
start_gateway
check "code is generated and built" in_workspace "${commands[1]}"
check "the example does its job" does_the_job "${commands[2]}"
check "a program for every method is built" in_workspace "npx tsc --project tsconfig.every.json"
for way in proto json get; do
    check "every method, by $way" same_outcomes "node build/every.js $way"
done
