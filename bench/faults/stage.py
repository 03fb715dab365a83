"""A stage for one scenario: a Postgres, collectors, a sender, all of their own, in a folder of their own."""

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from faults.processes import Clock, Collector, Postgres, Sender, until
from faults.reckoning import KEY, Verdict, compare, look, read

BREAK_LEDGER = """
CREATE FUNCTION footfall.forget_digest() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN NEW.digest := gen_random_uuid(); RETURN NEW; END $$;
CREATE TRIGGER forget_digest BEFORE INSERT ON footfall.ingest_batches
  FOR EACH ROW EXECUTE FUNCTION footfall.forget_digest();
"""
"""The ledger accepts everything: each request looks new, however often it comes."""
WARM_UP_S = 1.0


@dataclass(frozen=True)
class Scale:
    """How much of everything.

    Attributes:
        kills: Rounds of kill -9 on the collector.
        crashes: Rounds of a Postgres that crashes.
        away: Seconds without Postgres.
        pauses: Seconds that a collector is paused, one after the other.
        steps: Seconds between steps of the clocks.
        timeout: Seconds after which a sender gives an attempt up.
        rate: Requests a second of each of the sender's threads.
        patience: Seconds that the sender has at the end.
    """

    kills: int = 50
    crashes: int = 20
    away: float = 300
    pauses: tuple[float, ...] = (2, 2, 15, 75)
    steps: float = 10
    timeout: float = 10
    rate: float = 30
    patience: float = 120


@dataclass
class Stage:
    """What a scenario plays on.

    Attributes:
        folder: Reachable for Postgres' user.
        scale: How much of everything.
        step: Is called after each part of the scenario.
        break_ledger: Whether the ledger's protection is taken away.
        notes: What the scenario saw, for the table.
        faults: What it saw and should not have.
        answer_lost: Requests that were stored when `count_orphans` looked, and had no answer.
    """

    folder: Path
    scale: Scale
    step: Callable[[], None]
    break_ledger: bool = False
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    answer_lost: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.folder.name)
        self._stack = ExitStack()
        self.collectors: list[Collector] = []

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def open(
        self,
        *,
        collectors: int = 1,
        arguments: tuple[str, ...] = (),
        spool: Path | None = None,
        spool_mib: int = 256,
        embedded: bool = False,
        clocks: tuple[Clock | None, Clock | None] = (None, None),
        through: Callable[[str], str] = str,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        """Starts everything, and returns when requests are flowing.

        Args:
            collectors: How many, on the same database.
            arguments: Of their command lines.
            spool: Its directory; none without.
            spool_mib: How large it may become.
            embedded: Whether the collector has its own Postgres.
            clocks: The collectors', and Postgres'.
            through: The connection string that collectors are given, of Postgres' own.
            before: Is called when Postgres runs, and no collector.
        """
        self.postgres = Postgres(self.folder / "postgres", clocks[1])
        self._stack.callback(self.postgres.stop)
        exporter: dict[str, object] = {"data_directory": str(self.folder / "postgres")}
        if not embedded:
            self.dsn = self.postgres.start()
            before()
            exporter = {"dsn": through(self.dsn)}
        if spool:
            exporter["spool"] = {"directory": str(spool), "max_mib": spool_mib}
        for number in range(collectors):
            folder = self.folder / f"collector-{number}"
            each = Collector(folder, exporter, arguments=arguments, clock=clocks[0])
            self._stack.callback(each.stop)
            self.collectors.append(each)
            each.start()
        if embedded:
            self.dsn = self.postgres.start()  # which joins the collector's
        if self.break_ledger:
            self.sql(BREAK_LEDGER)
        scale = {"timeout": self.scale.timeout, "rate": self.scale.rate}
        self.sender = Sender(self.folder, self.collectors, **scale)
        self._stack.callback(self.sender.finish, 0)
        until("requests are flowing", lambda: self.sender.has("acknowledged ") > 0)
        time.sleep(WARM_UP_S)

    @property
    def collector(self) -> Collector:
        """The first one."""
        return self.collectors[0]

    def sql(self, statement: str) -> "list[tuple[object, ...]]":
        """Runs a statement past the collector; returns its rows."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            done = connection.execute(statement)
            return done.fetchall() if done.description else []

    def count_orphans(self) -> None:
        """Counts the requests that are stored and whose senders do not know; nobody may be answering now."""
        time.sleep(0.05)  # a COMMIT that was sent may still be carried out
        journal = read([self.sender.journal])
        unknown = [key for key, request in journal.traces.items() if request.rejected is None]
        with psycopg.connect(self.dsn) as connection:
            self.answer_lost += len(
                connection.execute(
                    f"SELECT DISTINCT {KEY} FROM footfall.feature_events WHERE {KEY} = ANY(%s)",
                    [unknown],
                ).fetchall()
            )

    def pause(self, least: float = 0.2, most: float = 1.0) -> None:
        """Lets some load pass."""
        time.sleep(self.random.uniform(least, most))

    def close(self) -> tuple[Verdict, dict[str, int], list[str]]:
        """Ends the load; what came of it, why attempts failed, and what the logs complain of."""
        self.sender.finish(self.scale.patience)
        journal = read([self.sender.journal])
        verdict = compare(journal, look(self.dsn))
        for each in self.collectors:
            each.stop()
        complaints = [line for each in self.collectors for line in each.complaints()]
        return verdict, dict(journal.whys.most_common()), complaints
