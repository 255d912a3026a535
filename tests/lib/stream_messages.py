#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# usage: stream_messages.py print FILE [ENCODING]
#        stream_messages.py image FILE
#        stream_messages.py trace FILE...
# FILE is what came so far of a stream in JSON, as curl wrote it.
# print: each message that is whole, on a line; those that are compressed expanded. The one that ends
# the stream is {"endOfStream": …}.
# image: what the raw messages of a watch come to: the last image with all changes behind it. Fails
# where a number is missing or comes twice.
# trace: the bytes of streams of a trace that went on one behind the other, from position 0 on. Fails where
# one is missing, declared or not, or comes again as another.
import base64
import json
import struct
import subprocess
import sys
import zlib


def expand(data, encoding):
    if encoding == "gzip":
        return zlib.decompress(data, 31)
    return subprocess.run(["zstd", "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout


def messages(path, encoding=None):
    with open(path, "rb") as file:
        data = file.read()
    while len(data) >= 5:
        flags, length = struct.unpack(">BI", data[:5])
        if len(data) < 5 + length:
            return
        body = data[5:5 + length]
        data = data[5 + length:]
        if flags & 1:
            body = expand(body, encoding)
        message = json.loads(body)
        yield {"endOfStream": message} if flags & 2 else message


def image(path):
    content, sequence = bytearray(), None
    for message in messages(path):
        if "image" in message:
            part = message["image"]
            if int(part.get("offsetBytes", 0)) == 0:
                content = bytearray()
            content += base64.b64decode(part["frames"])
            sequence = int(part.get("sequence", 0))
        elif "changes" in message:
            part = message["changes"]
            if int(part["firstSequence"]) != sequence + 1:
                sys.exit(f"{part['firstSequence']} comes behind {sequence}")
            new = base64.b64decode(part["content"])
            for i, block in enumerate(part["blocks"]):
                content[block * 64:block * 64 + 64] = new[i * 64:i * 64 + 64]
            if not part.get("more"):
                sequence = int(part["sequence"])
    sys.stdout.buffer.write(content)


def trace(paths):
    content = bytearray()
    for path in paths:
        at = None
        for message in messages(path):
            if "begin" in message:
                at = int(message["begin"].get("position", 0))
            if "gap" in message:
                sys.exit(f"a gap: {message['gap']}")
            if "data" not in message:
                continue
            part = message["data"]
            new, position = base64.b64decode(part["data"]), int(part.get("position", 0))
            if position != at or at > len(content):
                sys.exit(f"{position} comes behind {at} of {len(content)}")
            again = bytes(content[position:position + len(new)])
            if again != new[:len(again)]:
                sys.exit(f"other bytes come at {position}")
            content += new[len(again):]
            at = position + len(new)
    sys.stdout.buffer.write(content)


if sys.argv[1] == "print":
    for each in messages(*sys.argv[2:]):
        print(json.dumps(each))
elif sys.argv[1] == "trace":
    trace(sys.argv[2:])
else:
    image(sys.argv[2])
