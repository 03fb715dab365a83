// Bars and small lines: what stands beside a figure, with what is known of it.

import { h, s } from "./elements.js";
import { none } from "./parts.js";
import { between, pct } from "./words.js";

/** @typedef {import("./elements.js").Kid} Kid */

/**
 * A share as a bar; the number stands beside it.
 *
 * @param {number} share
 * @param {string} [tone]
 * @param {[number, number] | null} [sure] Between what it lies, drawn as a thin line.
 */
export const bar = (share, tone = "", sure = null) =>
  h(
    "span",
    { class: `bar ${tone}`, "aria-hidden": "true" },
    h("span", { style: { width: `${Math.max(share > 0 ? 2 : 0, Math.min(100, share * 100))}%` } }),
    sure ? h("i", { style: whisker(...sure) }) : null,
  );

/** @param {number} low @param {number} high @returns {Record<string, string>} */
function whisker(low, high) {
  const [from, to] = [low, high].map((share) => Math.max(0, Math.min(1, share)) * 100);
  return { left: `${from}%`, width: `${Math.max(1, Number(to) - Number(from))}%` };
}

/**
 * A share that fails, as a bar with its bounds and a number.
 *
 * @param {Record<string, any> | undefined} row Of `outcomes`.
 * @param {number} biggest What the whole bar stands for.
 * @param {{tone?: string, before?: Kid, said?: string}} [how] In the place of the bar; what else is to be said.
 */
export function failedBar(row, biggest, { tone = "", before, said } = {}) {
  if (!row || row.share === null) return none("\u2013", "nothing ended as a success or a failure");
  const sure = between(row.share_low, row.share_high, pct);
  return h(
    "span",
    { class: "pair", title: [sure && `between ${sure}, were there chance alone`, said].filter(Boolean).join("; ") },
    before ?? bar(row.share / biggest, tone, sure ? [row.share_low / biggest, row.share_high / biggest] : null),
    h("span", { class: tone === "bad" ? "bad fixed" : "fixed" }, pct(row.share)),
  );
}

/**
 * A small line; a gap where a figure is unknown.
 *
 * @param {(number | null)[]} values
 * @param {{width?: number, height?: number, tone?: string}} [how]
 */
export function spark(values, { width = 112, height = 22, tone = "" } = {}) {
  const max = Math.max(0, ...values.map((v) => v ?? 0)) || 1;
  const step = width / Math.max(1, values.length - 1);
  const x = (/** @type {number} */ i) => (i * step).toFixed(1);
  const y = (/** @type {number} */ v) => (height - 2 - (v / max) * (height - 4)).toFixed(1);
  const drawn = runs(values).map((run) => {
    const line = run.map(([v, i]) => `${x(i)},${y(v)}`).join(" ");
    const ends = [run[0], run[run.length - 1]].map((end) => `${x(end?.[1] ?? 0)},${height - 2}`);
    return [s("polygon", { points: `${ends[0]} ${line} ${ends[1]}` }), s("polyline", { points: line })];
  });
  return s(
    "svg",
    { class: `spark ${tone}`, viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" },
    ...drawn,
  );
}

/** Stretches without a gap. @param {(number | null)[]} values @returns {[number, number][][]} */
function runs(values) {
  /** @type {[number, number][][]} */
  const found = [[]];
  values.forEach((value, i) => {
    if (value === null) found.push([]);
    else found[found.length - 1]?.push([value, i]);
  });
  return found.filter((run) => run.length);
}
