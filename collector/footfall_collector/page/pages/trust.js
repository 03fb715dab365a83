// Trust: what of all that happened is stored, what was lost and why, what keeps the store in shape.

import { chart, colour, timeOption, timeTable } from "../charts.js";
import { h } from "../elements.js";
import { completeness, grouped, ofCounted, steps, sum, titles, total } from "../figures.js";
import { grid } from "../grid.js";
import { beside, mono, none, panel, spark, tag, title } from "../parts.js";
import { rows, rowsIfAny } from "../reports.js";
import { SIGNALS, lost, refused as refusedWord } from "../reasons.js";
import { link, periodName, toFeature } from "../state.js";
import { DASH, ago, complete, day, int, plural, span, spoken } from "../words.js";

/** @typedef {import("../reports.js").Row} Row */
/** @typedef {import("../shell.js").Context} Context */
/** @typedef {import("../state.js").Range} Range */

const LEAST = 7;
const DAY = 864e5;

/** @param {Context} context */
export async function trust(context) {
  const { now } = context;
  const days = daily(now);
  const [byDay, byEvent, losses, refused, kept, tasks] = await Promise.all([
    rows("completeness", { range: days, by: ["day"] }), rows("completeness", { range: days, by: ["event"] }), rows("losses", { range: days, by: ["day", "signal", "reason"] }),
    rows("refused", { range: days, by: ["signal", "reason"] }), rows("retention"), rowsIfAny("housekeeping"),
  ]);
  const missing = steps(byDay, days).map(([row]) => (row?.emitted ? completeness([row]).missing : null));
  return [heading(context, missing, days), way(byDay, losses, refused), h("div", { class: "row two-one" }, notStored(missing, days), least(byEvent, context)),
    lossesPanel(losses, days), ...beside([...door(refused), ...housekeeping(tasks), privacy(context, kept)])];
}

/** What is kept by days is asked by whole ones. @param {Range} now @returns {Range} */
const daily = (now) => (now.unit === "day" ? now : { since: Math.floor(now.since / DAY) * DAY, until: now.until, unit: "day", times: [Math.floor(now.since / DAY) * DAY, Math.floor(now.until / DAY) * DAY] });

/** The figure of all that is kept, as at the foot. @param {Context} context @param {(number | null)[]} missing @param {Range} days */
function heading({ state }, missing, days) {
  const whole = completeness([state.complete]);
  if (whole.share === null) return title("How complete it is is unknown.", "No sender keeps a tally: Footfall’s own SDK does, others may be as complete.");
  const worst = missing.indexOf(Math.max(...missing.map((n) => n ?? 0)));
  const lost = sum(missing.map((n) => n ?? 0));
  const isMost = lost > 0 && (missing[worst] ?? 0) > lost / 2;
  const most = isMost ? ` Of what is missing in ${periodName()}, most is from ${day(days.times[worst] ?? 0)}.` : "";
  return title(`${complete(whole.share)} of what was counted is stored.`, `Of all that is kept${whole.untallied ? `, ${ofCounted(whole)}; of the rest it is unknown` : ""}.${most}`);
}

/** @param {Row[]} byDay @param {Row[]} losses @param {Row[]} refused */
function way(byDay, losses, refused) {
  const { emitted, stored, untallied, missing, share } = completeness(byDay);
  const at = (/** @type {string[]} */ signals) => sum(losses.filter((row) => signals.includes(row.signal)).map((row) => row.count));
  const [sdk, backend] = [at(["sdk"]), at(["subscriber"])];
  const door = sum(losses.map((row) => row.count)) - sdk - backend;
  const toLosses = (/** @type {string} */ text) => h("a", { href: "#losses" }, text);
  const stage = (/** @type {string} */ name, /** @type {number} */ value, /** @type {string} */ note, /** @type {import("../elements.js").Kid} */ out, cls = "") =>
    h("li", { class: cls }, h("span", { class: "stage" }, name), h("b", { class: "num" }, int(value)), h("span", { class: "muted" }, note), out ? h("span", { class: "out" }, out) : null);
  return panel({ title: "The way of an event", note: `last ${periodName()}`, body: h("ol", { class: "flow" },
    stage("Counted in the applications", emitted, "by the SDKs’ own tally", sdk ? toLosses(`${int(sdk)} could not be sent in full`) : "nothing was lost there"),
    stage("Stored, once", stored, emitted ? `${complete(share)} of what was counted` : "of senders that keep a tally", `${emitted ? `${int(missing)} missing` : ""}${emitted && untallied ? "; " : ""}${untallied ? `${int(untallied)} more from senders without a tally` : ""}`, "strong"),
    stage("Not let in", door, "undeclared, expired, out of time", door ? toLosses("each by its reason") : null, "aside"),
    stage("Not taken at the door", total(refused, "requests"), "requests; senders may come again", null, "aside")) });
}

/** @param {(number | null)[]} missing @param {Range} days */
const notStored = (missing, days) => missing.every((n) => !n) ? panel({ title: "Not stored", body: none(missing.some((n) => n === 0) ? "All that was counted in the applications is stored; of senders without a tally it is unknown." : "No sender kept a tally in this period.") }) : panel({ title: "Not stored, by day", note: "counted in the applications and not stored; shortly before midnight it may be the next day’s",
  body: chart(`Counted and not stored: ${int(sum(missing.map((n) => n ?? 0)))}`, "m", () => timeOption({ range: days, series: [{ name: "not stored", type: "bar", data: missing, color: colour("warn") }] })), table: timeTable(days, ["Not stored"], [missing]) });

/** @param {Row[]} byEvent @param {Context} context */
function least(byEvent, { features }) {
  const named = titles(features);
  const all = byEvent.map((row) => ({ event: row.event, ...completeness([row]) })).filter((each) => each.share !== null).sort((a, b) => (a.share ?? 0) - (b.share ?? 0) || b.missing - a.missing);
  const known = all.filter((each) => each.missing);
  const rest = known[LEAST];
  return panel({ title: "Least complete", note: !known.length ? "" : `missing of counted${rest ? `; the others: ${complete(rest.share)} or better` : ""}`, body: known.length ? h("ul", { class: "ranks" }, known.slice(0, LEAST).map((each) =>
    h("li", null, h("span", { class: "who" }, h("a", { href: toFeature(each.event) }, named(each.event))), h("span", { class: "muted" }, `${int(each.missing)} of ${int(each.emitted)}`), h("span", { class: "num" }, complete(each.share))))) : none(all.length ? "Every feature that is counted is complete." : "No sender keeps a tally."),
    table: !all.length ? undefined : () => ({ columns: ["Feature", "Counted", "Stored", "Complete"], rows: all.map((each) => [named(each.event), int(each.emitted), int(each.stored), complete(each.share)]) }) });
}

/** @param {Row[]} losses @param {Range} days */
function lossesPanel(losses, days) {
  const list = [...grouped(losses.map((row) => ({ ...row, day: row.day, of: `${SIGNALS[row.signal] ?? row.signal} ${row.reason}` })), "of").values()].map((mine) => ({
    reason: mine[0]?.reason, signal: mine[0]?.signal, count: total(mine, "count"), last: mine.map((row) => row.day).sort().pop(), data: steps(mine, days).map((step) => total(step, "count")) }));
  return panel({ title: "Losses, each with its reason", note: "a loss is counted; nothing else of it is kept", cls: "inventory", id: "losses", body: grid({ caption: "Losses", key: "ls", sort: "-count", rows: list, empty: "Nothing was lost.", columns: [
    { key: "what", label: "What happened", cls: "feature", sort: (row) => lost(row.reason)[0], cell: (row) => [h("span", { class: "name" }, lost(row.reason)[0]), h("span", { class: "under" }, row.reason)] },
    { key: "reason", label: "Reason", cls: "event", cell: (row) => mono(row.reason) }, { key: "signal", label: "Where", cls: "owner", cell: (row) => SIGNALS[row.signal] ?? row.signal },
    { key: "trend", label: "By day", sort: false, cls: "trend", cell: (row) => spark(row.data) }, { key: "count", label: "Count", num: true, cls: "uses", cell: (row) => int(row.count) },
    { key: "last", label: "Last", cls: "last", num: true, cell: (row) => day(row.last) }, { key: "todo", label: "What to do", sort: false, cls: "todo", cell: (row) => lost(row.reason)[1] }] }).el });
}

/** @param {Row[]} refused */
function door(refused) {
  if (!refused.length) return [];
  const list = refused.map((row) => h("li", null, h("span", { class: "who", title: refusedWord(row.reason)[1] }, refusedWord(row.reason)[0]), h("span", { class: "muted" }, row.signal), h("span", { class: "num" }, int(row.requests))));
  return [panel({ title: "At the door", note: "requests that were not taken", body: h("ul", { class: "ranks" }, list), table: () => ({ columns: ["Refused requests", "Count"], rows: refused.map((row) => [refusedWord(row.reason)[0], int(row.requests)]) }) })];
}

/** @param {Context} context @param {Row[]} kept */
function privacy({ features }, kept) {
  const long = (/** @type {string} */ text) => text.replace(/ 0?(\d+):00:00$/, (_, hours) => ` and ${plural(Number(hours), "hour")}`);
  const what = (/** @type {Row} */ row) => `${row.what}${row.product ? ` of ${row.product}` : ""}${row.environment ? ` in ${row.environment}` : ""}`;
  return panel({ title: "Privacy in force", body: h("dl", { class: "facts" },
    h("div", null, h("dt", null, "Let through"), h("dd", null, h("a", { href: link("catalog") }, plural(features.length, "declared event")), "; nothing else")),
    h("div", null, h("dt", null, "Never stored"), h("dd", null, "names, ids, addresses, messages, arguments, user agents, stack traces")),
    h("div", null, h("dt", null, "Kept"), h("dd", null, h("ul", { class: "plain-list" }, kept.map((row) => h("li", null, `${what(row)}: ${long(row.kept)}`)))))) });
}

/** @param {Row[]} tasks */
function housekeeping(tasks) {
  if (!tasks.length) return [];
  const bad = tasks.filter((row) => row.failing || row.overdue);
  const state = (/** @type {Row} */ row) => (row.failing ? tag("worse", "Failed") : row.overdue ? tag("expiring", "Overdue") : tag("good", "On time"));
  return [panel({ title: "Housekeeping", note: bad.length ? `${plural(bad.length, "task")} behind` : `${plural(tasks.length, "task")}, all on time`, body: grid({ caption: "Housekeeping", key: "hs", sort: "task", rows: tasks, columns: [
    { key: "task", label: "Task", cls: "feature", cell: (row) => spoken(row.task) }, { key: "state", label: "State", cls: "verdict", sort: (row) => Number(!row.failing) + Number(!row.overdue), cell: state },
    { key: "every_s", label: "Every", num: true, cls: "wide-only", cell: (row) => span(row.every_s * 1000) }, { key: "last_run", label: "Last run", num: true, cls: "uses", cell: (row) => (row.last_run ? ago(row.last_run) : none("never")) },
    { key: "outcome", label: "Did", sort: false, cls: "wide-only wrap", cell: (row) => row.outcome ?? none(DASH) }] }).el })];
}
