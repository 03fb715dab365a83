// Depth: how many different features each active group uses on a day.

import { colour, timeOption, timeTable } from "../charts.js";
import { chart } from "../drawing.js";
import { values } from "../figures.js";
import { panel } from "../parts.js";
import { groupWord, int } from "../words.js";

/** @typedef {import("../reports.js").Row} Row */

/** @typedef {import("../state.js").Range} Range */

/**
 * Figures of the report `depth`: name, column, and colour of those that are drawn.
 *
 * @type {[string, string, string?][]}
 */
const FIGURES = [
  ["Average", "mean", "series"],
  ["Median", "median", "before"],
  ["9 of 10 at most", "p90", "series-2"],
  ["1", "groups_1"],
  ["2-3", "groups_2_3"],
  ["4-7", "groups_4_7"],
  ["8 or more", "groups_8_up"],
];

/** @param {number} figure */
const shown = (figure) => (Number.isInteger(figure) ? int(figure) : figure.toFixed(2));

/**
 * A panel of an attribute's groups; none where nothing of it is known.
 *
 * @param {string} attribute @param {Row[]} mine @param {Range} days @param {import("../charts.js").Mark[]} marked
 */
export function depth(attribute, mine, days, marked) {
  if (!mine.some((row) => row.median !== null || row.mean !== null)) return [];
  const word = groupWord(attribute, false);
  const lists = FIGURES.map(([, column]) => values(mine, days, column));
  const series = FIGURES.flatMap(([name, , tone], i) =>
    tone ? [{ name, data: lists[i] ?? [], color: colour(tone), label: colour("ink-2"), end: name }] : [],
  );
  const names = FIGURES.map(([name]) => name);
  return [
    panel({
      title: `Features per ${word}`,
      note: "different features that each used, a day",
      body: chart(`Different features per ${word} and day`, "m", () =>
        timeOption({ range: days, series, marks: marked }),
      ),
      table: timeTable(days, names, lists, shown),
    }),
  ];
}
