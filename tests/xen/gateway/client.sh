# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Sourced by gateway.sh: what clients ask the gateway from outside, three ways that must agree.
#
#   client COMMAND [ARG...]             xenres with its environment, its output in JSON
#   snapshot DOMAIN TYPE [ARG...]       xenres snapshot, with the frames as they are
#   raw FILE DOMAIN TYPE ID [QUERY]     the raw frames endpoint, by curl
#   call METHOD [TEXT]                  a Connect call, by curl and protoc; request and answer in protobuf's text form
#   refused STATUS                      reads the error that raw or call left: sets http, code, errno, cause, next_step
#   show WHAT [FILE]                    what tests compare, from the JSON of client: see show.py
#   in_table CODE COLUMN                of common/errors.def: 4 the HTTP status, 5 the exit status of xenres
#
# raw and call fail when the gateway refuses; the HTTP status is in $said/http, the body in $said/refusal. Who asks in
# background sets said to a folder of its own.

client_source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
client_top=$(cd "$client_source/../../.." && pwd)
said= # gateway.sh sets it, once there is a working folder

client_xenres() {
  XENRES_SERVER=$gateway XENRES_CACERT=$work/pki/ca.crt XENRES_CERT=$work/pki/operator.crt \
    XENRES_KEY=$work/pki/operator.key timeout 60 "$BUILD/xenres" "$@"
}

client() {
  client_xenres -o json "$@"
}

snapshot() {
  client_xenres snapshot "$@"
}

show() {
  python3 "$client_source/show.py" "$@"
}

client_curl() { # FILE CURL-ARG...
  local file=$1
  shift
  curl --silent --show-error --max-time 60 --noproxy '*' --cacert "$work/pki/ca.crt" \
    --cert "$work/pki/operator.crt" --key "$work/pki/operator.key" \
    --output "$said/body" --dump-header "$said/headers" --write-out '%{http_code}' "$@" >"$said/http" || return
  if [ "$(cat "$said/http")" = 200 ]; then
    mv "$said/body" "$file"
  else
    mv "$said/body" "$said/refusal"
    return 22
  fi
}

raw() { # FILE DOMAIN TYPE ID [QUERY]
  client_curl "$1" "$gateway/v1/domains/$2/resources/$3/$4/frames${5:+?$5}"
}

client_proto() { # encode|decode MESSAGE
  protoc -I "$client_top/proto" -I /usr/include "--$1=xenres.v1.$2" \
    "$client_top"/proto/xenres/v1/{host,resource,inspect,trace}.proto
}

call() { # METHOD [TEXT]
  local name=${1#*/}
  client_proto encode "${name}Request" <<<"${2:-}" >"$said/request"
  client_curl "$said/answer" --header 'Content-Type: application/proto' --header 'Connect-Protocol-Version: 1' \
    --data-binary "@$said/request" "$gateway/xenres.v1.$1" || return
  client_proto decode "${name}Response" <"$said/answer"
}

refused() { # STATUS
  [ "$1" = 22 ] || { echo "was not refused by the gateway: status $1, HTTP $(cat "$said/http")"; return 1; }
  http=$(cat "$said/http")
  {
    read -r code
    read -r errno
    read -r message
    read -r cause
    read -r next_step
  } < <(show refusal "$said/refusal")
}

in_table() { # CODE COLUMN
  awk -v code="\"$1\"" -v column="$2" -F ', *' '
    /^ERROR\(/ && $3 == code { print $column; found = 1 }
    END { exit !found }' "$client_top/common/errors.def"
}
