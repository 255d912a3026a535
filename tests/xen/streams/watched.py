# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
"""usage: xenres -o json replay RECORDING | watched.py WHAT [ARG]

Reads what a watch was told, a JSON message a line, and prints what tests compare. It keeps its own books: numbers
without holes, images of all their pieces, blocks within them; anything else is an error. Nothing of the gateway's is in
it.

  image FILE      writes what the watch holds at its end
  begins          per stream: domid, UUID, name, incarnation, feed, resumed or anew
  end             the reason; - where there is none
  segments        per image: segment, version, frames in use, frames of it
  sums            batches told, blocks of them, gaps; one line
  grants          decoded: appeared, changed and went away, in all; each has to be what steady.S makes
  marks REF       decoded: each different pair of `reading writing` of that ref, in order
  requests        decoded: the addresses of the requests, in order, one after the other different
  domains         of watch --domains: kind, domid, UUID, incarnation, name of each event
"""
import base64
import json
import sys

BLOCK_BYTES = 64
STEPS, STEP_REFS, ADDED = 0x10000, range(20, 20 + 16 * 32, 32), 0x20000


def word(value, prefix):
    return value.removeprefix(prefix).lower() if value else "-"


def number(message, name):
    return int(message.get(name, 0))


class Watched:
    def __init__(self):
        self.image, self.pieces, self.last, self.segment, self.feed = None, None, None, 0, ""
        self.begins, self.segments, self.end = [], [], "-"
        self.batches = self.blocks = self.gaps = 0
        self.partial = None

    def numbers(self, first, last):
        """Batches from first to last are spoken of: they follow what is known."""
        if self.last is not None and not first <= self.last + 1:
            raise ValueError(f"batches from {self.last + 1} to {first - 1} are missing")
        if self.last is not None and last <= self.last:
            raise ValueError(f"batch {last} comes again after {self.last}")
        self.batches += last - (self.last or 0)
        self.last = last

    def begin(self, m):
        who = m.get("domain", {})
        if m["feed"] != self.feed:
            self.last = self.image = None
        elif not m["resumed"]:
            self.image = None
        self.feed, self.pieces, self.partial = m["feed"], None, None
        self.begins.append(" ".join([
            str(number(who, "domid")), who.get("uuid", "-"), who.get("name", "-"), who.get("incarnation", "-"),
            m["feed"], "resumed" if m["resumed"] else "anew"]))

    def take_image(self, m):
        if "observation" in m and m["observation"]:
            seen = m["observation"]
            self.pieces, self.seen = bytearray(), seen
        piece = base64.b64decode(m.get("frames", ""))
        if number(m, "offsetBytes") != len(self.pieces):
            raise ValueError(f"a piece at {m['offsetBytes']} follows {len(self.pieces)} bytes")
        self.pieces += piece
        if not m.get("complete"):
            return
        first, last = number(m, "firstSequence"), number(m, "sequence")
        if first:
            self.numbers(first, last)
        elif self.last not in (None, last):
            raise ValueError(f"an image of batch {last} follows batch {self.last}")
        self.last, self.segment = last, number(m, "segment")
        self.image, self.pieces = self.pieces, None
        self.segments.append(f"{self.segment} {number(self.seen, 'grantVersion')} {number(self.seen, 'framesInUse')} "
                             f"{len(self.image) // 4096}")

    def take_changes(self, m):
        if self.image is None:
            raise ValueError("changes without an image")
        if number(m, "segment") != self.segment:
            raise ValueError(f"changes of segment {m['segment']} in segment {self.segment}")
        key = (number(m, "firstSequence"), number(m, "sequence"))
        if self.partial != key:
            self.numbers(*key)
        self.partial = key if m.get("more") else None
        content = base64.b64decode(m.get("content", ""))
        blocks = m.get("blocks", [])
        if len(content) != BLOCK_BYTES * len(blocks):
            raise ValueError(f"{len(blocks)} blocks have {len(content)} bytes")
        for i, block in enumerate(blocks):
            at = block * BLOCK_BYTES
            if at + BLOCK_BYTES > len(self.image):
                raise ValueError(f"block {block} is beyond the image")
            self.image[at:at + BLOCK_BYTES] = content[i * BLOCK_BYTES:(i + 1) * BLOCK_BYTES]
        self.blocks += len(blocks)

    def take_decoded(self, m):
        key = (number(m, "firstSequence"), number(m, "sequence"))
        if m.get("whole"):
            if key[0]:
                self.numbers(*key)
            self.last, self.segment = key[1], number(m, "segment")
        elif self.partial != key:
            self.numbers(*key)
        self.partial = key if m.get("more") else None

    def gap(self, m):
        self.gaps += 1
        self.numbers(number(m, "firstSequence"), number(m, "sequence"))

    def take_list(self, m):
        self.last = number(m, "sequence")

    def take_event(self, m):
        self.numbers(number(m, "firstSequence") or number(m, "sequence"), number(m, "sequence"))

    def message(self, m):
        kind, content = next(iter(m.items()))
        {
            "begin": self.begin, "image": self.take_image, "changes": self.take_changes, "decoded": self.take_decoded,
            "gap": self.gap, "list": self.take_list, "change": self.take_event,
        }.get(kind, lambda m: None)(content)
        if kind == "end":
            self.end = word(content.get("reason"), "WATCH_END_REASON_")
        return kind, content


class Grants:
    """What decoded changes may be: steady.S has the rules."""

    def __init__(self):
        self.there, self.counts = {}, {"appeared": 0, "changed": 0, "went_away": 0}

    def check_entry(self, entry):
        ref, frame = entry.get("reference", 0), int(entry["frame"])
        step = frame - STEPS
        if not 0 <= step < STEPS or ref not in STEP_REFS:
            return
        phase, readonly = step % 4, entry.get("readonly", False)
        if STEP_REFS[step // 4 % 16] != ref or phase == 3 or entry.get("domid") != 3:
            raise ValueError(f"no step of the guest's makes {entry}")
        # The frame of phase 2 is written just before the flag is taken away.
        if phase < 2 and not readonly:
            raise ValueError(f"not readonly in phase {phase}: {entry}")

    def take(self, m):
        for change in m.get("grants", []):
            entry, kind = change["entry"], word(change["kind"], "GRANT_CHANGE_KIND_")
            ref = entry.get("reference", 0)
            was = self.there.get(ref) if not m.get("whole") else None
            if m.get("whole"):
                if kind != "appeared":
                    raise ValueError(f"whole content has {kind}")
            else:
                self.counts[kind] += 1
            if (kind == "appeared") != (was is None):
                raise ValueError(f"{kind}, and it was {was}: {entry}")
            if was is not None and change.get("before") != was:
                raise ValueError(f"before is {change.get('before')}, and it was {was}")
            if kind == "went_away":
                del self.there[ref]
                continue
            self.check_entry(entry)
            if was is not None and ref in STEP_REFS and int(was["frame"]) > int(entry["frame"]):
                raise ValueError(f"went back from {was} to {entry}")
            self.there[ref] = entry


def each_different(rows):
    last = None
    for row in rows:
        if row != last:
            yield row
        last = row


def main(what, *args):
    watched, grants, rows = Watched(), Grants(), []
    for line in sys.stdin:
        goes_on = watched.partial is not None
        kind, m = watched.message(json.loads(line))
        if what == "grants" and kind == "decoded":
            if m.get("whole") and not goes_on:
                grants.there = {}
            grants.take(m)
        elif what == "marks" and kind == "decoded":
            rows += [f"{e.get('reading', False)} {e.get('writing', False)}".lower()
                     for e in (change["entry"] for change in m.get("grants", [])) if e.get("reference", 0) == int(args[0])]
        elif what == "requests" and kind == "decoded":
            rows += [f"{int(change['ioreq'].get('address', 0)):#x}" for change in m.get("ioreqs", [])]
        elif what == "domains" and kind == "change":
            who = m["domain"]["identity"]
            rows.append(" ".join([word(m.get("kind"), "DOMAIN_CHANGE_KIND_"), str(who.get("domid", 0)), who["uuid"],
                                  who["incarnation"], who.get("name", "")]))
    if what == "image":
        with open(args[0], "wb") as out:
            out.write(watched.image)
    elif what == "begins":
        rows = watched.begins
    elif what == "segments":
        rows = watched.segments
    elif what == "end":
        rows = [watched.end]
    elif what == "sums":
        rows = [f"batches={watched.batches} blocks={watched.blocks} gaps={watched.gaps}"]
    elif what == "grants":
        rows = [" ".join(f"{kind}={count}" for kind, count in grants.counts.items())]
    sys.stdout.write("".join(f"{row}\n" for row in (rows if what == "domains" else each_different(rows))))


main(*sys.argv[1:])
