"""Relays a port of loopback to a Unix socket, for tools that know ports only."""

import asyncio
import sys


async def relay(source, sink):
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    except ConnectionError:
        pass
    finally:
        sink.close()


async def attend(reader, writer):
    try:
        inside, outside = await asyncio.open_unix_connection(sys.argv[1])
    except OSError:
        writer.close()
        return
    await asyncio.gather(relay(reader, outside), relay(inside, writer))


async def main():
    server = await asyncio.start_server(attend, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


asyncio.run(main())
