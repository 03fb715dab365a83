// Feature: one of them: use, endings, speed, versions, the week, who uses it.

import { h } from "../elements.js";
import { completeness, failedShare, ofCounted, ofProduct, tally } from "../figures.js";
import { beside, blank, change, chip, mono, none, share, tag, tiles } from "../parts.js";
import { rows, rowsIfAny, together } from "../reports.js";
import { get, link, toFeature } from "../state.js";
import { between, complete, day, daysLeft, int, lastUse, ms, pct, plural, points } from "../words.js";
import { failing, speed, uses } from "./courses.js";
import { carries, endings, groupsPanel, providers, versionsPanel } from "./facts.js";
import { compared } from "./findings.js";
import { rhythm } from "./rhythm.js";
import { spread } from "./spread.js";

/** @typedef {import("../reports.js").Row} Row */

/** @typedef {import("../shell.js").Context} Context */

/** @param {Context} context */
export async function feature(context) {
  const listed = ofProduct(context.features, get("product"));
  const found = context.features.find((each) => each.event === get("event")) ?? (get("event") ? undefined : listed[0]);
  if (!found)
    return blank(
      "No such feature",
      h("p", null, "No catalog declares it now. ", h("a", { href: link("overview") }, "All features"), "."),
    );
  document.title = `${found.title} · Footfall`;
  const of = await asked(context, found.event);
  const versions = of.versions.filter((row) => row.event === found.event);
  const head = heading(found, listed, of.declared[0], versions);
  if (!tally(of.used).uses && found.last_used === null) return [head, neverUsed(found)];
  const { now, before, marks: marked } = context;
  const whole = completeness(of.whole);
  const note =
    whole.share === null ? "" : `${complete(whole.share)} complete${whole.untallied ? ` ${ofCounted(whole)}` : ""}`;
  const panels = [
    versionsPanel(of),
    ...providers(of),
    ...groupsPanel(of, context),
    await rhythm(found, context),
    ...spread(found, of.distribution),
    carries(found, of),
  ];
  return [
    head,
    figures(found, of),
    h("div", { class: "row two-one" }, uses(found, of, now, before, marked, note), endings(of, Boolean(before))),
    h("div", { class: "row half" }, failing(found, of, now, marked, note), ...speed(found, of, now, marked)),
    ...beside(panels),
  ];
}

/** @typedef {Awaited<ReturnType<typeof asked>>} Asked */

/** @param {Context} context @param {string} event */
function asked({ now, before, where }, event) {
  const mine = { ...where, event: [event] };
  const by = ["action", "status"];
  return together({
    used: rows("usage", { range: now, by: [now.unit, ...by], where: mine }),
    usedBefore: before ? rows("usage", { range: before, by: [before.unit, ...by], where: mine }) : [],
    kinds: rows("errors", { range: now, by: ["error_type"], where: mine }),
    kindsBefore: before ? rows("errors", { range: before, by: ["error_type"], where: mine }) : [],
    fast: rows("latency", { range: now, by: [now.unit], where: mine }),
    fastAll: rows("latency", { range: now, by: ["event"], where: mine }),
    fastBefore: before ? rows("latency", { range: before, by: ["event"], where: mine }) : [],
    byVersion: rows("usage", { range: now, by: ["service", "version", ...by], where: mine }),
    fastByVersion: rows("latency", { range: now, by: ["service", "version"], where: mine }),
    byProvider: rowsIfAny("usage", { range: now, by: ["provider", ...by], where: mine }),
    active: rowsIfAny("groups", { range: now, by: ["day", "event"], where: { event: [event] } }),
    whole: rowsIfAny("completeness", { range: now, by: ["event"], where: { event: [event] } }),
    versions: compared({ ...where, event: [event] }),
    declared: rowsIfAny("catalog", { by: ["event", "description", "surface", "expires"], where: { event: [event] } }),
    attributes: rowsIfAny("attributes", {
      by: ["attribute", "holds", "lasts", "names", "description"],
      where: { event: [event] },
    }),
    distribution: rowsIfAny("distribution", { range: now, by: ["event"], where: mine }),
    outcomes: rows("outcomes", { range: now, by: [now.unit], where: mine }),
    outcomesAll: rows("outcomes", { range: now, by: ["event"], where: mine }),
    outcomesByVersion: rows("outcomes", { range: now, by: ["service", "version"], where: mine }),
    outcomesByProvider: rowsIfAny("outcomes", { range: now, by: ["provider"], where: mine }),
  });
}

/** @param {Row} found @param {Row[]} listed @param {Row | undefined} declared @param {Row[]} versions */
function heading(found, listed, declared, versions) {
  const at = listed.findIndex((each) => each.event === found.event);
  const next = (/** @type {number} */ by) => listed[(at + by + listed.length) % listed.length] ?? found;
  const worse = versions
    .filter((row) => row.verdict === "fails more")
    .map((row) => tag("worse", `Fails more since ${row.version}`));
  const slower = versions
    .filter((row) => row.speed === "slower")
    .map((row) => tag("worse", `Slower since ${row.version}`));
  const expiry = found.expires
    ? `${daysLeft(found.expires) > 0 ? "expires" : "expired"} ${day(found.expires)}`
    : "never expires";
  const owner = found.owner
    ? h("a", { href: `${link("overview", { owner: found.owner })}#features` }, found.owner)
    : "nobody answers for it";
  return h(
    "div",
    { class: "title feature-title" },
    h(
      "div",
      null,
      h("p", { class: "crumbs" }, h("a", { href: link("overview") }, "Overview"), " / ", found.surface),
      h("h1", null, found.title, " ", chip(found.verdict), worse, slower),
      h(
        "p",
        { class: "muted" },
        mono(found.event),
        declared?.description ? ` · ${declared.description}` : "",
        " · ",
        owner,
        ` · ${expiry}`,
      ),
    ),
    listed.length > 1
      ? h(
          "nav",
          { class: "siblings", "aria-label": "Other features" },
          h("a", { href: toFeature(next(-1).event) }, "← ", next(-1).title),
          h("a", { href: toFeature(next(1).event) }, next(1).title, " →"),
        )
      : null,
  );
}

/** @param {Row} found */
const neverUsed = (found) =>
  blank(
    "Never used",
    h("p", null, "It is declared, and no use of it has arrived. Either nobody uses it, or no code sends it."),
    h(
      "ol",
      { class: "steps" },
      h("li", null, "Is it sent? Look for ", mono(found.event), " in the code, or for the rule that should match it."),
      h("li", null, "Send one yourself: it appears under ", h("a", { href: link("live") }, "Live"), " within seconds."),
      h(
        "li",
        null,
        `Not needed? Ask ${found.owner ?? "whoever wrote it"} to remove it from the catalog: what is not declared is not stored.`,
      ),
    ),
  );

/** @param {Row} found @param {Asked} of */
function figures(found, of) {
  const [present, former] = [tally(of.used), tally(of.usedBefore)];
  const [failed, failedBefore] = [failedShare(present), failedShare(former)];
  const [fast, fastBefore] = [of.fastAll[0], of.fastBefore[0]];
  const worse = of.versions.some((row) => row.event === found.event && row.verdict === "fails more");
  const sure = between(of.outcomesAll[0]?.share_low, of.outcomesAll[0]?.share_high, pct);
  const sureFast = between(fast?.p95_low_ms, fast?.p95_high_ms, ms);
  return tiles(
    {
      label: "Uses",
      value: int(present.uses),
      delta: change(share(present.uses, former.uses)),
      note: former.uses ? `from ${int(former.uses)}` : "",
    },
    {
      label: "Failed",
      value: pct(failed),
      delta: failed !== null && failedBefore !== null ? change(failed - failedBefore, { format: points }) : null,
      note: [sure, plural(present.failed, "failure")].filter(Boolean).join(" · "),
      tone: worse ? "bad" : "",
    },
    {
      label: "p95",
      title: "95 of 100 uses were faster",
      value: ms(fast?.p95_ms),
      delta: change(share(fast?.p95_ms, fastBefore?.p95_ms)),
      note: fast ? [sureFast, `half within ${ms(fast.p50_ms)}`].filter(Boolean).join(" · ") : "nothing with a duration",
    },
    {
      label: "Adoption",
      title: "Share of the groups that used the product",
      value: found.adoption === null ? none("not known") : pct(found.adoption, found.adoption < 0.01 ? 1 : 0),
      note: found.adoption === null ? "no group, or too few to be shown" : "of the groups that used the product",
    },
    { label: "Last use", value: found.last_used ? lastUse(found.last_used) : "never", note: "" },
  );
}
