"""Dimension → its integer id, looked up once for as long as there is room."""

import hashlib
import json
import uuid
from collections.abc import Iterable

from psycopg import AsyncConnection, sql

from footfall_processors import Dimension

_FIELDS = (
    "event", "surface", "feature", "action", "status", "error_type",
    "service", "service_version", "environment", "relayed_from", "telemetry_distro",
)  # fmt: skip


def fields(dimension: Dimension) -> dict[str, str]:
    """The columns of a dimension that are not null."""
    fixed = {name: getattr(dimension, name) for name in _FIELDS}
    return {k: v for k, v in (fixed | dict(dimension.enums)).items() if v is not None}


def fingerprint(dimension: Dimension) -> uuid.UUID:
    """What identifies a dimension across processes, whatever columns the table has by then."""
    text = json.dumps(fields(dimension), sort_keys=True, separators=(",", ":"))
    return uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16])


MOST = 10_000
"""Ids that are kept: some 10 MB, and more than the catalogs of most stores make in all."""


class Dimensions:
    """The ids of the dimensions seen lately."""

    def __init__(self) -> None:
        self.ids: dict[Dimension, int] = {}

    async def resolve(self, connection: AsyncConnection, wanted: Iterable[Dimension]) -> None:
        """Makes `ids` hold every wanted dimension, adding new ones to the table.

        When there would be more than MOST, all others are forgotten.
        Committed by itself, ahead of the batch: a dimension that nothing refers to does no harm.
        """
        asked = set(wanted)
        unknown = {d: fingerprint(d) for d in asked if d not in self.ids}
        if not unknown:
            return
        new = {key: d for d, key in unknown.items()}
        columns = sorted({c for d in new.values() for c in fields(d)})
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        types = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(c)) for c in columns)
        rows = [{"fingerprint": str(key), **fields(d)} for key, d in sorted(new.items())]
        insert = sql.SQL(
            "INSERT INTO footfall.feature_dims (fingerprint, {names})"
            " SELECT * FROM jsonb_to_recordset(%s::jsonb) AS r (fingerprint uuid, {types})"
            " ON CONFLICT (fingerprint) DO NOTHING"
        ).format(names=names, types=types)
        async with connection.transaction():
            await connection.execute(insert, [json.dumps(rows)])
            found = await connection.execute(
                "SELECT fingerprint, id FROM footfall.feature_dims WHERE fingerprint = ANY(%s)",
                [list(new)],
            )
            numbers: dict[uuid.UUID, int] = dict(await found.fetchall())
        # Only now: ids of a transaction that was not committed are nobody's.
        if len(self.ids) + len(unknown) > MOST:
            self.ids = {d: number for d, number in self.ids.items() if d in asked}
        self.ids.update({dimension: numbers[key] for dimension, key in unknown.items()})
