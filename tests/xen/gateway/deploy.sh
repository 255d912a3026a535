# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Sourced by suites: the gateway in dom0 as in production, two services that know each other by a unix socket, and
# certificates that are made for this run.
#
#   deploy_stage           puts programs, certificates and files into the overlay, before the boot
#   deploy_start           starts both services and waits until they serve
#   deploy_xenresd [PROGRAM]    starts xenresd, as its unit does: as its user, with no way to more; waits until it serves
#   deploy_url             prints where they are reached from this machine; not before they serve
#   deploy_mapper AS       starts the mapper: AS is `user`, as its own user from the start, or `root`, as root that
#                          becomes that user
#   deploy_pid NAME        the process id in dom0 of mapper, xenresd (to which signals go) or worker (which serves)
#   deploy_logs            prints what both have logged, for who looks for the reason of a failure

# Names in the certificates: what the host connects to, and who the policy lets in.
deploy_identity=spiffe://xenres.test/operator
deploy_grace=1 # seconds for which the mapper keeps what a xenresd that went had asked for

# deploy_certificate NAME EXTENSION...: NAME.crt and NAME.key, P-256, by the authority ca, or that itself.
deploy_certificate() {
  local name=$1 extensions=() issuer=() extension
  shift
  for extension in "$@"; do
    extensions+=(-addext "$extension")
  done
  [ "$name" = ca ] || issuer=(-CA "$work/pki/ca.crt" -CAkey "$work/pki/ca.key")
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 -subj "/CN=$name" \
    -config "$work/pki/openssl.cnf" "${issuer[@]}" "${extensions[@]}" \
    -keyout "$work/pki/$name.key" -out "$work/pki/$name.crt" 2>"$work/pki/openssl.log" || {
    cat "$work/pki/openssl.log" >&2
    return 1
  }
}

deploy_certificates() {
  mkdir -p "$work/pki"
  printf '[req]\ndistinguished_name = dn\n[dn]\n' >"$work/pki/openssl.cnf"
  deploy_certificate ca basicConstraints=critical,CA:TRUE keyUsage=critical,keyCertSign,cRLSign
  deploy_certificate server basicConstraints=critical,CA:FALSE extendedKeyUsage=serverAuth \
    subjectAltName=DNS:localhost,IP:127.0.0.1
  deploy_certificate operator basicConstraints=critical,CA:FALSE extendedKeyUsage=clientAuth \
    "subjectAltName=URI:$deploy_identity"
}

deploy_stage() {
  local etc=$overlay/etc/xenresd
  deploy_certificates
  suite_stage usr/local/sbin "$BUILD/xenresd" "$BUILD/xenresd-mapper"
  suite_stage usr/local/bin "$(type -P setpriv)" # busybox's knows no users
  install -D -m 644 -t "$etc" "$work/pki/server.crt"
  install -m 600 -t "$etc" "$work/pki/server.key"
  install -m 644 "$work/pki/ca.crt" "$etc/clients.crt"
  # dom0 has to be named: what Xen answers about its own domain is a case of its own.
  cat >"$etc/export" <<'END'
allow all all list,snapshot,watch,decode,trace.read,trace.control
allow dom0 all list,snapshot,decode
END
  cat >"$etc/policy.conf" <<END
rule "operators" {
    effect     = allow
    identities = { "spiffe:$deploy_identity" }
    domains    = { "all", "dom0" }
    types      = { "all" }
    actions    = { "list", "snapshot", "watch", "decode", "trace.read", "trace.control" }
}
END
  cat >"$etc/xenresd.conf" <<'END'
server {
    listen = "0.0.0.0:8443"
}
mapper {
    socket         = "/run/xenresd/mapper.sock"
    backoff_max_ms = 500
}
END
  chmod 644 "$etc"/export "$etc"/*.conf
  install -m 644 /dev/stdin "$overlay/etc/machine-id" <<<0123456789abcdef0123456789abcdef
}

# Left running in dom0; its process id and its log have the name.
deploy_service() { # NAME COMMAND
  dom0_sh "$2 >>/var/log/$1.log 2>&1 & echo \$! >/run/$1.pid"
}

deploy_mapper() { # AS
  local command="/usr/local/sbin/xenresd-mapper --socket /run/xenresd/mapper.sock --export ${deploy_export:-/etc/xenresd/export}"
  # Unused mappings are kept for long: what is gone in the tests is gone for another reason.
  command+=" --peer-user xenresd --mapping-idle 600 --grace $deploy_grace"
  command+=" --journal /run/xenresd/traces.$1" # whose is whoever started it
  dom0 rm -f /run/xenresd/mapper.sock
  case $1 in
    user) deploy_service mapper "su xenresd-mapper -c 'exec $command'" ;;
    root) deploy_service mapper "$command --user xenresd-mapper" ;;
  esac
  dom0 wait-for 20 test -S /run/xenresd/mapper.sock
}

# What packages and units do: the mapper's group for Xen's nodes, and a folder in which xenresd finds its socket.
deploy_start() {
  dom0 xen-access xen
  dom0_sh 'mkdir -p /run/xenresd /var/lib/xenresd &&
    chown xenresd-mapper:xenresd /run/xenresd && chmod 2750 /run/xenresd &&
    chown xenresd:xenresd /var/lib/xenresd && chmod 700 /var/lib/xenresd &&
    chown xenresd /etc/xenresd/server.key'
  deploy_mapper user
  deploy_xenresd
}

deploy_xenresd() { # [PROGRAM]
  deploy_service xenresd "/usr/local/bin/setpriv --reuid 990 --regid 990 --clear-groups --bounding-set=-all --inh-caps=-all \
    --no-new-privs ${1:-/usr/local/sbin/xenresd} --config /etc/xenresd/xenresd.conf"
  deploy_ready
}

deploy_ready() {
  dom0 wait-for 20 wget -q -O /dev/null http://127.0.0.1:9480/readyz
}

deploy_url() {
  echo "https://localhost:$(dom0_port 8443)"
}

deploy_pid() { # NAME
  if [ "$1" = worker ]; then
    deploy_children /run/xenresd.pid
  else
    dom0 cat "/run/$1.pid"
  fi
}

# By what the kernel says: dom0's busybox has no pgrep.
deploy_children() { # PIDFILE
  dom0_sh "for status in /proc/[0-9]*/status; do
      if grep -q \"^PPid:.\$(cat $1)\\$\" \$status 2>/dev/null; then basename \${status%/status}; fi
    done"
}

deploy_logs() {
  dom0_sh 'for name in mapper xenresd; do sed "s/^/$name.log: /" /var/log/$name.log; done'
}
