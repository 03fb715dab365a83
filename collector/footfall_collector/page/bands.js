// Bands: between what each figure of a line lies.

/** @typedef {import("./charts.js").Series} Series */
/** @typedef {import("./charts.js").Values} Values */

/** What is drawn of a band: its foot, which is not seen, and what stands on it. */
export const BAND = "band";

/** The bands of lines. @param {Series[]} series */
export const bands = (series) =>
  series.flatMap(({ name, color, sure }) => {
    if (!sure) return [];
    const [low, high] = sure;
    const on = high.map((v, i) => (v === null ? null : v - (low[i] ?? 0)));
    const of = { name: BAND, type: "line", stack: `${BAND} ${name}`, symbol: "none", silent: true, z: 1 };
    const unseen = { lineStyle: { opacity: 0 }, itemStyle: { color } };
    const foot = low.map((v, i) => (high[i] === null ? null : v));
    return [
      { ...of, ...unseen, data: foot },
      { ...of, ...unseen, data: on, areaStyle: { color, opacity: 0.16 } },
    ];
  });

/** How high the axis goes: bands are cut where they are far above. @param {Series[]} series @param {Values} more */
export function topOf(series, more) {
  const most = (/** @type {Values} */ list) => Math.max(0, ...list.map((v) => v ?? 0));
  const top = Math.max(most(more), ...series.map((each) => most(each.data)));
  const sure = Math.max(0, ...series.map((each) => most(each.sure?.[1] ?? [])));
  return Math.max(top, top ? Math.min(sure, top * 1.5) : sure);
}
