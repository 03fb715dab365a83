"""Writes the Grafana dashboards as JSON: `python grafana/dashboards.py`.

Each is a module of boards/. Seven read the `reporting` views, by the queries of queries/; "The collector"
reads its own metrics, in a Prometheus.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from boards.audience import audience
from boards.collector import collector
from boards.feature import feature
from boards.latency import latency
from boards.overview import overview
from boards.pipeline import pipeline
from boards.releases import releases
from boards.reliability import reliability

HERE: Final = Path(__file__).parent
BOARDS: Final[tuple[Callable[[], model.Dashboard], ...]] = (
    overview,
    feature,
    releases,
    reliability,
    latency,
    audience,
    pipeline,
    collector,
)
"""Each makes a dashboard, whose file has the name of its address."""


def main(folder: Path) -> None:
    """Writes the dashboards into `folder`."""
    for board in BOARDS:
        made = board()
        text = json.dumps(made, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False)
        (folder / f"{made.uid}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else HERE / "provisioning" / "dashboards")
