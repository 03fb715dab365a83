"""A program of greenlets that uses Footfall; prints what it saw. Run by test_greenlets.py.

It has imported `requests` before all else, and so its `ssl`, as most programs have.

Arguments: gevent or eventlet, when it is patched, the catalog, and protocol=endpoint=patience of collectors.
"""

import json
import os
import sys
import time

import requests  # noqa: F401

library, moment, catalog, *collectors = sys.argv[1:]


def patch(now):
    """Turns threads into greenlets, if it is time."""
    if now == moment and library == "gevent":
        from gevent import monkey

        monkey.patch_all()
    elif now == moment:
        import eventlet

        eventlet.monkey_patch()


patch("before the import")
import footfall  # noqa: E402

patch("after the import")
clients = [footfall.Client(strict=True) for _ in collectors]
for client, collector in zip(clients, collectors, strict=True):
    os.environ["FOOTFALL_PROTOCOL"], endpoint, _ = collector.split("=")
    client.configure(catalog, endpoint, enabled=True)
patch("after configure()")
if moment == "after a use":
    for client in clients:
        client.event("shop.visit")
        client.flush(0.1)
    patch("after a use")
if moment == "after a fork":
    if child := os.fork():
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    patch("after a fork")

green = __import__(library)
longest, going = 0.0, True


def tick():
    """Notes how long no greenlet ran."""
    global longest
    while going:
        before = time.monotonic()
        green.sleep(0.01)
        longest = max(longest, time.monotonic() - before)


def together(ends):
    """What all of these return, each with the patience for its collector."""
    begun = [green.spawn(end, timeout) for end, timeout in zip(ends, patience, strict=True)]
    return [each.get() if library == "gevent" else each.wait() for each in begun]


patience = [float(collector.split("=")[2]) for collector in collectors]
for client in clients:
    client.event("shop.visit")  # a fork starts anew with its first use
ticking = green.spawn(tick)
for _ in range(20):
    for client in clients:
        with client.feature("shop.order", provider="smz3"):
            green.sleep(0.002)
flushed = together([client.flush for client in clients])
stopped = together([client.shutdown for client in clients])
going = False
green.sleep(0.05)
print(json.dumps({"longest": longest, "flushed": flushed, "stopped": stopped}), flush=True)
