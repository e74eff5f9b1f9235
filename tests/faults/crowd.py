"""A crowd of callers in a process of its own, a tenth of whom leave: half before the first byte, half in mid-stream.

`python -m tests.faults.crowd PORT COUNT` asks at once. The first line on stdin makes the first half leave; after the
second, when answers may be expected, the other half does, some sooner and some later. In the end it says, as JSON, how
many ended in which way.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

from tests.faults.wire import ask, open_many_files

CONNECTING_AT_ONCE = 200


async def caller(port: int, number: int, told: asyncio.Event, told_again: asyncio.Event) -> str:
    """How it ended for one caller: `answered`, `left`, or what went wrong."""
    asking = asyncio.create_task(ask(port, f"this is caller {number}", stream=number % 4 != 0))
    try:
        if number % 20 == 9:
            await told.wait()
            asking.cancel()
        elif number % 20 == 19:
            await told_again.wait()
            await asyncio.sleep(0.2 + number // 20 % 10 * 0.1)
            asking.cancel()
        answer = await asking
    except asyncio.CancelledError:
        return "left"
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    return "answered" if answer.whole else f"{answer.status}: {answer.text[-200:]}"


async def main() -> None:
    """All callers of this process."""
    port, count = map(int, sys.argv[1:])
    open_many_files()
    told, told_again, loop = asyncio.Event(), asyncio.Event(), asyncio.get_running_loop()
    callers = []
    for number in range(count):
        callers.append(asyncio.create_task(caller(port, number, told, told_again)))
        if number % CONNECTING_AT_ONCE == 0:
            await asyncio.sleep(0.05)
    for event in (told, told_again):
        await loop.run_in_executor(None, sys.stdin.readline)
        event.set()
    print(json.dumps(Counter(await asyncio.gather(*callers))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
