// Overview: what lives, what dies, what needs a look, and every feature.

import { chart, colour, timeOption, timeTable } from "../charts.js";
import { h } from "../elements.js";
import { beforeLine, completeness, failedShare, finished, grouped, ofCounted, ofProduct, tallies, tally } from "../figures.js";
import { change, icon, names, none, panel, seg, share, spark, tiles } from "../parts.js";
import { ofChosenProduct, rows, rowsIfAny } from "../reports.js";
import { COMPARE, get, link, periodName, set, toFeature } from "../state.js";
import { complete, day, daysLeft, groupWord, int, ms, pct, plural, points, signed } from "../words.js";
import { inventoryTable } from "./inventory.js";

/** @typedef {import("../reports.js").Row} Row */
/** @typedef {import("../shell.js").Context} Context */
/** @typedef {import("../elements.js").Kid} Kid */

const MOST_SURFACES = 4;
const MOST_FINDINGS = 7;
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
  return [lead(listed, seen, worse), figures(context, { used, usedBefore, active, fast, fastBefore }),
    h("div", { class: "row three" }, surfaces(context, used, usedBefore), changed(moved, listed), look(context, listed, worse)), list];
}

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

/** @param {Row[]} listed @param {string[]} seen @param {Map<string, Row>} worse */
function lead(listed, seen, worse) {
  const alive = listed.filter((each) => seen.includes(each.event));
  const of = (/** @type {string} */ verdict) => listed.filter((each) => each.verdict === verdict && !(verdict === "unused" && seen.includes(each.event)));
  const since = [...new Set([...worse.values()].map((each) => each.version))].join(", ");
  const broken = [...worse.values()];
  const parts = [some(broken, `fails more since ${since}`, `fail more since ${since}`, "worse"), some(of("fading"), "is fading", "are fading", "fading"),
    some(of("unused"), "is unused", "are unused", "unused")].filter((part) => part !== null);
  const said = parts.map((part, i) => [i ? (i === parts.length - 1 ? ", and " : ", ") : "", part]);
  return h("div", { class: "title" }, h("h1", null, `${int(alive.length)} of ${plural(listed.length, "feature")} ${alive.length === 1 ? "is" : "are"} in use in ${periodName()}. `, said, parts.length ? "." : "Nothing stands out."));
}

/** @param {any[]} list @param {string} one @param {string} many @param {string} verdict @returns {Kid} */
function some(list, one, many, verdict) {
  if (!list.length) return null;
  if (list.length <= 2) return [names(list), ` ${list.length === 1 ? one : many}`];
  return [h("a", { href: `${link("overview", { verdict })}#features` }, `${int(list.length)} features`), ` ${many}`];
}

/** @param {Context} context @param {{used: Row[], usedBefore: Row[], active: Row[], fast: Row[], fastBefore: Row[]}} of */
function figures({ now, state }, { used, usedBefore, active, fast, fastBefore }) {
  const [present, former] = [tally(used), tally(usedBefore)];
  const byStep = tallies(used, now);
  const [failed, failedBefore] = [failedShare(present), failedShare(former)];
  const small = { width: 84, height: 28 };
  const whole = completeness([state.complete]);
  const { missing } = whole;
  return tiles(
    { label: "Uses", title: "Everything that ended, well or badly", value: int(present.uses), delta: change(share(present.uses, former.uses)), note: former.uses ? `from ${int(former.uses)}` : "", graph: spark(finished(byStep.map((each) => each.uses)), small) },
    { label: "Failed", title: "Of what ended as a success or a failure", value: pct(failed), delta: failed !== null && failedBefore !== null ? change(failed - failedBefore, { format: points }) : null, note: plural(present.failed, "failure"), graph: spark(finished(byStep.map(failedShare)), { ...small, tone: "bad" }) },
    ...slow(fast, fastBefore), ...group(active),
    { label: "Complete", title: "Stored, of what the applications say they counted, over all that is kept", value: complete(whole.share), note: whole.share === null ? "no sender keeps a tally" : [ofCounted(whole), missing ? `${int(missing)} uses missing` : whole.untallied ? "" : "nothing missing"].filter(Boolean).join(" · ") });
}

/** Of the environment with most observations: durations of different ones say nothing together. @param {Row[]} fast @param {Row[]} before */
function slow(fast, before) {
  const [most] = [...fast].sort((a, b) => b.observations - a.observations);
  if (!most) return [];
  const then = before.find((row) => row.environment === most.environment);
  return [{ label: "p95", title: "95 of 100 uses were faster than this", value: ms(most.p95_ms), delta: change(share(most.p95_ms, then?.p95_ms)), note: fast.length > 1 ? `in ${most.environment ?? "no environment"}` : "95 of 100 were faster" }];
}

/** The last day that is counted. @param {Row[]} active Of `groups`. */
function group(active) {
  const known = active.filter((row) => row.active !== null);
  const last = known[known.length - 1];
  if (!last) return [];
  const of = known.filter((row) => row.attribute === last.attribute);
  const word = groupWord(last.attribute);
  return [{ label: `${word[0]?.toUpperCase()}${word.slice(1)} a day`, title: "Distinct hashed groups; counted six hours after a day’s end", value: int(last.active), note: `on ${day(last.day)}`, graph: spark(of.map((row) => row.active), { width: 84, height: 28 }) }];
}

/** Small multiples, so that sizes compare; beyond four they fold. @param {Context} context @param {Row[]} used @param {Row[]} usedBefore */
function surfaces({ now, before, marks: marked }, used, usedBefore) {
  const of = [...grouped(used, "surface")].map(([name, mine]) => {
    const past = tally(usedBefore.filter((row) => row.surface === name)).uses;
    return { name, data: tallies(mine, now).map((each) => each.uses), uses: tally(mine).uses, past: before ? past : null };
  }).filter((each) => each.uses).sort((a, b) => b.uses - a.uses);
  const same = get("scale") === "same";
  const max = same ? Math.max(...of.flatMap((each) => each.data)) : undefined;
  const multiple = (/** @type {typeof of[number]} */ { name, data, uses, past }) => h("div", { class: "multiple" },
    h("h3", null, h("button", { type: "button", class: "pick", title: `Show only features on ${name}`, onclick: () => set({ surface: get("surface") === name ? "" : name }) }, name),
      h("span", { class: "num" }, int(uses)), change(share(uses, past))),
    chart(`Uses on ${name}: ${int(uses)}${past ? `, ${int(past)} before` : ""}`, "s", () => timeOption({
      range: { ...now, times: finished(now.times) }, series: [{ name: "uses", data: finished(data), color: colour("series"), area: 0.14 }], max, marks: marked, labels: false,
      before: past && now.unit === "day" ? beforeLine([past], { ...now, times: finished(now.times) }) : null })));
  const [first, rest] = [of.slice(0, MOST_SURFACES), of.slice(MOST_SURFACES)];
  const fold = rest.length ? h("details", { class: "more" }, h("summary", null, plural(rest.length, "other surface")), h("div", { class: "multiples two" }, rest.map(multiple))) : null;
  return panel({ title: "Uses by surface", cls: "wide", note: `${now.unit === "day" ? "a day" : "an hour"}${before && now.unit === "day" ? ", grey: average before" : ""}`,
    body: of.length ? [h("div", { class: `multiples ${of.length > 1 ? "two" : ""}` }, first.map(multiple)), fold] : none("Nothing was used."),
    actions: of.length > 1 ? h("button", { type: "button", class: "quiet", "aria-pressed": String(same), onclick: () => set({ scale: same ? "" : "same" }) }, "Same scale") : null,
    table: timeTable(now, of.map((each) => each.name), of.map((each) => each.data)) });
}

/** What the change is made of: what is beyond chance, the rest, and both together. @param {Row[]} moved Of `changes`. @param {Row[]} listed */
function changed(moved, listed) {
  const mode = get("changed") === "failures" ? "failures" : "uses";
  const mine = moved.filter((row) => row.of === mode);
  const whole = mine.find((row) => row.what === "all");
  const parts = mine.filter((row) => row.what !== "all");
  const reach = Math.max(1, ...parts.map((row) => Math.abs(row.change)));
  const body = whole ? [h("p", { class: "sum" }, h("b", null, signed(whole.change)), ` ${mode} against ${COMPARE.previous}`),
    h("ol", { class: "contributions" }, parts.map((row) => part(row, mode, reach, listed)))] : none(get("compare") === "none" ? "Choose something to compare with." : "Nothing to compare with.");
  return panel({ title: "What changed", note: whole && parts.length < 2 ? "nothing beyond chance" : "", body,
    actions: seg("What changed in", { uses: "Uses", failures: "Failures" }, mode, (next) => set({ changed: next === "uses" ? "" : next })),
    table: whole ? () => ({ columns: ["What", "Before", "Now", "Difference"], rows: [...parts, whole].map((row) => [named(row.what, listed), int(row.before), int(row.now), signed(row.change)]) }) : undefined });
}

/** @param {Row} row @param {string} mode @param {number} reach @param {Row[]} listed */
const part = ({ what, change: by }, mode, reach, listed) =>
  h("li", { class: what === "all else" ? "rest" : "" }, h("span", { class: "who" }, named(what, listed)),
    h("span", { class: `diff ${by < 0 ? "down" : "up"} ${mode}`, "aria-hidden": "true" }, h("span", { style: { width: `${(Math.abs(by) / reach) * 50}%` } })),
    h("span", { class: "num" }, signed(by)));

/** @param {string} what As `changes` names it: `event=shop.order`. @param {Row[]} listed @returns {Kid} */
function named(what, listed) {
  const event = what.startsWith("event=") ? what.slice(6) : "";
  const known = listed.find((each) => each.event === event);
  return known ? h("a", { href: toFeature(event) }, known.title) : event || what;
}

/** @param {Context} context @param {Row[]} listed @param {Map<string, Row>} worse */
function look({ state }, listed, worse) {
  const of = (/** @type {string} */ verdict) => listed.filter((each) => each.verdict === verdict);
  const refused = state.lost.filter((row) => row.reason === "expired_event").reduce((a, row) => a + row.count, 0);
  /** @type {[string, string, Row, string, Kid][]} */
  const all = [
    ...[...worse.values()].map((row) => /** @type {[string, string, Row, string, Kid]} */ (["bad", "worse", row, `fails more since ${row.version}`, `${pct(row.failed_before)} → ${pct(row.failed)}`])),
    ...of("expired").map((each) => /** @type {[string, string, Row, string, Kid]} */ (["warn", "expired", each, "has expired", each.owner ?? ""])),
    ...(refused ? [/** @type {[string, string, Row, string, Kid]} */ (["warn", "expired", { title: "What has expired" }, "is still sent", `${int(refused)} refused`])] : []),
    ...of("expiring").map((each) => /** @type {[string, string, Row, string, Kid]} */ (["warn", "expiring", each, `expires in ${plural(daysLeft(each.expires), "day")}`, `${int(each.uses ?? 0)} uses`])),
    ...of("fading").map((each) => /** @type {[string, string, Row, string, Kid]} */ (["", "fading", each, "is fading", `${int(each.uses_before)} → ${int(each.uses)} uses`])),
    ...of("unused").map((each) => /** @type {[string, string, Row, string, Kid]} */ (["", "unused", each, each.last_used ? "is not used any more" : "was never used", each.owner ?? ""])),
  ];
  const items = all.slice(0, MOST_FINDINGS).map(([tone, kind, each, what, detail]) =>
    h("li", { class: tone }, icon(kind), h("span", null, h("a", { href: each.event ? toFeature(each.event) : `${link("trust")}#losses` }, each.title), ` ${what}`), h("span", { class: "muted" }, detail)));
  const more = all.length > MOST_FINDINGS ? h("p", { class: "muted" }, h("a", { href: `${link("overview", { sort: "look" })}#features` }, `${int(all.length - MOST_FINDINGS)} more`)) : null;
  return panel({ title: "Needs a look", cls: "look", note: all.length ? plural(all.length, "finding") : "",
    body: [h("ul", { class: "findings" }, items.length ? items : h("li", null, icon("good"), h("span", null, "Nothing stands out."))), more] });
}
