// The inventory: each declared feature, a row; the figures of `features` as they are.

import { h } from "../elements.js";
import { grouped, tallies, tally } from "../figures.js";
import { grid } from "../grid.js";
import { bar, change, chip, choose, featureCell, icon, mono, none, seg, spark } from "../parts.js";
import { rows } from "../reports.js";
import { counted } from "../shell.js";
import { get, set, toFeature } from "../state.js";
import { DASH, DAY, VERDICTS, day, int, lastUse, ms, pct, plural } from "../words.js";

/** @typedef {import("../reports.js").Row} Row */
/** @typedef {import("../grid.js").Column} Column */

/** What needs a look first. */
const ORDER = ["expired", "expiring", "fading", "unused", "new", "growing", "too few to tell", "steady"];
/** Of these a change says nothing. */
const UNTOLD = ["unused", "too few to tell", null];
/** What a narrow window shows in its last column. @type {Record<string, string>} */
const NARROW = { failed: "Failed", p95: "p95", adoption: "Adoption", last: "Last use", owner: "Owner" };

/** @param {Row[]} listed @param {Map<string, Row>} worse @param {Row[]} events Uses of the chosen period, by event. */
export function inventoryTable(listed, worse, events) {
  const isYoung = !listed.some((each) => each.uses);
  const soFar = new Map([...grouped(events, "event")].map(([event, of]) => [event, tally(of).uses]));
  const all = listed.map((each) => ({ ...each, worse: worse.get(each.event), shown: isYoung ? (soFar.get(each.event) ?? 0) : each.uses }));
  const trends = new Map();
  const table = grid({ caption: "Features", rows: kept(all), sort: "-shown", href: (row) => toFeature(row.event), empty: "No feature matches. Clear the search or the filters.",
    orders: { look: rank }, columns: columns(all, trends, isYoung), ondraw: (shown) => void drawTrends(shown, trends) });
  table.table.dataset.column = get("column") || "failed";
  return section(all, worse, table, isYoung);
}

/** @param {Row} row What needs a look most comes first, then what is used most. */
const rank = (row) => (row.worse ? 0 : 1 + Math.max(0, ORDER.indexOf(row.verdict))) * 1e12 - (row.shown ?? 0);

/** How many days are counted: of a young store fewer. @param {Row[]} listed */
const daysOf = (listed) => Math.max(1, ...listed.map((each) => each.days ?? 0));

/** Those that the search and the filters leave. @param {Row[]} all */
function kept(all) {
  const [q, verdict, owner, surface] = [get("q").toLowerCase(), get("verdict"), get("owner"), get("surface")];
  return all.filter((row) => (!q || `${row.title} ${row.event} ${row.owner ?? ""} ${row.surface}`.toLowerCase().includes(q))
    && (!verdict || (verdict === "worse" ? row.worse : row.verdict === verdict)) && (!owner || (row.owner ?? "nobody") === owner) && (!surface || row.surface === surface));
}

/** @param {Row[]} all @param {Map<string, number[]>} trends @param {boolean} isYoung @returns {Column[]} */
function columns(all, trends, isYoung) {
  const biggest = Math.max(0.01, ...all.map((row) => row.failures ?? 0));
  const hasGroups = all.some((row) => row.adoption !== null);
  const line = (/** @type {Row} */ row, width = 112, height = 22) => h("span", { class: "line", "data-event": row.event, "data-width": width, "data-height": height }, trends.get(row.event)?.length ? spark(trends.get(row.event) ?? [], { width, height }) : null);
  return [
    { key: "title", label: "Feature", cls: "feature", cell: (row) => [featureCell(row), line(row, 120, 18)] },
    { key: "event", label: "Event", cls: "event", cell: (row) => mono(row.event) },
    { key: "trend", label: "Trend", cls: "trend", sort: false, cell: (row) => (row.shown ? line(row) : none("no use")) },
    { key: "shown", label: isYoung ? "Uses so far" : "Uses", num: true, cls: "uses", cell: (row) => (row.shown ? int(row.shown) : none("0")) },
    { key: "change", label: "Change", cls: "verdict", title: "Against as many days before, and what that amounts to",
      cell: (row) => h("span", { class: "pair" }, chip(row.verdict), change(UNTOLD.includes(row.verdict) ? null : row.change)) },
    { key: "failures", label: "Failed", num: true, cls: "failed", title: "Of what ended as a success or a failure", cell: (row) => failed(row, biggest) },
    { key: "p95_ms", label: "p95", num: true, cls: "p95", title: "95 of 100 uses were faster than this", cell: (row) => (row.p95_ms === null ? none(DASH, "nothing with a duration") : ms(row.p95_ms)) },
    ...(hasGroups ? [/** @type {Column} */ ({ key: "adoption", label: "Adoption", num: true, cls: "adoption", title: "Share of the groups that used the product", cell: adoption })] : []),
    { key: "last_used", label: "Last use", num: true, cls: "last", cell: (row) => (row.last_used === null ? none("never") : lastUse(row.last_used)) },
    { key: "owner", label: "Owner", cls: "owner", cell: owner },
  ];
}

/** @param {Row} row @param {number} biggest */
function failed(row, biggest) {
  if (row.failures === null) return none(DASH, "nothing ended as a success or a failure");
  const since = row.worse ? h("span", { class: "since", title: `${pct(row.worse.failed_before)} before ${row.worse.version}, ${pct(row.worse.failed)} since` }, icon("worse"), h("span", null, `since ${row.worse.version}`)) : bar(row.failures / biggest);
  return h("span", { class: "pair" }, since, h("span", { class: row.worse ? "bad fixed" : "fixed" }, pct(row.failures)));
}

/** @param {Row} row */
const adoption = (row) =>
  row.adoption === null ? none(DASH, "It carries no group, was not used, or is of too few groups to be shown") : h("span", { class: "pair" }, bar(row.adoption), h("span", { class: "fixed" }, pct(row.adoption, row.adoption < 0.01 ? 1 : 0)));

/** @param {Row} row Who answers for it, which shows what else they do. */
const owner = (row) =>
  row.owner === null ? none("nobody") : h("button", { type: "button", class: "pick", title: `Show only what ${row.owner} answers for`, onclick: () => set({ owner: get("owner") === row.owner ? "" : row.owner }) }, row.owner);

/** Draws the lines of what is in the document: of 500 features those of a hundred. @param {Row[]} shown @param {Map<string, number[]>} trends */
async function drawTrends(shown, trends) {
  const missing = shown.filter((row) => row.shown && !trends.has(row.event));
  for (const { event } of missing) trends.set(event, []); // it is asked for once
  const until = Math.floor(Date.now() / DAY) * DAY;
  const days = daysOf(shown);
  /** @type {import("../state.js").Range} */
  const range = { since: until - days * DAY, until, unit: "day", times: Array.from({ length: days }, (_, i) => until - (days - i) * DAY) };
  if (!missing.length) return;
  const found = await rows("usage", { range, by: ["day", "event", "action"], where: { event: missing.map((row) => row.event) } }).catch(() => []);
  for (const [event, of] of grouped(found, "event")) trends.set(event, tallies(of, range).map((each) => each.uses));
  for (const place of document.querySelectorAll(".line")) {
    const { event, width, height } = /** @type {HTMLElement} */ (place).dataset;
    const values = trends.get(event ?? "");
    if (values?.length && !place.firstChild) place.append(spark(values, { width: Number(width), height: Number(height) }));
  }
}

/** @param {Row[]} all @param {Map<string, Row>} worse @param {ReturnType<typeof grid>} table @param {boolean} isYoung */
function section(all, worse, table, isYoung) {
  const shown = h("span", { class: "muted", "aria-live": "polite" });
  const verdicts = h("div", { class: "verdicts", role: "group", "aria-label": "Show features that are" });
  function said() {
    const list = kept(all);
    shown.textContent = counted(list.length, all.length);
    verdicts.replaceChildren(...chips(all, worse, redraw));
    return list;
  }
  const redraw = () => table.draw(said());
  said();
  const typed = (/** @type {Event} */ event) => { set({ q: /** @type {HTMLInputElement} */ (event.target).value }, false); redraw(); };
  const search = h("input", { type: "search", placeholder: "Search features", "aria-label": "Search features", value: get("q"), oninput: typed });
  const owners = [...new Set(all.map((row) => row.owner ?? "nobody"))].sort();
  const last = all.find((row) => row.last_day)?.last_day;
  const note = isYoung ? "no whole day is over yet: verdicts come then" : last ? `${plural(daysOf(all), "day")} up to ${day(last)}, whatever is chosen above` : "";
  return h("section", { class: "panel inventory", "aria-labelledby": "features" },
    h("div", { class: "head" }, h("h2", { id: "features", class: "sr" }, "Features"), verdicts, shown,
      h("div", { class: "tools" }, note ? h("p", { class: "note of" }, note) : null, seg("Order", { "-shown": "Most used", look: "Needs a look" }, get("sort") || "-shown", (sort) => set({ sort: sort === "-shown" ? "" : sort })),
        choose("Owner", [["", "any"], ...owners.map((name) => /** @type {[string, string]} */ ([name, name]))], get("owner"), (next) => { set({ owner: next }, false); redraw(); }),
        choose("Column", Object.entries(NARROW), get("column") || "failed", (column) => { set({ column: column === "failed" ? "" : column }, false); table.table.dataset.column = column; }, "phone-only"),
        h("span", { class: "search" }, search, h("kbd", { "aria-hidden": "true" }, "/")))),
    table.el);
}

/** What can be shown alone, with how many there are. @param {Row[]} all @param {Map<string, Row>} worse @param {() => void} redraw */
function chips(all, worse, redraw) {
  const now = get("verdict");
  const pick = (/** @type {Record<string, string>} */ changes) => () => { set(changes, false); redraw(); };
  const toggle = (/** @type {string} */ verdict, /** @type {string} */ name, /** @type {string} */ text, /** @type {string} */ title, /** @type {number} */ count) =>
    h("button", { type: "button", class: name, title, "aria-pressed": String(now === verdict), onclick: pick({ verdict: now === verdict ? "" : verdict }) }, icon(name), `${text} `, h("b", null, int(count)));
  const found = [h("button", { type: "button", class: "all", "aria-pressed": String(!now), onclick: pick({ verdict: "", surface: "", owner: "", q: "" }) }, h("b", null, int(all.length)), " features")];
  if (get("surface")) found.push(h("button", { type: "button", class: "surface", "aria-pressed": "true", onclick: pick({ surface: "" }) }, `on ${get("surface")} `, h("span", { "aria-hidden": "true" }, "×")));
  if (worse.size) found.push(toggle("worse", "worse", "Fails more", "By a test, since the newest version", worse.size));
  for (const [verdict, [name, text, title]] of Object.entries(VERDICTS)) {
    const count = all.filter((row) => row.verdict === verdict).length;
    if (count) found.push(toggle(verdict, name, text, title, count));
  }
  return found;
}
