#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# ask.sh [DOMAIN]: asks a gateway with nothing but curl and jq.
set -euo pipefail
domain=${1:-standby}

ask() { # SERVICE/METHOD CURL-OPTION...
    curl --silent --show-error --cacert "$XENRES_CACERT" --cert "$XENRES_CERT" --key "$XENRES_KEY" \
        "${@:2}" "$XENRES_SERVER/xenres.v1.$1"
}

call() { # SERVICE/METHOD JSON: prints the answer, or the error
    ask "$1" --json "$2"
}

# Messages of a stream stand in envelopes: a byte of flags, four of length, then so many of JSON.
stream() { # SERVICE/METHOD JSON: prints a message a line; the last is what the stream ended with
    { printf '\0\0\0\0'; printf "\\$(printf %o ${#2})%s" "$2"; } | # up to 255 bytes
        ask "$1" --header 'Content-Type: application/connect+json' --data-binary @- |
        while read -r -a head < <(head -c 5 | od -An -tu1) && [ ${#head[@]} -eq 5 ]; do
            head -c $(((head[1] << 24) + (head[2] << 16) + (head[3] << 8) + head[4]))
            echo
        done
}

call HostService/GetHost '{}' |
    jq -r '.host | "host \(.hostname): Xen \(.hypervisor.version)"'

call HostService/ListDomains '{"filter": {"nameGlob": "*s*", "states": ["DOMAIN_STATE_PAUSED"]}}' |
    jq -r '.domains[] | "domain \(.identity.domid): \(.identity.name)"'

call ResourceService/ListResources "{\"domain\": \"$domain\", \"type\": \"RESOURCE_TYPE_GRANT_TABLE\"}" |
    jq -r '.resources[] | "resource \(.type) \(.id // 0): \(.availability)" |
        gsub("RESOURCE_TYPE_|AVAILABILITY_"; "") | ascii_downcase'

messages=$(stream ResourceService/ReadSnapshot \
    "{\"domain\": \"$domain\", \"type\": \"RESOURCE_TYPE_GRANT_TABLE\", \"frameCount\": 1}")
tail -n 1 <<<"$messages" | jq '.error // empty' # nothing, where all of it came
echo "first frame: $(jq -r '.chunk.frames // empty' <<<"$messages" | base64 -d | wc -c) bytes"

call InspectService/GetGrantTable '{"domain": "nobody"}' |
    jq -r '"error \(.code): \(.message)",
        (.details[] | select(.type == "xenres.v1.XenFailure").debug | "  cause: \(.cause)\n  next step: \(.nextStep)")'
