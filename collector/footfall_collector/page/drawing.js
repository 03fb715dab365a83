// Drawing: charts of ECharts in elements of their own, as wide as these are.

import { h } from "./elements.js";

const echarts = /** @type {any} */ (globalThis).echarts;

/** How wide the chart is that is drawn: labels need room. */
export let width = 0;

/** Draws a chart anew where its size has changed. @param {any} chart */
function fit(chart) {
  if (!chart) return;
  const { clientWidth, clientHeight } = chart.getDom();
  const isWider = clientWidth !== chart.getWidth();
  if (!clientWidth || (!isWider && clientHeight === chart.getHeight())) return;
  chart.resize({ width: clientWidth, height: clientHeight });
  width = clientWidth;
  if (isWider) chart.setOption(chart.again());
  scale(chart);
}

/** Lets paper have it in another size. @param {any} chart */
function scale(chart) {
  const svg = chart.getDom().querySelector("svg");
  svg?.setAttribute("viewBox", `0 0 ${chart.getWidth()} ${chart.getHeight()}`);
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

/** Draws the charts that wait, once they are in the document: all are measured before one of them is drawn. */
export function drawWaiting() {
  const there = waiting.splice(0).filter(([node]) => node.isConnected);
  const sizes = there.map(([node]) => ({ width: node.clientWidth, height: node.clientHeight }));
  for (const [i, [node, make]] of there.entries()) {
    const made = echarts.init(node, null, { renderer: "svg", ...sizes[i] });
    width = sizes[i]?.width ?? 0;
    made.setOption(make());
    scale(made);
    made.again = make;
    /** @type {any} */ (node).chart = made;
    drawn.push(made);
    watch.observe(node);
  }
}

/** Draws all charts in the colours of another theme, one after the other; all else has them by itself. */
export function recolour() {
  const left = [...drawn];
  const next = () => {
    const chart = left.shift();
    if (!chart || chart.isDisposed()) return;
    width = chart.getWidth();
    chart.setOption(chart.again());
    setTimeout(next);
  };
  requestAnimationFrame(() => setTimeout(next));
}
