// Keys: search, rows, pages; never while somebody types, or where the browser's own keys are meant.

import { $, $$, reveal } from "./elements.js";
import { openHelp } from "./help.js";
import { NAV } from "./shell.js";
import { isGuest, link } from "./state.js";

const PATIENCE = 1500;

/** When `g` was pressed. */
let chord = -Infinity;

/** Goes to a row, of those that lead somewhere. @param {number} by */
function step(by) {
  const rows = $$("tr.go");
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + by))];
  if (!next) return;
  $("a", next)?.focus();
  reveal(next);
}

/** @type {Record<string, () => void>} */
const ACTS = {
  "/": () => $("input[type=search]")?.focus(),
  j: () => step(1),
  k: () => step(-1),
  "?": openHelp,
  u: () => {
    if (!isGuest()) location.href = link("overview");
  },
};

/** @param {KeyboardEvent} event */
export function pressed(event) {
  const at = /** @type {Element} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || at.closest("input,select,textarea,dialog[open]")) {
    if (event.key === "Escape" && at.matches("input[type=search]")) /** @type {HTMLElement} */ (at).blur();
    return;
  }
  const isChord = event.timeStamp - chord < PATIENCE;
  chord = event.key === "g" && !isChord ? event.timeStamp : -Infinity;
  const page = isChord && !isGuest() ? NAV.find(([, , key]) => key === event.key) : undefined;
  const act = page
    ? () => {
        location.href = link(page[0]);
      }
    : isChord
      ? undefined
      : ACTS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}
