// What changed, and what needs a look.

import { h } from "../elements.js";
import { icon, none, panel, seg } from "../parts.js";
import { rowsIfAny } from "../reports.js";
import { COMPARE, get, link, set, toFeature } from "../state.js";
import { daysLeft, int, pct, plural, signed } from "../words.js";

/** @typedef {import("../reports.js").Row} Row */

/** @typedef {import("../shell.js").Context} Context */

/** @typedef {import("../elements.js").Kid} Kid */

const MOST_FINDINGS = 7;

/** Versions side by side, where the filters leave two to compare. @param {Record<string, string[]>} where */
export function compared(where) {
  const { version, ...others } = where;
  return rowsIfAny("releases", { where: others });
}

/**
 * Features that the newest version fails more often.
 *
 * @param {Row[]} versions Of `releases`.
 * @param {Row[]} features
 */
export function failingMore(versions, features) {
  const by = new Map(features.map((each) => [each.event, each]));
  const found = versions.filter((row) => row.verdict === "fails more" && by.has(row.event));
  return new Map(found.map((row) => [row.event, /** @type {Row} */ ({ ...row, title: by.get(row.event)?.title })]));
}

/**
 * What the change is made of: what is beyond chance, the rest, and both together.
 *
 * @param {Row[]} moved Of `changes`.
 * @param {Row[]} listed
 */
export function changed(moved, listed) {
  const mode = get("changed") === "failures" ? "failures" : "uses";
  const mine = moved.filter((row) => row.of === mode);
  const whole = mine.find((row) => row.what === "all");
  const parts = mine.filter((row) => row.what !== "all");
  const reach = Math.max(1, ...parts.map((row) => Math.abs(row.change)));
  const body = whole
    ? [
        h("p", { class: "sum" }, h("b", null, signed(whole.change)), ` ${mode} against ${COMPARE.previous}`),
        h(
          "ol",
          { class: "contributions" },
          parts.map((row) => part(row, mode, reach, listed)),
        ),
      ]
    : none(get("compare") === "none" ? "Choose something to compare with." : "Nothing to compare with.");
  return panel({
    title: "What changed",
    note: whole && parts.length < 2 ? "nothing beyond chance" : "",
    body,
    actions: seg("What changed in", { uses: "Uses", failures: "Failures" }, mode, (next) =>
      set({ changed: next === "uses" ? "" : next }),
    ),
    table: whole
      ? () => ({
          columns: ["What", "Before", "Now", "Difference"],
          rows: [...parts, whole].map((row) => [
            named(row.what, listed),
            int(row.before),
            int(row.now),
            signed(row.change),
          ]),
        })
      : undefined,
  });
}

/** @param {Row} row @param {string} mode @param {number} reach @param {Row[]} listed */
const part = ({ what, change: by }, mode, reach, listed) =>
  h(
    "li",
    { class: what === "all else" ? "rest" : "" },
    h("span", { class: "who" }, named(what, listed)),
    h(
      "span",
      { class: `diff ${by < 0 ? "down" : "up"} ${mode}`, "aria-hidden": "true" },
      h("span", { style: { width: `${(Math.abs(by) / reach) * 50}%` } }),
    ),
    h("span", { class: "num" }, signed(by)),
  );

/** @param {string} what As `changes` names it: `event=shop.order`. @param {Row[]} listed @returns {Kid} */
function named(what, listed) {
  const event = what.startsWith("event=") ? what.slice(6) : "";
  const known = listed.find((each) => each.event === event);
  return known ? h("a", { href: toFeature(event) }, known.title) : event || what;
}

/** @param {Context} context @param {Row[]} listed @param {Map<string, Row>} worse */
export function look({ state }, listed, worse) {
  const of = (/** @type {string} */ verdict) => listed.filter((each) => each.verdict === verdict);
  const refused = state.lost.filter((row) => row.reason === "expired_event").reduce((a, row) => a + row.count, 0);
  /** @type {[string, string, Row, string, Kid][]} */
  const all = [
    ...[...worse.values()].map(
      (row) =>
        /** @type {[string, string, Row, string, Kid]} */ ([
          "bad",
          "worse",
          row,
          `fails more since ${row.version}`,
          `${pct(row.failed_before)} → ${pct(row.failed)}`,
        ]),
    ),
    ...of("expired").map(
      (each) =>
        /** @type {[string, string, Row, string, Kid]} */ (["warn", "expired", each, "has expired", each.owner ?? ""]),
    ),
    ...(refused
      ? [
          /** @type {[string, string, Row, string, Kid]} */ ([
            "warn",
            "expired",
            { title: "What has expired" },
            "is still sent",
            `${int(refused)} refused`,
          ]),
        ]
      : []),
    ...of("expiring").map(
      (each) =>
        /** @type {[string, string, Row, string, Kid]} */ ([
          "warn",
          "expiring",
          each,
          `expires in ${plural(daysLeft(each.expires), "day")}`,
          `${int(each.uses ?? 0)} uses`,
        ]),
    ),
    ...of("fading").map(
      (each) =>
        /** @type {[string, string, Row, string, Kid]} */ ([
          "",
          "fading",
          each,
          "is fading",
          `${int(each.uses_before)} → ${int(each.uses)} uses`,
        ]),
    ),
    ...of("unused").map(
      (each) =>
        /** @type {[string, string, Row, string, Kid]} */ ([
          "",
          "unused",
          each,
          each.last_used ? "is not used any more" : "was never used",
          each.owner ?? "",
        ]),
    ),
  ];
  const items = all
    .slice(0, MOST_FINDINGS)
    .map(([tone, kind, each, what, detail]) =>
      h(
        "li",
        { class: tone },
        icon(kind),
        h(
          "span",
          null,
          h("a", { href: each.event ? toFeature(each.event) : `${link("trust")}#losses` }, each.title),
          ` ${what}`,
        ),
        h("span", { class: "muted" }, detail),
      ),
    );
  const more =
    all.length > MOST_FINDINGS
      ? h(
          "p",
          { class: "muted" },
          h("a", { href: `${link("overview", { sort: "look" })}#features` }, `${int(all.length - MOST_FINDINGS)} more`),
        )
      : null;
  return panel({
    title: "Needs a look",
    cls: "look",
    note: all.length ? plural(all.length, "finding") : "",
    body: [
      h(
        "ul",
        { class: "findings" },
        items.length ? items : h("li", null, icon("good"), h("span", null, "Nothing stands out.")),
      ),
      more,
    ],
  });
}
