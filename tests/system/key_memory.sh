#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# The text of a private key is in no memory of a gateway that serves: not of the key in force, not of one before, not
# of one that was refused. Looked for as root does, in all of the worker's pages.
. "$(dirname "$0")/../lib/functions.sh"
requires openssl pgrep python3 setpriv
requires_root

# Prints which of the keys' texts the process has. What is secret of a P-256 key in PKCS #8 is in the characters 48 to
# 88 of its text: in two pieces, which are the same whether or not the lines were put together. The rest is in the
# certificate as well, which is no secret: its bytes have to be found, or nothing was looked at.
texts_in() { # PID CERTIFICATE KEY...
    python3 - "$@" <<'END'
import base64, sys

def body(path):
    return b"".join(l for l in open(path, "rb").read().splitlines() if l and not l.startswith(b"-"))

def pages(pid):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            low, high = (int(x, 16) for x in line.split()[0].split("-"))
            if line.split()[1][0] == "r" and high - low < 1 << 30:  # not the shadow of a sanitizer
                try:
                    mem.seek(low)
                    yield mem.read(high - low)
                except (OSError, OverflowError):
                    pass  # pages of the kernel's

sought = {f"{path}, characters {at} to {end}": body(path)[at:end]
          for path in sys.argv[3:] for at, end in ((48, 64), (64, 88))}
shown = base64.b64decode(body(sys.argv[2]))
found, control = set(), False
for memory in pages(sys.argv[1]):
    found |= {name for name, text in sought.items() if text in memory}
    control = control or shown[-48:] in memory
print("\n".join(sorted(found)) if control else "the certificate that is served is not found")
END
}

count() { grep -c "$1" "$work/$2.log" || true; }
came() { [ "$(count "$1" "$2")" -gt "$3" ]; }
reload_until() { # DAEMON PID LOG-LINE
    local before
    before=$(count "$3" "$1")
    kill -HUP "$2"
    wait_until 10 came "$3" "$1" "$before"
}
put() { # NAME: its certificate and key in the place of those before
    install -o "$owner" -m 644 "$work/$1.crt" "$dir/.crt"
    install -o "$owner" -m 600 "$work/$1.key" "$dir/.key"
    mv "$dir/.crt" "$dir/server.crt"
    mv "$dir/.key" "$dir/server.key"
}

no_key_is_there_after_the_start() { # WORKER
    same "$(texts_in "$1" "$work/first.crt" "$work/first.key")" "" "found"
}
nor_after_a_reload() { # DAEMON PID WORKER
    put second
    reload_until "$1" "$2" reloaded
    same "$(texts_in "$3" "$work/second.crt" "$work/first.key" "$work/second.key")" "" "found"
}
nor_of_one_that_is_refused() { # DAEMON PID WORKER
    put second
    install -o "$owner" -m 600 "$work/third.key" "$dir/server.key" # of another certificate
    reload_until "$1" "$2" 'reload refused'
    same "$(texts_in "$3" "$work/second.crt" "$work/second.key" "$work/third.key")" "" "found"
}
# What looks, sees: one that holds such a text on purpose.
a_key_that_is_there_is_found() {
    start holder python3 -c 'import base64, signal, sys
texts = [open(p).read().replace("\n", "") for p in sys.argv[1:]]
shown = base64.b64decode(texts[0].split("-----")[2])
print("ready", flush=True)
signal.pause()' "$work/first.crt" "$work/first.key"
    wait_file holder "$work/holder.log"
    contains "$(texts_in "${pid[holder]}" "$work/first.crt" "$work/first.key")" "first.key, characters 48 to 64" "found"
}

for name in first second third; do
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 -subj "/CN=$name" \
        -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
        -addext extendedKeyUsage=serverAuth -keyout "$work/$name.key" -out "$work/$name.crt" 2>"$work/openssl.log"
done

dir=$work/demo
owner=root
start_demo
stop demo
put first
check "a key that is there is found" a_key_that_is_there_is_found

start_demo
worker=$(pgrep -P "${pid[demo]}" -f -- --worker)
check "with a supervisor, no key's text is there after the start" no_key_is_there_after_the_start "$worker"
check "with a supervisor, nor after a reload" nor_after_a_reload demo "${pid[demo]}" "$worker"
check "with a supervisor, nor of one that is refused" nor_of_one_that_is_refused demo "${pid[demo]}" "$worker"
stop demo

# As its unit has it, without a mapper of its own: the key is its user's.
owner=nobody
sed "s|^ *program *=.*||; s|^mapper {|mapper {\n    socket = \"$dir/mapper.sock\"|" "$dir/xenresd.conf" >"$dir/alone.conf"
cp "$BUILD/xenresd" "$BUILD/xenresd-mapper-sim" "$dir/"
put first
chown -R nobody "$dir"
as_nobody=(setpriv --reuid nobody --regid nogroup --clear-groups)
start mapper "${as_nobody[@]}" "$dir/xenresd-mapper-sim" --socket "$dir/mapper.sock" --export "$dir/export"
start alone "${as_nobody[@]}" "$dir/xenresd" --config "$dir/alone.conf"
wait_file alone "$work/alone.log"
wait_until 20 came ': ready' alone 0
worker=$(pgrep -P "${pid[alone]}" -f -- --worker)
check "as the unit has it, no key's text is there after the start" no_key_is_there_after_the_start "$worker"
check "as the unit has it, nor after a reload" nor_after_a_reload alone "${pid[alone]}" "$worker"
check "as the unit has it, nor of one that is refused" nor_of_one_that_is_refused alone "${pid[alone]}" "$worker"
