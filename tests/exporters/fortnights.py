"""Six weeks of a store with a rhythm of days and weeks, in which things go wrong when they are told to.

Four weeks are there at once; the last two are shown as a clock goes on that the tests move.
"""

import datetime as dt
import math
import random
from collections import Counter

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
WEEK = 7 * DAY
HOURS = [0.1] * 6 + [0.4, 0.8] + [1.4] * 10 + [1.0, 0.7, 0.5, 0.3, 0.2, 0.1]
WEEKDAYS = [1.2, 1.2, 1.2, 1.1, 1.0, 0.5, 0.4]
SHARES = {"bakery.order": 0.3, "bakery.cart": 0.6, "bakery.search": 0.1, "bot.ask": 0.5}
FAILING = {"bakery.order": 0.02, "bakery.cart": 0.05, "bakery.search": 0.2, "bot.ask": 0.01}


def poisson(chance, mean):
    if mean > 30:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    bound, product, number = math.exp(-mean), chance.random(), 0
    while product > bound:
        product, number = product * chance.random(), number + 1
    return number


def binomial(chance, number, share):
    if number * min(share, 1 - share) > 30:
        mean = number * share
        return min(number, max(0, round(chance.gauss(mean, math.sqrt(mean * (1 - share))))))
    return sum(chance.random() < share for _ in range(number))


class Fortnight:
    """What there is in each hour, made up of a seed.

    Args:
        until: Where the fortnight ends.
        seed: Of chance.
        size: Events of an average hour.
        plans: What goes wrong: functions of an hour and an event that give factors of its number and of the
            share of its failures.
        uneven: By what share of its square an hour's variance exceeds that of chance alone.
    """

    def __init__(self, until, seed, size=300, plans=(), uneven=0.02):
        self.until = until.replace(minute=0, second=0, microsecond=0)
        self.start = self.until - 14 * DAY
        self.first = self.start - 4 * WEEK
        chance = random.Random(seed)
        self.hours = {}
        hour = self.first
        while hour < self.until:
            self.hours[hour] = self._made(chance, hour, size, plans, uneven)
            hour += HOUR

    def _made(self, chance, hour, size, plans, uneven):
        rhythm = HOURS[hour.hour] * WEEKDAYS[hour.weekday()]
        made = {}
        for event, share in SHARES.items():
            often, failing = 1.0, FAILING[event]
            for plan in plans:
                more, worse = plan(hour, event)
                often, failing = often * more, failing * worse
            mean = size * rhythm * share * often * chance.gammavariate(1 / uneven, uneven)
            number = poisson(chance, mean)
            made[event] = number, binomial(chance, number, min(failing, 1.0))
        return made

    def times(self, step):
        """The clock, from the beginning of the fortnight on."""
        now = self.start + step
        while now < self.until:
            yield now
            now += step

    def on(self, weekday, week, begin, end):
        """A time on the first such day of the fortnight, or on the second."""
        day = self.start + (weekday - self.start.weekday()) % 7 * DAY + week * WEEK
        return day + begin * HOUR, day + end * HOUR


def slots(chance, number, middle):
    """Of so many durations about a middle how many have each slot of a histogram (ADR 34)."""
    found = Counter()
    for _ in range(number):
        ms = max(2.0, chance.lognormvariate(math.log(middle), 0.5))
        found[math.ceil(16 * math.log2(ms))] += 1
    return found


def histogram(found):
    return sum(number * 10 ** (12 * slot) for slot, number in found.items())
