#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# A first installation: what `xenresd init` makes passes --check, serves the simulator, and lets its
# administrator in; what stands in the way, --check and `xenresd doctor` say.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires openssl curl python3

xenresd=$BUILD/xenresd
etc=$work/etc
state=$work/state
user=$(id -un)
[ "$(id -u)" -ne 0 ] || user=nobody

init() { "$xenresd" init --dir "$etc" --state "$state" --user "$user" "$@"; }

# Where the files are, with the port of the kernel's choice, on the simulator.
configure() { # FILE
    sed -e "s|# listen = .*|listen = \"127.0.0.1:0\"|" -e "s|# health = .*|health = \"$work/run/health.sock\"|" \
        -e "s|# socket = .*|socket = \"$work/mapper.sock\"|" "$etc/xenresd.conf" >"$1"
}

wrong_arguments_make_nothing() {
    fails 2 "$xenresd" init
    fails 2 "$xenresd" init --dir "$etc" extra
    fails 2 "$xenresd" init --dir "$etc" --bogus
    fails 13 init --admin ca
    fails 13 init --admin a/b
    fails 13 init --name 'a b'
    fails 13 "$xenresd" init --dir "$work/a\"b" --state "$state" --user "$user"
    local -a names=()
    for i in $(seq 17); do names+=(--name "host$i"); done
    fails 2 init "${names[@]}"
    [ ! -e "$etc" ] && [ ! -e "$state" ]
}

all_is_made_and_told() {
    init --name gw.example.org --name 192.0.2.7 --admin alice >"$work/said"
    local file
    for file in xenresd.conf policy.conf export deny server.crt server.key clients.crt ca/ca.crt ca/ca.key \
        ca/alice.crt ca/alice.key; do
        [ -s "$etc/$file" ] || { echo "no $file"; return 1; }
        contains "$(cat "$work/said")" "$file"
    done
    contains "$(cat "$work/said")" "xenresd --check --config $etc/xenresd.conf"
    contains "$(cat "$work/said")" "XENRES_SERVER='https://gw.example.org:8443'"
    same "$(find "$etc" -name '.*')" "" "what was left"
    for file in policy.conf server.crt server.key clients.crt export deny; do
        contains "$(grep -v '^ *#' "$etc/xenresd.conf")" "\"$etc/$file\""
    done
}

modes_and_owners_are_right() {
    same "$(stat -c '%a %U' "$etc/server.key")" "600 $user"
    same "$(stat -c '%a %U' "$state")" "700 $user"
    same "$(stat -c '%a %U' "$etc/ca")" "700 $(id -un)"
    same "$(stat -c '%a %U' "$etc/ca/ca.key")" "600 $(id -un)"
    same "$(stat -c '%a' "$etc")" 755
    same "$(stat -c '%a' "$etc/policy.conf")" 644
    contains "$(openssl x509 -in "$etc/server.crt" -noout -ext subjectAltName)" "DNS:gw.example.org"
    contains "$(openssl x509 -in "$etc/server.crt" -noout -ext subjectAltName)" "192.0.2.7"
    openssl verify -CAfile "$etc/clients.crt" "$etc/server.crt" "$etc/ca/alice.crt"
}

nothing_is_overwritten() {
    local before
    before=$(cd "$etc" && find . -type f -exec cksum {} + | sort)
    fails 16 init
    contains "$(cat "$work/said")" "is there already"
    same "$(cd "$etc" && find . -type f -exec cksum {} + | sort)" "$before"
    mkdir "$work/part"
    echo mine >"$work/part/export"
    fails 16 "$xenresd" init --dir "$work/part" --state "$work/part-state" --user "$user"
    same "$(ls -A "$work/part")" export
    [ ! -e "$work/part-state" ]
}

a_folder_of_others_is_refused() {
    mkdir -m 777 "$work/open"
    chmod 777 "$work/open"
    fails 19 "$xenresd" init --dir "$work/open" --state "$work/open-state" --user "$user"
    same "$(ls -A "$work/open")" ""
}

what_fails_half_way_leaves_nothing() {
    fails 19 "$xenresd" init --dir "$work/half" --state "$work/none/there" --user "$user"
    [ ! -e "$work/half" ]
}

it_has_no_faults() { contains "$("$xenresd" --check --config "$etc/xenresd.conf" 2>"$work/said")" "no faults"; }

check_has_no_faults() { # CONFIG
    "$xenresd" --check --config "$1" >"$work/said" 2>&1 || { cat "$work/said"; return 1; }
    contains "$(cat "$work/said")" "no faults"
}

check_fails_with() { # CONFIG WORDS
    if "$xenresd" --check --config "$1" >"$work/said" 2>&1; then
        echo "no fault was found"; cat "$work/said"; return 1
    fi
    contains "$(cat "$work/said")" "$2"
}

# A server's certificate of openssl's, and a configuration with it.
certificate() { # OPTION...
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/c.key" -out "$work/c.crt" \
        -subj /CN=c -addext basicConstraints=CA:FALSE "$@" 2>/dev/null
    chmod 600 "$work/c.key"
    sed -e "s|$etc/server.crt|$work/c.crt|" -e "s|$etc/server.key|$work/c.key|" -e "s|\"$state\"|\"$work\"|" \
        "$etc/xenresd.conf" >"$work/c.conf"
}

faults_of_certificates_are_told_with_their_lines() {
    certificate -days 90 -addext extendedKeyUsage=clientAuth -addext subjectAltName=DNS:a
    check_fails_with "$work/c.conf" "$work/c.crt:1: it was not issued for TLS servers"
    certificate -days 90 -addext extendedKeyUsage=serverAuth
    check_fails_with "$work/c.conf" "$work/c.crt:1: it has no name that clients look for"
    sed -i "s|$etc/clients.crt|$work/c.crt|" "$work/c.conf"
    check_fails_with "$work/c.conf" "$work/c.crt"
}

warnings_are_told_and_are_no_faults() {
    certificate -days 7 -addext extendedKeyUsage=serverAuth -addext subjectAltName=DNS:a
    sed -i "s|# listen = .*|listen = \"192.0.2.9:1\"|" "$work/c.conf"
    "$xenresd" --check --config "$work/c.conf" >"$work/said" 2>&1
    contains "$(cat "$work/said")" "$work/c.crt:1: warning: it expires in "
    contains "$(cat "$work/said")" "warning: it has no name 192.0.2.9"
    contains "$(cat "$work/said")" "no faults"
}

authorities_of_sections_are_looked_at_too() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -out "$work/lab.crt" \
        -subj /CN=lab -days 7 2>/dev/null
    { cat "$etc/xenresd.conf"; echo "trust \"lab\" { ca = \"$work/lab.crt\" identities = { \"cn:*\" } }"; } >"$work/lab.conf"
    "$xenresd" --check --config "$work/lab.conf" >"$work/said" 2>&1 || { cat "$work/said"; return 1; }
    contains "$(cat "$work/said")" "$work/lab.crt:1: warning: it expires in "
    contains "$(cat "$work/said")" "(trust.ca)"
}

# Of the authority that init made.
revocation_list() { # FROM UNTIL
    mkdir -p "$work/ca"
    touch "$work/ca/index.txt"
    echo 01 >"$work/ca/crlnumber"
    printf '[ca]\ndefault_ca=a\n[a]\ndatabase=%s\ncrlnumber=%s\ndefault_md=sha256\n' "$work/ca/index.txt" \
        "$work/ca/crlnumber" >"$work/ca/openssl.cnf"
    openssl ca -config "$work/ca/openssl.cnf" -gencrl -keyfile "$etc/ca/ca.key" -cert "$etc/ca/ca.crt" \
        -crl_lastupdate "$1" -crl_nextupdate "$2" -out "$work/list.pem" 2>/dev/null
}

an_old_revocation_list_is_a_fault() {
    sed "s|# crl = .*|crl = \"$work/list.pem\"|" "$etc/xenresd.conf" >"$work/list.conf"
    revocation_list 20200101000000Z "$(date -u -d '+90 days' +%Y%m%d%H%M%SZ)"
    check_has_no_faults "$work/list.conf"
    revocation_list 20200101000000Z "$(date -u -d '+1 day' +%Y%m%d%H%M%SZ)"
    check_has_no_faults "$work/list.conf"
    contains "$(cat "$work/said")" "$work/list.pem:1: warning: the list of \"CN="
    revocation_list 20200101000000Z 20200201000000Z
    check_fails_with "$work/list.conf" "was to be replaced by 2020-02-01 00:00Z, and whomever that authority has issued is refused"
    sed -i 's|# expired_crl = .*|expired_crl = accept|' "$work/list.conf"
    check_has_no_faults "$work/list.conf"
    contains "$(cat "$work/said")" "warning: the list of"
}

all_faults_are_told_at_once() {
    { sed -e "s|# threads = .*|threads = 17 bogus = 1|" -e "s|\"$etc/deny\"|\"$work/none/deny\"|" \
        -e "s|\"$etc/policy.conf\"|\"$work/bad.policy\"|" "$etc/xenresd.conf"; echo 'surplus { a = 1 }'; } >"$work/all.conf"
    { sed 's/"snapshot"/"snapshto"/' "$etc/policy.conf"; echo 'rule "x" { efect = deny identities = all }'; } >"$work/bad.policy"
    check_fails_with "$work/all.conf" "limits.threads is 17"
    local words
    for words in "no such option 'bogus'" "no such option 'surplus'" "$work/none/deny" 'action "snapshto"' \
        "no such option 'efect'" 'rule "x" has no domains'; do
        contains "$(cat "$work/said")" "$words"
    done
    same "$(grep -c ': error: ' "$work/said" || true)" 0 "lines of the log"
    echo '}' >>"$work/all.conf"
    check_fails_with "$work/all.conf" "a } that closes nothing"
    contains "$(cat "$work/said")" "note: what is behind that, and the files, are looked at when it is right"
    check_fails_with /nonexistent "/nonexistent"
}

# A fault of the file that an option names: said once, with where that is configured, and its cure.
said_once() { # OPTION FILE FAULT CURE
    local fault line
    # shellcheck disable=SC2059  # written here
    printf -v fault "$3" "$work/$2"
    same "$(grep -cF -- "$fault" "$work/said")" 1 "how often it is said: $fault;"
    line=$(grep -F -- "$fault" "$work/said")
    contains "$line" "$work/files.conf:$(grep -n "\b$1 = \"$work/$2\"" "$work/files.conf" | cut -d: -f1): "
    contains "$line" "$1: $fault"
    contains "$line" "$4"
}

each_file_s_fault_has_its_option_and_its_cure() {
    echo '# none' >"$work/empty.pem"
    sed -e "s|\"$etc/server.key\"|\"$work/no.key\"|; s|\"$etc/clients.crt\"|\"$work/empty.pem\"|" \
        -e "s|\"$etc/deny\"|\"$work/no.deny\"|; s|\"$etc/policy.conf\"|\"$work/no.policy\"|" "$etc/xenresd.conf" >"$work/files.conf"
    check_fails_with "$work/files.conf" no.key
    said_once key no.key "cannot open %s: No such file" "; make the file, or name the one that is meant"
    said_once deny no.deny "cannot open %s: No such file" "; make the file"
    said_once policy no.policy "cannot open %s: No such file" "; make the file"
    said_once ca empty.pem "no certificate in %s" "; put one there"

    sed -e "s|# crl = .*|crl = \"$work/empty.pem\"|; s|\"$etc/server.key\"|\"$work/empty.pem\"|" \
        "$etc/xenresd.conf" >"$work/files.conf"
    cat >>"$work/files.conf" <<END
trust "lab" { ca = "$work/no.lab" identities = { "cn:*" } }
issuer "one" { issuer = "https://one" audience = "a" jwks = "$work/empty.pem" groups = { "a-*" } }
issuer "two" { issuer = "https://two" audience = "a" jwks = "$work/no.jwks" }
END
    chmod 600 "$work/empty.pem"
    check_fails_with "$work/files.conf" no.lab
    said_once crl empty.pem "no revocation list in %s" "; put one there"
    said_once ca no.lab "cannot open %s" "; make the file"
    contains "$(cat "$work/said")" ': trust "lab": ca: '
    said_once jwks empty.pem "%s is no JWK set" "; put there what the issuer publishes"
    contains "$(cat "$work/said")" ': issuer "one": jwks: '
    said_once jwks no.jwks "cannot open %s" "; make the file"
    contains "$(cat "$work/said")" "tls.key: $work/empty.pem, for $etc/server.crt: the key cannot be read"
    contains "$(cat "$work/said")" "; give a PEM file: the certificate's key, without a password"
}

a_key_of_another_certificate_is_told_with_both() {
    cp "$etc/ca/alice.key" "$work/alice.key"
    sed "s|\"$etc/server.key\"|\"$work/alice.key\"|" "$etc/xenresd.conf" >"$work/pair.conf"
    check_fails_with "$work/pair.conf" "tls.key: $work/alice.key, for $etc/server.crt: the key is not the certificate's; give the key"
    same "$(grep -c '[.];' "$work/said" || true)" 0 "lines with .;"
}

the_export_list_is_read_as_the_mapper_will() {
    sed "s|# program = .*|program = \"$BUILD/xenresd-mapper-sim\"\n    user = \"$user\"|" "$etc/xenresd.conf" >"$work/export.conf"
    check_has_no_faults "$work/export.conf"
    printf '# mine\nallow all all snapshto\n' >"$work/export"
    sed -i "s|\"$etc/export\"|\"$work/export\"|" "$work/export.conf"
    check_fails_with "$work/export.conf" ": mapper.export: $work/export:2: \`snapshto\`: expected "
    sed -i '/program = /d' "$work/export.conf" # a mapper that runs by itself
    check_fails_with "$work/export.conf" ": mapper.export: $work/export:2: "
    rm "$work/export"
    check_has_no_faults "$work/export.conf"
    sed "s|# program = .*|program = \"$BUILD/xenresd-mapper-sim\"\n    user = \"$user\"|; s|\"$etc/export\"|\"$work/export\"|" \
        "$etc/xenresd.conf" >"$work/export.conf"
    check_fails_with "$work/export.conf" ": mapper.export: cannot read the export list $work/export"
    contains "$(cat "$work/said")" "; write it: "
}

options_are_told_with_their_lines() {
    sed "s|state_dir = .*|state_dir = \"/nonexistent\"|" "$etc/xenresd.conf" >"$work/line.conf"
    check_fails_with "$work/line.conf" \
        "$work/line.conf:$(grep -n 'state_dir =' "$work/line.conf" | cut -d: -f1): server.state_dir: "
}

# Whatever user starts it: the key is of the one who serves. The second time, so is what the first one made.
supervised_it_serves_again_and_again() {
    install -d -m 700 "$work/supervised"
    [ "$(id -u)" -ne 0 ] || chown "$user" "$work/supervised"
    sed -e "s|# program = .*|program = \"$BUILD/xenresd-mapper-sim\"\n    user = \"$user\"|" -e "s|state_dir = .*|state_dir = \"$work/supervised\"|" \
        -e "s|health = .*|health = \"$work/supervised.sock\"|" "$work/run.conf" >"$work/supervised.conf"
    check_has_no_faults "$work/supervised.conf"
    for round in first second; do
        start "$round" "$xenresd" --config "$work/supervised.conf"
        wait_until 20 curl -sf --unix-socket "$work/supervised.sock" http://localhost/readyz || { cat "$work/$round.log"; return 1; }
        stop "$round"
    done
}

a_user_that_is_not_there_is_one_fault() {
    [ "$(id -u)" -eq 0 ] || skip "only root becomes another user"
    sed "s|user = .*|user = \"nobodyy\"|" "$etc/xenresd.conf" >"$work/typo.conf"
    check_fails_with "$work/typo.conf" "server.user: there is no user nobodyy; make it"
    same "$(grep -c "chown" "$work/said" || true)" 0 "cures that would do harm"
}

doctor() { "$xenresd" doctor --config "$1" >"$work/said" 2>&1; }

doctor_tells_what_is_missing() {
    fails 2 "$xenresd" doctor extra
    ! doctor "$work/run.conf" || { cat "$work/said"; return 1; }
    contains "$(cat "$work/said")" "FAILED   mapper's socket: $work/mapper.sock"
    contains "$(cat "$work/said")" "no xenresd runs"
    contains "$(cat "$work/said")" "ok       tls.certificate: $etc/server.crt:1: it is good for 36"
    ! doctor /nonexistent || return 1
    same "$(grep -c '^FAILED' "$work/said")" 1 "faults of a file that is not there"
    contains "$(cat "$work/said")" "FAILED   files: cannot open /nonexistent"
}

doctor_guesses_nothing_of_a_file_that_it_cannot_read() {
    { cat "$work/run.conf"; echo '}'; } >"$work/cut.conf"
    ! doctor "$work/cut.conf" || return 1
    same "$(grep -c '^FAILED' "$work/said")" 1 "faults"
    contains "$(cat "$work/said")" "warning  the rest: certificates, user, listeners and the mapper are looked at when $work/cut.conf is right"
    same "$(grep -cE '^[a-zA-Z]+ +(listener|user|mapper)' "$work/said" || true)" 0 "rows of what is not known"
}

doctor_tells_each_fault_once() {
    sed "s|# threads = .*|threads = 17|" "$work/run.conf" >"$work/once.conf"
    ! doctor "$work/once.conf" || return 1
    same "$(grep -c 'FAILED   files:' "$work/said")" 1 "faults of the file"
    same "$(grep -c ': error: ' "$work/said" || true)" 0 "lines of a log"
}

doctor_has_a_cure_for_an_address_of_others() {
    sed "s|listen = \"127.*|listen = \"192.0.2.9:8443\"|" "$work/run.conf" >"$work/address.conf"
    ! doctor "$work/address.conf" || return 1
    contains "$(cat "$work/said")" "no interface of this host has that address; name one that it has"
}

doctor_has_a_cure_for_a_socket_of_others() {
    local mode=600 level=FAILED words="start the mapper with --peer-user $user"
    [ "$(id -u)" -eq 0 ] || { mode=000 level=warning words="run this as root"; }
    local owner
    owner=$(stat -c %u "$work/mapper.sock")
    [ "$(id -u)" -ne 0 ] || chown root "$work/mapper.sock"
    chmod "$mode" "$work/mapper.sock"
    doctor "$work/run.conf" || true
    chmod 660 "$work/mapper.sock"
    [ "$(id -u)" -ne 0 ] || chown "$owner" "$work/mapper.sock"
    contains "$(grep "^$level *mapper:" "$work/said")" "Permission denied; $words"
}

# Who is not root hears what was left out.
doctor_says_what_it_leaves_out() {
    install -d -m 755 "$work/bin"
    install -m 755 "$xenresd" "$work/bin/xenresd"
    (as_user "$work/bin/xenresd" doctor --config "$work/run.conf") >"$work/said" 2>&1 || true
    contains "$(cat "$work/said")" "warning  the Xen half: it is not looked at: run this as root"
}

doctor_hears_the_mapper() {
    doctor "$work/run.conf" || { cat "$work/said"; return 1; }
    contains "$(cat "$work/said")" "ok       mapper: it answers: version"
}

doctor_says_that_it_serves() {
    doctor "$work/run.conf" || { cat "$work/said"; return 1; }
    contains "$(cat "$work/said")" "ok       health: xenresd runs, and is ready"
    contains "$(cat "$work/said")" "ok       mapper: it answers: the mapper serves another process"
}

doctor_finds_a_port_that_is_taken() {
    sed "s|listen = .*|listen = \"127.0.0.1:$port\"|; s|health = .*|health = \"$work/none.sock\"|" \
        "$work/run.conf" >"$work/taken.conf"
    ! doctor "$work/taken.conf" || { cat "$work/said"; return 1; }
    contains "$(cat "$work/said")" "FAILED   listener: 127.0.0.1:$port is another program's"
}

# Somebody else at the health listener's address: says WHAT to each who comes, and goes on as MORE does.
impostor() { # NAME WHAT MORE
    rm -f "$work/$1.port"
    start "$1" python3 -u -c '
import socket, sys, time
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], file=open(sys.argv[1] + ".new", "w"))
import os; os.rename(sys.argv[1] + ".new", sys.argv[1])
while True:
    c, _ = s.accept()
    try:
        c.recv(4096)
        c.sendall(sys.argv[2].encode("latin-1").decode("unicode_escape").encode("latin-1"))
        while sys.argv[3] == "drip":
            time.sleep(0.2)
            c.sendall(b"x")
    except OSError:
        pass
    c.close()' "$work/$1.port" "$2" "$3"
    wait_file "$1" "$work/$1.port" 20
    sed "s|health = .*|health = \"127.0.0.1:$(cat "$work/$1.port")\"|" "$work/run.conf" >"$work/$1.conf"
}

what_others_say_is_shown_escaped() {
    impostor liar 'HTTP/1.1 503 x\r\n\r\n\x1b]0;mine\x07\x9b1m not ready \xe2\x80\xae\r' end
    ! doctor "$work/liar.conf" || { cat "$work/said"; return 1; }
    contains "$(cat "$work/said")" 'is not ready: \x1b]0;mine\x07\x9b1m not ready \xe2\x80\xae\x0d; see below'
    ! LC_ALL=C grep -aq $'[\x01-\x08\x0b-\x1f\x7f]' "$work/said"
}

who_answers_slowly_is_not_waited_for() {
    local begun=$SECONDS
    impostor drip 'HTTP/1.1 200 x\r\n\r\n' drip
    ! doctor "$work/drip.conf" || { cat "$work/said"; return 1; }
    contains "$(cat "$work/said")" "what answers at 127.0.0.1:$(cat "$work/drip.port") is no xenresd"
    [ "$((SECONDS - begun))" -lt 20 ]
}

a_program_that_does_not_end_is_not_waited_for() {
    local begun=$SECONDS
    [ "$(id -u)" -eq 0 ] || skip "the Xen half is looked at by root"
    printf '#!/bin/sh\necho here\nexec sleep 600\n' >"$work/sleeper"
    chmod 755 "$work/sleeper"
    sed "s|# program = .*|program = \"$work/sleeper\"|" "$work/run.conf" >"$work/sleeper.conf"
    grep -q "program = \"$work/sleeper\"" "$work/sleeper.conf"
    ! doctor "$work/sleeper.conf" || true
    contains "$(cat "$work/said")" "warning  the Xen half: it does not end"
    contains "$(cat "$work/said")" "here"
    [ "$((SECONDS - begun))" -lt 30 ]
}

the_administrator_is_let_in() {
    contains "$(XENRES_SERVER="https://localhost:$port" XENRES_CACERT=$etc/ca/ca.crt XENRES_CERT=$etc/ca/alice.crt \
        XENRES_KEY=$etc/ca/alice.key "$BUILD/xenres" host)" sim
}

a_host_without_a_mapper_has_no_uuid() {
    as_admin() {
        XENRES_SERVER="https://localhost:$port" XENRES_CACERT=$etc/ca/ca.crt XENRES_CERT=$etc/ca/alice.crt \
            XENRES_KEY=$etc/ca/alice.key "$BUILD/xenres" --timeout 20 host
    }
    is_alone() { as_admin >"$work/said" && grep -q 'not connected' "$work/said"; }
    stop mapper
    wait_until 20 is_alone
    contains "$(cat "$work/said")" "not known without a mapper"
    same "$(grep -c '()' "$work/said" || true)" 0 "empty brackets"
}

# The authority speaks for common names: what else it issues is let in when somebody says so.
its_authority_speaks_for_common_names_alone() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/agent.key" -out "$work/agent.csr" -subj / 2>/dev/null
    printf 'basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\nsubjectAltName=URI:spiffe://example.org/agent/1\n' >"$work/agent.ext"
    openssl x509 -req -in "$work/agent.csr" -CA "$etc/ca/ca.crt" -CAkey "$etc/ca/ca.key" -days 1 -extfile "$work/agent.ext" \
        -out "$work/agent.crt" 2>/dev/null
    chmod 600 "$work/agent.key"
    ! XENRES_SERVER="https://localhost:$port" XENRES_CACERT=$etc/ca/ca.crt XENRES_CERT=$work/agent.crt \
        XENRES_KEY=$work/agent.key "$BUILD/xenres" --timeout 10 host >"$work/said" 2>&1 || return 1
    contains "$(tail -n 3 "$work/xenresd.log")" "its authority may not speak for spiffe:spiffe://example.org/agent/1"
}

# As the unit has it, whose user made the keys.
root_verifies_the_audit_of_the_service_s_user() {
    local -a verify=("$xenresd" audit verify --key "$state/audit.key" --public-key "$state/audit.sign.pub")
    same "$(stat -c '%U' "$state/audit.key" "$state/audit.sign.pub" | sort -u)" "$user"
    "${verify[@]}" --state "$state/audit.state" "$state/audit.log" >"$work/said" 2>&1 || { cat "$work/said"; return 1; }
    contains "$(cat "$work/said")" "verified up to record"
    [ "$(id -u)" -eq 0 ] || return 0
    mkdir "$work/keys" # another's in root's folder
    install -m 600 -o "$user" "$state/audit.key" "$work/keys/audit.key"
    fails 19 "$xenresd" audit verify --key "$work/keys/audit.key" "$state/audit.log"
    contains "$(cat "$work/said")" "who could change it; chown root $work/keys/audit.key"
}

is_ready() { curl -sf --unix-socket "$work/run/health.sock" http://localhost/readyz >/dev/null; }

as_user() { # COMMAND...: instead of this shell
    if [ "$(id -u)" -eq 0 ]; then
        exec setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups "$@"
    else
        exec "$@"
    fi
}

check "wrong arguments make nothing" wrong_arguments_make_nothing
check "all is made, and told" all_is_made_and_told
check "modes and owners are right" modes_and_owners_are_right
check "nothing is overwritten" nothing_is_overwritten
check "a folder of others is refused" a_folder_of_others_is_refused
check "what fails half way leaves nothing" what_fails_half_way_leaves_nothing
check "it has no faults" it_has_no_faults
check "faults of certificates are told with their lines" faults_of_certificates_are_told_with_their_lines
check "warnings are told, and are no faults" warnings_are_told_and_are_no_faults
check "authorities of sections are looked at, too" authorities_of_sections_are_looked_at_too
check "an old revocation list is a fault" an_old_revocation_list_is_a_fault
check "all faults are told at once" all_faults_are_told_at_once
check "each file's fault has its option and its cure" each_file_s_fault_has_its_option_and_its_cure
check "a key of another certificate is told with both" a_key_of_another_certificate_is_told_with_both
check "the export list is read as the mapper will" the_export_list_is_read_as_the_mapper_will
check "options are told with their lines" options_are_told_with_their_lines
check "a user that is not there is one fault" a_user_that_is_not_there_is_one_fault
configure "$work/run.conf"
check "supervised, it serves again and again" supervised_it_serves_again_and_again
check "doctor tells what is missing" doctor_tells_what_is_missing
mkdir -m 755 "$work/run"
[ "$(id -u)" -ne 0 ] || chown "$user" "$work/run"
start mapper "$BUILD/xenresd-mapper-sim" --socket "$work/mapper.sock" --peer-user "$user" --export "$etc/export"
wait_until 20 test -S "$work/mapper.sock"
[ "$(id -u)" -ne 0 ] || chown "$user" "$work/mapper.sock"
check "doctor hears the mapper" doctor_hears_the_mapper
check "doctor guesses nothing of a file that it cannot read" doctor_guesses_nothing_of_a_file_that_it_cannot_read
check "doctor tells each fault once" doctor_tells_each_fault_once
check "doctor has a cure for an address of others" doctor_has_a_cure_for_an_address_of_others
check "doctor has a cure for a socket of others" doctor_has_a_cure_for_a_socket_of_others
check "doctor says what it leaves out" doctor_says_what_it_leaves_out
start xenresd as_user "$xenresd" --config "$work/run.conf"
wait_until 20 is_ready
port=$(sed -n "s/.*listening on port \([0-9]*\)$/\1/p" "$work/xenresd.log")
check "doctor says that it serves" doctor_says_that_it_serves
check "doctor finds a port that is taken" doctor_finds_a_port_that_is_taken
check "what others say is shown escaped" what_others_say_is_shown_escaped
check "who answers slowly is not waited for" who_answers_slowly_is_not_waited_for
check "a program that does not end is not waited for" a_program_that_does_not_end_is_not_waited_for
check "the administrator is let in" the_administrator_is_let_in
check "its authority speaks for common names alone" its_authority_speaks_for_common_names_alone
check "root verifies the audit of the service's user" root_verifies_the_audit_of_the_service_s_user
check "a host without a mapper has no UUID" a_host_without_a_mapper_has_no_uuid
