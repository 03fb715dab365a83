// Reports: every figure comes from /api/reports, and is asked for again only where it may have changed.

import { get, isGuest } from "./state.js";
import { DAY, HOUR } from "./words.js";

/** @typedef {Record<string, any>} Row */
/** @typedef {import("./state.js").Range} Range */
/**
 * @typedef {object} Asked
 * @property {string[]} [by]
 * @property {Range | null} [range]
 * @property {Record<string, string[]>} [where]
 * @property {number} [limit]
 */

/** Why there is no report: HTTP's status, and what to do. */
export class NoReport extends Error {
  /** @param {number} status @param {string} text */
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/**
 * Answers by their address, with the tag by which the collector knows them.
 *
 * @type {Map<string, {tag: string, body: Row}>}
 */
const known = new Map();
const MOST_KNOWN = 200;

/** With the link by which this view was shared, where it was. @param {string} path */
function shared(path) {
  const token = get("share");
  return token ? `${path}${path.includes("?") ? "&" : "?"}share=${encodeURIComponent(token)}` : path;
}

/** @param {string} path @returns {Promise<Row>} */
export async function fetched(path) {
  const address = shared(path);
  const before = known.get(address);
  /** @type {Record<string, string>} */
  const headers = { accept: "application/json" };
  if (before) headers["if-none-match"] = before.tag;
  const answer = await fetch(address, { headers, cache: "no-store" }).catch(() => null);
  if (answer === null) throw new NoReport(0, "The collector does not answer. Is it running?");
  if (answer.status === 304 && before) return before.body;
  if (!answer.ok) throw await refusal(answer);
  const body = await answer.json();
  const tag = answer.headers.get("etag");
  if (known.size > MOST_KNOWN) known.clear();
  if (tag) known.set(address, { tag, body });
  return body;
}

/** @param {Response} answer */
async function refusal(answer) {
  const said = (await answer.text()).slice(0, 1000);
  try {
    return new NoReport(answer.status, String(JSON.parse(said).message));
  } catch {
    return new NoReport(answer.status, said || `The collector answered ${answer.status}.`);
  }
}

/**
 * The rows of a report.
 *
 * @param {string} name
 * @param {Asked} [asked]
 * @returns {Promise<Row[]>}
 */
export async function rows(name, { by = [], range, where = {}, limit } = {}) {
  const query = new URLSearchParams();
  if (range) {
    query.set("since", new Date(range.since).toISOString());
    query.set("until", new Date(range.until).toISOString());
  }
  if (by.length) query.set("by", by.join(","));
  for (const [column, values] of Object.entries(where)) {
    for (const value of values) query.append("where", `${column}=${value}`);
  }
  if (limit) query.set("limit", String(limit));
  const text = query.toString();
  return (await fetched(`/api/reports/${name}${text ? `?${text}` : ""}`)).rows;
}

/** One that may not be there: nothing where the collector refuses it. @param {string} name @param {Asked} [asked] */
export const rowsIfAny = (name, asked) =>
  rows(name, asked).catch((error) => {
    if (error instanceof NoReport && error.status >= 400 && error.status < 500) return /** @type {Row[]} */ ([]);
    throw error;
  });

/**
 * What is asked for at once, by its names.
 *
 * @template {Record<string, any>} T
 * @param {T} asked
 * @returns {Promise<{ [K in keyof T]: Awaited<T[K]> }>}
 */
export async function together(asked) {
  const answers = await Promise.all(Object.values(asked));
  const named = Object.fromEntries(Object.keys(asked).map((name, at) => [name, answers[at]]));
  return /** @type {any} */ (named);
}

/** @param {string} value As the address has it; `(none)` is what has none. */
const plain = (value) => (value === "(none)" ? "" : value);

/**
 * The filters as conditions; a product is its events.
 *
 * @param {Row[]} features
 * @returns {Record<string, string[]>}
 */
export function conditions(features) {
  /** @type {Record<string, string[]>} */
  const found = {};
  if (get("env") !== "all") found.environment = [plain(get("env"))];
  if (get("version") !== "all") found.version = [plain(get("version"))];
  if (get("product") !== "all") {
    const events = features.filter((each) => each.product === get("product")).map((each) => each.event);
    found.event = events.length ? events : ["(none of them)"];
  }
  return found;
}

/** The product as a condition, for what is kept by product and not by event. @returns {Record<string, string[]>} */
export const ofChosenProduct = () => (get("product") === "all" ? {} : { product: [get("product")] });

/** What operators noted of a period. @param {Range} range */
export const notes = (range) =>
  rowsIfAny("annotations", { range, by: ["text", "version", "product", "id"], where: { kind: ["note"] } });

/**
 * When each version was first seen, in all that is kept; a view that was shared has only its period.
 *
 * @param {Range} range
 */
export const seen = (range) =>
  rowsIfAny("annotations", {
    range: isGuest() ? range : { ...range, since: 0, until: Math.ceil((Date.now() + 1) / HOUR) * HOUR },
    by: ["service", "environment", "version"],
    where: { kind: ["version"], ...(get("env") === "all" ? {} : { environment: [plain(get("env"))] }) },
  });

const INVENTORY = ["product", "event", "title", "owner", "surface", "feature", "expires", "last_day", "verdict"];

/** Each declared event, with its verdict. */
export const inventory = () => rows("features", { by: INVENTORY });

/**
 * How far the store is, how complete, and what was lost: for the foot of every page.
 *
 * @param {Range} range
 */
export async function state(range) {
  if (isGuest() && document.body.dataset.page === "feature")
    return { fresh: {}, complete: {}, lost: [], isShared: true };
  const [now, lost] = await Promise.all([
    fetched("/api/reports/state"),
    rows("losses", { range, by: ["signal", "reason"] }),
  ]);
  return { fresh: now.freshness, complete: now.completeness, lost, isShared: false };
}

/**
 * Where the versions, environments and services come from: the days of each version.
 *
 * @param {Range} range
 * @param {Range | null} before
 */
export const lines = (range, before) => {
  const since = Math.min(range.since - DAY, before?.since ?? range.since);
  const whole = { ...range, since: Math.floor(since / DAY) * DAY, until: Math.ceil(range.until / DAY) * DAY };
  return rows("usage", { range: whole, by: ["day", "environment", "service", "version"] });
};
