// Uses by surface, in small multiples whose sizes compare.

import { colour, timeOption, timeTable } from "../charts.js";
import { chart } from "../drawing.js";
import { h } from "../elements.js";
import { beforeLine, finished, grouped, tallies, tally } from "../figures.js";
import { change, none, panel, share } from "../parts.js";
import { get, set } from "../state.js";
import { int, plural } from "../words.js";

/** @typedef {import("../reports.js").Row} Row */

/** @typedef {import("../shell.js").Context} Context */

const MOST_SURFACES = 4;

/**
 * Small multiples, so that sizes compare; beyond four they fold.
 *
 * @param {Context} context
 * @param {Row[]} used
 * @param {Row[]} usedBefore
 */
export function surfaces({ now, before, marks: marked }, used, usedBefore) {
  const of = [...grouped(used, "surface")]
    .map(([name, mine]) => {
      const past = tally(usedBefore.filter((row) => row.surface === name)).uses;
      return {
        name,
        data: tallies(mine, now).map((each) => each.uses),
        uses: tally(mine).uses,
        past: before ? past : null,
      };
    })
    .filter((each) => each.uses)
    .sort((a, b) => b.uses - a.uses);
  const same = get("scale") === "same";
  const max = same ? Math.max(...of.flatMap((each) => each.data)) : undefined;
  const multiple = (/** @type {typeof of[number]} */ { name, data, uses, past }) =>
    h(
      "div",
      { class: "multiple" },
      h(
        "h3",
        null,
        h(
          "button",
          {
            type: "button",
            class: "pick",
            title: `Show only features on ${name}`,
            onclick: () => set({ surface: get("surface") === name ? "" : name }),
          },
          name,
        ),
        h("span", { class: "num" }, int(uses)),
        change(share(uses, past)),
      ),
      chart(`Uses on ${name}: ${int(uses)}${past ? `, ${int(past)} before` : ""}`, "s", () =>
        timeOption({
          range: { ...now, times: finished(now.times) },
          series: [{ name: "uses", data: finished(data), color: colour("series"), area: 0.14 }],
          max,
          marks: marked,
          labels: false,
          before: past && now.unit === "day" ? beforeLine([past], { ...now, times: finished(now.times) }) : null,
        }),
      ),
    );
  const [first, rest] = [of.slice(0, MOST_SURFACES), of.slice(MOST_SURFACES)];
  const fold = rest.length
    ? h(
        "details",
        { class: "more" },
        h("summary", null, plural(rest.length, "other surface")),
        h("div", { class: "multiples two" }, rest.map(multiple)),
      )
    : null;
  return panel({
    title: "Uses by surface",
    cls: "wide",
    note: `${now.unit === "day" ? "a day" : "an hour"}${before && now.unit === "day" ? ", grey: average before" : ""}`,
    body: of.length
      ? [h("div", { class: `multiples ${of.length > 1 ? "two" : ""}` }, first.map(multiple)), fold]
      : none("Nothing was used."),
    actions:
      of.length > 1
        ? h(
            "button",
            {
              type: "button",
              class: "quiet",
              "aria-pressed": String(same),
              onclick: () => set({ scale: same ? "" : "same" }),
            },
            "Same scale",
          )
        : null,
    table: timeTable(
      now,
      of.map((each) => each.name),
      of.map((each) => each.data),
    ),
  });
}
