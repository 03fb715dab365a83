/**
 * Footfall in the browser: counts which features of a page are used, without knowing by whom.
 *
 * Nothing is kept or sent before consent, nor where the browser says DNT or GPC. No function throws or
 * waits for the network. Importing this module does nothing.
 */

/**
 * What an event carries. Only the declared fields are sent; strings are cleaned, and cut at 280 characters.
 * @typedef {{readonly [field: string]: string | number | boolean | null | undefined}} Props
 */

/**
 * @typedef {object} Options
 * @property {string} [endpoint] Where events go, as `${endpoint}/events`; "/telemetry" when not given.
 * @property {string} [ingest] Where counts go; `${endpoint}/ingest` when not given.
 * @property {{readonly [event: string]: readonly string[]}} [events] The declared events with the fields
 *     that each may carry. Without it every event may carry the fields of the prompt manager's schema.
 * @property {boolean} [consent] Whether the user has agreed; false when not given.
 * @property {boolean | "localhost"} [dev] Whether to print what would be sent and send nothing: always, or
 *     only on localhost; false when not given.
 * @property {number} [timeout] Milliseconds after which a request is given up; 200 when not given.
 * @property {number} [batchSize] How many events are sent at once, without waiting for more; when not given, all
 *     wait for their time. A request has 50 at most.
 * @property {number} [flushInterval] Milliseconds that an event may wait; 5000 when not given.
 */

/**
 * @typedef {object} Status
 * @property {boolean} allowed Whether events are taken: configured, agreed to, and neither DNT nor GPC.
 * @property {number} queued How many events and counts wait.
 * @property {number} dropped How many uses were tracked that will not arrive, as far as is known here.
 */

const QUEUE = 200; // items
const BATCH = 50; // events in a request; also a count's maximum
const EVENT = 4096; // bytes of an event
const FLIGHT = 60_000; // bytes in flight; a browser lets 64 KiB outlive the page (Fetch, "keepalive")
const TEXT = 280; // characters of a string
const RETRY = 5000; // ms, doubled by every failure up to RETRY_MAX
const RETRY_MAX = 300_000;
const WAIT_MAX = 3_600_000; // ms that a Retry-After is heeded
// What looks like an e-mail address, a query, nine digits or more, or an IP address; the server finds the rest.
// Without lookbehind, which Safari 16.3 could not even parse.
const WORDS = /[^\s@]+(@|%40)\S+|[?&]\S*=\S+/g;
const NUMBERS = /(^|[^\w.-])(\+?\(?\d([ ()./-]{0,2}\d){8,}|\d{1,3}(\.\d{1,3}){3})(?![\w-])/g;
const NAME = /^[a-z][a-z0-9_.]{0,127}$/;
const FIELDS = "prompt_id,version,source,variant,latency_ms,result_count,filter_hash,query_len".split(",");

/** @type {Map<string, readonly string[]> | undefined} */
let declared;
let endpoint = "";
let ingest = "";
let timeout = 0;
/** @type {any} A number of items, or undefined, than which none is more. */
let full;
let gather = 0; // ms in which events gather; four times that may go by until the browser is idle
let dev = false;
let listening = false;
let agreed = false;

/**
 * The events and counts that wait, oldest first: when each came; the event's name if it is a count, else "";
 * the uses that it stands for; an event's JSON, written when it was tracked; its bytes; and, if it was sent
 * before, the key of that request.
 * @type {{order: number, counted: string, uses: number, json: string, size: number, key?: string}[]}
 */
let queue = [];
let session = "";
let order = 0;
let dropped = 0;
let flying = 0; // bytes
let failures = 0;
let pause = 0; // ms after a failure
let flushing = false;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/**
 * Says where to send and what is declared; may be called again.
 * @param {Options} [options]
 */
export function configure(options = {}) {
  try {
    agreed = false;
    listen(); // first: where there is no page, as on a server that renders one, everything stays off
    endpoint = options.endpoint ?? "/telemetry";
    ingest = options.ingest ?? endpoint + "/ingest";
    timeout = options.timeout ?? 200;
    full = options.batchSize;
    gather = (options.flushInterval ?? 5000) / 5;
    declared = options.events && new Map(Object.entries(options.events));
    dev =
      options.dev == "localhost"
        ? /(^|\.)localhost$|^127\.|^\[::1]$/.test(location.hostname)
        : options.dev === true;
    consent(options.consent);
  } catch {}
}

/**
 * Notes the user's decision. Revoking empties the queue and forgets the session.
 * @param {boolean} [given]
 */
export function consent(given) {
  agreed = given === true && listening;
  if (!agreed) forget();
}

/**
 * Tracks a use of a feature; it is sent later.
 * @param {string} event The declared name.
 * @param {Props | number} [props] What the event carries. A number makes it a count, sent without time or
 *     session: at most 50 a call; nothing below 1.
 */
export function track(event, props) {
  try {
    if (!allowed()) return;
    const fields = declared ? declared.get(event) : FIELDS;
    if (!fields || typeof event != "string" || !NAME.test(event)) {
      dropped++;
      if (dev) console.warn("footfall: not declared:", event);
    } else if (typeof props == "number") {
      count(event, Math.min(Math.floor(props), BATCH));
    } else {
      record(event, fields, props);
    }
    if (queue.length >= full && !failures) drain();
    schedule();
  } catch {}
}

/**
 * What may be tracked of a search query: it never leaves the browser itself.
 * @param {string} query
 * @returns {Promise<{query_len: number, filter_hash?: string}>} Its length in characters, and its SHA-256 in hex,
 *     both after NFKC, in lower case and with single blanks between words. On plain HTTP, where browsers do not
 *     hash, only the length. Never rejected.
 */
export async function hashQuery(query) {
  /** @type {{query_len: number, filter_hash?: string}} */
  const known = { query_len: 0 };
  try {
    const text = query.normalize("NFKC").toLowerCase().trim().replace(/\s+/g, " ");
    known.query_len = [...text].length;
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
    known.filter_hash = Array.from(hash, (byte) => (byte + 256).toString(16).slice(1)).join("");
  } catch {}
  return known;
}

/** Sends what waits, without waiting for it. */
export function flush() {
  drain();
}

/**
 * What to look at when nothing arrives.
 * @returns {Status}
 */
export function status() {
  return { allowed: allowed(), queued: queue.length, dropped };
}

function allowed() {
  try {
    const { doNotTrack, globalPrivacyControl } = /** @type {any} */ (navigator);
    const asked = `${doNotTrack} ${/** @type {any} */ (window).doNotTrack}`; // "1", or "yes" long ago
    return agreed && !globalPrivacyControl && !/1|yes/.test(asked);
  } catch {
    return false;
  }
}

function forget() {
  queue = []; // a new one, so that a request in flight does not put its items back
  session = "";
  dropped = failures = 0;
}

function listen() {
  if (listening) return;
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState == "hidden") hide();
  });
  addEventListener("pagehide", hide);
  addEventListener("online", flush);
  listening = true;
}

/**
 * @param {string} event
 * @param {number} uses
 */
function count(event, uses) {
  if (!(uses >= 1)) return;
  const same = queue.find((item) => item.counted == event && !item.key && item.uses + uses <= BATCH);
  if (same) same.uses += uses;
  else add({ order: order++, counted: event, uses, json: "", size: event.length + 40 });
}

/**
 * @param {string} event
 * @param {readonly string[]} fields
 * @param {Props} [props]
 */
function record(event, fields, props) {
  /** @type {Record<string, unknown>} */
  const sent = {};
  for (const field of fields) {
    try {
      const value = props?.[field];
      if (field == "body") continue; // an event with one is refused
      if (typeof value == "string") sent[field] = clean(value);
      else if (typeof value == "boolean" || Number.isFinite(value)) sent[field] = value;
    } catch {} // a getter may throw
  }
  session ||= uuid();
  const json = JSON.stringify({ ...sent, event, ts: new Date().toISOString(), session_id: session });
  // Counting bytes costs as much as all the rest; where all is ASCII there is nothing to count.
  const size = /[^\0-~]/.test(json) ? new TextEncoder().encode(json).length : json.length;
  if (size > EVENT) dropped++;
  else add({ order: order++, counted: "", uses: 1, json, size: size + 1 });
}

/**
 * A text without what looks personal, cut to its length.
 * @param {string} text
 */
function clean(text) {
  text = text.slice(0, 2 * TEXT).replace(WORDS, "[personal]").replace(NUMBERS, "$1[personal]");
  return text.slice(0, TEXT).replace(/\p{Cs}/gu, "");
}

/** @param {typeof queue[number]} item */
function add(item) {
  queue.push(item);
  trim();
}

function trim() {
  lose(queue.splice(0, queue.length - QUEUE)); // none, if there are fewer
}

/** @param {typeof queue} items */
function lose(items) {
  for (const item of items) dropped += item.uses;
}

function schedule() {
  if (flushing || !queue.length) return;
  timer ??= setTimeout(() => {
    /** @type {(run: () => void, options: {timeout: number}) => void} */
    const idle = globalThis.requestIdleCallback ?? ((run) => setTimeout(run, 4 * gather));
    idle(
      () => {
        timer = undefined;
        drain();
      },
      { timeout: 4 * gather },
    );
  }, failures ? pause : gather);
}

/** One request after the other, until all is sent or one fails. */
async function drain() {
  if (flushing) return;
  flushing = true;
  while (await send());
  flushing = false;
  schedule();
}

/** Everything at once, as far as the browser lets it outlive the page. */
function hide() {
  for (let before = Infinity; queue.length < before; send()) before = queue.length;
}

/**
 * Sends the oldest items. A failed request is put back and keeps its key, by which the server knows it again.
 * @returns {Promise<boolean>} Whether there may be more to send now.
 */
async function send() {
  if (!allowed()) forget();
  const batch = take();
  const [first] = batch;
  if (!first) return false;
  const home = queue;
  const size = batch.reduce((sum, item) => sum + item.size, 0);
  flying += size;
  const [status, wait] = await post(first, batch);
  flying -= size;
  if (home != queue) return true;
  if (!status || status > 499 || status == 408 || status == 429) {
    queue.unshift(...batch);
    queue.sort((a, b) => a.order - b.order);
    trim();
    pause = Math.min(Math.max(backoff(), wait), WAIT_MAX);
    schedule();
    return false;
  }
  if (status > 299) lose(batch);
  failures = 0;
  return true;
}

/** The items of the next request, removed from the queue: events of one batch, or one count. */
function take() {
  const [first] = queue;
  let size = flying;
  const batch = queue
    .filter((item) => item == first || !(first?.counted || item.counted || item.key != first?.key))
    .slice(0, BATCH)
    .filter((item) => (size += item.size) <= FLIGHT);
  for (const item of batch) queue.splice(queue.indexOf(item), 1);
  return batch;
}

/**
 * @param {typeof queue[number]} first
 * @param {typeof queue} batch
 * @returns {Promise<[number, number]>} The answer's status, 0 if none came in time, and the milliseconds
 *     that it asks to wait.
 */
async function post({ counted, uses, key = uuid() }, batch) {
  try {
    for (const item of batch) item.key = key;
    const url = counted ? ingest : endpoint + "/events";
    const lost = dropped ? `,"dropped":${dropped}` : "";
    const body = counted
      ? JSON.stringify({ event: counted, count: uses })
      : `{"events":[${batch.map((item) => item.json)}]${lost}}`;
    if (dev) {
      console.debug("footfall", url, body);
      return [200, 0];
    }
    const abort = new AbortController();
    /** @type {Promise<never>} */
    const late = new Promise((_, reject) => setTimeout(reject, timeout));
    late.catch(() => abort.abort());
    const sent = fetch(url, {
      method: "POST",
      body,
      headers: { "Content-Type": "application/json", "Idempotency-Key": key },
      keepalive: true,
      credentials: "same-origin", // who it is, the server derives from its session
      referrerPolicy: "no-referrer", // the page's address stays here
      signal: abort.signal,
    });
    const answer = await Promise.race([sent, late]);
    await Promise.race([answer.text(), late]); // until then it counts as in flight for the browser
    return [answer.status, Number(answer.headers.get("Retry-After")) * 1000 || 0];
  } catch {
    return [0, 0];
  }
}

function backoff() {
  return Math.min(RETRY * 2 ** failures++, RETRY_MAX) * (1 - Math.random() / 2);
}

/** A random UUID of version 4; crypto.randomUUID is not there on plain HTTP. */
function uuid() {
  const bytes = Uint8Array.from({ length: 31 }, () => Math.random() * 256);
  try {
    crypto.getRandomValues(bytes);
  } catch {}
  let next = 0;
  return "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (digit) =>
    (+digit ^ (Number(bytes[next++]) & (15 >> (+digit / 4)))).toString(16),
  );
}
