#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# usage: relay.py PORT-FILE TARGET-FILE
#
# Hands on what comes to a port of 127.0.0.1, which is written into PORT-FILE, to the port that
# TARGET-FILE has when a connection comes: none where there is no such file. SIGUSR1 resets all
# connections that there are.
import asyncio
import os
import signal
import sys

open_transports = set()


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        pass


async def serve(reader, writer):
    transports = [writer.transport]
    try:
        with open(sys.argv[2], encoding="ascii") as file:
            target_reader, target_writer = await asyncio.open_connection("127.0.0.1", int(file.read()))
        transports.append(target_writer.transport)
        open_transports.update(transports)
        await asyncio.gather(pump(reader, target_writer), pump(target_reader, writer))
    except (OSError, ValueError):
        pass
    finally:
        open_transports.difference_update(transports)
        for transport in transports:
            transport.abort()


def reset():
    for transport in list(open_transports):
        transport.abort()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, reset)
    with open(sys.argv[1] + ".new", "w", encoding="ascii") as file:
        print(server.sockets[0].getsockname()[1], file=file)
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    await server.serve_forever()


asyncio.run(main())
