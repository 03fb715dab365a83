// Words and numbers: how figures, times and the code's names are written.

export const HOUR = 3600e3;
export const DAY = 24 * HOUR;
export const DASH = "\u2013";
const THIN = "\u202f";
const MINUS = "\u2212";
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });

/** @typedef {number | null | undefined} Figure */

/** @param {number} n */
export const int = (n) => whole.format(Math.round(n)).replace("-", MINUS);

/** @param {number} n @param {string} one @param {string} [many] */
export const plural = (n, one, many = `${one}s`) => `${int(n)} ${n === 1 ? one : many}`;

/**
 * A share in per cent, in as many digits as it needs.
 *
 * @param {Figure} share
 * @param {number} [digits]
 */
export function pct(share, digits) {
  if (share === null || share === undefined || !Number.isFinite(share)) return DASH;
  const value = share * 100;
  const size = Math.abs(value);
  const places = digits ?? (value !== 0 && size < 0.1 ? 2 : size < 10 ? 1 : 0);
  return `${value.toFixed(places).replace("-", MINUS)}${THIN}%`;
}

/** How complete something is. @param {Figure} share Rounded down already: it is not said to be whole when it is not. */
export const complete = (share) => (typeof share === "number" ? pct(share, 1) : "unknown");

/** @param {Figure} value A duration. */
export function ms(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH;
  if (value < 999.5) return `${Math.round(value)} ms`;
  if (value < 59950) return `${(value / 1000).toFixed(value < 9950 ? 2 : 1)} s`;
  return span(value);
}

/** @param {number} n @param {(n: number) => string} [format] */
export const signed = (n, format = int) => (n > 0 ? `+${format(n)}` : n < 0 ? `${MINUS}${format(-n)}` : format(0));

/** @param {number} share A difference of two shares. */
export const points = (share) => `${signed(share * 100, (v) => v.toFixed(1))} points`;

/**
 * Between which bounds something lies: `2.1 to 3.4 %`.
 *
 * @param {Figure} low
 * @param {Figure} high
 * @param {(n: Figure) => string} format
 */
export function between(low, high, format) {
  if (low === null || low === undefined || high === null || high === undefined) return "";
  const [from, to] = [format(low), format(high)];
  const unit = /\s\S+$/.exec(to)?.[0] ?? "";
  return `${unit && from.endsWith(unit) ? from.slice(0, -unit.length) : from} to ${to}`;
}

/** @param {number} msec How long, in one unit. */
export function span(msec) {
  const minutes = msec / 60e3;
  if (minutes < 1) return plural(Math.max(1, Math.round(msec / 1000)), "second");
  if (minutes < 60) return plural(Math.round(minutes), "minute");
  if (minutes < 48 * 60) return plural(Math.round(minutes / 60), "hour");
  const days = Math.round(minutes / 1440);
  return days < 60 ? plural(days, "day") : plural(Math.round(days / 30), "month");
}

/** @param {string | number} at */
const moment = (at) => (typeof at === "number" ? at : Date.parse(at));

/** @param {string | number} at */
export const ago = (at) => (Date.now() - moment(at) < 1000 ? "just now" : `${span(Date.now() - moment(at))} ago`);

/** When an hour is all that is known. @param {string} hour */
export const lastUse = (hour) => (Date.now() - moment(hour) < 2 * HOUR ? "within 2 hours" : ago(hour));

/** When something began of which the hour is all that is known. @param {number} hour */
export function sinceHour(hour) {
  const hours = Math.floor(Date.now() / HOUR) - Math.floor(hour / HOUR);
  return hours < 1 ? "this hour" : hours < 2 ? "last hour" : ago(hour);
}

/** @param {string | number} at */
export function day(at) {
  const date = new Date(moment(at));
  const year = date.getUTCFullYear() === new Date().getUTCFullYear() ? "" : ` ${date.getUTCFullYear()}`;
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}${year}`;
}

/** @param {number} at @param {boolean} [seconds] */
export const clock = (at, seconds = false) => new Date(at).toISOString().slice(11, seconds ? 19 : 16);

/** @param {number} at */
export const iso = (at) => new Date(at).toISOString().slice(0, 10);

/** @param {number} at @param {string} unit */
export const when = (at, unit) => (unit === "day" ? day(at) : `${day(at)}, ${clock(at)}`);

/** Days until the end of a date. @param {string} date */
export const daysLeft = (date) => Math.ceil((Date.parse(`${date}T23:59:59Z`) - Date.now()) / DAY);

/** @param {string} name As the code has it. */
export function spoken(name) {
  const words = name.replace(/[._-]+/g, " ").trim();
  return words ? words[0]?.toUpperCase() + words.slice(1) : name;
}

/** @param {string} attribute Of the catalog, such as `guild_id`. @param {boolean} [many] */
export function groupWord(attribute, many = true) {
  const word = attribute.replace(/_(id|hash|key)$/, "").replace(/_/g, " ");
  if (!many) return word;
  return word.endsWith("y") ? `${word.slice(0, -1)}ies` : `${word}s`;
}

/**
 * Verdicts of `reporting.features`: their class, their word, what they say.
 *
 * @type {Record<string, [string, string, string]>}
 */
export const VERDICTS = {
  new: ["new", "New", "First used in these days, or declared in them"],
  growing: ["growing", "Growing", "More uses than before, beyond chance"],
  steady: ["steady", "Steady", "About as many uses as before"],
  fading: ["fading", "Fading", "Fewer uses than before, beyond chance"],
  unused: ["unused", "Unused", "Declared, and not used in these days"],
  expiring: ["expiring", "Expiring", "Will be refused within 30 days"],
  expired: ["expired", "Expired", "Is refused: its last day is over"],
  "too few to tell": ["few", "Too few to tell", "Too few uses, or too uneven ones, to say that they changed"],
};

/** Verdicts of `releases`. @type {Record<string, [string, string]>} */
export const COMPARED = {
  "fails more": ["worse", "Fails more"],
  "fails less": ["good", "Fails less"],
  "no difference seen": ["steady", "No difference seen"],
  "too few to tell": ["few", "Too few to tell"],
};

/** Whether a version is slower, by `releases`. @type {Record<string, [string, string]>} */
export const SPEEDS = {
  slower: ["worse", "Slower"],
  faster: ["good", "Faster"],
  "no difference seen": ["steady", "No difference"],
  "too few to tell": ["few", "Too few to tell"],
};

/**
 * Kinds of failures that come with the instrumentation; catalogs may add to them.
 *
 * @type {Record<string, [string, string]>}
 */
const ERRORS = {
  provider_unavailable: ["Provider away", "Something the feature depends on could not be reached"],
  provider_timeout: ["Provider too slow", "It did not answer in time"],
  invalid_preset: ["Impossible request", "What was asked for does not exist or cannot be done"],
  permission_denied: ["Not allowed", "The user may not do this"],
  unexpected_error: ["Unexpected", "Anything else: look into the log"],
};

/** @param {string | null} kind @returns {[string, string]} Its word, and what it means. */
export function errorWord(kind) {
  if (kind === null) return ["No kind given", "The sender did not say why"];
  return ERRORS[kind] ?? [spoken(kind), kind];
}
