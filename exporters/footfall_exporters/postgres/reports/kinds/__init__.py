"""The reports: of each, which view of `reporting` it asks, by what it counts, and what it says."""

from collections.abc import Mapping
from typing import Final

from footfall_exporters.postgres.reports.kinds.engagement import ENGAGEMENT
from footfall_exporters.postgres.reports.kinds.inventory import INVENTORY
from footfall_exporters.postgres.reports.kinds.kind import Kind
from footfall_exporters.postgres.reports.kinds.uses import USES

KINDS: Final[Mapping[str, Kind]] = {**USES, **ENGAGEMENT, **INVENTORY}
"""Name → what it asks."""
ASIDE: Final = frozenset(
    measure.name
    for kind in KINDS.values()
    for measure in kind.measures
    if "_low" in measure.name or "_high" in measure.name
) | {"actions"}
"""Between what another figure lies, and lists: a terminal's tables leave them out."""
