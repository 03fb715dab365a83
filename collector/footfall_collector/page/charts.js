// Charts: figures over time, drawn by ECharts as SVG, with tooltips made of elements, as the policy wants it.

import { apart, bubble, placed, scaleOf, tick } from "./axes.js";
import { BAND, bands, topOf } from "./bands.js";
import { width } from "./drawing.js";
import { h } from "./elements.js";
import { isOpen } from "./state.js";
import { between, clock, day, int, when } from "./words.js";

/** @typedef {import("./state.js").Range} Range */

/** @typedef {(number | null)[]} Values */

/** @typedef {{at: number, name: string}} Mark */

/**
 * @typedef {object} Series
 * @property {string} name
 * @property {Values} data
 * @property {string} color
 * @property {"bar" | "line"} [type]
 * @property {string} [stack]
 * @property {number} [area] How opaque the ground below a line is.
 * @property {number} [width]
 * @property {string} [end] What stands at the end of the line.
 * @property {string} [label] The colour of that.
 * @property {[Values, Values]} [sure] Between what each figure lies, drawn as a band.
 * @property {[string, string]} [inside] A name inside its own area, and its colour.
 */

/**
 * @typedef {object} Over
 * @property {Range} range
 * @property {Series[]} series
 * @property {(n: number) => string} [format]
 * @property {number} [max]
 * @property {Mark[]} [marks]
 * @property {boolean} [labels] False where it is small.
 * @property {Values | null} [before]
 */

const probe = h("span", { class: "probe", "aria-hidden": "true" });

/** Colours by theme and token: each is looked up once, as it has the whole page styled. @type {Map<string, string>} */
const colours = new Map();
let family = "";

/** A token's colour in this theme. @param {string} name */
export function colour(name) {
  const theme = document.documentElement.dataset.theme ?? matchMedia("(prefers-color-scheme: dark)").matches;
  const key = `${theme} ${name}`;
  const known = colours.get(key);
  if (known) return known;
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = `var(--${name})`;
  const found = getComputedStyle(probe).color;
  colours.set(key, found);
  return found;
}

/** @param {string} head @param {[string, string, string?][]} lines */
const tip = (head, lines) =>
  h(
    "div",
    { class: "tip" },
    h("b", null, head),
    lines.map(([name, value, color]) =>
      h(
        "div",
        null,
        h("span", { class: "key", style: color ? { "--c": color } : {} }, name),
        h("span", { class: "num" }, value),
      ),
    ),
  );

/** The name of a series inside its own area, where that is widest. @param {Series} of */
function named({ data, inside }) {
  const most = Math.max(...data.map((v) => v ?? 0));
  const high = data.flatMap((v, i) => ((v ?? 0) > most * 0.9 ? [i] : []));
  const middle = high[Math.floor(high.length / 2)];
  const label = {
    show: true,
    position: "inside",
    formatter: inside?.[0],
    color: inside?.[1],
    fontSize: 12,
    fontWeight: 600,
  };
  return data.map((value, i) =>
    i === middle && most > 0.3 && high.length > 3
      ? { value, label }
      : value || { value: 0, itemStyle: { borderWidth: 0 } },
  );
}

/** @param {Series} each @param {number} open The step that goes on, which is pale. */
function points(each, open) {
  if (each.inside) return named(each);
  if (each.type !== "bar" || open < 0) return each.data;
  return each.data.map((value, i) => (i === open ? { value, itemStyle: { opacity: 0.45 } } : value));
}

/** Series, of which those that are known up to where any is have their names there. @param {Series[]} series */
function ended(series) {
  const lasts = series.map(({ data }) => data.findLastIndex((v) => v !== null));
  const latest = Math.max(...lasts);
  return series.map((each, i) => (lasts[i] === latest ? each : { ...each, end: undefined }));
}

/**
 * Figures over time: bars or lines of now, a grey line for before, releases as marks.
 *
 * @param {Over} of
 */
export function timeOption({ range, series: given, format = int, max, marks = [], labels = true, before }) {
  const { times, unit } = range;
  const series = ended(given);
  const isBar = series[0]?.type === "bar";
  const [ink, line, grey] = [colour("ink-2"), colour("line"), colour("before")];
  family ||= getComputedStyle(document.body).fontFamily;
  const font = { fontFamily: family, fontSize: 11, color: ink };
  const former = before && before.some((v) => v) ? before : null;
  const axis = scaleOf(max ?? topOf(series, former ?? []), labels ? 4 : 2, format === int);
  const open = isOpen(range) ? times.length - 1 : -1;
  const beside = series.some((each) => each.end) ? 72 : 8;
  const places = placed(marks, range, labels ? width - beside - 44 : 0);
  const moved = apart(series, axis.max);
  const every = Math.ceil(times.length / (innerWidth < 760 ? 3 : 5));
  const isLabelled = (/** @type {number} */ i) =>
    i === 0 || (labels ? i % every === 0 && i < times.length - 2 : i === times.length - 1);
  const head = (/** @type {number} */ i) =>
    [
      when(times[i] ?? 0, unit) + (i === open ? " (so far)" : ""),
      ...places.filter((place) => place.xAxis === i).map((place) => place.name),
    ].join(" · ");
  const sureOf = (/** @type {any} */ p) => {
    const sure = series[p.seriesIndex]?.sure?.map((list) => list[p.dataIndex]) ?? [];
    const text = between(sure[0], sure[1], (v) => format(v ?? 0));
    return text ? ` (${text})` : "";
  };
  const said = (/** @type {any} */ p) => [
    p.seriesName,
    p.value === null || p.value === undefined ? "not known" : `${format(p.value)}${sureOf(p)}`,
    p.seriesName === "before" ? grey : series[p.seriesIndex]?.color,
  ];
  const markLine = places.length
    ? {
        silent: true,
        symbol: "none",
        animation: false,
        lineStyle: { color: ink, type: [1, 3], width: 1, opacity: 0.8 },
        label: { show: labels, formatter: (/** @type {any} */ p) => p.name, ...font },
        data: places,
      }
    : undefined;
  return {
    animation: false,
    textStyle: font,
    grid: {
      left: 4,
      right: beside,
      top: places.length && labels ? (places.some((place) => place.label.distance > 4) ? 34 : 20) : 10,
      bottom: 2,
      outerBoundsMode: "same",
      outerBoundsContain: "axisLabel",
    },
    xAxis: {
      type: "category",
      data: times,
      boundaryGap: isBar,
      axisTick: { show: false },
      axisLine: { lineStyle: { color: line } },
      axisLabel: {
        ...font,
        showMinLabel: true,
        alignMinLabel: "left",
        alignMaxLabel: "right",
        interval: isLabelled,
        formatter: (/** @type {string} */ v) => (unit === "day" ? day(+v) : clock(+v)),
      },
    },
    yAxis: {
      type: "value",
      ...axis,
      min: 0,
      axisLabel: { ...font, formatter: (/** @type {number} */ v) => tick(v, format, axis.interval) },
      splitLine: { lineStyle: { color: line } },
    },
    tooltip: {
      ...bubble,
      axisPointer: {
        type: isBar ? "shadow" : "line",
        lineStyle: { color: ink },
        shadowStyle: { color: colour("hover"), opacity: 0.6 },
      },
      formatter: (/** @type {any[]} */ list) =>
        tip(
          head(list[0].dataIndex),
          list.filter((p) => p.seriesName !== BAND).map((p) => /** @type {any} */ (said(p))),
        ),
    },
    series: [
      ...series.map((each, i) => ({
        name: each.name,
        type: each.type ?? "line",
        stack: each.stack,
        barCategoryGap: each.inside ? "0%" : "22%",
        symbol: "circle",
        symbolSize: 4,
        showSymbol: each.type !== "bar" && each.data.filter((v) => v !== null).length === 1,
        connectNulls: false,
        data: points(each, open),
        itemStyle: {
          color: each.color,
          borderColor: each.inside ? each.color : undefined,
          borderWidth: each.inside ? 0.6 : 0,
        },
        lineStyle: { width: each.width ?? 1.75, color: each.color },
        areaStyle: each.area ? { color: each.color, opacity: each.area } : undefined,
        endLabel: each.end
          ? {
              show: true,
              formatter: each.end,
              color: each.label ?? each.color,
              fontFamily: font.fontFamily,
              fontSize: 11,
              distance: 6,
              offset: [0, moved[i]],
            }
          : undefined,
        markLine: i === 0 ? markLine : undefined,
      })),
      ...bands(series),
      ...(former
        ? [
            {
              name: "before",
              type: "line",
              data: former,
              symbol: "none",
              lineStyle: { width: 1.25, color: grey, type: unit === "day" ? [5, 3] : "solid" },
              itemStyle: { color: grey },
              z: 1,
            },
          ]
        : []),
    ],
  };
}

/**
 * The same figures as a table.
 *
 * @param {Range} range
 * @param {string[]} names
 * @param {Values[]} lists
 * @param {(n: number) => string} [format]
 */
export const timeTable =
  (range, names, lists, format = int) =>
  () => ({
    columns: [range.unit === "day" ? "Day (UTC)" : "From (UTC)", ...names],
    rows: range.times.map((at, i) => [
      when(at, range.unit),
      ...lists.map((list) => {
        const value = list[i];
        return value === null || value === undefined ? "not known" : format(value);
      }),
    ]),
  });
