// Speed: how long each feature takes, over time and in one picture.

import { colour, timeOption, timeTable } from "../charts.js";
import { chart } from "../drawing.js";
import { h, s } from "../elements.js";
import { grouped, titles, values } from "../figures.js";
import { grid } from "../grid.js";
import { blank, change, featureCell, mono, names, none, panel, share, speedChip, title } from "../parts.js";
import { rows } from "../reports.js";
import { toFeature } from "../state.js";
import { between, DASH, int, ms, SPEEDS } from "../words.js";
import { compared } from "./findings.js";

/** @typedef {import("../reports.js").Row} Row */

/** @typedef {import("../shell.js").Context} Context */

const TICKS = [100, 1000, 10000];

const [WIDTH, LEAST, MOST] = [200, 10, 100000];

const SHOWN = 6;

/** Fewer have no 95 of 100: it is named the slowest from so many measured uses on. */
const ENOUGH = 20;

/** @param {Context} context */
export async function speed(context) {
  const { now, before, where, features } = context;
  const [present, former, versions] = await Promise.all([
    rows("latency", { range: now, by: ["event"], where }),
    before ? rows("latency", { range: before, by: ["event"], where }) : [],
    compared(where),
  ]);
  const named = titles(features);
  const owners = new Map(features.map((each) => [each.event, each.owner]));
  const told = mostTelling(versions);
  const past = new Map(former.map((row) => [row.event, row.p95_ms]));
  /** @type {Row[]} */
  const list = present.map((row) => ({
    ...row,
    event: row.event,
    title: named(row.event),
    owner: owners.get(row.event) ?? null,
    p95_ms: row.p95_ms,
    before: past.get(row.event) ?? null,
    drift: share(row.p95_ms, past.get(row.event)),
    since: told.get(row.event),
  }));
  const slower = list.filter((row) => row.since?.speed === "slower");
  const slowest = list.find((row) => row.observations >= ENOUGH);
  if (!list.length)
    return [
      title("Nothing to measure."),
      blank(
        "No duration in this choice",
        h("p", null, "What carries ", mono("duration_ms"), " is here: instrumented code sends it by itself."),
      ),
    ];
  const worse = slower.length
    ? [
        names(slower),
        ` ${slower.length > 1 ? "are" : "is"} slower since ${[...new Set(slower.map((row) => row.since.version))].join(", ")}. `,
      ]
    : null;
  const said = slowest
    ? [
        worse,
        h("a", { href: toFeature(slowest.event) }, slowest.title),
        ` is the slowest: 95 of 100 uses within ${ms(slowest.p95_ms)}.`,
      ]
    : "Too few were measured to name the slowest.";
  return [
    title(
      said,
      "Of single uses that carry a duration. Whether a version is slower is said by a test of its slowest uses, at every look.",
    ),
    await courses(context, list),
    every(list),
  ];
}

/** Of each event what is said of its speed; of several services the worst. @param {Row[]} versions Of `releases`. */
function mostTelling(versions) {
  const order = Object.keys(SPEEDS);
  const rank = (/** @type {Row} */ row) => order.indexOf(row.speed);
  const told = versions.filter((row) => row.speed !== null).sort((a, b) => rank(b) - rank(a));
  return new Map(told.map((row) => [row.event, row]));
}

/** The most measured ones, over time. @param {Context} context @param {Row[]} list */
async function courses({ now, where, marks }, list) {
  const most = [...list].sort((a, b) => b.observations - a.observations).slice(0, SHOWN);
  const found = grouped(
    await rows("latency", {
      range: now,
      by: [now.unit, "event"],
      where: { ...where, event: most.map((each) => each.event) },
    }),
    "event",
  );
  const data = most.map((each) => values(found.get(each.event) ?? [], now, "p95_ms"));
  return panel({
    title: "Most measured",
    note: "p95, each its own scale; dotted: releases",
    body: h(
      "div",
      { class: "multiples three" },
      most.map((each, i) =>
        h(
          "div",
          { class: "multiple" },
          h(
            "h3",
            null,
            h("a", { href: toFeature(each.event) }, each.title),
            h("span", { class: "num" }, ms(each.p95_ms)),
            change(each.drift),
          ),
          chart(`p95 of ${each.title}: ${ms(each.p95_ms)}`, "s", () =>
            timeOption({
              range: now,
              format: ms,
              labels: false,
              marks,
              series: [{ name: "p95", data: data[i] ?? [], color: colour("series") }],
            }),
          ),
        ),
      ),
    ),
    table: timeTable(
      now,
      most.map((each) => each.title),
      data,
      ms,
    ),
  });
}

/** Where a duration lies on one logarithmic scale. @param {number} value */
const x = (value) => (Math.log(Math.min(MOST, Math.max(LEAST, value)) / LEAST) / Math.log(MOST / LEAST)) * WIDTH;

/** @param {Row} row */
const range = (row) =>
  s(
    "svg",
    { class: "range", viewBox: `0 0 ${WIDTH} 18`, width: WIDTH, height: 18, "aria-hidden": "true" },
    TICKS.map((at) => s("line", { x1: x(at), x2: x(at), y1: 0, y2: 18, class: "tick" })),
    s("line", { x1: x(row.p50_ms), x2: x(row.p99_ms), y1: 9, y2: 9, class: "thin" }),
    s("line", { x1: x(row.p50_ms), x2: x(row.p95_ms), y1: 9, y2: 9, class: "thick" }),
    s("circle", { cx: x(row.p50_ms), cy: 9, r: 3.5 }),
  );

const axis = () =>
  s(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} 16`,
      width: WIDTH,
      height: 16,
      class: "range-axis",
      role: "img",
      "aria-label": "Range, from 10 ms to 100 s",
    },
    TICKS.map((at) =>
      s("text", { x: x(at), y: 12, "text-anchor": "middle" }, at < 1000 ? `${at} ms` : `${at / 1000} s`),
    ),
  );

/** @param {Row} row Of `releases`. */
const sinceRelease = (row) =>
  h(
    "span",
    { title: `${row.version}: p95 ${ms(row.p95_before_ms)} before, ${ms(row.p95_ms)} since` },
    speedChip(row.speed),
  );

/** @param {Row[]} list */
const every = (list) =>
  panel({
    title: "Every feature",
    note: "dot: half of all uses were faster; thick line: 95 of 100; thin: 99 of 100",
    cls: "inventory",
    body: grid({
      caption: "Durations by feature",
      sort: "-p95_ms",
      rows: list,
      href: (row) => toFeature(row.event),
      columns: [
        { key: "title", label: "Feature", cls: "feature", cell: (row) => featureCell(row) },
        { key: "event", label: "Event", cls: "event", cell: (row) => mono(row.event) },
        { key: "range", label: axis(), sort: false, cls: "trend", cell: range },
        { key: "p50_ms", label: "Half within", num: true, cls: "adoption", cell: (row) => ms(row.p50_ms) },
        { key: "p95_ms", label: "p95", num: true, cls: "uses", cell: (row) => ms(row.p95_ms) },
        {
          key: "p95_low_ms",
          label: "between",
          title: "Where the p95 lies with 95 % certainty, were there chance alone",
          num: true,
          sort: false,
          cls: "last",
          cell: (row) => between(row.p95_low_ms, row.p95_high_ms, ms) || none(DASH, "fewer than 73 were measured"),
        },
        { key: "p99_ms", label: "p99", num: true, cls: "adoption", cell: (row) => ms(row.p99_ms) },
        {
          key: "drift",
          label: "Against before",
          num: true,
          cls: "last",
          cell: (row) => change(row.drift) ?? none(DASH, "nothing was measured before"),
        },
        {
          key: "speed",
          label: "Since the release",
          title: "Whether the newest version is slower than the one before, by a test of the slowest uses",
          cls: "verdict",
          sort: (row) => Object.keys(SPEEDS).indexOf(row.since?.speed),
          cell: (row) => (row.since ? sinceRelease(row.since) : none(DASH, "not measured in two versions")),
        },
        { key: "observations", label: "Measured uses", num: true, cls: "last", cell: (row) => int(row.observations) },
        { key: "owner", label: "Owner", cls: "owner", cell: (row) => row.owner ?? none("nobody") },
      ],
    }).el,
  });
