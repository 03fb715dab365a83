// Overview: what lives, what dies, what needs a look, and every feature.

import { h } from "../elements.js";
import { completeness, failedShare, finished, grouped, ofCounted, ofProduct, tallies, tally } from "../figures.js";
import { spark } from "../bars.js";
import { change, names, share, tiles } from "../parts.js";
import { ofChosenProduct, rows, rowsIfAny } from "../reports.js";
import { get, link, periodName } from "../state.js";
import { complete, day, groupWord, int, ms, pct, plural, points } from "../words.js";
import { changed, compared, failingMore, look } from "./findings.js";
import { inventoryTable } from "./inventory.js";
import { surfaces } from "./surfaces.js";

/** @typedef {import("../reports.js").Row} Row */

/** @typedef {import("../shell.js").Context} Context */

/** @typedef {import("../elements.js").Kid} Kid */

const MOST_PARTS = 6;

/** @param {Context} context */
export async function overview(context) {
  const { now, before, where, features } = context;
  const listed = ofProduct(features, get("product"));
  const by = ["surface", "action", "status"];
  const [used, usedBefore, moved, versions, active, fast, fastBefore, events] = await Promise.all([
    rows("usage", { range: now, by: [now.unit, ...by], where }),
    before ? rows("usage", { range: before, by, where }) : [],
    before ? rowsIfAny("changes", { range: now, by: ["event"], where, limit: MOST_PARTS }) : [],
    compared(where),
    rowsIfAny("groups", { range: now, where: ofChosenProduct() }),
    rows("latency", { range: now, by: ["environment"], where }),
    before ? rows("latency", { range: before, by: ["environment"], where }) : [],
    rows("usage", { range: now, by: ["event", "action", "status"], where }),
  ]);
  const seen = [...grouped(events, "event")].filter(([, of]) => tally(of).uses).map(([event]) => event);
  const worse = failingMore(versions, listed);
  const list = inventoryTable(listed, worse, events);
  return [
    lead(listed, seen, worse),
    figures(context, { used, usedBefore, active, fast, fastBefore }),
    h(
      "div",
      { class: "row three" },
      surfaces(context, used, usedBefore),
      changed(moved, listed),
      look(context, listed, worse),
    ),
    list,
  ];
}

/** @param {Row[]} listed @param {string[]} seen @param {Map<string, Row>} worse */
function lead(listed, seen, worse) {
  const alive = listed.filter((each) => seen.includes(each.event));
  const of = (/** @type {string} */ verdict) =>
    listed.filter((each) => each.verdict === verdict && !(verdict === "unused" && seen.includes(each.event)));
  const since = [...new Set([...worse.values()].map((each) => each.version))].join(", ");
  const broken = [...worse.values()];
  const parts = [
    some(broken, `fails more since ${since}`, `fail more since ${since}`, "worse"),
    some(of("fading"), "is fading", "are fading", "fading"),
    some(of("unused"), "is unused", "are unused", "unused"),
  ].filter((part) => part !== null);
  const said = parts.map((part, i) => [i ? (i === parts.length - 1 ? ", and " : ", ") : "", part]);
  return h(
    "div",
    { class: "title" },
    h(
      "h1",
      null,
      `${int(alive.length)} of ${plural(listed.length, "feature")} ${alive.length === 1 ? "is" : "are"} in use in ${periodName()}. `,
      said,
      parts.length ? "." : "Nothing stands out.",
    ),
  );
}

/** @param {any[]} list @param {string} one @param {string} many @param {string} verdict @returns {Kid} */
function some(list, one, many, verdict) {
  if (!list.length) return null;
  if (list.length <= 2) return [names(list), ` ${list.length === 1 ? one : many}`];
  return [h("a", { href: `${link("overview", { verdict })}#features` }, `${int(list.length)} features`), ` ${many}`];
}

/**
 * @param {Context} context
 * @param {{used: Row[], usedBefore: Row[], active: Row[], fast: Row[], fastBefore: Row[]}} of
 */
function figures({ now, state }, { used, usedBefore, active, fast, fastBefore }) {
  const [present, former] = [tally(used), tally(usedBefore)];
  const byStep = tallies(used, now);
  const [failed, failedBefore] = [failedShare(present), failedShare(former)];
  const small = { width: 84, height: 28 };
  const whole = completeness([state.complete]);
  const { missing } = whole;
  return tiles(
    {
      label: "Uses",
      title: "Everything that ended, well or badly",
      value: int(present.uses),
      delta: change(share(present.uses, former.uses)),
      note: former.uses ? `from ${int(former.uses)}` : "",
      graph: spark(finished(byStep.map((each) => each.uses)), small),
    },
    {
      label: "Failed",
      title: "Of what ended as a success or a failure",
      value: pct(failed),
      delta: failed !== null && failedBefore !== null ? change(failed - failedBefore, { format: points }) : null,
      note: plural(present.failed, "failure"),
      graph: spark(finished(byStep.map(failedShare)), { ...small, tone: "bad" }),
    },
    ...slow(fast, fastBefore),
    ...group(active),
    {
      label: "Complete",
      title: "Stored, of what the applications say they counted, over all that is kept",
      value: complete(whole.share),
      note:
        whole.share === null
          ? "no sender keeps a tally"
          : [ofCounted(whole), missing ? `${int(missing)} uses missing` : whole.untallied ? "" : "nothing missing"]
              .filter(Boolean)
              .join(" · "),
    },
  );
}

/**
 * Of the environment with most observations: durations of different ones say nothing together.
 *
 * @param {Row[]} fast
 * @param {Row[]} before
 */
function slow(fast, before) {
  const [most] = [...fast].sort((a, b) => b.observations - a.observations);
  if (!most) return [];
  const then = before.find((row) => row.environment === most.environment);
  return [
    {
      label: "p95",
      title: "95 of 100 uses were faster than this",
      value: ms(most.p95_ms),
      delta: change(share(most.p95_ms, then?.p95_ms)),
      note: fast.length > 1 ? `in ${most.environment ?? "no environment"}` : "95 of 100 were faster",
    },
  ];
}

/** The last day that is counted. @param {Row[]} active Of `groups`. */
function group(active) {
  const known = active.filter((row) => row.active !== null);
  const last = known[known.length - 1];
  if (!last) return [];
  const of = known.filter((row) => row.attribute === last.attribute);
  const word = groupWord(last.attribute);
  return [
    {
      label: `${word[0]?.toUpperCase()}${word.slice(1)} a day`,
      title: "Distinct hashed groups; counted six hours after a day’s end",
      value: int(last.active),
      note: `on ${day(last.day)}`,
      graph: spark(
        of.map((row) => row.active),
        { width: 84, height: 28 },
      ),
    },
  ];
}
