"""A scheduler as the Python prototype has it: it takes jobs, and fails on any that has no priority.

Prints priority and runtime of so many jobs, and ends. Arguments: URL COUNT
"""

import asyncio
import json
import sys

import websockets


async def main(url, count):
    async with websockets.connect(url) as ws:
        await ws.send(json.dumps({"cmd": "register", "type": "scheduler"}))
        for _ in range(int(count)):
            job = json.loads(await ws.recv())
            print(job["priority"], job["runtime"], flush=True)


asyncio.run(main(*sys.argv[1:]))
