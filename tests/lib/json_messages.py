#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# usage: json_messages.py PROTO-FOLDER COUNT SEED
# Makes COUNT random messages of every type of the API and writes, for each, records of a 4-byte big
# endian length and bytes: the type's name, the message, its JSON by protobuf's own printer without
# and with default values. Fields are left out, hold edge values, or random ones; strings have all of
# Unicode but surrogates and NUL.
import glob
import os
import random
import struct
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

U32 = (1 << 32) - 1
U64 = (1 << 64) - 1
STAMP = 'google.protobuf.Timestamp'


def load(folder):
    with tempfile.NamedTemporaryFile() as out:
        files = sorted(glob.glob(os.path.join(folder, 'xenres/v1/*.proto')))
        subprocess.run(['protoc', '-I', folder, '-I', '/usr/include', '--include_imports',
                        '--descriptor_set_out', out.name, *files], check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read())
    pool = descriptor_pool.DescriptorPool()
    types = []
    for file in files.file:
        pool.Add(file)
    for file in files.file:
        types += [f'{file.package}.{m.name}' for m in file.message_type if file.package == 'xenres.v1']
    return [pool.FindMessageTypeByName(name) for name in types]


def text():
    kinds = [(0x20, 0x7e), (0x01, 0x1f), (0x7f, 0x9f), (0xa0, 0xd7ff), (0x2000, 0x206f),
             (0xe000, 0xffff), (0x10000, 0x10ffff)]
    return ''.join(chr(random.randint(*random.choice(kinds))) for _ in range(random.randint(0, 12)))


def scalar(field):
    kind = field.type
    if kind == field.TYPE_STRING:
        return text()
    if kind == field.TYPE_BYTES:
        return random.randbytes(random.randint(0, 20))
    if kind == field.TYPE_BOOL:
        return random.random() < 0.5
    if kind == field.TYPE_ENUM:
        return random.choice([v.number for v in field.enum_type.values] + [99, (1 << 31) - 1])
    if kind == field.TYPE_UINT32:
        return random.choice([0, 1, U32, random.randint(0, U32)])
    if kind == field.TYPE_INT32:
        return random.choice([0, -1, (1 << 31) - 1, -(1 << 31)])
    if kind == field.TYPE_UINT64:
        return random.choice([0, 1, U64, 1 << 53, random.randint(0, U64)])
    raise SystemExit(f'{field.full_name}: no values for this type')


def fill(message):
    if message.DESCRIPTOR.full_name == STAMP:
        message.seconds = random.choice([0, -1, -62135596800, 253402300799,
                                         random.randint(-62135596800, 253402300799)])
        message.nanos = random.choice([0, 999999999, 1000, 1000000, random.randint(0, 999999999)])
        return
    for field in message.DESCRIPTOR.fields:
        if random.random() < 0.3:
            continue
        if field.label == field.LABEL_REPEATED:
            for _ in range(random.randint(0, 3)):
                if field.type == field.TYPE_MESSAGE:
                    fill(getattr(message, field.name).add())
                else:
                    getattr(message, field.name).append(scalar(field))
        elif field.type == field.TYPE_MESSAGE:
            getattr(message, field.name).SetInParent()
            fill(getattr(message, field.name))
        else:
            setattr(message, field.name, scalar(field))


def record(data):
    sys.stdout.buffer.write(struct.pack('>I', len(data)) + data)


def main():
    random.seed(int(sys.argv[3]))
    factory = message_factory.MessageFactory()
    for descriptor in load(sys.argv[1]):
        kind = factory.GetPrototype(descriptor)
        for _ in range(int(sys.argv[2])):
            message = kind()
            fill(message)
            record(descriptor.full_name.encode())
            record(message.SerializeToString())
            for defaults in False, True:
                record(json_format.MessageToJson(
                    message, including_default_value_fields=defaults).encode())


main()
