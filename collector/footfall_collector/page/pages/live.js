// Live: the newest that is stored, then what is stored and refused, as it happens: a stream, which is let go
// while nobody looks.

import { h } from "../elements.js";
import { sum, titles } from "../figures.js";
import { spark } from "../bars.js";
import { blank, choose, mono, title } from "../parts.js";
import { fetched } from "../reports.js";
import { get } from "../state.js";
import { DAY, int } from "../words.js";
import { MISSED, line, table } from "./arrivals.js";

/** @typedef {import("../reports.js").Row} Row */

/** @typedef {import("../shell.js").Context} Context */

/** @typedef {import("./arrivals.js").Kind} Kind */

/** @typedef {import("./arrivals.js").Arrival} Arrival */

const STREAM = "/api/live";

const BEFORE = "/api/reports/recent";

const NONE = "Nothing has arrived in the last 24 hours.";

const NONE_OF_THESE = "None of these is among the last that arrived.";

const KEPT = 200;

const SHOWN = 24;

const MINUTE = 60;

/** @type {Kind[]} */
const KINDS = ["stored", "counted", "lost", "refused"];

const AGAIN = 10;

/** Names of the filters in the address, and in the stream's. @type {[string, string][]} */
const FILTERS = [
  ["product", "product"],
  ["env", "environment"],
];

/** Of whom it is; the stream cannot be asked for what has no environment. */
const chosen = () => FILTERS.filter(([key]) => !["all", "(none)"].includes(get(key)));

/** Its address, with what was chosen. @param {number} [after] The last commit that is known. */
function address(after) {
  const query = new URLSearchParams(chosen().map(([key, name]) => [name, get(key)]));
  if (after !== undefined) query.set("after", String(after));
  return query.size ? `${STREAM}?${query}` : STREAM;
}

/** @param {Context} context */
export async function live({ features }) {
  const of = chosen()
    .map(([key, name]) => `${name} ${get(key)}`)
    .join(", ");
  return [
    title("Live", `What arrives now, as it is stored${of && `, of ${of}`}: this is all that is known of each.`),
    stream(titles(features), ...(await before(features))),
  ];
}

/**
 * What came in the last day, of what was chosen, and up to which commit; nothing where that is not told.
 * @param {Row[]} features
 * @returns {Promise<[Arrival[], number | undefined]>}
 */
async function before(features) {
  const products = new Map(features.map((each) => [each.event, each.product]));
  const isChosen = (/** @type {Row} */ row) =>
    chosen().every(([key, name]) => get(key) === (key === "product" ? products.get(row.event) : row[name]));
  const since = new Date(Date.now() - DAY).toISOString();
  const none = { events: [], position: undefined };
  const { events, position } = await fetched(`${BEFORE}?since=${since}`).catch(() => none);
  return [
    events.filter(isChosen).map((/** @type {Row} */ row) => arrived("stored", Date.parse(row.created_at), row)),
    position,
  ];
}

/** @param {Kind} kind @param {number} at @param {Row} row @returns {Arrival} */
const arrived = (kind, at, row) => ({ kind, at, row });

/** What stands there where the collector has none. @param {string} why */
const noStream = (why) =>
  blank(
    "There is no stream",
    h("p", null, why),
    h("p", null, "In a terminal, ", mono("footfall tail"), " shows the same."),
  );

/** Why there is none: an `EventSource` does not say. @returns {Promise<{isOver: boolean, why: string}>} */
async function refusal() {
  const answer = await fetch(address(), { headers: { accept: "text/event-stream" }, cache: "no-store" }).catch(
    () => null,
  );
  if (answer === null) return { isOver: false, why: "The collector does not answer" };
  if (answer.ok) {
    await answer.body?.cancel();
    return { isOver: false, why: "The stream broke off" };
  }
  const why = await answer.json().then(
    (body) => String(body.message),
    () => `The collector answered ${answer.status}`,
  );
  return { isOver: answer.status !== 503, why };
}

/**
 * @param {(event: string) => string} named
 * @param {Arrival[]} buffer Of what came before, the newest first.
 * @param {number} [known] The last commit of these: the stream begins with the next one, once it is open.
 */
function stream(named, buffer, known) {
  const perSecond = Array.from({ length: MINUTE }, () => 0);
  const [body, rate, strip] = [h("tbody"), h("b", { class: "num" }), h("div", { class: "strip" })];
  const said = h("p", { class: "muted", role: "status" }, "Connecting …");
  let [only, isPaused, fresh] = ["", matchMedia("(prefers-reduced-motion: reduce)").matches, 0];
  /** @type {EventSource | null} */
  let source = null;
  let again = 0;

  const draw = () => {
    const fits = buffer.filter(
      (each) => !only || (only === "missed" ? MISSED.includes(each.kind) : each.row.status && each.row.status !== "ok"),
    );
    body.replaceChildren(
      ...(fits.length
        ? fits.slice(0, SHOWN).map((each) => line(each, named))
        : [h("tr", null, h("td", { colspan: 6, class: "empty" }, buffer.length ? NONE_OF_THESE : NONE))]),
    );
    rate.textContent = int(sum(perSecond));
    strip.replaceChildren(spark(perSecond, { width: 240, height: 30 }));
  };
  const heard = (/** @type {Kind} */ kind) => (/** @type {MessageEvent} */ event) => {
    const row = JSON.parse(event.data);
    buffer.unshift(arrived(kind, Date.parse(row.at) || Date.now(), row));
    buffer.length = Math.min(buffer.length, KEPT);
    if (!MISSED.includes(kind)) fresh += Number(row.count ?? 1);
  };
  /** @param {MessageEvent} event */
  const summed = (event) => {
    const number = JSON.parse(event.data).left_out;
    said.textContent = number === null ? "More than can be shown" : `${int(number)} more, not shown one by one`;
    fresh += Number(number ?? 0);
  };
  /** @param {MessageEvent} event */
  const away = (event) => {
    said.textContent = JSON.parse(event.data).reason ? "The store does not answer" : "Listening";
  };
  const close = () => {
    clearTimeout(again);
    source?.close();
    source = null;
  };
  /** What was closed does not come back by itself. @param {EventSource} mine */
  const closed = async (mine) => {
    const { isOver, why } = await refusal();
    if (source !== mine) return;
    if (isOver) section.replaceWith(noStream(why));
    else {
      said.textContent = `${why}; tried again every ${AGAIN} seconds`;
      again = setTimeout(follow, AGAIN * 1000);
    }
  };
  const follow = () => {
    close();
    said.textContent = isPaused ? "Paused" : "Connecting …";
    if (isPaused || document.visibilityState !== "visible") return;
    const mine = (source = new EventSource(address(known)));
    source.addEventListener("open", () => {
      known = undefined;
      said.textContent = "Listening";
    });
    source.addEventListener("error", () => {
      if (mine.readyState === EventSource.CLOSED) closed(mine);
      else said.textContent = "The stream broke off; it is tried again";
    });
    for (const kind of KINDS) source.addEventListener(kind, heard(kind));
    source.addEventListener("summary", summed);
    source.addEventListener("away", away);
  };
  const pause = h(
    "button",
    {
      type: "button",
      class: "button",
      "aria-pressed": String(isPaused),
      onclick: () => {
        isPaused = !isPaused;
        pause.setAttribute("aria-pressed", String(isPaused));
        pause.textContent = isPaused ? "Go on" : "Pause";
        follow();
      },
    },
    isPaused ? "Go on" : "Pause",
  );
  const section = h(
    "section",
    { class: "panel", "aria-label": "Arriving" },
    h(
      "div",
      { class: "head live-head" },
      h("p", null, rate, " in the last minute"),
      strip,
      said,
      h(
        "div",
        { class: "tools" },
        choose(
          "Show",
          [
            ["", "everything"],
            ["failed", "failures"],
            ["missed", "what is not let in"],
          ],
          "",
          (next) => {
            only = next;
            draw();
          },
        ),
        pause,
      ),
    ),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "The last that arrived, newest first" },
      table(body),
    ),
  );
  document.addEventListener("visibilitychange", follow);
  const tick = setInterval(() => {
    if (!section.isConnected && perSecond.length) {
      clearInterval(tick);
      document.removeEventListener("visibilitychange", follow);
      close();
    } else if (!isPaused) {
      perSecond.push(fresh);
      perSecond.shift();
      fresh = 0;
      draw();
    }
  }, 1000);
  draw();
  follow();
  return section;
}
