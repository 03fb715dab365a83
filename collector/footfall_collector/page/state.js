// State: what is looked at stands in the address, and nowhere else; what is usual is left out.

import { DAY, HOUR, iso } from "./words.js";

/** @type {Record<string, string>} */
export const DEFAULTS = {
  product: "all",
  env: "all",
  version: "all",
  period: "30d",
  compare: "previous",
  from: "",
  to: "",
};
export const PERIODS = /** @type {Record<string, string>} */ ({
  "24h": "24 hours",
  "7d": "7 days",
  "14d": "14 days",
  "30d": "30 days",
});
export const COMPARE = /** @type {Record<string, string>} */ ({
  previous: "the period before",
  week: "a week earlier",
  month: "four weeks earlier",
  none: "nothing",
});
/** Paths of pages by their names. */
export const PATHS = /** @type {Record<string, string>} */ ({
  overview: "/",
  feature: "/feature",
  releases: "/releases",
  failures: "/failures",
  speed: "/speed",
  groups: "/groups",
  live: "/live",
  catalog: "/catalog",
  trust: "/trust",
});
const MOST_DAYS = 400;

const params = new URLSearchParams(location.search);
/** @type {() => void} */
let drawAgain = () => {};

/** Tells what draws the page again. @param {() => void} draw */
export const onChange = (draw) => {
  drawAgain = draw;
};

/** @param {string} key */
export const get = (key) => params.get(key) ?? DEFAULTS[key] ?? "";

/** Whether this is a view that was shared: its link opens this page, and no other. */
export const isGuest = () => get("share") !== "";

/** Reads the address again, after the browser has gone back. */
export function reread() {
  for (const key of [...params.keys()]) params.delete(key);
  for (const [key, value] of new URLSearchParams(location.search)) params.set(key, value);
}

/**
 * Changes the address.
 *
 * @param {Record<string, string>} changes Empty ones are taken out.
 * @param {boolean} [draw] Whether the page is drawn again.
 */
export function set(changes, draw = true) {
  for (const [key, value] of Object.entries(changes)) {
    if (value === "" || value === DEFAULTS[key]) params.delete(key);
    else params.set(key, value);
  }
  const query = params.toString();
  history.replaceState(null, "", query ? `?${query}` : location.pathname);
  if (draw) drawAgain();
}

/**
 * The address of another page, with the filters.
 *
 * @param {string} page
 * @param {Record<string, string>} [more]
 */
export function link(page, more = {}) {
  const next = new URLSearchParams();
  for (const key of [...Object.keys(DEFAULTS), "theme"]) {
    const value = params.get(key);
    if (value !== null) next.set(key, value);
  }
  for (const [key, value] of Object.entries(more)) next.set(key, value);
  return next.size ? `${PATHS[page]}?${next}` : String(PATHS[page]);
}

/** @param {string} event */
export const toFeature = (event) => link("feature", { event });

/**
 * A period, in steps of an hour or a day.
 *
 * @typedef {object} Range
 * @property {number} since
 * @property {number} until
 * @property {"hour" | "day"} unit
 * @property {number[]} times When its steps begin.
 */

/**
 * @param {number} since
 * @param {number} until
 * @param {"hour" | "day"} unit
 * @returns {Range}
 */
function range(since, until, unit) {
  const step = unit === "day" ? DAY : HOUR;
  const times = [];
  for (let at = Math.floor(since / step) * step; at < until; at += step) times.push(at);
  return { since, until, unit, times };
}

/** What was chosen: when it begins and ends. @param {number} now @returns {[number, number]} */
function chosen(now) {
  const next = Math.ceil((now + 1) / HOUR) * HOUR;
  const period = get("period");
  if (period === "24h") return [next - DAY, next];
  const from = Date.parse(get("from"));
  const to = Date.parse(get("to") || iso(now)) + DAY;
  if (period === "custom" && to > from && to - from <= MOST_DAYS * DAY && from < now) return [from, Math.min(next, to)];
  const days = PERIODS[period] ? Number.parseInt(period) : 30;
  return [Math.floor(now / DAY) * DAY - (days - 1) * DAY, next];
}

/**
 * The chosen period, and the one that it is compared with.
 *
 * `previous` is the one that `changes` takes, as long and directly before.
 */
export function ranges(now = Date.now()) {
  const [since, until] = chosen(now);
  const unit = until - since <= 2 * DAY ? "hour" : "day";
  const back = /** @type {Record<string, number>} */ ({ previous: until - since, week: 7 * DAY, month: 28 * DAY })[
    get("compare")
  ];
  const before = back ? range(since - back, until - back, unit) : null;
  return { now: range(since, until, unit), before };
}

/** @param {Range} of @returns {boolean} Whether its last step goes on. */
export const isOpen = (of) => of.until > Date.now() && of.times.length > 1;

export const periodName = () => PERIODS[get("period")] ?? "these days";

const narrow = matchMedia("(max-width: 759px)");

/** Whether the window is as narrow as a phone. */
export const isNarrow = () => narrow.matches;

/** Draws the page again when its window becomes narrow, or wide. */
narrow.addEventListener("change", () => drawAgain());
