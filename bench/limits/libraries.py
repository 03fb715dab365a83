"""The libraries, one request after the other, and two processes that ask for more than there is.

Run by `python bench limits --peers PYTHON` with that Python, which has neither Footfall nor its environment.
"""

import asyncio
import json
import subprocess
import sys
import time
from typing import Any

REQUESTS, LIMIT, MINUTE_MS = 2000, 120, 60_000


def cost(ask: Any, number: int) -> dict[str, float]:
    """CPU and wall time of one request, in µs."""
    own, began = time.process_time(), time.perf_counter()
    for each in range(number):
        ask(each)
    return {
        "cpu_us": round((time.process_time() - own) / number * 1e6, 1),
        "wall_us": round((time.perf_counter() - began) / number * 1e6, 1),
    }


def of_limits() -> dict[str, Any]:
    """limits: fixed windows in memory, its fastest; it has no store for Postgres."""
    from limits import RateLimitItemPerMinute, aio

    storages = sorted(
        name for name in dir(aio.storage) if name.endswith("Storage") and name != "Storage"
    )
    limiter = aio.strategies.FixedWindowRateLimiter(aio.storage.MemoryStorage())
    item = RateLimitItemPerMinute(10**6)

    async def ask() -> dict[str, float]:
        own, began = time.process_time(), time.perf_counter()
        for number in range(REQUESTS):
            await limiter.hit(item, "user", str(number % 1000))
        return {
            "cpu_us": round((time.process_time() - own) / REQUESTS * 1e6, 1),
            "wall_us": round((time.perf_counter() - began) / REQUESTS * 1e6, 1),
        }

    return {"library": "limits, in memory", "storages": storages} | asyncio.run(ask())


def bucket(dsn: str, table: str, limit: int) -> Any:
    """pyrate-limiter's bucket in Postgres: a table for each user."""
    from psycopg_pool import ConnectionPool
    from pyrate_limiter import PostgresBucket, Rate

    return PostgresBucket(
        ConnectionPool(dsn, min_size=1, max_size=1, open=True), table, [Rate(limit, MINUTE_MS)]
    )


def take(each: Any) -> bool:
    """A request of its user."""
    from pyrate_limiter import RateItem

    return bool(each.put(RateItem("user", int(time.time() * 1000))))


def of_pyrate_limiter(dsn: str) -> dict[str, Any]:
    """What a request costs; and how many of 2 x 120 are let through where 120 may be."""
    alone = bucket(dsn, "alone", 10**6)
    found = cost(lambda _: take(alone), 500)
    alone.close()
    bucket(dsn, "both", LIMIT).close()
    command = [sys.executable, __file__, dsn, "both"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    two = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for each in two:
        each.stdout.readline()  # it is connected
    for each in two:
        each.stdin.write("go\n")
        each.stdin.flush()
    let = sum(int(each.communicate()[0]) for each in two)
    return {"library": "pyrate-limiter, PostgresBucket", "let_through_of_120": let} | found


if __name__ == "__main__":
    if sys.argv[2:]:
        shared = bucket(sys.argv[1], sys.argv[2], LIMIT)
        print("ready", flush=True)
        sys.stdin.readline()
        print(sum(take(shared) for _ in range(LIMIT)))
        shared.close()
    else:
        print(json.dumps([of_limits(), of_pyrate_limiter(sys.argv[1])]))
