// The inventory: each declared feature, a row; the figures of `features` as they are.

import { h } from "../elements.js";
import { grouped, tallies, tally } from "../figures.js";
import { grid } from "../grid.js";
import { bar, failedBar, spark } from "../bars.js";
import { change, chip, featureCell, icon, mono, none } from "../parts.js";
import { rows } from "../reports.js";
import { get, isNarrow, set, toFeature } from "../state.js";
import { between, DASH, DAY, int, lastUse, ms, pct, signed } from "../words.js";
import { daysOf, kept, section } from "./choosing.js";

/** @typedef {import("../reports.js").Row} Row */

/** @typedef {import("../grid.js").Column} Column */

/** What needs a look first. */
const ORDER = ["expired", "expiring", "fading", "unused", "new", "growing", "too few to tell", "steady"];

/** Of these a change says nothing. */
const UNTOLD = ["unused", "too few to tell", null];

/** @param {Row[]} listed @param {Map<string, Row>} worse @param {Row[]} events Uses of the chosen period, by event. */
export function inventoryTable(listed, worse, events) {
  const isYoung = !listed.some((each) => each.uses);
  const soFar = new Map([...grouped(events, "event")].map(([event, of]) => [event, tally(of).uses]));
  const all = listed.map((each) => ({
    ...each,
    worse: worse.get(each.event),
    shown: isYoung ? (soFar.get(each.event) ?? 0) : each.uses,
  }));
  const trends = new Map();
  const table = grid({
    caption: "Features",
    rows: kept(all),
    sort: "-shown",
    href: (row) => toFeature(row.event),
    empty: "No feature matches. Clear the search or the filters.",
    orders: { look: rank },
    columns: columns(all, trends, isYoung),
    ondraw: (shown) => void drawTrends(shown, trends),
  });
  table.table.dataset.column = get("column") || "failed";
  return section(all, worse, table, isYoung);
}

/** @param {Row} row What needs a look most comes first, then what is used most. */
const rank = (row) => (row.worse ? 0 : 1 + Math.max(0, ORDER.indexOf(row.verdict))) * 1e12 - (row.shown ?? 0);

/** @param {Row[]} all @param {Map<string, number[]>} trends @param {boolean} isYoung @returns {Column[]} */
function columns(all, trends, isYoung) {
  const biggest = Math.max(0.01, ...all.map((row) => row.failures ?? 0));
  const hasGroups = all.some((row) => row.adoption !== null);
  const line = (/** @type {Row} */ row, width = 112, height = 22) =>
    h(
      "span",
      { class: "line", "data-event": row.event, "data-width": width, "data-height": height },
      trends.get(row.event)?.length ? spark(trends.get(row.event) ?? [], { width, height }) : null,
    );
  return [
    {
      key: "title",
      label: "Feature",
      cls: "feature",
      cell: (row) => [featureCell(row), isNarrow() ? line(row, 120, 18) : null],
    },
    { key: "event", label: "Event", cls: "event", cell: (row) => mono(row.event) },
    {
      key: "trend",
      label: "Trend",
      cls: "trend",
      sort: false,
      cell: (row) => (row.shown ? !isNarrow() && line(row) : none("no use")),
    },
    {
      key: "shown",
      label: isYoung ? "Uses so far" : "Uses",
      num: true,
      cls: "uses",
      cell: (row) => (row.shown ? int(row.shown) : none("0")),
    },
    {
      key: "change",
      label: "Change",
      cls: "verdict",
      title: "Against as many days before, and what that amounts to",
      cell: (row) => h("span", { class: "pair" }, chip(row.verdict), UNTOLD.includes(row.verdict) ? null : moved(row)),
    },
    {
      key: "failures",
      label: "Failed",
      num: true,
      cls: "failed",
      title: "Of what ended as a success or a failure",
      cell: (row) => failed(row, biggest),
    },
    {
      key: "p95_ms",
      label: "p95",
      num: true,
      cls: "p95",
      title: "95 of 100 uses were faster than this",
      cell: (row) => (row.p95_ms === null ? none(DASH, "nothing with a duration") : ms(row.p95_ms)),
    },
    ...(hasGroups
      ? [
          /** @type {Column} */ ({
            key: "adoption",
            label: "Adoption",
            num: true,
            cls: "adoption",
            title: "Share of the groups that used the product",
            cell: adoption,
          }),
        ]
      : []),
    {
      key: "last_used",
      label: "Last use",
      num: true,
      cls: "last",
      cell: (row) => (row.last_used === null ? none("never") : lastUse(row.last_used)),
    },
    { key: "owner", label: "Owner", cls: "owner", cell: owner },
  ];
}

/** @param {Row} row @param {number} biggest */
function failed(row, biggest) {
  const since = row.worse
    ? h(
        "span",
        {
          class: "since",
          title: `${pct(row.worse.failed_before)} before ${row.worse.version}, ${pct(row.worse.failed)} since`,
        },
        icon("worse"),
        h("span", null, `since ${row.worse.version}`),
      )
    : undefined;
  const { failures, failures_low, failures_high } = row;
  const ended = { share: failures, share_low: failures_low, share_high: failures_high };
  return failedBar(ended, biggest, { tone: row.worse ? "bad" : "", before: since });
}

/** How much more, or less, and between which bounds that lies. @param {Row} row */
function moved(row) {
  const sure = between(row.change_low, row.change_high, (v) => signed(v ?? 0, (n) => pct(n, 0)));
  return [
    change(row.change),
    sure ? h("span", { class: "sure muted", title: "With 95 % certainty, bursts left aside" }, sure) : null,
  ];
}

/** @param {Row} row */
const adoption = (row) =>
  row.adoption === null
    ? none(DASH, "It carries no group, was not used, or is of too few groups to be shown")
    : h(
        "span",
        { class: "pair" },
        bar(row.adoption),
        h("span", { class: "fixed" }, pct(row.adoption, row.adoption < 0.01 ? 1 : 0)),
      );

/** @param {Row} row Who answers for it, which shows what else they do. */
const owner = (row) =>
  row.owner === null
    ? none("nobody")
    : h(
        "button",
        {
          type: "button",
          class: "pick",
          title: `Show only what ${row.owner} answers for`,
          onclick: () => set({ owner: get("owner") === row.owner ? "" : row.owner }),
        },
        row.owner,
      );

/**
 * Draws the lines of what is in the document: of 500 features those of fifty.
 *
 * @param {Row[]} shown
 * @param {Map<string, number[]>} trends
 */
async function drawTrends(shown, trends) {
  const missing = shown.filter((row) => row.shown && !trends.has(row.event));
  for (const { event } of missing) trends.set(event, []); // it is asked for once
  const until = Math.floor(Date.now() / DAY) * DAY;
  const days = daysOf(shown);
  /** @type {import("../state.js").Range} */
  const range = {
    since: until - days * DAY,
    until,
    unit: "day",
    times: Array.from({ length: days }, (_, i) => until - (days - i) * DAY),
  };
  if (!missing.length) return;
  const found = await rows("usage", {
    range,
    by: ["day", "event", "action"],
    where: { event: missing.map((row) => row.event) },
  }).catch(() => []);
  for (const [event, of] of grouped(found, "event"))
    trends.set(
      event,
      tallies(of, range).map((each) => each.uses),
    );
  for (const place of document.querySelectorAll(".line")) {
    const { event, width, height } = /** @type {HTMLElement} */ (place).dataset;
    const values = trends.get(event ?? "");
    if (values?.length && !place.firstChild)
      place.append(spark(values, { width: Number(width), height: Number(height) }));
  }
}
