// What of the inventory is shown: the search, the filters, the order.

import { h } from "../elements.js";
import { choose, icon, seg } from "../parts.js";
import { counted } from "../shell.js";
import { get, set } from "../state.js";
import { day, int, plural, VERDICTS } from "../words.js";

/** @typedef {import("../reports.js").Row} Row */

/** What a narrow window shows in its last column. @type {Record<string, string>} */
const NARROW = { failed: "Failed", p95: "p95", adoption: "Adoption", last: "Last use", owner: "Owner" };

/** How many days are counted: of a young store fewer. @param {Row[]} listed */
export const daysOf = (listed) => Math.max(1, ...listed.map((each) => each.days ?? 0));

/** Those that the search and the filters leave. @param {Row[]} all */
export function kept(all) {
  const [q, verdict, owner, surface] = [get("q").toLowerCase(), get("verdict"), get("owner"), get("surface")];
  return all.filter(
    (row) =>
      (!q || `${row.title} ${row.event} ${row.owner ?? ""} ${row.surface}`.toLowerCase().includes(q)) &&
      (!verdict || (verdict === "worse" ? row.worse : row.verdict === verdict)) &&
      (!owner || (row.owner ?? "nobody") === owner) &&
      (!surface || row.surface === surface),
  );
}

/**
 * @param {Row[]} all
 * @param {Map<string, Row>} worse
 * @param {ReturnType<typeof import("../grid.js").grid>} table
 * @param {boolean} isYoung
 */
export function section(all, worse, table, isYoung) {
  const shown = h("span", { class: "muted", "aria-live": "polite" });
  const verdicts = h("div", { class: "verdicts", role: "group", "aria-label": "Show features that are" });
  function said() {
    const list = kept(all);
    shown.textContent = counted(list.length, all.length);
    verdicts.replaceChildren(...chips(all, worse, redraw));
    return list;
  }
  const redraw = () => table.draw(said());
  said();
  const typed = (/** @type {Event} */ event) => {
    set({ q: /** @type {HTMLInputElement} */ (event.target).value }, false);
    redraw();
  };
  const search = h("input", {
    type: "search",
    placeholder: "Search features",
    "aria-label": "Search features",
    value: get("q"),
    oninput: typed,
  });
  const owners = [...new Set(all.map((row) => row.owner ?? "nobody"))].sort();
  const last = all.find((row) => row.last_day)?.last_day;
  const note = isYoung
    ? "no whole day is over yet: verdicts come then"
    : last
      ? `${plural(daysOf(all), "day")} up to ${day(last)}, whatever is chosen above`
      : "";
  return h(
    "section",
    { class: "panel inventory", "aria-labelledby": "features" },
    h(
      "div",
      { class: "head" },
      h("h2", { id: "features", class: "sr" }, "Features"),
      verdicts,
      shown,
      h(
        "div",
        { class: "tools" },
        note ? h("p", { class: "note of" }, note) : null,
        seg("Order", { "-shown": "Most used", look: "Needs a look" }, get("sort") || "-shown", (sort) =>
          set({ sort: sort === "-shown" ? "" : sort }),
        ),
        choose(
          "Owner",
          [["", "any"], ...owners.map((name) => /** @type {[string, string]} */ ([name, name]))],
          get("owner"),
          (next) => {
            set({ owner: next }, false);
            redraw();
          },
        ),
        choose(
          "Column",
          Object.entries(NARROW),
          get("column") || "failed",
          (column) => {
            set({ column: column === "failed" ? "" : column }, false);
            table.table.dataset.column = column;
          },
          "phone-only",
        ),
        h("span", { class: "search" }, search, h("kbd", { "aria-hidden": "true" }, "/")),
      ),
    ),
    table.el,
  );
}

/**
 * What can be shown alone, with how many there are.
 *
 * @param {Row[]} all
 * @param {Map<string, Row>} worse
 * @param {() => void} redraw
 */
function chips(all, worse, redraw) {
  const now = get("verdict");
  const pick = (/** @type {Record<string, string>} */ changes) => () => {
    set(changes, false);
    redraw();
  };
  const toggle = (
    /** @type {string} */ verdict,
    /** @type {string} */ name,
    /** @type {string} */ text,
    /** @type {string} */ title,
    /** @type {number} */ count,
  ) =>
    h(
      "button",
      {
        type: "button",
        class: name,
        title,
        "aria-pressed": String(now === verdict),
        onclick: pick({ verdict: now === verdict ? "" : verdict }),
      },
      icon(name),
      `${text} `,
      h("b", null, int(count)),
    );
  const found = [
    h(
      "button",
      {
        type: "button",
        class: "all",
        "aria-pressed": String(!now),
        onclick: pick({ verdict: "", surface: "", owner: "", q: "" }),
      },
      h("b", null, int(all.length)),
      " features",
    ),
  ];
  if (get("surface"))
    found.push(
      h(
        "button",
        { type: "button", class: "surface", "aria-pressed": "true", onclick: pick({ surface: "" }) },
        `on ${get("surface")} `,
        h("span", { "aria-hidden": "true" }, "×"),
      ),
    );
  if (worse.size) found.push(toggle("worse", "worse", "Fails more", "By a test, since the newest version", worse.size));
  for (const [verdict, [name, text, title]] of Object.entries(VERDICTS)) {
    const count = all.filter((row) => row.verdict === verdict).length;
    if (count) found.push(toggle(verdict, name, text, title, count));
  }
  return found;
}
