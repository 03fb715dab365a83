// Releases: what a version made worse or better, feature by feature; which version carries the use.

import { chart, colour, timeOption, timeTable } from "../charts.js";
import { h, s } from "../elements.js";
import { failedShare, grouped, marks, natural, releases as firsts, steps, tally, titles, total } from "../figures.js";
import { grid } from "../grid.js";
import { blank, comparedChip, featureCell, mono, names, none, panel, seg, title } from "../parts.js";
import { rows, rowsIfAny } from "../reports.js";
import { get, set, toFeature } from "../state.js";
import { COMPARED, DASH, ago, day, int, ms, pct, points } from "../words.js";

/** @typedef {import("../reports.js").Row} Row */
/** @typedef {import("../shell.js").Context} Context */

const ALL = "(all)";
const MOST = 5;
const RANK = Object.keys(COMPARED);

/** @param {Context} context */
export async function releases(context) {
  const { now, where, lines, seen, notes } = context;
  const services = [...grouped(lines.filter((row) => row.service), "service")].sort((a, b) => total(b[1], "count") - total(a[1], "count")).map(([name]) => name);
  const service = services.includes(get("service")) ? get("service") : services[0];
  const { version: _, ...others } = where;
  const mine = service ? { ...others, service: [service] } : others;
  const known = firsts(seen).filter((each) => each.service === service);
  const [used, fast, side] = await Promise.all([
    rows("usage", { range: now, by: [now.unit, "version", "action", "status"], where: mine }),
    rows("latency", { range: now, by: ["version"], where: mine }),
    rowsIfAny("releases", { where: { ...mine, ...pair(known) } }),
  ]);
  const list = ofVersions(used, fast, known);
  if (!list.length) return [title("No version was used."), blank("Nothing in this choice", h("p", null, "Versions come from the resource attribute ", mono("service.version"), " of senders."))];
  const picker = services.length > 1 ? seg("Service", Object.fromEntries(services.map((name) => [name, name])), service ?? "", (next) => set({ service: next, release: "" })) : null;
  return [heading(side, context, known), picker ? h("div", { class: "services" }, picker) : null,
    h("div", { class: "row half" }, listing(list, side, notes), carries(context, used, list, marks(seen.filter((row) => row.service === service), notes))), ...byFeature(side, context)];
}

/** The version that was picked, and the one that was first seen before it. @param {import("../charts.js").Mark[]} known @returns {Record<string, string[]>} */
function pair(known) {
  const former = known[known.findIndex((each) => each.name === get("release")) - 1];
  return former ? { version: [former.name, get("release")] } : {};
}

/** @param {Row[]} used @param {Row[]} fast @param {import("../charts.js").Mark[]} known @returns {Row[]} */
function ofVersions(used, fast, known) {
  const slow = new Map(fast.map((row) => [row.service_version ?? "", row.p95_ms]));
  return [...grouped(used, "service_version")].map(([version, mine]) => {
    const found = tally(mine);
    return { version, ...found, share: failedShare(found), p95: slow.get(version) ?? null, at: known.find((each) => each.name === version)?.at ?? null };
  }).filter((each) => each.uses).sort((a, b) => natural(b.version).localeCompare(natural(a.version)));
}

/** @param {Row[]} side @param {Context} context @param {import("../charts.js").Mark[]} known */
function heading(side, { features }, known) {
  const whole = side.find((row) => row.event === ALL);
  if (!whole) return title("There are no two versions to compare.", "It takes two of a service, of which each has ended something, to say what one of them changed.");
  const named = titles(features);
  const of = (/** @type {string} */ verdict) => side.filter((row) => row.event !== ALL && row.verdict === verdict).map((row) => ({ event: row.event, title: named(row.event) }));
  const said = [[of("fails more"), "more"], [of("fails less"), "less"]].filter(([list]) => list?.length).map(([list, word], i) => [i ? "; " : "", names(/** @type {Row[]} */ (list)), ` ${list?.length === 1 ? "fails" : "fail"} ${word}`]);
  const at = known.find((each) => each.name === whole.version)?.at;
  return title([`${whole.version}: `, said.length ? said : "no difference seen so far", "."], `${whole.service} · ${at ? `first seen ${ago(at)}, ${day(at)} · ` : ""}against ${whole.former}, which is looked at from 28 days before`);
}

/** @param {Row[]} list @param {Row[]} side @param {Row[]} notes */
function listing(list, side, notes) {
  const picked = side[0]?.version;
  const brought = (/** @type {string} */ version) => notes.filter((each) => each.version && each.version === version).map((each) => each.text).join("; ");
  return panel({ title: "Versions", note: list.length > 1 ? "choose one to compare it with the one before" : "", body: grid({ caption: "Versions", key: "rs", sort: "-version", rows: list, columns: [
    { key: "version", label: "Version", sort: (row) => natural(row.version), cell: (row) => (row.version ? h("button", { type: "button", class: "linkish", "aria-pressed": String(row.version === picked), onclick: () => set({ release: row.version }) }, row.version) : none("none given")) },
    ...(list.some((row) => brought(row.version)) ? [{ key: "note", label: "What it brought", sort: /** @type {false} */ (false), cls: "wide-only wrap", cell: (/** @type {Row} */ row) => brought(row.version) }] : []),
    { key: "at", label: "First seen", num: true, cell: (row) => (row.at ? day(row.at) : none("not known")) }, { key: "uses", label: "Uses", num: true, cell: (row) => int(row.uses) },
    { key: "share", label: "Failed", num: true, cell: (row) => pct(row.share) }, { key: "p95", label: "p95", num: true, cls: "wide-only", cell: (row) => ms(row.p95) }] }).el });
}

/** @param {Context} context @param {Row[]} used @param {Row[]} list @param {import("../charts.js").Mark[]} marked */
function carries({ now }, used, list, marked) {
  const by = grouped(used, "service_version");
  const whole = steps(used, now).map((step) => tally(step).uses);
  const shareOf = (/** @type {string[]} */ versions) => steps(versions.flatMap((version) => by.get(version) ?? []), now).map((step, i) => (whole[i] ? tally(step).uses / (whole[i] ?? 1) : 0));
  const [shown, older] = [list.slice(0, list.length > MOST ? MOST - 1 : MOST), list.slice(list.length > MOST ? MOST - 1 : MOST)];
  const names = [...(older.length ? [{ name: "older", data: shareOf(older.map((each) => each.version)) }] : []), ...shown.reverse().map((each) => ({ name: each.version || "none given", data: shareOf([each.version]) }))];
  const tone = (/** @type {number} */ i) => `s${MOST - names.length + i + 1}`;
  return panel({ title: "Which version carries the use", note: "share of uses; dotted: releases", body: chart(`Share of uses by version: ${names.map((each) => `${each.name} ${pct(each.data[each.data.length - 1] ?? 0, 0)}`).join(", ")}`, "m",
    () => timeOption({ range: now, max: 1, marks: marked, format: (v) => pct(v, 0), series: names.map((each, i) => ({ name: each.name, type: "bar", stack: "v", inside: [each.name, colour(MOST - names.length + i < 4 ? "ink" : "on-series")], data: each.data, color: colour(tone(i)) })) })),
    table: timeTable(now, names.map((each) => each.name), names.map((each) => each.data), (v) => pct(v, 0)) });
}

/** Before and after, on one scale. @param {Row} row @param {number} max */
function dumbbell(row, max) {
  if (row.failed_before === null || row.failed === null) return null;
  const x = (/** @type {number} */ share) => 4 + (Math.min(share, max) / max) * 112;
  const tone = { "fails more": "bad", "fails less": "good" }[/** @type {"fails more"} */ (row.verdict)] ?? "";
  return s("svg", { class: `dumbbell ${tone}`, viewBox: "0 0 120 16", width: 120, height: 16, "aria-hidden": "true" }, s("line", { x1: 0, x2: 120, y1: 8, y2: 8, class: "axis" }),
    s("line", { x1: x(row.failed_before), x2: x(row.failed), y1: 8, y2: 8 }), s("circle", { cx: x(row.failed_before), cy: 8, r: 3, class: "from" }), s("circle", { cx: x(row.failed), cy: 8, r: 4 }));
}

/** @param {Row[]} side @param {Context} context */
function byFeature(side, { features }) {
  const whole = side.find((row) => row.event === ALL);
  if (!whole) return [];
  const named = titles(features);
  const owners = new Map(features.map((each) => [each.event, each.owner]));
  const list = side.filter((row) => row.event !== ALL).map((row) => ({ ...row, event: row.event, title: named(row.event), owner: owners.get(row.event) ?? null, rank: RANK.indexOf(row.verdict) }));
  const max = Math.max(0.01, ...side.flatMap((row) => [row.failed ?? 0, row.failed_before ?? 0]));
  const wasNow = (/** @type {string} */ was, /** @type {string} */ is) => h("span", { class: "was-now" }, h("span", null, `${was} → `), h("b", null, is));
  const uncertain = (/** @type {Row} */ row) => (row.difference === null ? none(DASH, "fewer than 30 ended in one of them") : h("span", { title: `With 95 % certainty at every look: between ${points(row.low)} and ${points(row.high)}` }, `${points(row.low).replace(" points", "")} to ${points(row.high)}`));
  return [panel({ title: `Since ${whole.version}, feature by feature`, note: `against ${whole.former}; worst first`, cls: "inventory", body: grid({ caption: `Since ${whole.version}`, sort: "rank", rows: list, href: (row) => toFeature(row.event), columns: [
    { key: "title", label: "Feature", cls: "feature", cell: (row) => featureCell(row) }, { key: "event", label: "Event", cls: "event", cell: (row) => mono(row.event) },
    { key: "rank", label: "Verdict", cls: "verdict", cell: (row) => comparedChip(row.verdict) },
    { key: "difference", label: "Failed: before, after", num: true, cls: "failed", cell: (row) => h("span", { class: "pair" }, wasNow(pct(row.failed_before), pct(row.failed)), h("span", { class: "wide-only" }, dumbbell(row, max))) },
    { key: "low", label: "Difference, sure", title: "Bounds that hold however often somebody looks", num: true, cls: "last", cell: uncertain },
    { key: "p95_ms", label: "p95: before, after", num: true, cls: "p95", sort: (row) => (row.p95_ms ?? 0) / (row.p95_before_ms || 1), cell: (row) => (row.p95_ms === null || row.p95_before_ms === null ? none(ms(row.p95_ms)) : wasNow(ms(row.p95_before_ms), ms(row.p95_ms))) },
    { key: "ends", label: "Ended: before, after", num: true, cls: "adoption", cell: (row) => wasNow(int(row.ends_before), int(row.ends)) },
    { key: "owner", label: "Owner", cls: "owner", cell: (row) => row.owner ?? none("nobody") }] }).el })];
}
