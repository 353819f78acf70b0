"""A bus as the Python prototype has it: broadcast, and forget.

Prints its port, then a line for every role that is taken. With an argument it
also pings everybody who takes a role, and prints a line for every answer.
"""

import asyncio
import json
import sys

import websockets

schedulers = set()


async def ping(ws, role):
    for _ in range(3):
        await (await ws.ping())
        print("pong from", role, flush=True)


async def serve(ws):
    pings = []
    try:
        async for text in ws:
            message = json.loads(text)
            if message["cmd"] == "register":
                if message["type"] == "scheduler":
                    schedulers.add(ws)
                print("registered", message["type"], flush=True)
                if sys.argv[1:]:
                    pings.append(asyncio.create_task(ping(ws, message["type"])))
            elif message["cmd"] == "job_request":
                text = json.dumps(message["payload"])
                await asyncio.gather(*(s.send(text) for s in schedulers if s is not ws))
    finally:
        schedulers.discard(ws)


async def main():
    async with websockets.serve(serve, "127.0.0.1", 0) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await asyncio.Future()


asyncio.run(main())
