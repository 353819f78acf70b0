"""A producer as the Python prototype has it: it registers, sends, and never reads.

Arguments: URL COUNT
"""

import asyncio
import json
import sys

import websockets


async def main(url, count):
    async with websockets.connect(url) as ws:
        await ws.send(json.dumps({"cmd": "register", "type": "producer"}))
        for n in range(int(count)):
            job = {"priority": n, "runtime": 3 + n}
            await ws.send(json.dumps({"cmd": "job_request", "payload": job}))
            await asyncio.sleep(0.01)


asyncio.run(main(*sys.argv[1:]))
