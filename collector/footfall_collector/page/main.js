// Starts the page: its shell at once, its figures when they have come, all again when something is chosen.

import { dispose, drawWaiting, recolour } from "./drawing.js";
import { $, $$, flat, h, reveal } from "./elements.js";
import { marks } from "./figures.js";
import { pressed } from "./keys.js";
import { blank, title } from "./parts.js";
import { NoReport, conditions, inventory, lines, notes, seen, state } from "./reports.js";
import { help } from "./help.js";
import { PAGE, filters, footer, header } from "./shell.js";
import { onChange, ranges, reread } from "./state.js";

/** @typedef {import("./shell.js").Context} Context */

/** @typedef {import("./elements.js").Kid} Kid */

/**
 * Of each page what draws it; no page loads another's.
 *
 * @type {Record<string, () => Promise<(context: Context) => Promise<Kid>>>}
 */
const PAGES = {
  overview: async () => (await import("./pages/overview.js")).overview,
  feature: async () => (await import("./pages/feature.js")).feature,
  releases: async () => (await import("./pages/releases.js")).releases,
  failures: async () => (await import("./pages/failures.js")).failures,
  speed: async () => (await import("./pages/speed.js")).speed,
  groups: async () => (await import("./pages/groups.js")).groups,
  live: async () => (await import("./pages/live.js")).live,
  catalog: async () => (await import("./pages/catalog.js")).catalog,
  trust: async () => (await import("./pages/trust.js")).trust,
  empty: async () => (await import("./pages/empty.js")).empty,
};

const ALSO_EMPTY = ["live", "catalog", "trust"];

let drawing = 0;

/** @returns {Promise<Context>} */
async function context() {
  const { now, before } = ranges();
  const [features, versions, foot, noted, begun] = await Promise.all([
    inventory(),
    lines(now, before),
    state(now),
    notes(now),
    seen(now),
  ]);
  return {
    features,
    lines: versions,
    seen: begun,
    notes: noted,
    marks: marks(begun, noted),
    state: foot,
    now,
    before,
    where: conditions(features),
  };
}

/** What the page shows; where nothing is stored yet, how to begin. @param {Context} found */
async function shown(found) {
  const isEmpty = found.state.fresh.position === 0 && !ALSO_EMPTY.includes(PAGE);
  const page = await PAGES[isEmpty ? "empty" : PAGE]?.();
  return page?.(found);
}

/** Why there are no figures. @param {unknown} error */
function failure(error) {
  if (!(error instanceof NoReport)) throw error;
  if (error.status === 401) {
    const next = encodeURIComponent(location.pathname + location.search);
    return [
      title("Who are you?"),
      blank(
        "This page is for operators",
        h(
          "p",
          null,
          h("a", { href: `/login?next=${next}` }, "Log in"),
          " with an operator’s key: the last login is over.",
        ),
      ),
    ];
  }
  return [
    title("No figures now."),
    blank(
      "The collector said why",
      h("p", null, error.message),
      h("p", null, h("button", { type: "button", class: "button", onclick: draw }, "Try again")),
    ),
  ];
}

/** What had the focus, so that it has it again. */
function focused() {
  const at = document.activeElement;
  const name = at?.closest("label")?.firstElementChild?.textContent ?? at?.textContent;
  return () => {
    if (at && at !== document.body && !at.isConnected) {
      $$(at.tagName.toLowerCase())
        .find((each) => (each.closest("label")?.firstElementChild?.textContent ?? each.textContent) === name)
        ?.focus();
    }
  };
}

/** @param {Kid} head @param {Kid} main @param {Kid} foot */
function put(head, main, foot) {
  const again = focused();
  dispose();
  $("#shell")?.replaceChildren(...flat([header(), head]));
  $("#main")?.replaceChildren(...flat(main));
  $("#foot")?.replaceChildren(...flat(foot));
  drawWaiting();
  again();
}

async function draw() {
  const mine = ++drawing;
  const main = $("#main");
  main?.setAttribute("aria-busy", "true");
  try {
    const found = await context();
    const body = await shown(found);
    if (mine !== drawing) return;
    const open = /** @type {HTMLDetailsElement | null} */ ($(".filters"))?.open;
    const bar = filters(found);
    const details = bar?.querySelector("details");
    if (details && open !== undefined) details.open = open;
    put(bar, body, footer(found));
  } catch (error) {
    if (mine === drawing) put(null, failure(error), null);
  }
  main?.removeAttribute("aria-busy");
  document.documentElement.dataset.ready = "yes";
}

document.body.append(help());

$("#shell")?.replaceChildren(header());

addEventListener("keydown", pressed);

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);

addEventListener("popstate", () => {
  reread();
  draw();
});

onChange(draw);

await draw();

if (location.hash) reveal(document.getElementById(location.hash.slice(1)));
