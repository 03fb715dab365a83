// Drawing: charts of ECharts in elements of their own, as wide as these are.

import { h } from "./elements.js";

const echarts = /** @type {any} */ (globalThis).echarts;

/** How wide the chart is that is drawn: labels need room. */
export let width = 0;

/** Draws a chart anew where its size has changed. @param {any} chart */
function fit(chart) {
  if (!chart) return;
  const now = chart.getDom().clientWidth;
  if (now && now !== chart.getWidth()) {
    chart.resize();
    width = now;
    chart.setOption(chart.again());
    scale(chart.getDom());
  } else chart.resize();
}

/** Lets paper have it in another size. @param {HTMLElement} node */
function scale(node) {
  const svg = node.querySelector("svg");
  svg?.setAttribute("viewBox", `0 0 ${node.clientWidth} ${node.clientHeight}`);
}

/** @type {any[]} */
let drawn = [];

/** @type {[HTMLElement, () => any][]} */
const waiting = [];

const watch = new ResizeObserver((entries) => {
  for (const { target } of entries) fit(/** @type {any} */ (target).chart);
});

/** Ends all charts, before the page is drawn again. */
export function dispose() {
  for (const chart of drawn) {
    watch.unobserve(chart.getDom());
    chart.dispose();
  }
  drawn = [];
}

/**
 * A chart in an element of its own.
 *
 * @param {string} label What it says, in a sentence.
 * @param {string} size
 * @param {() => any} make Its option, made when it is drawn, so that the colours are those of the theme.
 */
export function chart(label, size, make) {
  const node = h("div", { class: `chart ${size}`, role: "img", "aria-label": label });
  waiting.push([node, make]);
  return node;
}

/** Draws the charts that wait, once they are in the document, where they have a size. */
export function drawWaiting() {
  for (const [node, make] of waiting.splice(0)) {
    if (!node.isConnected) continue;
    const made = echarts.init(node, null, { renderer: "svg" });
    width = node.clientWidth;
    made.setOption(make());
    scale(node);
    made.again = make;
    /** @type {any} */ (node).chart = made;
    drawn.push(made);
    watch.observe(node);
  }
}
