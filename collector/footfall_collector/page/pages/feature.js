// Feature: one of them: use, endings, speed, versions, the week, who uses it.

import { chart, colour, timeOption, timeTable } from "../charts.js";
import { h } from "../elements.js";
import { beforeLine, completeness, failedShare, finished, grouped, natural, ofCounted, ofProduct, tallies, tally, total, values } from "../figures.js";
import { grid } from "../grid.js";
import { bar, beside, blank, change, chip, mono, none, panel, share, tag, tiles } from "../parts.js";
import { rows, rowsIfAny } from "../reports.js";
import { get, link, toFeature } from "../state.js";
import { DASH, complete, day, daysLeft, errorWord, groupWord, int, lastUse, ms, pct, plural, points } from "../words.js";
import { compared } from "./overview.js";
import { rhythm } from "./rhythm.js";

/** @typedef {import("../reports.js").Row} Row */
/** @typedef {import("../shell.js").Context} Context */

/** @param {Context} context */
export async function feature(context) {
  const listed = ofProduct(context.features, get("product"));
  const found = context.features.find((each) => each.event === get("event")) ?? (get("event") ? undefined : listed[0]);
  if (!found) return blank("No such feature", h("p", null, "No catalog declares it now. ", h("a", { href: link("overview") }, "All features"), "."));
  document.title = `${found.title} · Footfall`;
  const of = await asked(context, found.event);
  const versions = of.versions.filter((row) => row.event === found.event);
  const head = heading(found, listed, of.declared[0], versions);
  if (!tally(of.used).uses && found.last_used === null) return [head, neverUsed(found)];
  const { now, before, marks: marked } = context;
  const whole = completeness(of.whole);
  const note = whole.share === null ? "" : `${complete(whole.share)} complete${whole.untallied ? ` ${ofCounted(whole)}` : ""}`;
  const panels = [versionsPanel(of), ...providers(of), ...groupsPanel(of, context), await rhythm(found, context), carries(found, of)];
  return [head, figures(found, of),
    h("div", { class: "row two-one" }, uses(found, of, now, before, marked, note), endings(of, Boolean(before))),
    h("div", { class: "row half" }, failing(found, of, now, marked, note), ...speed(found, of, now, marked)),
    ...beside(panels)];
}

/** @typedef {Awaited<ReturnType<typeof asked>>} Asked */

/** @param {Context} context @param {string} event */
async function asked({ now, before, where }, event) {
  const mine = { ...where, event: [event] };
  const by = ["action", "status"];
  const [used, usedBefore, kinds, kindsBefore, fast, fastAll, fastBefore, byVersion, fastByVersion, byProvider, active, whole, versions, declared] = await Promise.all([
    rows("usage", { range: now, by: [now.unit, ...by], where: mine }),
    before ? rows("usage", { range: before, by: [before.unit, ...by], where: mine }) : [],
    rows("errors", { range: now, by: ["error_type"], where: mine }),
    before ? rows("errors", { range: before, by: ["error_type"], where: mine }) : [],
    rows("latency", { range: now, by: [now.unit], where: mine }),
    rows("latency", { range: now, by: ["event"], where: mine }),
    before ? rows("latency", { range: before, by: ["event"], where: mine }) : [],
    rows("usage", { range: now, by: ["service", "version", ...by], where: mine }),
    rows("latency", { range: now, by: ["service", "version"], where: mine }),
    rowsIfAny("usage", { range: now, by: ["provider", ...by], where: mine }),
    rowsIfAny("groups", { range: now, by: ["day", "event"], where: { event: [event] } }),
    rowsIfAny("completeness", { range: now, by: ["event"], where: { event: [event] } }),
    compared({ ...where, event: [event] }),
    rowsIfAny("catalog", { by: ["event", "description", "surface", "expires"], where: { event: [event] } }),
  ]);
  return { used, usedBefore, kinds, kindsBefore, fast, fastAll, fastBefore, byVersion, fastByVersion, byProvider, active, whole, versions, declared };
}

/** @param {Row} found @param {Row[]} listed @param {Row | undefined} declared @param {Row[]} versions */
function heading(found, listed, declared, versions) {
  const at = listed.findIndex((each) => each.event === found.event);
  const next = (/** @type {number} */ by) => listed[(at + by + listed.length) % listed.length] ?? found;
  const worse = versions.filter((row) => row.verdict === "fails more").map((row) => tag("worse", `Fails more since ${row.version}`));
  const expiry = found.expires ? `${daysLeft(found.expires) > 0 ? "expires" : "expired"} ${day(found.expires)}` : "never expires";
  const owner = found.owner ? h("a", { href: `${link("overview", { owner: found.owner })}#features` }, found.owner) : "nobody answers for it";
  return h("div", { class: "title feature-title" },
    h("div", null, h("p", { class: "crumbs" }, h("a", { href: link("overview") }, "Overview"), " / ", found.surface),
      h("h1", null, found.title, " ", chip(found.verdict), worse),
      h("p", { class: "muted" }, mono(found.event), declared?.description ? ` · ${declared.description}` : "", " · ", owner, ` · ${expiry}`)),
    listed.length > 1 ? h("nav", { class: "siblings", "aria-label": "Other features" }, h("a", { href: toFeature(next(-1).event) }, "← ", next(-1).title), h("a", { href: toFeature(next(1).event) }, next(1).title, " →")) : null);
}

/** @param {Row} found */
const neverUsed = (found) => blank("Never used",
  h("p", null, "It is declared, and no use of it has arrived. Either nobody uses it, or no code sends it."),
  h("ol", { class: "steps" }, h("li", null, "Is it sent? Look for ", mono(found.event), " in the code, or for the rule that should match it."),
    h("li", null, "Send one yourself: it appears under ", h("a", { href: link("live") }, "Live"), " within seconds."),
    h("li", null, `Not needed? Ask ${found.owner ?? "whoever wrote it"} to remove it from the catalog: what is not declared is not stored.`)));

/** @param {Row} found @param {Asked} of */
function figures(found, of) {
  const [present, former] = [tally(of.used), tally(of.usedBefore)];
  const [failed, failedBefore] = [failedShare(present), failedShare(former)];
  const [fast, fastBefore] = [of.fastAll[0], of.fastBefore[0]];
  const worse = of.versions.some((row) => row.event === found.event && row.verdict === "fails more");
  return tiles(
    { label: "Uses", value: int(present.uses), delta: change(share(present.uses, former.uses)), note: former.uses ? `from ${int(former.uses)}` : "" },
    { label: "Failed", value: pct(failed), delta: failed !== null && failedBefore !== null ? change(failed - failedBefore, { format: points }) : null, note: plural(present.failed, "failure"), tone: worse ? "bad" : "" },
    { label: "p95", title: "95 of 100 uses were faster", value: ms(fast?.p95_ms), delta: change(share(fast?.p95_ms, fastBefore?.p95_ms)), note: fast ? `half within ${ms(fast.p50_ms)}` : "nothing with a duration" },
    { label: "Adoption", title: "Share of the groups that used the product", value: found.adoption === null ? none("not known") : pct(found.adoption, found.adoption < 0.01 ? 1 : 0), note: found.adoption === null ? "no group, or too few to be shown" : "of the groups that used the product" },
    { label: "Last use", value: found.last_used ? lastUse(found.last_used) : "never", note: "" });
}

/** @param {Row} found @param {Asked} of @param {import("../state.js").Range} now @param {import("../state.js").Range | null} before @param {import("../charts.js").Mark[]} marked @param {string} note */
function uses(found, of, now, before, marked, note) {
  const data = tallies(of.used, now).map((each) => each.uses);
  const past = before ? tallies(of.usedBefore, before).map((each) => each.uses) : null;
  const grey = past ? ", grey: " + (now.unit === "day" ? "average before" : "before") : "";
  return panel({ title: "Uses", cls: "wide", note: `${now.unit === "day" ? "a day" : "an hour"}${grey}, dotted: releases${note && ` · ${note}`}`,
    body: chart(`Uses of ${found.title}: ${int(tally(of.used).uses)}`, "m", () => timeOption({ range: now, series: [{ name: "uses", type: "bar", data, color: colour("series") }], before: past && beforeLine(past, now), marks: marked })),
    table: timeTable(now, past ? ["Uses", "Before"] : ["Uses"], past ? [data, past] : [data]) });
}

/** @param {Asked} of @param {boolean} isCompared */
function endings(of, isCompared) {
  const { ends, failed } = tally(of.used);
  const former = tally(of.usedBefore);
  const past = new Map(of.kindsBefore.map((row) => [row.error_type, row.count]));
  const most = Math.max(1, ...of.kinds.map((row) => row.count));
  const was = (/** @type {number} */ n) => (isCompared ? h("span", { class: "muted was" }, ` from ${int(n)}`) : null);
  const kinds = of.kinds.map((row) => h("li", null, h("span", { class: "who", title: errorWord(row.error_type)[1] }, errorWord(row.error_type)[0]), bar(row.count / most, "bad"), h("span", { class: "num" }, int(row.count), was(past.get(row.error_type) ?? 0))));
  const stack = h("div", { class: "stack", "aria-hidden": "true" }, h("span", { class: "ok", style: { "flex-grow": ends - failed } }), of.kinds.map((row) => h("span", { class: "ko", style: { "flex-grow": row.count } })));
  const well = h("li", null, h("span", { class: "who" }, "Success"), h("span", { class: "muted" }, pct(1 - (failedShare({ uses: 0, ends, failed }) ?? 0))), h("span", { class: "num" }, int(ends - failed)));
  return panel({ title: "How it ends", body: ends ? [stack, h("ul", { class: "ranks" }, well, kinds)] : none("It has no success or failure: its actions are told apart below."),
    table: ends ? () => ({ columns: ["Ending", "Now", "Before"], rows: [["Success", int(ends - failed), int(former.ends - former.failed)], ...of.kinds.map((row) => [errorWord(row.error_type)[0], int(row.count), int(past.get(row.error_type) ?? 0)])] }) : undefined });
}

/** @param {Row} found @param {Asked} of @param {import("../state.js").Range} now @param {import("../charts.js").Mark[]} marked @param {string} note */
function failing(found, of, now, marked, note) {
  const data = tallies(of.used, now).map(failedShare);
  return panel({ title: "Share that fails", note: `${now.unit === "day" ? "a day" : "an hour"}, dotted: releases${note && ` · ${note}`}`,
    body: chart(`Share of uses of ${found.title} that fail`, "m", () => timeOption({ range: { ...now, times: finished(now.times) }, format: pct, series: [{ name: "failed", data: finished(data), color: colour("bad"), area: 0.12 }], marks: marked })),
    table: timeTable(now, ["Failed"], [data], pct) });
}

/** @param {Row} found @param {Asked} of @param {import("../state.js").Range} now @param {import("../charts.js").Mark[]} marked */
function speed(found, of, now, marked) {
  if (!of.fast.length) return [];
  const [half, p95, p99] = ["p50_ms", "p95_ms", "p99_ms"].map((column) => values(of.fast, now, column));
  return [panel({ title: "How long it takes", note: "half, 95 and 99 of 100 were faster",
    body: chart(`Durations of ${found.title}`, "m", () => timeOption({ range: now, format: ms, marks: marked, series: [
      { name: "p99", data: p99 ?? [], color: colour("series-3"), label: colour("ink-2"), end: "99 of 100", width: 1.25 },
      { name: "p95", data: p95 ?? [], color: colour("series"), end: "95 of 100" },
      { name: "p50", data: half ?? [], color: colour("series-2"), label: colour("ink-2"), end: "half" }] })),
    table: timeTable(now, ["Half", "p95", "p99"], [half ?? [], p95 ?? [], p99 ?? []], ms) })];
}

/** @param {Asked} of */
function versionsPanel(of) {
  const fast = new Map(of.fastByVersion.map((row) => [`${row.service} ${row.service_version}`, row.p95_ms]));
  const services = grouped(of.byVersion, "service");
  const list = [...services].flatMap(([service, mine]) => [...grouped(mine, "service_version")].map(([version, found]) => {
    const { uses: n, ...ended } = tally(found);
    return { service, version, n, failed: failedShare({ uses: n, ...ended }), p95: fast.get(`${service || null} ${version || null}`) ?? null, told: of.versions.find((row) => row.service === service && row.version === version)?.verdict };
  }));
  const most = Math.max(0.01, ...list.map((each) => each.failed ?? 0));
  return panel({ title: "By version", note: services.size > 1 ? "of each service" : "", body: grid({ caption: "By version", key: "vs", sort: "-version", rows: list, columns: [
    { key: "version", label: "Version", sort: (row) => natural(row.version), cell: (row) => h("span", { class: "stacked", title: row.version }, row.version ? mono(row.version) : none("none given"), services.size > 1 ? h("span", { class: "muted" }, row.service) : null) },
    { key: "n", label: "Uses", num: true, cell: (row) => int(row.n) },
    { key: "failed", label: "Failed", num: true, cell: (row) => (row.failed === null ? none(DASH) : h("span", { class: "pair", title: row.told }, bar(row.failed / most, row.told === "fails more" ? "bad" : ""), h("span", { class: row.told === "fails more" ? "bad fixed" : "fixed" }, pct(row.failed)))) },
    { key: "p95", label: "p95", num: true, cell: (row) => ms(row.p95) }] }).el });
}

/** @param {Asked} of */
function providers(of) {
  const list = [...grouped(of.byProvider, "provider")].filter(([name]) => name).map(([name, mine]) => ({ name, ...tally(mine) })).map((each) => ({ ...each, share: failedShare(each) }));
  if (!list.length) return [];
  const most = Math.max(0.01, ...list.map((each) => each.share ?? 0));
  return [panel({ title: "By provider", body: grid({ caption: "By provider", key: "ps", sort: "-uses", rows: list, columns: [
    { key: "name", label: "Provider" }, { key: "uses", label: "Uses", num: true, cell: (row) => int(row.uses) }, { key: "failed", label: "Failures", num: true, cell: (row) => int(row.failed) },
    { key: "share", label: "Failed", num: true, cell: (row) => (row.share === null ? none(DASH) : h("span", { class: "pair" }, bar(row.share / most), h("span", { class: "fixed" }, pct(row.share)))) }] }).el })];
}

/** @param {Asked} of @param {Context} context */
function groupsPanel(of, { now, marks }) {
  const [attribute] = of.active.map((row) => row.attribute);
  if (!attribute || now.unit === "hour") return [];
  const mine = of.active.filter((row) => row.attribute === attribute);
  const data = values(mine, now, "active");
  const word = groupWord(attribute);
  return [panel({ title: `${word[0]?.toUpperCase()}${word.slice(1)} that use it`, note: "distinct a day, closed days; a gap is not known or fewer than five",
    body: chart(`${word} that use it, a day`, "m", () => timeOption({ range: now, series: [{ name: word, data, color: colour("series"), area: 0.1 }], marks })), table: timeTable(now, [word], [data]) })];
}

/** @param {Row} found @param {Asked} of */
function carries(found, of) {
  const actions = [...grouped(of.used, "action")].map(([action, mine]) => [mono(action), ` ${int(total(mine, "count"))}`, h("br")]);
  /** @type {[string, import("../elements.js").Kid][]} */
  const facts = [["Actions", actions.length ? actions : none("none in this period")], ["Owner", found.owner ?? none("nobody")], ["Surface", found.surface], ["Product", found.product], ["Feature", mono(found.feature)], ["Expires", found.expires ?? "never"]];
  return panel({ title: "What it is", note: "what the catalog does not declare is not stored", body: h("dl", { class: "facts" }, facts.map(([name, fact]) => h("div", null, h("dt", null, name), h("dd", null, fact)))) });
}
