# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Sourced by gateway.sh: cases about device models' pages.

# hold_server DOMAIN BUFFERED: an ioreq server of provoke's; prints its id.
hold_server() {
  dom0_sh "provoke server $1 $2 >/tmp/server.log 2>&1 & wait-for 10 grep -q id= /tmp/server.log &&
    sed s/id=// /tmp/server.log"
}

drop_servers() {
  dom0_sh 'killall provoke && wait-for 10 sh -c "! pidof provoke"'
}

device_model_is_seen() {
  local domain
  domain=$(dom0 xl domid hvm)
  client ioreqs hvm 0 >"$work/answer.json"
  show ioreqs "$work/answer.json" >"$work/ioreqs"
  cat "$work/ioreqs"
  # The last request stands in the page when its answer was taken, too.
  grep -Eq '^vcpu=0 state=[a-z_]+ type=(pio|copy|pci_config) address=0x[1-9a-f][0-9a-f]* size=[1248] ' "$work/ioreqs"
  grep -qx buffered "$work/ioreqs"
  alive "$domain"
}

# A request that stands still, of a guest and a device model whose doings are known.
pending_request_is_decoded() {
  local domain
  domain=$(create tiny-io)
  dom0_sh "resmap serve $domain 0x510 3 >/tmp/serve.log 2>&1 &"
  dom0 wait-for 10 grep -q unanswered /tmp/serve.log
  alive "$domain"
  client ioreqs tiny-io >"$work/answer.json"
  same "$(show ioreqs "$work/answer.json")" "vcpu=0 state=ready type=pio address=0x510 size=1 read=true
buffered"
  compare_frames tiny-io ioreq_server 0 0 2 "$domain"
  compare_frames tiny-io ioreq_server 0 1 1 "$domain"
  alive "$domain"
  dom0 killall resmap
  dom0 xl destroy tiny-io
  dom0 resmap gone "$domain" 1000
}

server_without_buffered_page() {
  local id
  id=$(hold_server "$tiny" 0)
  client ioreqs tiny "$id" >"$work/answer.json"
  same "$(show ioreqs "$work/answer.json")" "vcpu=0 state=none type=pio address=0x0 size=0 read=false
unbuffered"
  raw "$work/frames" tiny ioreq_server "$id" 'first=1&count=1'
  drop_servers
}

# Xen refuses the old way of mapping by frame number as soon as anybody has acquired the pages: it is the witness that
# listing and describing acquire nothing, and that asking for the frames does.
listing_acquires_nothing() {
  local id before
  id=$(hold_server "$hvm" 1)
  before=$(mappings)
  client resources hvm >"$work/answer.json"
  show resources "$work/answer.json" | grep -qx "ioreq_server $id on_request 2/2 -"
  client describe hvm ioreq_server "$id" >"$work/answer.json"
  client describe hvm ioreq_server >"$work/answer.json"
  client domains >"$work/answer.json"
  client ioreqs hvm 0 >"$work/answer.json" # another server's
  same "$(mappings)" "$before" "live mappings"
  dom0 provoke legacy "$hvm" "$id"
  drop_servers
  id=$(hold_server "$hvm" 1)
  client ioreqs hvm "$id" >"$work/answer.json"
  refuses EPERM provoke legacy "$hvm" "$id"
  drop_servers
}

ioreq_pages_are_let_go() {
  local before
  before=$(mappings)
  client ioreqs hvm 0 >"$work/answer.json"
  raw "$work/frames" hvm ioreq_server 0 'first=1&count=1'
  snapshot hvm ioreq_server 0 --output "$work/frames"
  same "$(mappings)" "$before" "live mappings after ioreq pages were asked for"
}

# A server destroyed and made again with the same id has other pages.
new_server_is_not_taken_for_the_old() {
  local id
  id=$(hold_server "$tiny" 1)
  client ioreqs tiny "$id" >"$work/answer.json"
  show ioreqs "$work/answer.json" | grep -qx buffered
  drop_servers
  same "$(hold_server "$tiny" 0)" "$id" "id of the new server"
  client ioreqs tiny "$id" >"$work/answer.json"
  show ioreqs "$work/answer.json" | grep -qx unbuffered
  drop_servers
}
