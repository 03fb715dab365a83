// How durations are spread: measured uses by how long they took.

import { bubble } from "../axes.js";
import { colour } from "../charts.js";
import { chart } from "../drawing.js";
import { h } from "../elements.js";
import { panel } from "../parts.js";
import { int, ms, plural } from "../words.js";

/** @typedef {import("../reports.js").Row} Row */

/** As many steps stand on the axis with their figure. */
const NAMED = 6;

/** @param {Row} found @param {Row[]} steps Of `distribution`, from fast to slow. */
export function spread(found, steps) {
  if (!steps.length) return [];
  return [
    panel({
      title: "Durations",
      note: "measured uses by how long they took; each step is a fifth longer",
      body: chart(`How many uses of ${found.title} took how long: ${most(steps)}`, "m", () => option(steps)),
      table: () => ({
        columns: ["Longer than", "Up to", "Uses"],
        rows: steps.map((step) => [ms(step.from_ms), ms(step.to_ms), int(step.observations)]),
      }),
    }),
  ];
}

/** @param {Row[]} steps */
function most(steps) {
  const [top] = [...steps].sort((a, b) => b.observations - a.observations);
  return `most up to ${ms(top?.to_ms)}`;
}

/** @param {Row[]} steps */
function option(steps) {
  const [ink, line] = [colour("ink-2"), colour("line")];
  const font = { fontFamily: getComputedStyle(document.body).fontFamily, fontSize: 11, color: ink };
  const every = Math.max(1, Math.ceil(steps.length / NAMED));
  return {
    animation: false,
    textStyle: font,
    grid: { left: 4, right: 8, top: 10, bottom: 2, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    xAxis: {
      type: "category",
      data: steps.map((step) => ms(step.to_ms)),
      axisTick: { show: false },
      axisLine: { lineStyle: { color: line } },
      axisLabel: { ...font, interval: (/** @type {number} */ i) => i % every === Math.floor(every / 2) },
    },
    yAxis: {
      type: "value",
      minInterval: 1,
      splitNumber: 3,
      axisLabel: { ...font, formatter: int },
      splitLine: { lineStyle: { color: line } },
    },
    tooltip: {
      ...bubble,
      axisPointer: { type: "shadow", shadowStyle: { color: colour("hover"), opacity: 0.6 } },
      formatter: (/** @type {any[]} */ [{ dataIndex }]) => tip(steps[dataIndex] ?? {}),
    },
    series: [
      {
        name: "uses",
        type: "bar",
        barCategoryGap: "8%",
        itemStyle: { color: colour("series") },
        data: steps.map((step) => step.observations),
      },
    ],
  };
}

/** @param {Row} step */
const tip = (step) =>
  h(
    "div",
    { class: "tip" },
    h("b", null, `${ms(step.from_ms)} to ${ms(step.to_ms)}`),
    h("div", null, plural(step.observations, "use")),
  );
