// Failures: which kinds, where, since when.

import { colour, timeOption, timeTable } from "../charts.js";
import { chart } from "../drawing.js";
import { h } from "../elements.js";
import { failedShare, grouped, ofProduct, steps, sum, tally, titles, total } from "../figures.js";
import { grid } from "../grid.js";
import { failedBar } from "../bars.js";
import { blank, change, featureCell, icon, names, none, panel, share, tiles, title } from "../parts.js";
import { rows } from "../reports.js";
import { get, isGuest, set, toFeature } from "../state.js";
import { DASH, errorWord, int, pct, plural, points } from "../words.js";
import { compared, failingMore } from "./findings.js";

/** @typedef {import("../reports.js").Row} Row */

/** @typedef {import("../shell.js").Context} Context */

const MOST_KINDS = 5;

const SHADES = 5;

/** @param {Context} context */
export async function failures(context) {
  const { now, before, where, features } = context;
  const by = ["event", "action", "status"];
  const [failed, failedBefore, where2, used, usedBefore, versions, outcomes] = await Promise.all([
    rows("errors", { range: now, by: [now.unit, "error_type"], where }),
    before ? rows("errors", { range: before, by: ["error_type"], where }) : [],
    rows("errors", { range: now, by: ["event", "error_type"], where }),
    rows("usage", { range: now, by, where }),
    before ? rows("usage", { range: before, by, where }) : [],
    compared(where),
    rows("outcomes", { range: now, by: ["event"], where }),
  ]);
  const worse = failingMore(versions, ofProduct(features, get("product")));
  const [present, former] = [tally(used), tally(usedBefore)];
  if (!present.failed) return [title("Nothing failed."), nothing()];
  const since = [...new Set([...worse.values()].map((row) => row.version))].join(", ");
  const head = title(
    [
      pct(failedShare(present)),
      " of what ended failed",
      worse.size ? ["; ", names([...worse.values()]), ` ${worse.size > 1 ? "fail" : "fails"} more since ${since}`] : "",
      ".",
    ],
    "A failure keeps its kind, never its message.",
  );
  const ended = new Map(outcomes.map((row) => [row.event, row]));
  const list = byEvent(context, used, usedBefore, where2, worse, ended);
  return [head, figures(present, former, failed, list), kinds(context, failed, failedBefore), matrix(list, failed)];
}

const nothing = () =>
  blank(
    "No failure in this choice",
    h("p", null, "Nothing that failed is stored for it."),
    isGuest()
      ? null
      : h(
          "p",
          null,
          h(
            "button",
            {
              type: "button",
              class: "button",
              onclick: () => set({ product: "", env: "", version: "", period: "", from: "", to: "" }),
            },
            "Look at everything, 30 days",
          ),
        ),
  );

/**
 * @param {import("../figures.js").Tally} present
 * @param {import("../figures.js").Tally} former
 * @param {Row[]} failed
 * @param {Row[]} list
 */
function figures(present, former, failed, list) {
  const [now, then] = [failedShare(present), failedShare(former)];
  const [most] = [...list].sort((a, b) => b.failed - a.failed);
  const [kind] = [...grouped(failed, "error_type")]
    .map(([name, mine]) => ({ name: name || null, count: total(mine, "count") }))
    .sort((a, b) => b.count - a.count);
  return tiles(
    {
      label: "Failed",
      value: pct(now),
      delta: now !== null && then !== null ? change(now - then, { format: points }) : null,
      note: `${int(present.failed)} of ${int(present.ends)}`,
    },
    {
      label: "Most failures",
      value: most?.title ?? DASH,
      note: most ? `${int(most.failed)}, ${pct(most.failed / present.failed, 0)} of all` : "",
    },
    {
      label: "Most frequent kind",
      value: kind ? errorWord(kind.name)[0] : DASH,
      note: kind ? errorWord(kind.name)[1] : "",
    },
    {
      label: "Features that failed",
      value: int(list.filter((each) => each.failed).length),
      note: `of ${plural(list.length, "that was", "that were")} used`,
    },
  );
}

/** @param {Context} context @param {Row[]} failed @param {Row[]} failedBefore */
function kinds({ now, before, marks: marked }, failed, failedBefore) {
  const past = new Map(failedBefore.map((row) => [row.error_type ?? "", row.count]));
  const all = [...grouped(failed, "error_type")]
    .map(([name, mine]) => ({
      name,
      data: steps(mine, now).map((step) => total(step, "count")),
      count: total(mine, "count"),
      past: past.get(name) ?? 0,
    }))
    .sort((a, b) => b.count - a.count);
  const max = Math.max(1, ...all.flatMap((each) => each.data));
  const multiple = (/** @type {typeof all[number]} */ { name, data, count, past: was }) =>
    h(
      "div",
      { class: "multiple" },
      h(
        "h3",
        { title: errorWord(name || null)[1] },
        h("span", { class: "who" }, errorWord(name || null)[0]),
        h("span", { class: "num" }, int(count)),
        before ? change(share(count, was)) : null,
      ),
      chart(`${errorWord(name || null)[0]}: ${plural(count, "failure")}`, "s", () =>
        timeOption({
          range: now,
          max,
          labels: false,
          marks: marked,
          series: [{ name: "failures", type: "bar", data, color: colour("bad") }],
        }),
      ),
    );
  const rest = all.slice(MOST_KINDS);
  return panel({
    title: "By kind of failure",
    note: `${now.unit === "day" ? "a day" : "an hour"}, one scale; dotted: releases`,
    body: [
      h("div", { class: "multiples five" }, all.slice(0, MOST_KINDS).map(multiple)),
      rest.length
        ? h(
            "details",
            { class: "more" },
            h("summary", null, plural(rest.length, "other kind")),
            h("div", { class: "multiples five" }, rest.map(multiple)),
          )
        : null,
    ],
    table: timeTable(
      now,
      all.map((each) => errorWord(each.name || null)[0]),
      all.map((each) => each.data),
    ),
  });
}

/**
 * @param {Context} context
 * @param {Row[]} used
 * @param {Row[]} usedBefore
 * @param {Row[]} failed
 * @param {Map<string, Row>} worse
 * @param {Map<string, Row>} ended Of `outcomes`.
 * @returns {Row[]}
 */
function byEvent({ features }, used, usedBefore, failed, worse, ended) {
  const past = grouped(usedBefore, "event");
  const kindsOf = grouped(failed, "event");
  const named = titles(features);
  const owners = new Map(features.map((each) => [each.event, each.owner]));
  return [...grouped(used, "event")].map(([event, mine]) => {
    const present = tally(mine);
    const now = failedShare(present);
    const then = failedShare(tally(past.get(event) ?? []));
    return {
      event,
      title: named(event),
      ...present,
      share: now,
      ended: ended.get(event),
      moved: now !== null && then !== null ? now - then : null,
      worse: worse.get(event),
      owner: owners.get(event) ?? null,
      kinds: new Map((kindsOf.get(event) ?? []).map((row) => [row.error_type ?? "", row.count])),
    };
  });
}

/** @param {Row[]} list @param {Row[]} failed */
function matrix(list, failed) {
  const order = [...grouped(failed, "error_type")]
    .map(([name, mine]) => ({ name, count: sum(mine.map((row) => row.count)) }))
    .sort((a, b) => b.count - a.count)
    .slice(0, 8);
  const shown = list.filter((each) => each.failed);
  const most = Math.max(1, ...shown.flatMap((each) => [...each.kinds.values()]));
  const biggest = Math.max(0.01, ...shown.map((each) => each.share ?? 0));
  const cell = (/** @type {number} */ n) =>
    h(
      "span",
      { class: `heatcell r${n ? Math.min(SHADES, 1 + Math.floor((n / most) * (SHADES - 0.01))) : 0}` },
      n ? int(n) : "·",
    );
  return panel({
    title: "Where it fails, and how",
    note: "failures; darker: more",
    cls: "inventory",
    body: grid({
      caption: "Failures by feature and kind",
      sort: "-failed",
      rows: shown,
      href: (row) => toFeature(row.event),
      columns: [
        { key: "title", label: "Feature", cls: "feature", cell: (row) => featureCell(row) },
        { key: "failed", label: "Failures", num: true, cls: "uses", cell: (row) => int(row.failed) },
        {
          key: "share",
          label: "Failed",
          num: true,
          cls: "failed",
          cell: (row) =>
            failedBar(row.ended, biggest, {
              tone: row.worse ? "bad" : "",
              before: row.worse
                ? h("span", { class: "since" }, icon("worse"), h("span", null, `since ${row.worse.version}`))
                : undefined,
            }),
        },
        {
          key: "moved",
          label: "Against before",
          num: true,
          cls: "verdict",
          cell: (row) =>
            row.moved === null ? none(DASH, "nothing ended before") : change(row.moved, { format: points }),
        },
        ...order.map(({ name }) => ({
          key: `kind ${name}`,
          label: errorWord(name || null)[0],
          title: errorWord(name || null)[1],
          num: true,
          cls: "matrix",
          sort: (/** @type {Row} */ row) => row.kinds.get(name) ?? 0,
          cell: (/** @type {Row} */ row) => cell(row.kinds.get(name) ?? 0),
        })),
        { key: "owner", label: "Owner", cls: "owner", cell: (row) => row.owner ?? none("nobody") },
      ],
    }).el,
  });
}
