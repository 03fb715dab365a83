// Releases: what a version made worse or better, feature by feature; which version carries the use.

import { colour, timeOption, timeTable } from "../charts.js";
import { chart } from "../drawing.js";
import { h } from "../elements.js";
import { failedShare, grouped, marks, natural, releases as firsts, steps, tally, titles, total } from "../figures.js";
import { grid } from "../grid.js";
import { blank, mono, names, none, panel, seg, title } from "../parts.js";
import { rows, rowsIfAny } from "../reports.js";
import { get, set } from "../state.js";
import { between, day, int, ms, pct, sinceHour } from "../words.js";
import { byFeature } from "./compared.js";

/** @typedef {import("../reports.js").Row} Row */

/** @typedef {import("../shell.js").Context} Context */

export const ALL = "(all)";

const MOST = 5;

/** @param {Context} context */
export async function releases(context) {
  const { now, where, lines, seen, notes } = context;
  const services = [
    ...grouped(
      lines.filter((row) => row.service),
      "service",
    ),
  ]
    .sort((a, b) => total(b[1], "count") - total(a[1], "count"))
    .map(([name]) => name);
  const service = services.includes(get("service")) ? get("service") : services[0];
  const { version: _, ...others } = where;
  const mine = service ? { ...others, service: [service] } : others;
  const known = firsts(seen).filter((each) => each.service === service);
  const [used, fast, side, outcomes] = await Promise.all([
    rows("usage", { range: now, by: [now.unit, "version", "action", "status"], where: mine }),
    rows("latency", { range: now, by: ["version"], where: mine }),
    rowsIfAny("releases", { where: { ...mine, ...pair(known) } }),
    rows("outcomes", { range: now, by: ["version"], where: mine }),
  ]);
  const list = ofVersions(used, fast, known, outcomes);
  if (!list.length)
    return [
      title("No version was used."),
      blank(
        "Nothing in this choice",
        h("p", null, "Versions come from the resource attribute ", mono("service.version"), " of senders."),
      ),
    ];
  const picker =
    services.length > 1
      ? seg("Service", Object.fromEntries(services.map((name) => [name, name])), service ?? "", (next) =>
          set({ service: next, release: "" }),
        )
      : null;
  return [
    heading(side, context, known),
    picker ? h("div", { class: "services" }, picker) : null,
    h(
      "div",
      { class: "row half" },
      listing(list, side, notes),
      carries(
        context,
        used,
        list,
        marks(
          seen.filter((row) => row.service === service),
          notes,
        ),
      ),
    ),
    ...byFeature(side, context),
  ];
}

/**
 * The version that was picked, and the one that was first seen before it.
 *
 * @param {import("../charts.js").Mark[]} known
 * @returns {Record<string, string[]>}
 */
function pair(known) {
  const former = known[known.findIndex((each) => each.name === get("release")) - 1];
  return former ? { version: [former.name, get("release")] } : {};
}

/**
 * @param {Row[]} used
 * @param {Row[]} fast
 * @param {import("../charts.js").Mark[]} known
 * @param {Row[]} outcomes
 * @returns {Row[]}
 */
function ofVersions(used, fast, known, outcomes) {
  const slow = new Map(fast.map((row) => [row.service_version ?? "", row.p95_ms]));
  const ended = new Map(outcomes.map((row) => [row.service_version ?? "", row]));
  return [...grouped(used, "service_version")]
    .map(([version, mine]) => {
      const found = tally(mine);
      return {
        version,
        ...found,
        share: failedShare(found),
        ended: ended.get(version),
        p95: slow.get(version) ?? null,
        at: known.find((each) => each.name === version)?.at ?? null,
      };
    })
    .filter((each) => each.uses)
    .sort((a, b) => natural(b.version).localeCompare(natural(a.version)));
}

/** @param {Row[]} side @param {Context} context @param {import("../charts.js").Mark[]} known */
function heading(side, { features }, known) {
  const whole = side.find((row) => row.event === ALL);
  if (!whole)
    return title(
      "There are no two versions to compare.",
      "It takes two of a service, of which each has ended something, to say what one of them changed.",
    );
  const named = titles(features);
  const of = (/** @type {string} */ verdict) =>
    side
      .filter((row) => row.event !== ALL && row.verdict === verdict)
      .map((row) => ({ event: row.event, title: named(row.event) }));
  const said = [
    [of("fails more"), "more"],
    [of("fails less"), "less"],
  ]
    .filter(([list]) => list?.length)
    .map(([list, word], i) => [
      i ? "; " : "",
      names(/** @type {Row[]} */ (list)),
      ` ${list?.length === 1 ? "fails" : "fail"} ${word}`,
    ]);
  const at = known.find((each) => each.name === whole.version)?.at;
  return title(
    [`${whole.version}: `, said.length ? said : "no difference seen so far", "."],
    `${whole.service} · ${at ? `first seen ${sinceHour(at)}, ${day(at)} · ` : ""}against ${whole.former}, which is looked at from 28 days before`,
  );
}

/** @param {Row[]} list @param {Row[]} side @param {Row[]} notes */
function listing(list, side, notes) {
  const picked = side[0]?.version;
  const brought = (/** @type {string} */ version) =>
    notes
      .filter((each) => each.version && each.version === version)
      .map((each) => each.text)
      .join("; ");
  return panel({
    title: "Versions",
    note: list.length > 1 ? "choose one to compare it with the one before" : "",
    body: grid({
      caption: "Versions",
      key: "rs",
      sort: "-version",
      rows: list,
      columns: [
        {
          key: "version",
          label: "Version",
          sort: (row) => natural(row.version),
          cell: (row) =>
            row.version
              ? h(
                  "button",
                  {
                    type: "button",
                    class: "linkish",
                    "aria-pressed": String(row.version === picked),
                    onclick: () => set({ release: row.version }),
                  },
                  row.version,
                )
              : none("none given"),
        },
        ...(list.some((row) => brought(row.version))
          ? [
              {
                key: "note",
                label: "What it brought",
                sort: /** @type {false} */ (false),
                cls: "wide-only wrap",
                cell: (/** @type {Row} */ row) => brought(row.version),
              },
            ]
          : []),
        { key: "at", label: "First seen", num: true, cell: (row) => (row.at ? day(row.at) : none("not known")) },
        { key: "uses", label: "Uses", num: true, cell: (row) => int(row.uses) },
        {
          key: "share",
          label: "Failed",
          num: true,
          cell: (row) =>
            h("span", { title: between(row.ended?.share_low, row.ended?.share_high, pct) }, pct(row.share)),
        },
        { key: "p95", label: "p95", num: true, cls: "wide-only", cell: (row) => ms(row.p95) },
      ],
    }).el,
  });
}

/** @param {Context} context @param {Row[]} used @param {Row[]} list @param {import("../charts.js").Mark[]} marked */
function carries({ now }, used, list, marked) {
  const by = grouped(used, "service_version");
  const whole = steps(used, now).map((step) => tally(step).uses);
  const shareOf = (/** @type {string[]} */ versions) =>
    steps(
      versions.flatMap((version) => by.get(version) ?? []),
      now,
    ).map((step, i) => (whole[i] ? tally(step).uses / (whole[i] ?? 1) : 0));
  const [shown, older] = [
    list.slice(0, list.length > MOST ? MOST - 1 : MOST),
    list.slice(list.length > MOST ? MOST - 1 : MOST),
  ];
  const names = [
    ...(older.length ? [{ name: "older", data: shareOf(older.map((each) => each.version)) }] : []),
    ...shown.reverse().map((each) => ({ name: each.version || "none given", data: shareOf([each.version]) })),
  ];
  const tone = (/** @type {number} */ i) => `s${MOST - names.length + i + 1}`;
  return panel({
    title: "Which version carries the use",
    note: "share of uses; dotted: releases",
    body: chart(
      `Share of uses by version: ${names.map((each) => `${each.name} ${pct(each.data[each.data.length - 1] ?? 0, 0)}`).join(", ")}`,
      "m",
      () =>
        timeOption({
          range: now,
          max: 1,
          marks: marked,
          format: (v) => pct(v, 0),
          series: names.map((each, i) => ({
            name: each.name,
            type: "bar",
            stack: "v",
            inside: [each.name, colour(MOST - names.length + i < 4 ? "ink" : "on-series")],
            data: each.data,
            color: colour(tone(i)),
          })),
        }),
    ),
    table: timeTable(
      now,
      names.map((each) => each.name),
      names.map((each) => each.data),
      (v) => pct(v, 0),
    ),
  });
}
