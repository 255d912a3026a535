#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# usage: json_messages.py make|check COUNT SEED
# Run from the source tree. Makes COUNT random messages of every type of the API and of
# tests/proto/zoo.proto. Fields are left out, hold edge values, or random ones; strings have all of
# Unicode but surrogates and NUL.
# make: writes, for each, records of a 4-byte big endian length and bytes: the type's name, the
# message, its JSON by protobuf's own printer without and with default values.
# check: reads, for each, records that another implementation has made of these: the message that it
# parsed from either JSON, and its own JSON without and with default values. Fails where one of them is
# not the message.
import glob
import math
import random
import struct
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

U32 = (1 << 32) - 1
U64 = (1 << 64) - 1
DEPTH_MAX = 4
# One less than the largest, whose shortest form protobuf's Python takes for too large.
FLOAT_MAX = struct.unpack('<f', bytes.fromhex('feff7f7f'))[0]
WELLKNOWN = 'google.protobuf.'
IN_ANY = ['zoo.Leaf', 'zoo.Zoo'] + [WELLKNOWN + n for n in
                                    ('Any', 'Duration', 'Empty', 'Int32Value', 'Struct', 'Value')]


class Types:
    def __init__(self):
        with tempfile.NamedTemporaryFile() as out:
            files = sorted(glob.glob('proto/xenres/v1/*.proto')) + ['tests/proto/zoo.proto']
            subprocess.run(['protoc', '-I', 'proto', '-I', '.', '-I', '/usr/include',
                            '--include_imports', '--descriptor_set_out', out.name, *files],
                           check=True)
            files = descriptor_pb2.FileDescriptorSet.FromString(out.read())
        self.pool = descriptor_pool.DescriptorPool()
        self.factory = message_factory.MessageFactory(self.pool)
        self.names = []
        for file in files.file:
            self.pool.Add(file)
        for file in files.file:
            if file.package in ('xenres.v1', 'zoo'):
                self.names += [f'{file.package}.{m.name}' for m in file.message_type]

    def new(self, name):
        return self.factory.GetPrototype(self.pool.FindMessageTypeByName(name))()


def text():
    kinds = [(0x20, 0x7e), (0x01, 0x1f), (0x7f, 0x9f), (0xa0, 0xd7ff), (0x2000, 0x206f),
             (0xe000, 0xffff), (0x10000, 0x10ffff)]
    return ''.join(chr(random.randint(*random.choice(kinds))) for _ in range(random.randint(0, 12)))


def real(bits, edges):
    """Not -0: protobuf's own printer loses its sign."""
    kind = '<d' if bits == 64 else '<f'
    value = struct.unpack(kind, random.randbytes(bits // 8))[0]
    value = random.choice([0.0, 1.5, -0.1, 1e10, value] + edges)
    return struct.unpack(kind, struct.pack(kind, value))[0] or 0.0


def signed(bits):
    return random.choice([0, -1, (1 << bits - 1) - 1, -(1 << bits - 1),
                          random.randint(-(1 << bits - 1), (1 << bits - 1) - 1)])


def scalar(field):
    kind = field.type
    if kind == field.TYPE_STRING:
        return text()
    if kind == field.TYPE_BYTES:
        return random.randbytes(random.randint(0, 20))
    if kind == field.TYPE_BOOL:
        return random.random() < 0.5
    if kind == field.TYPE_ENUM:
        if field.enum_type.full_name == WELLKNOWN + 'NullValue':
            return 0
        return random.choice([v.number for v in field.enum_type.values] + [99, (1 << 31) - 1])
    if kind in (field.TYPE_UINT32, field.TYPE_FIXED32):
        return random.choice([0, 1, U32, random.randint(0, U32)])
    if kind in (field.TYPE_INT32, field.TYPE_SINT32, field.TYPE_SFIXED32):
        return signed(32)
    if kind in (field.TYPE_UINT64, field.TYPE_FIXED64):
        return random.choice([0, 1, U64, 1 << 53, random.randint(0, U64)])
    if kind in (field.TYPE_INT64, field.TYPE_SINT64, field.TYPE_SFIXED64):
        return signed(64)
    if kind == field.TYPE_FLOAT:
        return real(32, [math.nan, math.inf, -math.inf, FLOAT_MAX])
    if kind == field.TYPE_DOUBLE:
        return real(64, [math.nan, math.inf, -math.inf, sys.float_info.max, 5e-324])
    raise SystemExit(f'{field.full_name}: no values for this type')


def fill_timestamp(types, message, depth):
    message.seconds = random.choice([0, -1, -62135596800, 253402300799,
                                     random.randint(-62135596800, 253402300799)])
    message.nanos = random.choice([0, 999999999, 1000, 1000000, random.randint(0, 999999999)])


def fill_duration(types, message, depth):
    sign = random.choice([1, -1])
    message.seconds = sign * random.choice([0, 1, 315576000000, random.randint(0, 315576000000)])
    message.nanos = sign * random.choice([0, 999999999, 500000000, random.randint(0, 999999999)])


def fill_field_mask(types, message, depth):
    words = ['a', 'name', 'sub', 'page', 'x9']
    for _ in range(random.randint(0, 3)):
        message.paths.append('.'.join('_'.join(random.choices(words, k=random.randint(1, 3)))
                                      for _ in range(random.randint(1, 3))))


def fill_value(types, message, depth):
    kind = random.choice(['null', 'number', 'string', 'bool'] + ['struct', 'list'] * (depth > 0))
    if kind == 'null':
        message.null_value = 0
    elif kind == 'number':
        value = real(64, [])
        message.number_value = value if math.isfinite(value) else 1.0
    elif kind == 'string':
        message.string_value = text()
    elif kind == 'bool':
        message.bool_value = random.random() < 0.5
    elif kind == 'struct':
        message.struct_value.SetInParent()
        fill_struct(types, message.struct_value, depth - 1)
    else:
        message.list_value.SetInParent()
        fill_list(types, message.list_value, depth - 1)


def fill_struct(types, message, depth):
    for _ in range(random.randint(0, 3)):
        fill_value(types, message.fields[text()], depth)


def fill_list(types, message, depth):
    for _ in range(random.randint(0, 3)):
        fill_value(types, message.values.add(), depth)


def fill_any(types, message, depth):
    if random.random() < 0.1:
        return
    name = random.choice(IN_ANY)
    content = types.new(name)
    fill(types, content, depth - 1)
    message.type_url = f'type.googleapis.com/{name}'
    message.value = content.SerializeToString()


FILL = {'Timestamp': fill_timestamp, 'Duration': fill_duration, 'FieldMask': fill_field_mask,
        'Value': fill_value, 'Struct': fill_struct, 'ListValue': fill_list, 'Any': fill_any}


def fill_map(types, field, entries, depth):
    key, value = field.message_type.fields
    for _ in range(random.randint(0, 3)):
        if value.type == value.TYPE_MESSAGE:
            fill(types, entries[scalar(key)], depth)
        else:
            entries[scalar(key)] = scalar(value)


def fill_repeated(types, field, elements, depth):
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        fill_map(types, field, elements, depth)
        return
    for _ in range(random.randint(0, 3)):
        if field.type == field.TYPE_MESSAGE:
            fill(types, elements.add(), depth - 1)
        else:
            elements.append(scalar(field))


def fill(types, message, depth):
    name = message.DESCRIPTOR.full_name
    if name.startswith(WELLKNOWN) and name[len(WELLKNOWN):] in FILL:
        FILL[name[len(WELLKNOWN):]](types, message, depth)
        return
    left_out = 0.3 if depth == DEPTH_MAX else 0.6
    for field in message.DESCRIPTOR.fields:
        if random.random() < left_out or (depth <= 0 and field.type == field.TYPE_MESSAGE):
            continue
        if field.label == field.LABEL_REPEATED:
            fill_repeated(types, field, getattr(message, field.name), depth)
        elif field.type == field.TYPE_MESSAGE:
            getattr(message, field.name).SetInParent()
            fill(types, getattr(message, field.name), depth - 1)
        else:
            setattr(message, field.name, scalar(field))


def messages(types, count):
    for name in types.names:
        for _ in range(count):
            message = types.new(name)
            fill(types, message, DEPTH_MAX)
            yield message


def write_record(data):
    sys.stdout.buffer.write(struct.pack('>I', len(data)) + data)


def read_record():
    size, = struct.unpack('>I', sys.stdin.buffer.read(4))
    return sys.stdin.buffer.read(size)


def make(types, count):
    for message in messages(types, count):
        write_record(message.DESCRIPTOR.full_name.encode())
        write_record(message.SerializeToString())
        for defaults in False, True:
            write_record(json_format.MessageToJson(message, including_default_value_fields=defaults,
                                                   descriptor_pool=types.pool).encode())


def check(types, count):
    def canonical(message):
        """Neither ==, as a NaN is not equal to itself, nor bytes, as those in an Any have their maps in
        any order."""
        return json_format.MessageToDict(message, descriptor_pool=types.pool)

    for message in messages(types, count):
        name = message.DESCRIPTOR.full_name
        for what in 'their JSON', 'their JSON with defaults':
            parsed = types.new(name)
            parsed.ParseFromString(read_record())
            if canonical(parsed) != canonical(message):
                sys.exit(f'{name}, parsed from {what}: {parsed}\n is not {message}')
        for what in 'our JSON', 'our JSON with defaults':
            parsed = types.new(name)
            text = read_record().decode()
            json_format.Parse(text, parsed, descriptor_pool=types.pool)
            if canonical(parsed) != canonical(message):
                sys.exit(f'{name}, from {what}: {text}: {parsed}\n is not {message}')
    if sys.stdin.buffer.read(1):
        sys.exit('more records than messages')


def main():
    random.seed(int(sys.argv[3]))
    {'make': make, 'check': check}[sys.argv[1]](Types(), int(sys.argv[2]))


main()
