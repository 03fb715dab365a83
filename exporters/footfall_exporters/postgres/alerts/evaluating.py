"""The evaluator: of all collectors of a store one looks at the rules, once a minute, and notes what is so."""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final

from psycopg import Connection

from footfall_exporters.postgres.alerts import keeping
from footfall_exporters.postgres.alerts.looking import USE, Looked, Looking
from footfall_exporters.postgres.alerts.message import Kind, Message
from footfall_exporters.postgres.alerts.state import Change, Hysteresis, Silence, State, moved
from footfall_exporters.postgres.connecting import HOUSEKEEPING, connect_sync

EVERY: Final = dt.timedelta(seconds=55)
"""How long after a look the next one is due, at the earliest: they are wanted every minute."""
KEEPING: Final = replace(HOUSEKEEPING, name="footfall alerts", statement="30s")


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What came of a look.

    Attributes:
        looked: What each rule found.
        changes: What fires now, or has cleared.
        given_up: To whom messages were that nobody took for a day.
    """

    looked: Sequence[Looked]
    changes: Sequence[Change]
    given_up: Sequence[str]


class Evaluator:
    """Looks at the rules of one store.

    Args:
        dsn: Of the store, as its owner.
        looking: Asks the rules.
        hysteresis: How soon something fires and clears.
        targets: The names of those who are told.
        quiet: Silences that are configured.
        clock: Tells another time than Postgres.
    """

    def __init__(
        self,
        dsn: str,
        looking: Looking,
        hysteresis: Hysteresis,
        targets: Collection[str] = (),
        quiet: Iterable[Silence] = (),
        clock: Callable[[], dt.datetime] | None = None,
    ) -> None:
        self._dsn, self._looking, self._hysteresis = dsn, looking, hysteresis
        self._targets, self._quiet, self._clock = targets, list(quiet), clock

    def evaluate(self, certificates: Mapping[str, dt.datetime]) -> Evaluated | None:
        """Looks, where that is due; None: another collector does, or has.

        Args:
            certificates: When those of this collector's listeners end.

        Raises:
            psycopg.Error: Postgres does not answer.
        """
        with (
            closing(connect_sync(self._dsn, KEEPING)) as connection,
            closing(connect_sync(self._dsn, USE)) as reading,
        ):
            keeping.note_certificates(connection, certificates)
            return self.look(connection, reading)

    def look(self, connection: Connection, reading: Connection) -> Evaluated | None:
        """The same, in sessions that are there.

        Args:
            connection: Of the owner, in autocommit mode.
            reading: Another one, to ask with: what fails there is of one rule alone.

        Raises:
            psycopg.Error: Postgres refused; nothing has changed.
        """
        with connection.transaction():
            time = self._clock() if self._clock else None
            now = keeping.claim(connection, time, EVERY)
            if now is None:
                return None
            looked = self._looking.look(reading, now)
            quiet = [each for each in self._quiet if each.until > now]
            quiet += keeping.silences(connection, now)
            states, changes = moved(keeping.known(connection), looked, quiet, now, self._hysteresis)
            keeping.keep(connection, states, looked, now)
            told = [_message(change, now) for change in changes if not is_silenced(change.state)]
            keeping.enqueue(connection, self._targets, told)
            return Evaluated(looked, changes, keeping.tidy(connection, now))


def is_silenced(state: State) -> bool:
    """Whether nobody is to be told."""
    return state.silenced_until is not None


def _message(change: Change, now: dt.datetime) -> Message:
    state = change.state
    return Message(
        kind=Kind(change.turn),
        rule=state.about.rule,
        product=state.about.product,
        subject=state.about.subject,
        what=state.what,
        sure=state.sure,
        since=state.since,
        at=now,
        first=state.first,
    )
