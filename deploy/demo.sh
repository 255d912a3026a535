#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# demo.sh BUILD: the main job, shown once: a gateway on a simulated host, asked with xenres and with
# curl from the other side of a TLS connection. Ends everything that it started.
set -euo pipefail

build=$(cd "$1" && pwd)
dir=$(mktemp -d)
server=
finish() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
    rm -rf "$dir"
}
trap finish EXIT

bold=$(tput bold 2>/dev/null || true) plain=$(tput sgr0 2>/dev/null || true)
[ -t 1 ] || bold='' plain=''
show() {
    echo
    echo "$bold\$ $*$plain"
    PATH=$build:$PATH "$@"
}

chmod 755 "$dir"
"$build/xenresd" --demo "$dir/gateway" 2>"$dir/log" &
server=$!
for ((i = 0; i < 300; i++)); do
    [ -e "$dir/gateway/env" ] && break
    kill -0 "$server" 2>/dev/null || { cat "$dir/log" >&2; exit 1; }
    read -rt 0.1 <> <(:) || true
done
[ -e "$dir/gateway/env" ] || { echo "the gateway was not ready within 30 s:" >&2; cat "$dir/log" >&2; exit 1; }
# shellcheck source=/dev/null
. "$dir/gateway/env"

echo "A gateway serves a simulated host at $XENRES_SERVER. Its clients know it by"
echo "XENRES_SERVER, XENRES_CACERT, XENRES_CERT and XENRES_KEY."
show xenres host
show xenres domains
show xenres resources db-1
show xenres ioreqs win-desktop
show xenres stats db-1

# A paused guest: what it shares does not change while one looks twice.
domain=standby
show xenres describe "$domain" grant_table
show xenres grants "$domain"

echo
echo "${bold}The raw frames of the same table, once with plain curl and once with xenres:$plain"
show curl --silent --show-error --fail \
    --cacert "$XENRES_CACERT" --cert "$XENRES_CERT" --key "$XENRES_KEY" \
    --dump-header "$dir/headers" --output "$dir/curl.bin" \
    "$XENRES_SERVER/v1/domains/$domain/resources/grant_table/0/frames?first=0&count=1"
grep -i '^xenres-\|^etag' "$dir/headers"
show xenres snapshot "$domain" grant_table --count 1 --output "$dir/xenres.bin"
show cmp "$dir/curl.bin" "$dir/xenres.bin"
bytes=$(stat -c %s "$dir/curl.bin")
echo "equal: $bytes bytes"

echo
echo "${bold}A guest that is busy, watched and recorded for two seconds; is anything missing in the recording?$plain"
show timeout --preserve-status --signal=INT 2 \
    xenres watch web-1 grant_table --decode --output "$dir/recording" || true
show xenres verify "$dir/recording"
echo
echo "${bold}What the grants were, and the last changes of them:$plain"
show xenres replay "$dir/recording" >"$dir/seen"
head -n 8 "$dir/seen"
echo "..."
tail -n 8 "$dir/seen"
