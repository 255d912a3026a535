# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Sourced by the tests of other people's clients, behind tests/lib/functions.sh. They run what
# examples/LANGUAGE/README.md tells a reader to type, in a copy of examples/LANGUAGE and proto/ under
# $BUILD/clients that is kept, so that packages are fetched once. Its block of commands has one that
# fetches packages first, where any are needed, and the one that runs the example last.
#
#   start_gateway           a host on which nothing moves, see tests/clients/scenario
#   make_workspace LANGUAGE sets $workspace to the copy, without what was generated in an earlier run
#   fetch COMMAND...        skips the script where COMMAND, of the workspace, cannot fetch
#   readme LANGUAGE         prints the commands of its README, a line each
#   in_workspace COMMAND    runs it there
#   find_buf                sets $buf; skips the script where there is none and it cannot be fetched
#   does_the_job COMMAND    the example says what all examples say
#   same_outcomes COMMAND   makes all calls of requests.json, given on standard input, and says what
#                           came of each, as curl does: {"method", "messages", "error"}
clients=$top/tests/clients

start_gateway() {
    cp "$clients/scenario" "$work/scenario"
    chmod 644 "$work/scenario"
    start_demo --scenario "$work/scenario"
}

make_workspace() { # LANGUAGE
    local examples=$BUILD/clients/$1/examples
    workspace=$examples/$1
    rm -rf "$BUILD/clients/$1/proto" "$workspace/gen"
    mkdir -p "$examples"
    cp -r "$top/proto" "$BUILD/clients/$1/proto"
    # Without what its user made there.
    tar -C "$top/examples" --exclude={node_modules,venv,gen,bin,build} -c "$1" | tar -C "$examples" -x
    [ ! -d "$clients/$1" ] || cp -r "$clients/$1/." "$workspace/"
}

readme() { # LANGUAGE
    awk '/^```/ { if (inside) exit; inside = 1; next } inside' "$top/examples/$1/README.md"
}

in_workspace() { # COMMAND
    (cd "$workspace" && bash -euo pipefail -c "$1")
}

fetch() { # COMMAND...
    (cd "${workspace:-$work}" && bash -euo pipefail -c "$*") >"$work/fetch.log" 2>&1 || {
        sed 's/^/# /' "$work/fetch.log"
        skip "the packages cannot be fetched by: $*"
    }
}

# The one that is installed, or that of npm's package in the version that the TypeScript example has.
find_buf() {
    local version
    export BUF_CACHE_DIR=$work/buf-cache
    buf=$(command -v buf || true)
    [ -z "$buf" ] || return 0
    requires node npm
    version=$(jq -r '.devDependencies["@bufbuild/buf"]' "$top/examples/typescript/package.json")
    workspace=$BUILD/clients/buf
    mkdir -p "$workspace"
    fetch "npm install --no-audit --no-fund --no-package-lock --no-save --prefix . @bufbuild/buf@$version"
    buf=$workspace/node_modules/.bin/buf
}

does_the_job() { # COMMAND
    local host
    host=$("$BUILD/xenres" -o json host | jq -r '.host | "host \(.hostname): Xen \(.hypervisor.version)"')
    same "$(in_workspace "$1" 2>"$work/stderr" || cat "$work/stderr")" "$host
domain 7: standby
resource grant_table 0: available
resource grant_table 1: available
first frame: 4096 bytes
error not_found: there is no domain nobody
  cause: it does not exist, or you may not see it
  next step: list the domains that you may see"
}

# --- the same calls with curl, in JSON, which the others are compared with -----------------------

ask() { # METHOD CURL-OPTION...
    curl -sS --cacert "$XENRES_CACERT" --cert "$XENRES_CERT" --key "$XENRES_KEY" --max-time 20 \
        "${@:2}" "$XENRES_SERVER/$1"
}

api_methods() { # of proto/, with `stream` behind those that are one
    sed -n 's/^service \(\w*\).*/\1/p; s/^  rpc \(\w*\)(\w*) returns (\(stream \)\?.*/  \1 \2/p' \
        "$top"/proto/xenres/v1/*.proto |
        while read -r name kind; do
            case $name in
            *Service) service=$name ;;
            *) echo "xenres.v1.$service/$name${kind:+ $kind}" ;;
            esac
        done
}

curl_unary() { # METHOD REQUEST
    local status
    status=$(ask "$1" --json "$2" -o "$work/body" -w '%{http_code}')
    if [ "$status" = 200 ]; then
        jq -c --arg m "$1" '{method: $m, messages: [.], error: null}' "$work/body"
    else
        jq -c --arg m "$1" '{method: $m, messages: [], error: .}' "$work/body"
    fi
}

envelope() { # MESSAGE
    local i len=${#1}
    printf '\0'
    for i in 24 16 8 0; do
        # shellcheck disable=SC2059  # an escape for the byte
        printf "\\$(printf %03o $((len >> i & 255)))"
    done
    printf %s "$1"
}

curl_stream() { # METHOD REQUEST TAKE: null for all, or how many messages of one that has no end
    local head limit=()
    [ "$3" = null ] || limit=(-H 'Connect-Timeout-Ms: 1500')
    envelope "$2" | ask "$1" -H 'Content-Type: application/connect+json' "${limit[@]}" --data-binary @- -o "$work/body"
    while read -r -a head < <(head -c 5 | od -An -tu1) && [ ${#head[@]} -eq 5 ]; do
        head -c $(((head[1] << 24) + (head[2] << 16) + (head[3] << 8) + head[4]))
        echo
    done <"$work/body" |
        jq -sc --arg m "$1" --argjson take "$3" 'if $take then {method: $m, messages: .[:$take], error: null}
            else {method: $m, messages: .[:-1], error: (.[-1].error // null)} end'
}

outcomes_of_curl() {
    local method request take streams
    streams=" $(api_methods | sed -n "s| stream$||p" | tr "\n" " ")"
    while IFS= read -r method && IFS= read -r request && IFS= read -r take; do
        if [[ $streams == *" $method "* ]]; then
            LC_ALL=C curl_stream "$method" "$request" "$take"
        else
            curl_unary "$method" "$request"
        fi
    done < <(jq -cr '.[] | .method, .request, .take' "$clients/requests.json")
}

# Times, and what was counted until then, are of the moment; tokens, names of traces and what a detail looks
# like decoded are the sender's choice.
comparable() {
    jq -cS 'walk(if type == "object" then del(.wallTime, .monotonicNs, .copyDurationNs, .sinceMonotonicNs, .nextPageToken,
        .cursor, .feed, .debug, .checks, .traceId, .startTime, .endTime, .leaseLeft, .samples, .lateSamples, .pauses,
        .period) else . end) | if .error then .error.details |= map(.value |= sub("=*$"; "")) else . end'
}

same_outcomes() { # COMMAND
    [ -s "$work/by-curl" ] || outcomes_of_curl | comparable >"$work/by-curl"
    same "$(wc -l <"$work/by-curl")" "$(jq length "$clients/requests.json")" "calls of curl"
    in_workspace "$1" <"$clients/requests.json" | comparable >"$work/by-client"
    diff "$work/by-curl" "$work/by-client" >"$work/difference" || {
        cut -c 1-2000 "$work/difference"
        return 1
    }
}
