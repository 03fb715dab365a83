// What was lost, and what was not taken at the door.

import { colour, timeOption, timeTable } from "../charts.js";
import { chart } from "../drawing.js";
import { h } from "../elements.js";
import { completeness, grouped, steps, sum, titles, total } from "../figures.js";
import { grid } from "../grid.js";
import { spark } from "../bars.js";
import { mono, none, panel } from "../parts.js";
import { lost, refused as refusedWord, SIGNALS } from "../reasons.js";
import { toFeature } from "../state.js";
import { complete, day, int } from "../words.js";

/** @typedef {import("../reports.js").Row} Row */

/** @typedef {import("../shell.js").Context} Context */

/** @typedef {import("../state.js").Range} Range */

const LEAST = 7;

/** @param {(number | null)[]} missing @param {Range} days */
export const notStored = (missing, days) =>
  missing.every((n) => !n)
    ? panel({
        title: "Not stored",
        body: none(
          missing.some((n) => n === 0)
            ? "All that was counted in the applications is stored; of senders without a tally it is unknown."
            : "No sender kept a tally in this period.",
        ),
      })
    : panel({
        title: "Not stored, by day",
        note: "counted in the applications and not stored; shortly before midnight it may be the next day’s",
        body: chart(`Counted and not stored: ${int(sum(missing.map((n) => n ?? 0)))}`, "m", () =>
          timeOption({
            range: days,
            series: [{ name: "not stored", type: "bar", data: missing, color: colour("warn") }],
          }),
        ),
        table: timeTable(days, ["Not stored"], [missing]),
      });

/** @param {Row[]} byEvent @param {Context} context */
export function least(byEvent, { features }) {
  const named = titles(features);
  const all = byEvent
    .map((row) => ({ event: row.event, ...completeness([row]) }))
    .filter((each) => each.share !== null)
    .sort((a, b) => (a.share ?? 0) - (b.share ?? 0) || b.missing - a.missing);
  const known = all.filter((each) => each.missing);
  const rest = known[LEAST];
  return panel({
    title: "Least complete",
    note: !known.length ? "" : `missing of counted${rest ? `; the others: ${complete(rest.share)} or better` : ""}`,
    body: known.length
      ? h(
          "ul",
          { class: "ranks" },
          known
            .slice(0, LEAST)
            .map((each) =>
              h(
                "li",
                null,
                h("span", { class: "who" }, h("a", { href: toFeature(each.event) }, named(each.event))),
                h("span", { class: "muted" }, `${int(each.missing)} of ${int(each.emitted)}`),
                h("span", { class: "num" }, complete(each.share)),
              ),
            ),
        )
      : none(all.length ? "Every feature that is counted is complete." : "No sender keeps a tally."),
    table: !all.length
      ? undefined
      : () => ({
          columns: ["Feature", "Counted", "Stored", "Complete"],
          rows: all.map((each) => [named(each.event), int(each.emitted), int(each.stored), complete(each.share)]),
        }),
  });
}

/** @param {Row[]} losses @param {Range} days */
export function lossesPanel(losses, days) {
  const list = [
    ...grouped(
      losses.map((row) => ({ ...row, day: row.day, of: `${SIGNALS[row.signal] ?? row.signal} ${row.reason}` })),
      "of",
    ).values(),
  ].map((mine) => ({
    reason: mine[0]?.reason,
    signal: mine[0]?.signal,
    count: total(mine, "count"),
    last: mine
      .map((row) => row.day)
      .sort()
      .pop(),
    data: steps(mine, days).map((step) => total(step, "count")),
  }));
  return panel({
    title: "Losses, each with its reason",
    note: "a loss is counted; nothing else of it is kept",
    cls: "inventory",
    id: "losses",
    body: grid({
      caption: "Losses",
      key: "ls",
      sort: "-count",
      rows: list,
      empty: "Nothing was lost.",
      columns: [
        {
          key: "what",
          label: "What happened",
          cls: "feature",
          sort: (row) => lost(row.reason)[0],
          cell: (row) => [h("span", { class: "name" }, lost(row.reason)[0]), h("span", { class: "under" }, row.reason)],
        },
        { key: "reason", label: "Reason", cls: "event", cell: (row) => mono(row.reason) },
        { key: "signal", label: "Where", cls: "owner", cell: (row) => SIGNALS[row.signal] ?? row.signal },
        { key: "trend", label: "By day", sort: false, cls: "trend", cell: (row) => spark(row.data) },
        { key: "count", label: "Count", num: true, cls: "uses", cell: (row) => int(row.count) },
        { key: "last", label: "Last", cls: "last", num: true, cell: (row) => day(row.last) },
        { key: "todo", label: "What to do", sort: false, cls: "todo", cell: (row) => lost(row.reason)[1] },
      ],
    }).el,
  });
}

/** @param {Row[]} refused */
export function door(refused) {
  if (!refused.length) return [];
  const list = refused.map((row) =>
    h(
      "li",
      null,
      h("span", { class: "who", title: refusedWord(row.reason)[1] }, refusedWord(row.reason)[0]),
      h("span", { class: "muted" }, row.signal),
      h("span", { class: "num" }, int(row.requests)),
    ),
  );
  return [
    panel({
      title: "At the door",
      note: "requests that were not taken",
      body: h("ul", { class: "ranks" }, list),
      table: () => ({
        columns: ["Refused requests", "Count"],
        rows: refused.map((row) => [refusedWord(row.reason)[0], int(row.requests)]),
      }),
    }),
  ];
}
