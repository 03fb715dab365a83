// Figures: rows of reports put where they belong, in time and by feature. They are added up, and never judged.

import { ranges } from "./state.js";
import { DAY, HOUR, iso, pct, spoken } from "./words.js";

/** @typedef {import("./reports.js").Row} Row */
/** @typedef {import("./state.js").Range} Range */
/** @typedef {import("./charts.js").Mark} Mark */

const BEGINNINGS = ["invoke", "start"];
const ENDS = ["success", "failure"];

/** @param {number[]} list */
export const sum = (list) => list.reduce((a, b) => a + b, 0);

/**
 * Uses, what ended well or badly, and what ended badly.
 *
 * @typedef {{uses: number, ends: number, failed: number}} Tally
 */

/** @param {Row[]} rows Of `usage`, by action and status at least. @returns {Tally} */
export function tally(rows) {
  const found = { uses: 0, ends: 0, failed: 0 };
  for (const { action, status, count } of rows) {
    if (!BEGINNINGS.includes(action)) found.uses += count;
    if (!ENDS.includes(action)) continue;
    found.ends += count;
    if (status !== "ok") found.failed += count;
  }
  return found;
}

/** @param {Tally} of @returns {number | null} The share of what ended that failed. */
export const failedShare = ({ ends, failed }) => (ends ? failed / ends : null);

/**
 * Rows by the value of a column.
 *
 * @param {Row[]} rows
 * @param {string} column
 * @returns {Map<string, Row[]>}
 */
export function grouped(rows, column) {
  /** @type {Map<string, Row[]>} */
  const found = new Map();
  for (const row of rows) {
    const key = row[column] ?? "";
    const list = found.get(key);
    if (list) list.push(row);
    else found.set(key, [row]);
  }
  return found;
}

/** A step's time, as reports write it. @param {number} at @param {"hour" | "day"} unit */
const written = (at, unit) => (unit === "day" ? iso(at) : `${new Date(at).toISOString().slice(0, 19)}Z`);

/**
 * Rows of each step of a range.
 *
 * @param {Row[]} rows
 * @param {Range} range
 * @returns {Row[][]}
 */
export function steps(rows, { times, unit }) {
  const by = grouped(rows, unit);
  return times.map((at) => by.get(written(at, unit)) ?? []);
}

/** @param {Row[]} rows @param {Range} range @returns {Tally[]} Of each step. */
export const tallies = (rows, range) => steps(rows, range).map(tally);

/**
 * A column of the one row of each step; null where there is none.
 *
 * @param {Row[]} rows
 * @param {Range} range
 * @param {string} column
 * @returns {(number | null)[]}
 */
export const values = (rows, range, column) => steps(rows, range).map(([row]) => row?.[column] ?? null);

/** @param {Row[]} rows @param {string} column */
export const total = (rows, column) => sum(rows.map((row) => row[column] ?? 0));

/**
 * How much of what senders counted is stored, by the definition of `footfall report`: what one sender has too much
 * does not make up for what another one lacks.
 *
 * @typedef {object} Completeness
 * @property {number} emitted
 * @property {number} stored Of what was counted.
 * @property {number} untallied Stored of senders that keep no tally.
 * @property {number} missing
 * @property {number | null} share Rounded down to a thousandth; null where nobody counts.
 * @property {number} known The share of what is stored that is of senders which keep a tally, rounded down.
 */

/** @param {Row[]} rows Of `completeness`. @returns {Completeness} */
export function completeness(rows) {
  const [emitted, every, untallied, surplus] = /** @type {[number, number, number, number]} */ (
    ["emitted", "stored", "untallied", "surplus"].map((column) => total(rows, column))
  );
  const stored = every - surplus;
  return {
    emitted,
    stored,
    untallied,
    missing: Math.max(0, emitted - stored),
    share: emitted ? Math.floor((1000 * stored) / emitted) / 1000 : null,
    known: every + untallied ? Math.floor((100 * every) / (every + untallied)) / 100 : 0,
  };
}

/** Of how much there is a tally, where that is not all. @param {Completeness} of */
export const ofCounted = ({ untallied, known }) => (untallied ? `of the ${pct(known, 0)} that senders count` : "");

/**
 * Before, as it is drawn: the average of days, whose weekdays differ, or the course of hours.
 *
 * @param {number[]} before
 * @param {Range} range
 */
export const beforeLine = (before, range) =>
  range.unit === "hour" ? before : range.times.map(() => sum(before) / ((range.until - range.since) / DAY));

/** Without the step that is not over: its end would look like a fall. @template T @param {T[]} list */
export function finished(list) {
  const { now } = ranges();
  return now.until > Date.now() && now.unit === "day" && list.length > 2 ? list.slice(0, -1) : list;
}

/** @param {Row[]} features @returns {(event: string) => string} What people call an event. */
export function titles(features) {
  const by = new Map(features.map((each) => [each.event, each.title]));
  return (event) => by.get(event) ?? spoken(event);
}

/**
 * Each event as it is listed: with what people call it.
 *
 * @param {Row[]} features
 * @param {string} product
 * @returns {Row[]}
 */
export const ofProduct = (features, product) =>
  features.filter((each) => product === "all" || each.product === product);

/**
 * When versions were first seen, of each service; of several environments the first.
 *
 * @param {Row[]} seen Of `annotations`.
 * @returns {(Mark & {service: string, version: string})[]} The first one first.
 */
export const releases = (seen) =>
  [...grouped(seen, "service")]
    .flatMap(([service, of]) =>
      [...grouped(of, "version")].map(([version, rows]) => ({
        service,
        version,
        name: version,
        at: Math.min(...rows.map((row) => Date.parse(row.at))),
      })),
    )
    .sort((a, b) => a.at - b.at || natural(a.version).localeCompare(natural(b.version)));

/** A version, in the order in which people count. @param {string} version */
export const natural = (version) => version.replace(/\d+/g, (digits) => digits.padStart(8, "0"));

/**
 * What operators noted; of a version that is marked anyway nothing.
 *
 * @param {Row[]} notes
 * @param {Mark[]} known
 * @returns {Mark[]}
 */
const noted = (notes, known) =>
  notes
    .filter((note) => !known.some((each) => note.version && each.name.endsWith(note.version)))
    .map(({ at, text }) => ({ at: Date.parse(at), name: text }));

/**
 * What charts mark: versions, and what operators noted.
 *
 * @param {Row[]} seen
 * @param {Row[]} notes
 * @returns {Mark[]}
 */
export function marks(seen, notes) {
  const known = begun(seen);
  return [...known, ...noted(notes, known)];
}

/**
 * A version once, where all services have it on the same day; else with its service.
 *
 * @param {Row[]} seen
 * @returns {Mark[]}
 */
function begun(seen) {
  const found = releases(seen);
  const services = new Set(found.map((each) => each.service)).size;
  const together = new Map(found.map((each) => [`${iso(each.at)} ${each.version}`, each]));
  const isShared =
    services <= 1 || together.size < found.length || new Set(found.map((each) => each.version)).size === together.size;
  return isShared
    ? [...together.values()]
    : found.map((each) => ({ at: each.at, name: `${each.service} ${each.version}` }));
}

/** Versions that were used, the newest first. @param {Row[]} lines @param {Row[]} seen @returns {string[]} */
export function versions(lines, seen) {
  const order = releases(seen).map((each) => each.version);
  const used = [...grouped(lines, "service_version").keys()].filter((version) => version);
  return used.sort((a, b) => order.indexOf(b) - order.indexOf(a) || natural(b).localeCompare(natural(a)));
}

/** Whether something was so recent that the store is at work. @param {string | null} at */
export const isRecent = (at) => at !== null && Date.now() - Date.parse(at) < HOUR;
