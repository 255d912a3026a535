# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
"""usage: reader.py call METHOD JSON | reader.py read DIR DOMAIN VCPU TRACE-ID

A client of TraceService that shares nothing with the gateway's own: Connect with JSON, by Python's http.client. SERVER,
CACERT, CERT and KEY are in the environment.

call    one of the calls; prints the answer, or the error with status 22.

read    reads one vCPU of a trace until it ends, or SIGTERM comes; through cuts, by the last cursor. DIR/N.pt are the
        bytes of stretches without a hole, N = 0, 1, …; DIR/books.json is what was told:
          position      of the next byte: delivered + lost
          delivered     bytes
          lost, open    bytes told as lost, and how many of those losses may have been larger
          pieces        of each N.pt: position, offset, segment, epoch, bytes
          segments      position, segment, epoch, reason, as told
          gaps          position, length, atLeast, reason, as told; or what was no longer held when it came back
          begins        streams; heartbeats; cuts
          end           the last message, or null
          cursor
        Started again with a DIR it goes on with what is there. Keeps its own books: a position that is not the next
        one, an offset that is not what segment and position call for, bytes that come again and are others: an error,
        status 1.
"""
import base64
import http.client
import json
import os
import signal
import ssl
import struct
import sys
import time
import urllib.parse

END, RETRY_S, SAVE_S, SILENCE_S = 2, 0.2, 0.2, 60


def post(method, body, kind):
    url = urllib.parse.urlparse(os.environ["SERVER"])
    tls = ssl.create_default_context(cafile=os.environ["CACERT"])
    tls.load_cert_chain(os.environ["CERT"], os.environ["KEY"])
    connection = http.client.HTTPSConnection(url.hostname, url.port, context=tls, timeout=SILENCE_S)
    connection.request("POST", f"/xenres.v1.TraceService/{method}", body,
                       {"Content-Type": kind, "Connect-Protocol-Version": "1"})
    return connection.getresponse()


def call(method, text):
    answer = post(method, text.encode(), "application/json")
    print(answer.read().decode())
    return 0 if answer.status == 200 else 22


def number(message, name):
    return int(message.get(name, 0))


class Cut(Exception):
    pass


class NoLonger(Exception):
    """Bytes behind the cursor are no longer held."""


class Refused(Exception):
    pass


def exactly(answer, count):
    data = answer.read(count)
    if len(data) != count:
        raise Cut(f"cut after {len(data)} of {count} bytes")
    return data


def messages(request):
    """Until the stream's end. What the gateway refuses and may grant later is a cut."""
    text = json.dumps(request).encode()
    answer = post("ReadTrace", struct.pack(">BI", 0, len(text)) + text, "application/connect+json")
    if answer.status != 200:
        raise Cut(f"HTTP {answer.status}")
    while True:
        flags, count = struct.unpack(">BI", exactly(answer, 5))
        message = json.loads(exactly(answer, count))
        if not flags & END:
            yield message
            continue
        error = message.get("error")
        if error and error["code"] in ("unavailable", "aborted", "resource_exhausted"):
            raise Cut(error["message"])
        if error and error["code"] == "out_of_range":
            raise NoLonger(error["message"])
        if error:
            raise Refused(f"{error['code']}: {error['message']}")
        return


class Reader:
    def __init__(self, folder):
        self.folder, self.saved_at = folder, 0
        self.books = {"position": 0, "delivered": 0, "lost": 0, "open": 0, "pieces": [], "segments": [], "gaps": [],
                      "begins": 0, "heartbeats": 0, "cuts": [], "end": None, "cursor": "", "feed": ""}
        os.makedirs(folder, exist_ok=True)
        if os.path.exists(self.path("books.json")):
            with open(self.path("books.json"), encoding="utf-8") as file:
                self.books = json.load(file)
        for index, piece in enumerate(self.books["pieces"]):  # what a killed reader wrote and did not book
            os.truncate(self.path(f"{index}.pt"), piece["bytes"])
        if os.path.exists(self.path(f"{len(self.books['pieces'])}.pt")):
            os.remove(self.path(f"{len(self.books['pieces'])}.pt"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def save(self):
        with open(self.path("books.new"), "w", encoding="utf-8") as file:
            json.dump(self.books, file)
        os.rename(self.path("books.new"), self.path("books.json"))
        self.saved_at = time.monotonic()

    def begin(self, m):
        b = self.books
        b["begins"] += 1
        if b["feed"] and m["feed"] != b["feed"]:
            raise ValueError(f"feed {m['feed']} follows {b['feed']}")
        missing = number(m, "position") - b["position"]
        if missing > 0 and b["cursor"]:
            raise ValueError(f"begins at {m['position']} instead of {b['position']}")
        if missing > 0:
            self.gap({"position": b["position"], "length": missing, "atLeast": True, "reason": "no_longer_held"})
        b["feed"] = m["feed"]

    def segment(self, m):
        if number(m, "position") >= self.books["position"]:
            self.books["segments"].append(
                {"position": number(m, "position"), "segment": number(m, "segment"), "epoch": number(m, "epoch"),
                 "reason": m["reason"].removeprefix("TRACE_SEGMENT_REASON_").lower()})

    def data(self, m):
        b, data, position = self.books, base64.b64decode(m["data"]), number(m, "position")
        known = b["position"] - position
        if known < 0:
            raise ValueError(f"bytes from {b['position']} to {position} are missing without a word")
        if known >= len(data):
            return
        where = {name: number(m, name) for name in ("offset", "segment", "epoch")}
        where["offset"] += known
        data = data[known:]
        self.place(b["position"], where)
        piece = b["pieces"][-1]
        with open(self.path(f"{len(b['pieces']) - 1}.pt"), "ab") as file:
            file.write(data)
        piece["bytes"] += len(data)
        b["delivered"] += len(data)
        b["position"] += len(data)

    def place(self, position, where):
        """A piece goes on where nothing was lost and no segment begins."""
        pieces = self.books["pieces"]
        last = pieces[-1] if pieces else None
        if last and last["position"] + last["bytes"] == position and last["segment"] == where["segment"]:
            if where["offset"] != last["offset"] + last["bytes"] or where["epoch"] != last["epoch"]:
                raise ValueError(f"offset {where} does not follow {last}")
            return
        if last and where["segment"] < last["segment"]:
            raise ValueError(f"segment {where['segment']} after {last['segment']}")
        if last and where["segment"] == last["segment"] and (
                where["offset"] - last["offset"] != position - last["position"]):
            raise ValueError(f"within a segment {where} is not as far from {last} as position {position}")
        pieces.append({"position": position, "bytes": 0, **where})

    def gap(self, m):
        b, position, length = self.books, number(m, "position"), number(m, "length")
        if position + length < b["position"]:
            return
        if position != b["position"]:
            raise ValueError(f"a gap at {position} instead of {b['position']}")
        b["gaps"].append({"position": position, "length": length, "atLeast": m.get("atLeast", False),
                          "reason": m["reason"].removeprefix("TRACE_GAP_REASON_").lower()})
        b["lost"] += length
        b["open"] += m.get("atLeast", False)
        b["position"] += length

    def checkpoint(self, m):
        if number(m, "position") == self.books["position"]:
            self.books["cursor"] = m["cursor"]

    def heartbeat(self, m):
        self.books["heartbeats"] += 1
        if number(m, "position") != self.books["position"]:
            raise ValueError(f"a heartbeat at {m.get('position')} instead of {self.books['position']}")

    def end(self, m):
        reason = m["reason"].removeprefix("TRACE_END_REASON_").lower()
        if reason in ("shutting_down", "deadline", "failed"):
            raise Cut(reason)
        self.books["end"] = {**m, "reason": reason, "position": number(m, "position")}

    def stream(self, request):
        for message in messages({**request, "cursor": self.books["cursor"]}):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # books are of whole messages
            for kind, content in message.items():
                getattr(self, kind)(content)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            if time.monotonic() > self.saved_at + SAVE_S:
                self.save()

    def read(self, request):
        last_cut = None
        while not self.books["end"]:
            try:
                self.stream(request)
            except NoLonger:
                self.books["cursor"] = ""  # from the oldest byte that there is
            except (Cut, OSError, http.client.HTTPException) as cut:
                if str(cut) != last_cut:
                    self.books["cuts"].append(str(cut))
                last_cut = str(cut)
                self.save()
                time.sleep(RETRY_S)


def read(folder, domain, vcpu, trace):
    reader = Reader(folder)

    def stop(*_):
        sys.exit(0)
    signal.signal(signal.SIGTERM, stop)
    try:
        reader.read({"domain": domain, "vcpu": int(vcpu), "traceId": trace})
    finally:
        reader.save()
    return 0


def main():
    commands = {("call", 2): call, ("read", 4): read}
    command = commands.get((sys.argv[1] if len(sys.argv) > 1 else "", len(sys.argv) - 2))
    if not command:
        sys.exit(__doc__)
    try:
        return command(*sys.argv[2:])
    except (ValueError, Refused, OSError, http.client.HTTPException) as error:
        print(f"reader.py: {error}", file=sys.stderr)
        return 1


sys.exit(main())
