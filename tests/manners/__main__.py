"""A crowd of rude clients, as a process of its own that gives way to everybody else.

    python -m tests.manners KIND CLIENTS

Reads the target from the first line of stdin, so that no secret is on a command line, and prints
a line when all clients have connected. Answers each further line with what came of it so far,
and goes on until stdin ends.
"""

import asyncio
import json
import os
import sys
from contextlib import suppress

import uvloop

from tests.manners.rude import KINDS, Conversation, Rude, Tally, Target

NICE = 19
CONNECTING_MAX = 256
"""How many connect at the same moment."""
PAUSE_S = 0.1
"""After a connection that could not be made, or was reset."""
POLL_S = 0.05


async def main(kind: str, clients: int) -> None:
    """Until stdin ends."""
    target = Target(**json.loads(sys.stdin.readline()))
    tally = Tally()
    crowd = [
        asyncio.create_task(misbehave(KINDS[kind], Rude(target, tally, number), number))
        for number in range(clients)
    ]
    while tally.opened < clients:  # noqa: ASYNC110 - many count, and nobody else waits for it
        await asyncio.sleep(POLL_S)
    print("all are there", flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        said = vars(tally) | {"leaks": sorted(tally.leaks)}
        print(json.dumps(said), flush=True)
    for task in crowd:
        task.cancel()
    await asyncio.wait(crowd)


async def misbehave(conversation: Conversation, rude: Rude, number: int) -> None:
    """Have the same conversation again and again."""
    await asyncio.sleep(number / CONNECTING_MAX * PAUSE_S)
    while True:
        with suppress(OSError, asyncio.IncompleteReadError):
            await conversation(rude)
            continue
        await asyncio.sleep(PAUSE_S)


if __name__ == "__main__":
    os.nice(NICE)
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
