// Two versions side by side, feature by feature.

import { h, s } from "../elements.js";
import { titles } from "../figures.js";
import { grid } from "../grid.js";
import { comparedChip, featureCell, mono, none, panel, speedChip } from "../parts.js";
import { toFeature } from "../state.js";
import { COMPARED, DASH, int, ms, pct, points } from "../words.js";
import { ALL } from "./releases.js";

/** @typedef {import("../reports.js").Row} Row */

/** @typedef {import("../shell.js").Context} Context */

const RANK = Object.keys(COMPARED);

/** Before and after, on one scale. @param {Row} row @param {number} max */
function dumbbell(row, max) {
  if (row.failed_before === null || row.failed === null) return null;
  const x = (/** @type {number} */ share) => 4 + (Math.min(share, max) / max) * 112;
  const tone = { "fails more": "bad", "fails less": "good" }[/** @type {"fails more"} */ (row.verdict)] ?? "";
  return s(
    "svg",
    { class: `dumbbell ${tone}`, viewBox: "0 0 120 16", width: 120, height: 16, "aria-hidden": "true" },
    s("line", { x1: 0, x2: 120, y1: 8, y2: 8, class: "axis" }),
    s("line", { x1: x(row.failed_before), x2: x(row.failed), y1: 8, y2: 8 }),
    s("circle", { cx: x(row.failed_before), cy: 8, r: 3, class: "from" }),
    s("circle", { cx: x(row.failed), cy: 8, r: 4 }),
  );
}

/** @param {Row[]} side @param {Context} context */
export function byFeature(side, { features }) {
  const whole = side.find((row) => row.event === ALL);
  if (!whole) return [];
  const named = titles(features);
  const owners = new Map(features.map((each) => [each.event, each.owner]));
  const list = side
    .filter((row) => row.event !== ALL)
    .map((row) => ({
      ...row,
      event: row.event,
      title: named(row.event),
      owner: owners.get(row.event) ?? null,
      rank: RANK.indexOf(row.verdict),
    }));
  const max = Math.max(0.01, ...side.flatMap((row) => [row.failed ?? 0, row.failed_before ?? 0]));
  const wasNow = (/** @type {string} */ was, /** @type {string} */ is) =>
    h("span", { class: "was-now" }, h("span", null, `${was} → `), h("b", null, is));
  const uncertain = (/** @type {Row} */ row) =>
    row.difference === null
      ? none(DASH, "fewer than 30 ended in one of them")
      : h(
          "span",
          { title: `With 95 % certainty at every look: between ${points(row.low)} and ${points(row.high)}` },
          `${points(row.low).replace(" points", "")} to ${points(row.high)}`,
        );
  return [
    panel({
      title: `Since ${whole.version}, feature by feature`,
      note: `against ${whole.former}; worst first`,
      cls: "inventory",
      body: grid({
        caption: `Since ${whole.version}`,
        sort: "rank",
        rows: list,
        href: (row) => toFeature(row.event),
        columns: [
          { key: "title", label: "Feature", cls: "feature", cell: (row) => featureCell(row) },
          { key: "event", label: "Event", cls: "event", cell: (row) => mono(row.event) },
          { key: "rank", label: "Verdict", cls: "verdict", cell: (row) => comparedChip(row.verdict) },
          {
            key: "difference",
            label: "Failed: before, after",
            num: true,
            cls: "failed",
            cell: (row) =>
              h(
                "span",
                { class: "pair" },
                wasNow(pct(row.failed_before), pct(row.failed)),
                h("span", { class: "wide-only" }, dumbbell(row, max)),
              ),
          },
          {
            key: "low",
            label: "Difference, sure",
            title: "Bounds that hold however often somebody looks",
            num: true,
            cls: "last",
            cell: uncertain,
          },
          {
            key: "p95_ms",
            label: "p95: before, after",
            num: true,
            cls: "p95",
            sort: (row) => (row.p95_ms ?? 0) / (row.p95_before_ms || 1),
            cell: (row) =>
              row.p95_ms === null || row.p95_before_ms === null
                ? none(ms(row.p95_ms))
                : wasNow(ms(row.p95_before_ms), ms(row.p95_ms)),
          },
          {
            key: "speed",
            label: "Speed",
            title: "By a test of the slowest uses, at every look",
            cls: "last",
            cell: (row) => speedChip(row.speed),
          },
          {
            key: "ends",
            label: "Ended: before, after",
            num: true,
            cls: "adoption",
            cell: (row) => wasNow(int(row.ends_before), int(row.ends)),
          },
          { key: "owner", label: "Owner", cls: "owner", cell: (row) => row.owner ?? none("nobody") },
        ],
      }).el,
    }),
  ];
}
