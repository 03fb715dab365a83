// Arrivals: the table of what has arrived, a line for each.

import { h } from "../elements.js";
import { icon, mono, none } from "../parts.js";
import { lost, refused } from "../reasons.js";
import { toFeature } from "../state.js";
import { DASH, clock, errorWord, int, iso, ms, plural, spoken, when } from "../words.js";

/** @typedef {import("../reports.js").Row} Row */

/** @typedef {"stored" | "counted" | "lost" | "refused"} Kind */

/** @typedef {{kind: Kind, at: number, row: Row}} Arrival */

/** What was not let in, beside what was. */
export const MISSED = ["lost", "refused"];

/** @param {HTMLElement} body */
export const table = (body) =>
  h(
    "table",
    { class: "grid live" },
    h("caption", { class: "sr" }, "The last that arrived, newest first"),
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        [
          ["Time", "num"],
          ["Feature", ""],
          ["Event", "wide-only"],
          ["How it ended", ""],
          ["Took", "num"],
          ["Sent by", "wide-only"],
        ].map(([text, cls]) => h("th", { scope: "col", class: cls }, text)),
      ),
    ),
    body,
  );

/** @param {Arrival} arrival @param {(event: string) => string} named */
export function line({ kind, at, row }, named) {
  const isToday = iso(at) === iso(Date.now());
  const time = h("td", { class: "num" }, isToday ? clock(at, true) : when(at, "hour"));
  if (MISSED.includes(kind)) {
    const [reason] = (kind === "lost" ? lost : refused)(String(row.reason ?? "refused"));
    return h(
      "tr",
      { class: "failed-row" },
      time,
      h("th", { scope: "row" }, none("not let in")),
      h("td", { class: "wide-only" }, mono(row.reason ?? "")),
      h("td", null, h("span", { class: "chip worse" }, icon("expired"), reason)),
      h("td", { class: "num" }, row.count > 1 ? `${int(row.count)} times` : ""),
      h("td", { class: "wide-only" }, row.signal ?? ""),
    );
  }
  const isBad = row.status && row.status !== "ok";
  const end = isBad
    ? h(
        "span",
        { class: "chip worse", title: errorWord(row.error_type ?? null)[1] },
        icon("worse"),
        errorWord(row.error_type ?? null)[0],
      )
    : h("span", { class: "ok" }, spoken(String(row.action ?? "")).toLowerCase());
  const sender = [row.service, row.service_version].filter(Boolean).join(" ");
  return h(
    "tr",
    { class: isBad ? "failed-row" : "" },
    time,
    h("th", { scope: "row" }, h("a", { class: "name", href: toFeature(row.event) }, named(row.event))),
    h("td", { class: "wide-only" }, mono(row.event)),
    h("td", null, end),
    h(
      "td",
      { class: "num" },
      kind === "counted"
        ? plural(row.count ?? 1, "use")
        : typeof row.duration_ms === "number"
          ? ms(row.duration_ms)
          : none(DASH, "no duration"),
    ),
    h("td", { class: "wide-only" }, sender || none(DASH)),
  );
}
