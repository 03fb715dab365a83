// A feature over time: its uses, the share that fails, how long it takes.

import { colour, timeOption, timeTable } from "../charts.js";
import { chart } from "../drawing.js";
import { beforeLine, failedShare, finished, tallies, tally, values } from "../figures.js";
import { panel } from "../parts.js";
import { int, ms, pct } from "../words.js";

/** @typedef {import("./feature.js").Asked} Asked */

/** @typedef {import("../reports.js").Row} Row */

/**
 * @param {Row} found
 * @param {Asked} of
 * @param {import("../state.js").Range} now
 * @param {import("../state.js").Range | null} before
 * @param {import("../charts.js").Mark[]} marked
 * @param {string} note
 */
export function uses(found, of, now, before, marked, note) {
  const data = tallies(of.used, now).map((each) => each.uses);
  const past = before ? tallies(of.usedBefore, before).map((each) => each.uses) : null;
  const grey = past ? ", grey: " + (now.unit === "day" ? "average before" : "before") : "";
  return panel({
    title: "Uses",
    cls: "wide",
    note: `${now.unit === "day" ? "a day" : "an hour"}${grey}, dotted: releases${note && ` · ${note}`}`,
    body: chart(`Uses of ${found.title}: ${int(tally(of.used).uses)}`, "m", () =>
      timeOption({
        range: now,
        series: [{ name: "uses", type: "bar", data, color: colour("series") }],
        before: past && beforeLine(past, now),
        marks: marked,
      }),
    ),
    table: timeTable(now, past ? ["Uses", "Before"] : ["Uses"], past ? [data, past] : [data]),
  });
}

/**
 * @param {Row} found
 * @param {Asked} of
 * @param {import("../state.js").Range} now
 * @param {import("../charts.js").Mark[]} marked
 * @param {string} note
 */
export function failing(found, of, now, marked, note) {
  const data = tallies(of.used, now).map(failedShare);
  const [low, high] = ["share_low", "share_high"].map((column) => values(of.outcomes, now, column));
  return panel({
    title: "Share that fails",
    note: `${now.unit === "day" ? "a day" : "an hour"}, band: what it may be by chance${note && ` · ${note}`}`,
    body: chart(`Share of uses of ${found.title} that fail`, "m", () =>
      timeOption({
        range: { ...now, times: finished(now.times) },
        format: pct,
        series: [
          {
            name: "failed",
            data: finished(data),
            color: colour("bad"),
            sure: [finished(low ?? []), finished(high ?? [])],
          },
        ],
        marks: marked,
      }),
    ),
    table: timeTable(now, ["Failed", "At least", "At most"], [data, low ?? [], high ?? []], pct),
  });
}

/**
 * @param {Row} found
 * @param {Asked} of
 * @param {import("../state.js").Range} now
 * @param {import("../charts.js").Mark[]} marked
 */
export function speed(found, of, now, marked) {
  if (!of.fast.length) return [];
  const [half, p95, p99, low, high] = ["p50_ms", "p95_ms", "p99_ms", "p95_low_ms", "p95_high_ms"].map((column) =>
    values(of.fast, now, column),
  );
  return [
    panel({
      title: "How long it takes",
      note: "half, 95 and 99 of 100 were faster; band: where 95 of 100 may lie",
      body: chart(`Durations of ${found.title}`, "m", () =>
        timeOption({
          range: now,
          format: ms,
          marks: marked,
          series: [
            {
              name: "p99",
              data: p99 ?? [],
              color: colour("series-3"),
              label: colour("ink-2"),
              end: "99 of 100",
              width: 1.25,
            },
            { name: "p95", data: p95 ?? [], color: colour("series"), end: "95 of 100", sure: [low ?? [], high ?? []] },
            { name: "p50", data: half ?? [], color: colour("series-2"), label: colour("ink-2"), end: "half" },
          ],
        }),
      ),
      table: timeTable(
        now,
        ["Half", "p95", "at least", "at most", "p99"],
        [half, p95, low, high, p99].map((list) => list ?? []),
        ms,
      ),
    }),
  ];
}
