# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Sourced by streams.sh: cases about what a watch is told of guests that change. steady.S says by which rules its guests do.

# --- all kinds at once -------------------------------------------------------------------------------------------------

live_watches=(table-1 decoded-1 requests-1 table-2 decoded-2 status-2 model)

live_begins() {
  dom0_sh "resmap serve $steady 0x510 1000000 >/tmp/serve.log 2>&1 & wait-for 10 grep -q id= /tmp/serve.log"
  same "$(dom0 cat /tmp/serve.log)" id=0
  watch table-1 steady grant_table --period 10ms
  watch decoded-1 steady grant_table --period 10ms --decode
  watch requests-1 steady ioreq_server 0 --period 10ms --decode
  watch table-2 steady-v2 grant_table --period 10ms
  watch decoded-2 steady-v2 grant_table --period 10ms --decode
  watch status-2 steady-v2 grant_table 1 --period 10ms
  watch model hvm ioreq_server 0 --period 10ms
  for name in table-1 decoded-1 requests-1 table-2 decoded-2; do
    eventually 60 told_batches "$name" 25
  done
  eventually 60 decoded_as_made decoded-1
  eventually 60 decoded_as_made decoded-2
  eventually 60 told_batches model 3
}

# dom0 maps one of the guest's grants and lets it go: Xen writes to the status frames.
status_marks_are_seen() {
  dom0_sh "provoke use $steady_v2 12 >/tmp/use.log 2>&1 & wait-for 10 grep -q using /tmp/use.log"
  eventually 10 was_told decoded-2 '^true true$' marks 12
  dom0_sh 'killall provoke && wait-for 10 sh -c "! pidof provoke"'
  eventually 10 marks_are_gone
  told_batches status-2 2
}

marks_are_gone() {
  same "$(watched decoded-2 marks 12 | tr '\n' ,)" "false false,true true,false false,"
}

# In the end, of a guest that stands still: a change that was lost would never come.
held_equals() { # NAME DOMAIN TYPE-NUMBER ID COUNT
  dom0 resmap copy "$2" "$3" "$4" 0 "$5" >"$work/truth"
  eventually 20 holds "$1" "$work/truth"
}

holds() { # NAME FILE
  watched "$1" image "$work/held"
  cmp "$work/held" "$2"
}

# The guests stand still, and so do their device models once what was asked of them is answered.
recordings_equal_the_guests() {
  local status=0
  dom0_sh "resmap pause $steady; resmap pause $steady_v2; resmap pause $hvm"
  still "$steady" 0 0 0 1
  still "$hvm" 0 0 0 2
  (
    set -eE
    held_equals table-1 "$steady" 1 0 2
    held_equals table-2 "$steady_v2" 1 0 2
    held_equals status-2 "$steady_v2" 1 1 1
    held_equals model "$hvm" 0 0 2
  ) || status=$?
  dom0_sh "resmap unpause $steady; resmap unpause $steady_v2; resmap unpause $hvm"
  return "$status"
}

# A guest whose request nobody answers any more would wait for ever.
live_ends() {
  watch_stop "${live_watches[@]}"
  complete "${live_watches[@]}"
  rests "$steady"
  dom0_sh "killall resmap; provoke poke $steady 0x300000 0"
  alive "$steady" "$steady_v2" "$hvm"
}

# Each kind of change, many times; watched.py holds each of them against the rules.
decoded_as_made() { # NAME
  watched "$1" grants >"$work/grants"
  cat "$work/grants"
  awk -F '[ =]' '{ exit !($2 >= 8 && $4 >= 8 && $6 >= 8) }' "$work/grants"
}

# Eight ports, one after the other; between two samples some may pass by.
requests_follow_the_guest() {
  watched requests-1 requests >"$work/requests"
  head -n 20 "$work/requests"
  never grep -vxE '0x0|0x51[0-7]' "$work/requests"
  same "$(sort -u "$work/requests" | grep -c 0x51)" 8 "different ports"
}

# --- the table itself --------------------------------------------------------------------------------------------------

# With status frames mapped whenever a sample is taken: any that stayed would be the guest's end.
version_goes_back() {
  local domain
  domain=$(create steady-v2 'name="back"')
  dom0 wait-for 20 sh -c "test \$(provoke peek $domain 0x300004) -gt 8"
  watch back-table back grant_table --period 20ms
  watch back-decoded back grant_table --period 20ms --decode
  watch back-status back grant_table 1 --period 20ms
  eventually 20 told_batches back-table 5
  eventually 20 was_told back-status '^0 2 1 1$' segments
  order "$domain" 1
  watch_ended back-status 10
  same "$watch_status $(watched back-status end)" "0 resource_gone" "how the watch of the status frames ended"
  eventually 10 was_told back-table '^1 1 2 2$' segments
  order "$domain" 2
  eventually 10 was_told back-table '^2 2 2 2$' segments
  eventually 10 told_batches back-table 20
  eventually 60 decoded_as_made back-decoded
  alive "$domain"
  dom0_sh "provoke poke $domain 0x300000 4; resmap pause $domain"
  held_equals back-table "$domain" 1 0 2
  watch_stop back-table back-decoded
  complete_but_for new_segment back-table back-decoded
  decoded_as_made back-decoded
  dom0_sh "xl destroy back; resmap gone $domain 2000"
}

# Frames in use are followed, a given number of frames stays. Looking adds none.
table_grows() {
  local domain
  domain=$(create steady 'name="growing"')
  dom0 wait-for 20 sh -c "test \$(provoke peek $domain 0x300004) -gt 8"
  watch all growing grant_table --period 20ms
  watch all-decoded growing grant_table --period 20ms --decode
  watch some growing grant_table --count 2 --period 20ms
  watch rest growing grant_table --first 1 --period 20ms
  for name in all some rest; do
    eventually 20 was_told "$name" '^0 1 2 ' segments
  done
  eventually 10 told_batches all 5
  same "$(dom0 resmap grants "$domain")" "frames=2 max=8 version=1" "before it grows"
  order "$domain" 3
  eventually 10 was_told all '^1 1 3 3$' segments
  order "$domain" 3
  eventually 10 was_told all '^2 1 4 4$' segments
  eventually 10 was_told rest '^[12] 1 4 3$' segments
  eventually 10 told_batches some 20
  alive "$domain"
  dom0 resmap pause "$domain"
  same "$(dom0 resmap grants "$domain")" "frames=4 max=8 version=1" "after it grew"
  held_equals all "$domain" 1 0 4
  held_equals some "$domain" 1 0 2
  same "$(watched some segments)" "0 1 2 2" "segments of a given number of frames"
  dom0 resmap copy "$domain" 1 0 1 3 >"$work/truth"
  eventually 20 holds rest "$work/truth"
  watch_stop all all-decoded some rest
  complete_but_for new_segment all all-decoded rest
  complete some
  "$BUILD/xenres" replay "$work/all-decoded.rec" >"$work/replayed"
  grep '1024.*0x20002' "$work/replayed"
  dom0_sh "xl destroy growing; resmap gone $domain 2000"
}

# --- ioreq servers -----------------------------------------------------------------------------------------------------

remade_begins() { # PERIOD
  domain=$(create steady 'name="remade"')
  dom0 wait-for 20 sh -c "test \$(provoke peek $domain 0x300004) -gt 8"
  same "$(hold_server "$domain" 1)" 0 "id of the server"
  watch remade remade ioreq_server 0 --period "$1"
  eventually 20 was_told remade '^0 0 2 2$' segments
}

remade_ends() {
  alive "$domain"
  dom0_sh "xl destroy remade; resmap gone $domain 2000"
}

# While there is none, there is nothing to be sampled: it is told, and nothing of the next one is.
gone_server_ends_its_watch() {
  local domain
  remade_begins 10ms
  drop_servers
  watch_ended remade 10
  same "$watch_status $(watched remade end)" "0 resource_gone" "how it ended"
  complete remade
  same "$(hold_server "$domain" 0)" 0 "id of the new server"
  watch anew remade ioreq_server 0 --first 1 --period 10ms
  eventually 20 was_told anew '^0 0 2 1$' segments
  watch_stop anew
  drop_servers
  remade_ends
}

# Made again between two samples: the pages are others, and what is told of them is theirs.
remade_server_is_sampled_anew() {
  local domain
  remade_begins 3s
  dom0_sh "kill \$(pidof provoke) && wait-for 5 sh -c '! pidof provoke'; resmap serve $domain 0x510 5 >/tmp/serve.log 2>&1 &
    wait-for 10 grep -q unanswered /tmp/serve.log"
  same "$(dom0 head -n 1 /tmp/serve.log)" id=0 "id of the new server"
  eventually 20 told_batches remade 1
  alive "$domain"
  held_equals remade "$domain" 0 0 2
  watch_stop remade
  complete remade
  dom0 killall resmap
  remade_ends
}
