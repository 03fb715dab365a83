"""Batches as decoding makes them: rows that are counted, points, and what they are about."""

import hashlib
import time
from functools import cache
from itertools import count, groupby

from footfall_processors import Batch, Dimension, Point, Rows, Shape

SECOND, HOUR, DAY = 10**6, 3600 * 10**6, 86_400 * 10**6
NOW = time.time_ns() // 1000

digests = (hashlib.sha256(str(n).encode()).digest()[:16] for n in count())


@cache
def dimension(event="shop.order", action="success", status="ok", error=None, **fields):
    service = [fields.pop(name, None) for name in ("service", "service_version", "environment")]
    surface, feature = fields.pop("surface", "web"), event.rpartition(".")[2]
    enums = tuple(sorted(fields.items()))
    return Dimension(event, surface, feature, action, status, error, *service, enums)


def batch(*rows, **others):
    """A batch of (time, duration, dimension, values by attribute) rows, counted as the pipeline does.

    `others` are those of `batch_of`.
    """
    alike = groupby(rows, key=lambda row: sorted(row[3]))
    return batch_of(*(as_rows(list(group)) for _, group in alike), **others)


def batch_of(*rows, points=(), losses=None, counts=None, digest=None, signal="traces"):
    """A batch of `Rows`; `counts` are beyond them."""
    tally = dict(counts or {})
    for part in rows:
        for moment, shape in zip(part.times, part.shapes, strict=True):
            key = moment // HOUR * HOUR, shape.dimension
            tally[key] = tally.get(key, 0) + 1
    return Batch(digest or next(digests), signal, rows, tally, points, losses or {})


def as_rows(together):
    """Rows with the same attributes, as columns."""
    times, durations, dimensions, named = map(list, zip(*together, strict=True))
    names = tuple(sorted(named[0]))
    shapes = [shape(of, names) for of in dimensions]
    return Rows(times, durations, shapes, [[row[name] for row in named] for name in names])


@cache
def shape(of, columns):
    return Shape(of, 1.0, columns)


def one_row(moment=NOW, of=None, duration=83, **values):
    return moment, duration, of or dimension(), values


def point(value, *, of=None, stream=b"s" * 16, series=b"1" * 16, at=NOW, start=NOW - HOUR):
    return Point(stream, series, of or dimension("shop.ping", "invoke"), start, at, value)


def poison():
    """A batch that COPY refuses; the pipeline makes none."""
    return batch(one_row(of=dimension("shop.visit"), note="walker\0"))
