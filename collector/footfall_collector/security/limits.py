"""How much a user, and an address, may send in a minute: the same for all collectors of a store (ADR 27).

    take ── exhausted, as is known: refused ── waits ── all in one statement (postgres/rates.py) ── verdict
                                                 └─ Postgres is away, or late: by memory alone

Neither a user nor an address is kept: both are known by a hash under a random key of the store.
"""

import asyncio
import logging
import math
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from footfall_collector.security.windows import Window, Windows
from footfall_exporters.contracts import Unavailable
from footfall_exporters.faults import log_fault
from footfall_exporters.postgres.rates import Rates, Senders

log = logging.getLogger("footfall.limits")
EVENTS = 50
"""So many events, or fewer, in one request weigh as much as a request."""
GATHER_S = 0.002
"""Seconds between two statements at least: what comes meanwhile is asked together."""
PATIENCE_S = 0.25
"""Seconds after which a request is not kept waiting for Postgres any longer."""
RETRY_S = 1.0
"""Seconds between two attempts to reach a Postgres that is away."""


class Policy(NamedTuple):
    """A limit.

    Attributes:
        name: As senders are told it.
        limit: Requests a minute.
    """

    name: str
    limit: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be sent in a minute.

    Attributes:
        user: Requests of a user.
        address: Requests of an address, behind which many users may be.
    """

    user: int = 120
    address: int = 1200

    @property
    def policies(self) -> tuple[Policy, Policy]:
        """Both, the user's first."""
        return Policy("user", self.user), Policy("address", self.address)


class Verdict(NamedTuple):
    """Whether a request may come in.

    Attributes:
        allowed: Whether it may.
        policy: Whose the numbers are: of a refused request the limit that holds for longest, of another the
            user's, or the address's where there is no user; empty where there is neither.
        limit: Requests a minute.
        remaining: How many are left of them.
        reset: Seconds until they are anew.
        retry_after: Seconds after which a refused request may be sent again; 0 for one that is allowed.
    """

    allowed: bool
    policy: str
    limit: int
    remaining: int
    reset: int
    retry_after: int


_Charge = tuple[Policy, Window, int]
"""What a request adds to one sender: under which limit, to which minute, and how much."""
_Waiting = tuple[asyncio.Future[Verdict], Sequence[_Charge]]
_UNLIMITED = Verdict(True, "", 0, 0, 0, 0)


def weigh(events: int) -> int:
    """The weight of a request with so many events: 1 for up to 50, 2 for up to 100, and so on."""
    return max(1, -(-events // EVENTS))


class Limiter:
    """Limits for one process.

    Args:
        limits: What may be sent.
        rates: Of the store that all collectors share; None to limit this process alone. `run` must be
            running with it.
        clock: Seconds that never go back.

    Attributes:
        away: Whether requests are limited by memory alone.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        rates: Rates | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policies = (limits or Limits()).policies
        self._rates, self._clock = rates, clock
        self._know_by(secrets.token_bytes(32))
        self._windows = Windows()
        self._waiting: list[_Waiting] = []
        self._asked: list[_Waiting] = []
        self._filled = asyncio.Event()
        self._number = 0  # of the statement that is asked
        self._said = False
        self.away = True

    async def take(self, identity: bytes, address: bytes, weight: int = 1) -> Verdict:
        """Counts a request, and says whether it may come in.

        Args:
            identity: Whose it is; empty where nobody is known, who is not limited as a user.
            address: Where it came from; empty where that says nothing of its sender.
            weight: See `weigh`. What weighs more than a limit weighs as much as the limit.
        """
        now, charges, exhausted = self._clock(), [], []
        for policy, senders, who in zip(
            self._policies, self._senders, (identity, address), strict=True
        ):
            if who:
                window = self._windows.of(senders.known_as(who), now)
                if window.used >= policy.limit and window.ends > now:
                    exhausted.append((policy, policy.limit + 1, window.ends - now))
                charges.append((policy, window, min(weight, policy.limit)))
        if exhausted:  # what is refused here is counted nowhere
            return _judge(exhausted)
        if self.away:
            return self._by_memory(charges)
        answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._waiting.append((answer, charges))
        self._filled.set()
        return await answer

    async def run(self) -> None:
        """Asks the store; until cancelled."""
        if self._rates is None:
            return
        try:
            while True:
                try:
                    await self._ask(self._rates)
                except Unavailable as error:
                    self._leave(str(error))
                except Exception as error:  # a fault of ours must not end it
                    log_fault(log, "asking for limits failed", error)
                    self._leave("a fault")
                await asyncio.sleep(RETRY_S)
        finally:
            self._decide_alone()
            await self._rates.close()

    async def _ask(self, rates: Rates) -> None:
        """Asks as long as the store answers.

        Raises:
            Unavailable: it does not any more.
        """
        self._share(await rates.open())
        asked_at = -math.inf
        while True:
            await self._filled.wait()
            if (early := asked_at + GATHER_S - time.monotonic()) > 0:
                await asyncio.sleep(early)
            asked_at = time.monotonic()
            self._filled.clear()
            self._asked, self._waiting = self._waiting, []
            weights = _together(self._asked)
            self._number += 1
            loop = asyncio.get_running_loop()
            late = loop.call_later(PATIENCE_S, loop.call_soon, self._late, self._number)
            try:
                found = await rates.add(weights)
            finally:
                late.cancel()
                self._number += 1
            self._answer(weights, found)
            self._return()

    def _late(self, number: int) -> None:
        """Runs after what has come by then: a loop that was busy for long is not a late answer."""
        if number == self._number:
            self._leave("it is late")

    def _share(self, key: bytes) -> None:
        """Goes by the store's key from now on. What was counted under another is not found any more."""
        if key != self._key:
            self._know_by(key)
            self._windows.clear()
        self._return()

    def _know_by(self, key: bytes) -> None:
        self._key = key
        self._senders = [Senders(key, policy.name) for policy in self._policies]

    def _return(self) -> None:
        self.away = False
        if self._said:
            log.warning("limits are shared with the other collectors again")
            self._said = False

    def _leave(self, why: str) -> None:
        """Has nobody wait for the store."""
        self.away = True
        if not self._said:
            log.warning("Postgres is away (%s): this process limits requests by itself", why)
            self._said = True
        self._decide_alone()

    def _decide_alone(self) -> None:
        self.away = True
        self._filled.clear()
        waiting, self._asked, self._waiting = [*self._asked, *self._waiting], [], []
        for answer, charges in waiting:
            _tell(answer, self._by_memory(charges))

    def _answer(
        self, weights: Mapping[bytes, int], found: Mapping[bytes, tuple[int, float]]
    ) -> None:
        """Tells those who were asked for, in the order in which they came."""
        now = self._clock()
        used = {sender: found[sender][0] - weight for sender, weight in weights.items()}
        asked, self._asked = self._asked, []
        for answer, charges in asked:
            for _, window, weight in charges:
                window.used, left = found[window.sender]
                window.ends = now + left
                used[window.sender] += weight
            _tell(answer, _judge([(p, used[w.sender], w.ends - now) for p, w, _ in charges]))

    def _by_memory(self, charges: Sequence[_Charge]) -> Verdict:
        now = self._clock()
        for _, window, weight in charges:
            window.add(weight, now)
        return _judge([(policy, window.used, window.ends - now) for policy, window, _ in charges])


def _tell(answer: asyncio.Future[Verdict], verdict: Verdict) -> None:
    if not answer.done():  # who asked may have left
        answer.set_result(verdict)


def _together(asked: Iterable[_Waiting]) -> dict[bytes, int]:
    """What all of them add to each sender's minute."""
    weights: dict[bytes, int] = {}
    for _, charges in asked:
        for _, window, weight in charges:
            weights[window.sender] = weights.get(window.sender, 0) + weight
    return weights


def _judge(found: Sequence[tuple[Policy, int, float]]) -> Verdict:
    """What follows from limits, each with the weight up to this request and the seconds that are left."""
    refused = [(left, policy) for policy, used, left in found if used > policy.limit]
    if refused:
        left, policy = max(refused)
        reset = max(1, math.ceil(left))
        return Verdict(False, policy.name, policy.limit, 0, reset, reset)
    if not found:
        return _UNLIMITED
    policy, used, left = found[0]
    return Verdict(True, policy.name, policy.limit, policy.limit - used, max(1, math.ceil(left)), 0)
