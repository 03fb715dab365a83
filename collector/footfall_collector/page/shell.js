// Shell: what is around the figures of every page: its head with the filters, its foot, help.

import { recolour } from "./drawing.js";
import { h, s } from "./elements.js";
import { completeness, isRecent, ofCounted, sum, versions } from "./figures.js";
import { openHelp } from "./help.js";
import { choose, seg } from "./parts.js";
import { COMPARE, DEFAULTS, get, isGuest, link, periodName, PERIODS, set } from "./state.js";
import { ago, complete, DAY, int, iso, plural } from "./words.js";

/** @typedef {import("./reports.js").Row} Row */

/**
 * What every page knows.
 *
 * @typedef {object} Context
 * @property {Row[]} features The inventory.
 * @property {Row[]} lines Days of versions.
 * @property {Row[]} seen When each version was first seen.
 * @property {Row[]} notes What operators noted.
 * @property {import("./charts.js").Mark[]} marks What charts mark.
 * @property {{fresh: Row, complete: Row, lost: Row[], isShared: boolean}} state
 * @property {import("./state.js").Range} now
 * @property {import("./state.js").Range | null} before
 * @property {Record<string, string[]>} where The filters as conditions.
 */

/** Page, name, and the key after `g`. @type {[string, string, string][]} */
export const NAV = [
  ["overview", "Overview", "o"],
  ["releases", "Releases", "r"],
  ["failures", "Failures", "f"],
  ["speed", "Speed", "s"],
  ["groups", "Groups", "g"],
  ["live", "Live", "l"],
  ["catalog", "Catalog", "c"],
  ["trust", "Trust", "t"],
];

export const PAGE = document.body.dataset.page ?? "overview";

const UNFILTERED = ["live", "catalog"];

/**
 * What can be chosen where it is not everything: completeness and groups are not kept by version.
 *
 * @type {Record<string, string[]>}
 */
const FILTERS = { trust: [], groups: ["product"] };

const LEFT =
  "M6.4 2.2c1.9 0 2.9 1.7 2.9 3.9 0 2-1 4-2.7 4S3.7 8.3 3.7 6 4.6 2.2 6.4 2.2M4.3 11.4l4.3-.2c.3 1.5-.4 3-2 3-1.3 0-2.2-1.2-2.3-2.8";

const RIGHT =
  "M13.6 5.6c1.8 0 2.7 1.6 2.7 3.8s-1.1 4-2.8 4-2.7-1.9-2.7-4 1-3.8 2.8-3.800M11.4 14.6l4.3.2c-.1 1.7-1 2.9-2.3 2.9-1.600 0-2.300-1.500-2-3.100";

function isDark() {
  const { theme } = document.documentElement.dataset;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Changes to the other theme, and keeps it. */
function turnTheme() {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("footfall.theme", theme);
  } catch {
    // Storage may be off: it is kept as long as the page is open.
  }
  set({ theme: "" }, get("theme") !== "");
  recolour();
}

/** @param {string} title @param {string} text For readers. @param {() => void} onclick @param {Node | string} sign */
const iconButton = (title, text, onclick, sign) =>
  h("button", { type: "button", class: "icon-button", title, onclick }, sign, h("span", { class: "sr" }, text));

/** The way out, for who has logged in. */
const logOut = () =>
  document.body.dataset.login === "yes" && !isGuest() ? h("a", { class: "log-out", href: "/logout" }, "Log out") : null;

/** The way to each page; guests have one page alone. */
function pages() {
  const here = PAGE === "feature" ? "overview" : PAGE;
  const item = (/** @type {string} */ page, /** @type {string} */ name) =>
    h("li", null, h("a", { href: link(page), "aria-current": page === here ? "page" : null }, name));
  return h(
    "nav",
    { "aria-label": "Pages" },
    h(
      "ul",
      null,
      NAV.map(([page, name]) => item(page, name)),
    ),
  );
}

/** The head of every page. */
export function header() {
  const half = s(
    "svg",
    { viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" },
    s("path", { d: "M8 2.5a5.5 5.5 0 1 0 0 11Z", class: "solid" }),
    s("circle", { cx: 8, cy: 8, r: 5.5 }),
  );
  const mark = s(
    "svg",
    { viewBox: "0 0 20 20", class: "mark", "aria-hidden": "true" },
    s("path", { d: LEFT }),
    s("path", { d: RIGHT }),
  );
  return h(
    "header",
    { class: "top" },
    h("a", { class: "brand", href: link("overview") }, mark, "Footfall"),
    isGuest() ? null : pages(),
    h(
      "div",
      { class: "right" },
      iconButton("Light or dark", "Switch between light and dark", turnTheme, half),
      iconButton("Keys and words (?)", "Keys and words", openHelp, h("span", { "aria-hidden": "true" }, "?")),
      logOut(),
    ),
  );
}

/**
 * A filter, where there is something to choose.
 *
 * @param {string} label
 * @param {string} key
 * @param {[string, string][]} options
 */
const filter = (label, key, options) =>
  options.length > 1 || get(key) !== DEFAULTS[key]
    ? choose(
        label,
        options,
        get(key),
        (value) => set({ [key]: value, ...(key === "product" ? { sort: "" } : {}) }),
        get(key) === DEFAULTS[key] ? "" : "set",
      )
    : null;

/** @param {string} all @param {Iterable<string | null>} values @returns {[string, string][]} */
function options(all, values) {
  const known = [...new Set(values)];
  if (known.length < 2 && known[0] === null) return [["all", all]];
  return [
    ["all", all],
    ...known.map((value) => /** @type {[string, string]} */ ([value ?? "(none)", value ?? "none given"])),
  ];
}

/** @param {string} label @param {string} key @param {string} usual */
function date(label, key, usual) {
  const change = (/** @type {Event} */ event) =>
    set({ [key]: /** @type {HTMLInputElement} */ (event.target).value, period: "custom" });
  return h(
    "label",
    { class: "choose" },
    h("span", null, label),
    h("input", { type: "date", value: get(key) || usual, max: iso(Date.now()), onchange: change }),
  );
}

/** @param {string} period What is chosen: a day is compared with that weekday. */
function setPeriod(period) {
  const isCustom = period === "custom";
  const usual = get("period") === "24h" ? "week" : "previous";
  const compare = get("compare") === usual ? (period === "24h" ? "week" : "previous") : get("compare");
  set({ period, compare, from: isCustom ? iso(Date.now() - 20 * DAY) : "", to: isCustom ? iso(Date.now()) : "" });
}

/** What the figures are of. @param {Context} context */
export function filters({ features, lines, seen, state }) {
  if (UNFILTERED.includes(PAGE) || state.fresh.position === 0 || isGuest()) return null;
  const has = (/** @type {string} */ key) => (FILTERS[PAGE] ?? ["product", "env", "version"]).includes(key);
  const products = options("All products", features.map((each) => each.product).sort());
  const body = h(
    "div",
    { class: "filter-row" },
    products.length > 2 && has("product") ? filter("Product", "product", products) : null,
    has("env") &&
      filter(
        "Environment",
        "env",
        options(
          "All environments",
          lines.map((row) => row.environment),
        ),
      ),
    has("version") && filter("Version", "version", options("All versions", versions(lines, seen))),
    h("div", { class: "spacer" }),
    seg("Period", { ...PERIODS, custom: "Dates" }, get("period"), setPeriod),
    get("period") === "custom"
      ? [date("From", "from", iso(Date.now() - 20 * DAY)), date("to", "to", iso(Date.now()))]
      : null,
    FILTERS[PAGE] ? null : choose("against", Object.entries(COMPARE), get("compare"), (compare) => set({ compare })),
  );
  const chosen = ["product", "env", "version"].map(get).filter((value) => value !== "all");
  const said = [...(chosen.length ? chosen : ["Everything"]), PERIODS[get("period")] ?? "dates"];
  return h(
    "section",
    { "aria-label": "What the figures are of" },
    h(
      "details",
      { class: "filters", open: matchMedia("(min-width: 760px)").matches },
      h("summary", null, h("span", null, said.join(" · ")), h("span", { class: "muted" }, "Change")),
      body,
    ),
  );
}

/** Whether the figures can be trusted. @param {Context} context */
export function footer({ state }) {
  const { fresh, lost, isShared } = state;
  if (isShared)
    return h(
      "footer",
      { class: "status" },
      h(
        "ul",
        null,
        h("li", { class: "muted" }, "A view that was shared, for looking · All times UTC · no person is in here"),
      ),
    );
  const tallied = completeness([state.complete]);
  const stored = tallied.missing
    ? `${int(tallied.missing)} of ${int(tallied.emitted)} counted uses are not stored`
    : "every counted use is stored";
  const age = fresh.committed_at ? `last stored ${ago(fresh.committed_at)}` : "nothing stored within what is kept";
  return h(
    "footer",
    { class: "status" },
    h(
      "ul",
      null,
      h(
        "li",
        null,
        h("span", { class: `dot ${isRecent(fresh.committed_at) ? "good" : ""}`, "aria-hidden": "true" }),
        `Fresh: ${age}`,
      ),
      h(
        "li",
        null,
        h("a", { href: link("trust") }, `Complete: ${complete(tallied.share)}`),
        h(
          "span",
          { class: "muted" },
          tallied.share === null
            ? " no sender keeps a tally"
            : ` ${[ofCounted(tallied), stored].filter(Boolean).join(": ")}`,
        ),
      ),
      h(
        "li",
        null,
        h("a", { href: `${link("trust")}#losses` }, `Losses: ${int(sum(lost.map((row) => row.count)))}`),
        h("span", { class: "muted" }, ` in ${periodName()}, each with its reason`),
      ),
      h("li", { class: "end muted" }, "All times UTC · no person is in here"),
    ),
  );
}

/** How many there are of something that fits. @param {number} n @param {number} of */
export const counted = (n, of) => (n === of ? "" : `${int(n)} of ${plural(of, "feature")}`);
