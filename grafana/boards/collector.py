"""The dashboard "Footfall: the collector", over the metrics that it has of itself (docs/metrics.md)."""

import warnings
from collections.abc import Mapping
from typing import Final, TypeVar

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # as in shared/panels.py
    from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import common as options
from grafana_foundation_sdk.builders import prometheus, stat, timeseries
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as model

from shared.frame import TAG, numbered, others

SOURCE: Final = common.DataSourceRef(type_val="prometheus", uid="${source}")
"""The Prometheus that is chosen at the top."""
OF: Final = 'instance=~"$instance"'
"""What every query asks for: the collectors that are chosen at the top."""
RATE, SECONDS, BYTES, SHARE, COUNT = "cps", "s", "bytes", "percentunit", "locale"
_Panel = TypeVar("_Panel", stat.Panel, timeseries.Panel)


def rate(counter: str, by: str = "") -> str:
    """By how much a counter grows in a second, summed over all but the labels `by`."""
    return f"sum by ({by}) (rate({counter}{{{OF}}}[$__rate_interval]))"


def quantile(histogram: str, share: float) -> str:
    """What so large a share of the observations stays below, in seconds."""
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket', 'le')})"


def of(gauge: str) -> str:
    """A gauge of the chosen collectors."""
    return f"{gauge}{{{OF}}}"


def _filled(
    panel: _Panel, title: str, about: str, size: tuple[int, int], queries: Mapping[str, str]
) -> _Panel:
    """A panel with what every panel has; the queries by the names of their series."""
    width, height = size
    panel.title(title).description(about).datasource(SOURCE)
    panel.span(width).height(height).no_value("-")
    for letter, (legend, expression) in zip("ABCDEF", queries.items(), strict=False):
        query = prometheus.Dataquery().ref_id(letter).expr(expression).legend_format(legend)
        panel.with_target(query.datasource(SOURCE))
    return panel


def number(
    title: str, about: str, query: str, unit: str, *steps: tuple[float | None, str]
) -> stat.Panel:
    """The latest value; `steps` are its colours, each from its value on."""
    panel = _filled(stat.Panel(), title, about, (4, 4), {title: query})
    thresholds = build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE)
    panel.thresholds(thresholds.steps([model.Threshold(*step) for step in steps]))
    panel.reduce_options(options.ReduceDataOptions().calcs(["lastNotNull"]))
    return panel.unit(unit).graph_mode(common.BigValueGraphMode.AREA)


def trend(
    title: str, about: str, unit: str, queries: Mapping[str, str], width: int = 12
) -> timeseries.Panel:
    """Lines over time."""
    panel = _filled(timeseries.Panel(), title, about, (width, 8), queries)
    legend = options.VizLegendOptions().display_mode(common.LegendDisplayMode.TABLE)
    panel.legend(legend.placement(common.LegendPlacement.BOTTOM).calcs(["mean", "max"]))
    tooltip = options.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)
    panel.tooltip(tooltip.sort(common.SortOrder.DESCENDING))
    colours = build.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC_BY_NAME)
    return panel.unit(unit).min(0).fill_opacity(10).color_scheme(colours)


_FINE: Final = (None, "green")


def rows() -> dict[str, list[stat.Panel | timeseries.Panel]]:
    """The panels by row, from the question asked first to the one asked last."""
    return {
        "Now": [
            number("Ready", "1 while requests are welcome; /readyz says why not.",
                   f"min({of('footfall_ready')})", COUNT, (None, "red"), (1, "green")),
            number("Requests", "Requests in a second, taken or not.",
                   rate("otelcol_receiver_requests_total"), RATE, (None, "blue")),
            number("Refused", "Requests in a second that were not taken.",
                   rate("footfall_refused_requests_total"), RATE, _FINE, (0.1, "orange")),
            number("Time to store, p95", "One commit, its turn awaited.",
                   quantile("footfall_commit_duration_seconds", 0.95), SECONDS,
                   _FINE, (0.5, "orange"), (5, "red")),
            number("In flight", "Of the bytes at which admission begins to refuse.",
                   f"max({of('footfall_in_flight_bytes')} / {of('footfall_in_flight_limit_bytes')})",
                   SHARE, _FINE, (0.5, "orange"), (0.9, "red")),
            number("Spool", "Of the room that what waits for Postgres may take; - without a spool.",
                   f"max({of('footfall_spool_bytes')} / ({of('footfall_spool_limit_bytes')} > 0))",
                   SHARE, _FINE, (0.1, "orange"), (0.5, "red")),
        ],
        "What comes in": [
            trend("Items taken", "Spans, points of counters and log events that were stored.", RATE, {
                "spans": rate("otelcol_receiver_accepted_spans_total"),
                "metric points": rate("otelcol_receiver_accepted_metric_points_total"),
                "log records": rate("otelcol_receiver_accepted_log_records_total"),
            }),
            trend("Requests, by outcome", "`failure` is a fault of the collector's: read its log.",
                  RATE, {"{{outcome}}": rate("otelcol_receiver_requests_total", "outcome")}),
            trend("Refused requests, by reason", "docs/metrics.md says what to do about each.",
                  RATE, {"{{reason}}": rate("footfall_refused_requests_total", "reason") + " > 0"}),
            trend("Losses, by reason", "What was dropped of acknowledged requests: docs/losses.md.",
                  RATE, {"{{reason}}": rate("footfall_losses_total", "reason") + " > 0"}),
            trend("Time to answer", "From a request's arrival to its answer, storing included.",
                  SECONDS, {
                      "gRPC p50": quantile("rpc_server_call_duration_seconds", 0.5),
                      "gRPC p99": quantile("rpc_server_call_duration_seconds", 0.99),
                      "HTTP p50": quantile("http_server_request_duration_seconds", 0.5),
                      "HTTP p99": quantile("http_server_request_duration_seconds", 0.99),
                  }),
            trend("Repeated requests", "Retries of what is stored: they change nothing.", RATE,
                  {"{{signal}}": rate("footfall_repeated_requests_total", "signal")}),
        ],
        "Store and backends": [
            trend("Time to store", "One commit, its turn awaited.", SECONDS, {
                "p50": quantile("footfall_commit_duration_seconds", 0.5),
                "p95": quantile("footfall_commit_duration_seconds", 0.95),
                "p99": quantile("footfall_commit_duration_seconds", 0.99),
            }),
            trend("Waiting", "Requests that wait for an exporter, and in the spool for Postgres.",
                  COUNT, {
                      "{{exporter}}": f"sum by (exporter) ({of('otelcol_exporter_queue_size')})",
                      "spool": f"sum({of('footfall_spool_batches')})",
                  }),
            trend("Backends behind", "Age of the oldest commit that a backend has not been sent.",
                  SECONDS,
                  {"{{exporter}}": f"max by (exporter) ({of('footfall_subscriber_lag_seconds')})"}),
            trend("Parked", "Batches that a backend refuses for good.", COUNT,
                  {"{{exporter}}": f"max by (exporter) ({of('footfall_subscriber_parked_batches')})"}),
        ],
        "The house": [
            trend("Housekeeping overdue", "Seconds past the time at which a task was due.", SECONDS, {
                "{{task}}": "clamp_min(time() - max by (task)"
                f" ({of('footfall_housekeeping_next_run_timestamp_seconds')}), 0)",
            }, width=8),
            trend("Memory", "Resident; an embedded Postgres is not part of it.", BYTES,
                  {"{{instance}}": of("otelcol_process_memory_rss")}, width=8),
            trend("Processors", "That the collector keeps busy.", COUNT,
                  {"{{instance}}": rate("otelcol_process_cpu_seconds_total", "instance")}, width=8),
        ],
    }  # fmt: skip


def collector() -> model.Dashboard:
    """The dashboard, its panels numbered in their order."""
    dashboard = build.Dashboard("Footfall: the collector").uid("footfall-collector")
    dashboard.description("Whether the collector takes what is sent, stores it and keeps house")
    dashboard.tags([TAG]).timezone("utc").time("now-6h", "now").refresh("1m")
    dashboard.tooltip(model.DashboardCursorSync.CROSSHAIR).readonly().link(others())
    source = build.DatasourceVariable("source").label("Prometheus").type("prometheus")
    everything = model.VariableOption(selected=True, text=["All"], value=["$__all"])
    instance = build.QueryVariable("instance").label("Collector").datasource(SOURCE)
    instance.query("label_values(footfall_build_info, instance)").multi(True).include_all(True)
    instance.all_value(".+").current(everything).refresh(model.VariableRefresh.ON_DASHBOARD_LOAD)
    dashboard.with_variable(source).with_variable(instance)
    for title, panels in rows().items():
        dashboard.with_row(build.Row(title))
        for panel in panels:
            dashboard.with_panel(panel)
    return numbered(dashboard.build())
