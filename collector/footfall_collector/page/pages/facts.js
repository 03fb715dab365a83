// What a feature is made of: its endings, versions, providers, groups, and what the catalog says.

import { colour, timeOption, timeTable } from "../charts.js";
import { chart } from "../drawing.js";
import { h } from "../elements.js";
import { failedShare, grouped, natural, tally, total, values } from "../figures.js";
import { grid } from "../grid.js";
import { bar, failedBar } from "../bars.js";
import { mono, none, panel } from "../parts.js";
import { errorWord, groupWord, int, ms, pct } from "../words.js";
import { carriedList } from "./carried.js";

/** @typedef {import("./feature.js").Asked} Asked */

/** @typedef {import("../reports.js").Row} Row */

/** @typedef {import("../shell.js").Context} Context */

/** @param {Asked} of @param {boolean} isCompared */
export function endings(of, isCompared) {
  const { ends, failed } = tally(of.used);
  const former = tally(of.usedBefore);
  const past = new Map(of.kindsBefore.map((row) => [row.error_type, row.count]));
  const most = Math.max(1, ...of.kinds.map((row) => row.count));
  const was = (/** @type {number} */ n) => (isCompared ? h("span", { class: "muted was" }, ` from ${int(n)}`) : null);
  const kinds = of.kinds.map((row) =>
    h(
      "li",
      null,
      h("span", { class: "who", title: errorWord(row.error_type)[1] }, errorWord(row.error_type)[0]),
      bar(row.count / most, "bad"),
      h("span", { class: "num" }, int(row.count), was(past.get(row.error_type) ?? 0)),
    ),
  );
  const stack = h(
    "div",
    { class: "stack", "aria-hidden": "true" },
    h("span", { class: "ok", style: { "flex-grow": ends - failed } }),
    of.kinds.map((row) => h("span", { class: "ko", style: { "flex-grow": row.count } })),
  );
  const well = h(
    "li",
    null,
    h("span", { class: "who" }, "Success"),
    h("span", { class: "muted" }, pct(1 - (failedShare({ uses: 0, ends, failed }) ?? 0))),
    h("span", { class: "num" }, int(ends - failed)),
  );
  return panel({
    title: "How it ends",
    body: ends
      ? [stack, h("ul", { class: "ranks" }, well, kinds)]
      : none("It has no success or failure: its actions are told apart below."),
    table: ends
      ? () => ({
          columns: ["Ending", "Now", "Before"],
          rows: [
            ["Success", int(ends - failed), int(former.ends - former.failed)],
            ...of.kinds.map((row) => [
              errorWord(row.error_type)[0],
              int(row.count),
              int(past.get(row.error_type) ?? 0),
            ]),
          ],
        })
      : undefined,
  });
}

/** @param {Asked} of */
export function versionsPanel(of) {
  const fast = new Map(of.fastByVersion.map((row) => [`${row.service} ${row.service_version}`, row.p95_ms]));
  const sure = new Map(of.outcomesByVersion.map((row) => [`${row.service} ${row.service_version}`, row]));
  const services = grouped(of.byVersion, "service");
  const list = [...services].flatMap(([service, mine]) =>
    [...grouped(mine, "service_version")].map(([version, found]) => {
      const ended = sure.get(`${service || null} ${version || null}`);
      return {
        service,
        version,
        n: tally(found).uses,
        ended,
        failed: ended?.share ?? null,
        p95: fast.get(`${service || null} ${version || null}`) ?? null,
        told: of.versions.find((row) => row.service === service && row.version === version)?.verdict,
      };
    }),
  );
  const most = Math.max(0.01, ...list.map((each) => each.failed ?? 0));
  return panel({
    title: "By version",
    note: services.size > 1 ? "of each service" : "",
    body: grid({
      caption: "By version",
      key: "vs",
      sort: "-version",
      rows: list,
      columns: [
        {
          key: "version",
          label: "Version",
          sort: (row) => natural(row.version),
          cell: (row) =>
            h(
              "span",
              { class: "stacked", title: row.version },
              row.version ? mono(row.version) : none("none given"),
              services.size > 1 ? h("span", { class: "muted" }, row.service) : null,
            ),
        },
        { key: "n", label: "Uses", num: true, cell: (row) => int(row.n) },
        {
          key: "failed",
          label: "Failed",
          num: true,
          cell: (row) => failedBar(row.ended, most, { tone: row.told === "fails more" ? "bad" : "", said: row.told }),
        },
        { key: "p95", label: "p95", num: true, cell: (row) => ms(row.p95) },
      ],
    }).el,
  });
}

/** @param {Asked} of */
export function providers(of) {
  const sure = new Map(of.outcomesByProvider.map((row) => [row.provider, row]));
  const list = [...grouped(of.byProvider, "provider")]
    .filter(([name]) => name)
    .map(([name, mine]) => ({ name, ...tally(mine) }))
    .map((each) => ({ ...each, ended: sure.get(each.name), share: failedShare(each) }));
  if (!list.length) return [];
  const most = Math.max(0.01, ...list.map((each) => each.share ?? 0));
  return [
    panel({
      title: "By provider",
      body: grid({
        caption: "By provider",
        key: "ps",
        sort: "-uses",
        rows: list,
        columns: [
          { key: "name", label: "Provider" },
          { key: "uses", label: "Uses", num: true, cell: (row) => int(row.uses) },
          { key: "failed", label: "Failures", num: true, cell: (row) => int(row.failed) },
          {
            key: "share",
            label: "Failed",
            num: true,
            cell: (row) => failedBar(row.ended, most),
          },
        ],
      }).el,
    }),
  ];
}

/** @param {Asked} of @param {Context} context */
export function groupsPanel(of, { now, marks }) {
  const [attribute] = of.active.map((row) => row.attribute);
  if (!attribute || now.unit === "hour") return [];
  const mine = of.active.filter((row) => row.attribute === attribute);
  const data = values(mine, now, "active");
  const word = groupWord(attribute);
  return [
    panel({
      title: `${word[0]?.toUpperCase()}${word.slice(1)} that use it`,
      note: "distinct a day, closed days; a gap is not known or fewer than five",
      body: chart(`${word} that use it, a day`, "m", () =>
        timeOption({ range: now, series: [{ name: word, data, color: colour("series"), area: 0.1 }], marks }),
      ),
      table: timeTable(now, [word], [data]),
    }),
  ];
}

/** @param {Row} found @param {Asked} of */
export function carries(found, of) {
  const used = grouped(of.used, "action");
  const declared = String(of.declared[0]?.actions ?? "").split(" ");
  const actions = [...new Set([...declared, ...used.keys()])]
    .filter(Boolean)
    .map((action) => [mono(action), ` ${int(total(used.get(action) ?? [], "count"))}`, h("br")]);
  /** @type {[string, import("../elements.js").Kid][]} */
  const facts = [
    ["Actions", actions.length ? actions : none("none in this period")],
    ["Carries", of.attributes.length ? carriedList(of.attributes) : none("nothing but its name and how it ended")],
    ["Owner", found.owner ?? none("nobody")],
    ["Surface", found.surface],
    ["Product", found.product],
    ["Feature", mono(found.feature)],
    ["Expires", found.expires ?? "never"],
  ];
  return panel({
    title: "What it is",
    note: "what the catalog does not declare is not stored",
    body: h(
      "dl",
      { class: "facts" },
      facts.map(([name, fact]) => h("div", null, h("dt", null, name), h("dd", null, fact))),
    ),
  });
}
