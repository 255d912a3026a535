#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Files that are links, as renewers of certificates and orchestrators put them there: read again at SIGHUP, wherever
# they lead by then, though who serves can open none of them.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires openssl

count() { grep -c "$1" "$work/gateway.log" || true; }
came() { [ "$(count "$1")" -gt "$2" ]; }
reload_until() { # LOG-LINE
    local before
    before=$(count "$1")
    kill -HUP "${pid[gateway]}"
    wait_until 10 came "$1" "$before"
}

served() { # the fingerprint of the certificate that is shown
    openssl s_client -connect "$(cat "$work/server")" -cert "$XENRES_CERT" -key "$XENRES_KEY" </dev/null 2>/dev/null |
        openssl x509 -noout -fingerprint -sha256
}
fingerprint() { openssl x509 -in "$1" -noout -fingerprint -sha256; }
xenres() { XENRES_SERVER="https://$(cat "$work/server")" "$BUILD/xenres" --timeout 20 "$@"; }

certificate() { # FOLDER: another one of localhost's
    mkdir -p "$1"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=server -keyout "$1/server.key" \
        -out "$work/csr" 2>/dev/null
    openssl x509 -req -in "$work/csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -CAcreateserial \
        -CAserial "$work/serial" -days 90 -out "$1/server.crt" 2>/dev/null \
        -extfile <(printf 'extendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n')
    chmod 600 "$1/server.key"
}

mine() { [ "$(id -u)" -ne 0 ] || chown -hR nobody "$dir"; }

# A link is replaced by another one, at once.
lead() { # LINK TARGET
    ln -s "$2" "$1.new"
    mv -T "$1.new" "$1"
}

# As Kubernetes mounts a secret: what is renewed is a folder, and the link to it beside the files.
a_certificate_behind_a_folder_of_its_own_is_renewed() {
    same "$(served)" "$(fingerprint "$dir/tls/..v1/server.crt")" "certificate"
    certificate "$dir/tls/..v2"
    mine
    lead "$dir/tls/..data" ..v2
    reload_until reloaded
    same "$(served)" "$(fingerprint "$dir/tls/..v2/server.crt")" "certificate of the second"
    rm -r "$dir/tls/..v1"
    reload_until reloaded
}

# As certbot has it: each link leads to another file in a folder elsewhere.
files_elsewhere_are_replaced() {
    xenres domains >"$work/domains"
    sed 's/operator/nobody/' "$dir/archive/policy1.conf" >"$dir/archive/policy2.conf"
    mine
    lead "$dir/live/policy.conf" ../archive/policy2.conf
    reload_until reloaded
    same "$(xenres -o json domains | grep -c '"domid"' || true)" 0 "domains that are seen"
    lead "$dir/live/policy.conf" ../archive/policy1.conf
    cp "$dir/ca.crt" "$dir/archive/ca2.crt"
    mine
    lead "$dir/live/ca.crt" ../archive/ca2.crt
    reload_until reloaded
    xenres domains >"$work/domains"
}

what_leads_elsewhere_by_then_is_followed() {
    mkdir "$dir/elsewhere"
    cp "$dir/archive/policy2.conf" "$dir/elsewhere/policy.conf"
    mine
    lead "$dir/live/policy.conf" ../elsewhere/policy.conf
    reload_until reloaded
    same "$(xenres -o json domains | grep -c '"domid"' || true)" 0 "domains that are seen"
    lead "$dir/live/policy.conf" ../archive/policy1.conf
    reload_until reloaded
    xenres domains >"$work/domains"
}

dir=$(mktemp -d /tmp/xr.XXXXXX) # an ordinary user has to reach it
cleanup rm -rf "$dir"
cp "$BUILD/xenresd" "$BUILD/xenresd-mapper-sim" "$dir/"
as_user=() user=$(id -un)
if [ "$(id -u)" -eq 0 ]; then
    chown -R nobody "$dir"
    as_user=(setpriv --reuid nobody --regid nogroup --clear-groups) user=nobody
fi
start demo "${as_user[@]}" "$dir/xenresd" --demo "$dir"
wait_file demo "$dir/env" 30
# shellcheck source=/dev/null
. "$dir/env"
stop demo
mkdir "$dir/live" "$dir/archive" "$dir/tls" "$dir/state"
mv "$dir/policy.conf" "$dir/archive/policy1.conf"
cp "$dir/ca.crt" "$dir/archive/ca1.crt"
ln -s ../archive/policy1.conf "$dir/live/policy.conf"
ln -s ../archive/ca1.crt "$dir/live/ca.crt"
certificate "$dir/tls/..v1"
ln -s ..v1 "$dir/tls/..data"
ln -s ..data/server.crt "$dir/tls/server.crt"
ln -s ..data/server.key "$dir/tls/server.key"
sed -e "s|\"$dir/policy.conf\"|\"$dir/live/policy.conf\"|" -e "s|\"$dir/server\.|\"$dir/tls/server.|" \
    -e "s|\"$dir/ca.crt\"|\"$dir/live/ca.crt\"|" -e "s|state_dir = .*|state_dir = \"$dir/state\"|" \
    -e "/^mapper {/,/^}/c mapper {\n    socket = \"$dir/mapper.sock\"\n}" "$dir/xenresd.conf" >"$dir/linked.conf"
same "$(grep -c "$dir/live/\|$dir/tls/" "$dir/linked.conf")" 4 "options that name a link"
mine
start mapper "${as_user[@]}" "$dir/xenresd-mapper-sim" --socket "$dir/mapper.sock" --export "$dir/export" --peer-user "$user"
wait_until 20 test -S "$dir/mapper.sock"
start gateway "${as_user[@]}" "$dir/xenresd" --config "$dir/linked.conf"
wait_until 20 grep -qs 'xenresd: ready$' "$work/gateway.log"
echo "127.0.0.1:$(sed -n 's/.*listening on port //p' "$work/gateway.log" | tail -n 1)" >"$work/server"
check "a certificate behind a folder of its own is renewed" a_certificate_behind_a_folder_of_its_own_is_renewed
check "files elsewhere are replaced" files_elsewhere_are_replaced
check "what leads elsewhere by then is followed" what_leads_elsewhere_by_then_is_followed
