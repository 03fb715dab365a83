// Axes: round ends and steps, what stands at the ends of lines, and marks.

/** @typedef {import("./charts.js").Series} Series */
/** @typedef {import("./charts.js").Mark} Mark */
import { int, ms, pct } from "./words.js";

/** @typedef {import("./state.js").Range} Range */

const HEIGHT = 176;

/**
 * A figure on an axis, in as many digits as its steps need.
 *
 * @param {number} v
 * @param {(n: number) => string} format
 * @param {number} step
 */
export function tick(v, format, step) {
  if (v === 0) return "0";
  if (format === ms) return v < 1000 ? ms(v) : `${+(v / 1000).toFixed(2)} s`;
  if (format === int) return int(v);
  return pct(v, (step * 100) % 1 > 1e-9 ? 1 : 0);
}

const ENDS = [1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10];

const STEPS = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8];

/** A round end of the axis, and round steps. @param {number} top @param {number} most @param {boolean} isWhole */
export function scaleOf(top, most, isWhole) {
  const power = 10 ** Math.floor(Math.log10(top > 0 ? top : 1));
  const max = ENDS.map((end) => end * power).find((end) => end >= top * 0.999) ?? top;
  const isRound = (/** @type {number} */ step) =>
    STEPS.some((m) => Math.abs(step / 10 ** Math.floor(Math.log10(step) + 1e-9) - m) < 1e-6) &&
    (!isWhole || Number.isInteger(+step.toFixed(9)));
  const parts = [4, 3, 2, 1].find((n) => n <= most && isRound(max / n)) ?? 1;
  return { max, interval: max / parts };
}

/** How far labels at the ends of lines are pushed apart. @param {Series[]} series @param {number} max */
export function apart(series, max) {
  const ends = series.flatMap(({ end, data }, i) =>
    end ? [{ i, y: HEIGHT * (1 - (data.findLast((v) => v !== null) ?? 0) / max) }] : [],
  );
  /** @type {number[]} */
  const moved = [];
  let floor = -Infinity;
  for (const end of ends.sort((a, b) => a.y - b.y)) {
    const y = Math.max(end.y, floor + 14);
    moved[end.i] = y - end.y;
    floor = y;
  }
  return moved;
}

const LONGEST = 18;

/** @param {string} name */
const short = (name) => (name.length > LONGEST ? `${name.slice(0, LONGEST)}…` : name);

/** A tooltip of a step of the axis, drawn by what is within it. */
export const bubble = {
  trigger: "axis",
  confine: true,
  padding: 0,
  borderWidth: 0,
  backgroundColor: "transparent",
  extraCssText: "box-shadow:none",
};

/** How wide a letter of a label is, about, and how far apart two are at least. */
const [LETTER, APART] = [6, 8];

/**
 * Marks where something began: those of one step are one. A label that would lie over another one goes above it;
 * where there is no room either, the tooltip has it.
 *
 * @param {Mark[]} marks
 * @param {Range} range
 * @param {number} room How wide the plot is.
 */
export function placed(marks, { times, until }, room) {
  /** @type {Map<number, string[]>} */
  const found = new Map();
  for (const { at, name } of marks) {
    const index = at < until ? times.findLastIndex((time) => time <= at) : -1;
    if (index >= 0) found.set(index, [...(found.get(index) ?? []), name]);
  }
  const ends = [-Infinity, -Infinity];
  return [...found]
    .sort(([a], [b]) => a - b)
    .map(([xAxis, names]) => {
      const name = names.length > 2 ? `${names.length} marks` : names.map(short).join(", ");
      const align = xAxis > times.length * 0.88 ? "right" : "center";
      const [long, at] = [name.length * LETTER, ((xAxis + 0.5) / times.length) * room];
      const begin = at - (align === "right" ? long : long / 2);
      const row = ends.findIndex((end) => end + APART < begin);
      if (row >= 0) ends[row] = begin + long;
      return { xAxis, name, label: { align, distance: row > 0 ? 18 : 4, ...(row < 0 ? { show: false } : {}) } };
    });
}
