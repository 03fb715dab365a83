// Catalog: each declared event: what it means, who answers for it, until when, whether it is used.

import { h } from "../elements.js";
import { grouped } from "../figures.js";
import { grid } from "../grid.js";
import { chip, choose, mono, none, title } from "../parts.js";
import { rows, rowsIfAny } from "../reports.js";
import { get, periodName, set, toFeature } from "../state.js";
import { day, daysLeft, int, lastUse, plural } from "../words.js";
import { carriedCell } from "./carried.js";

/** @typedef {import("../reports.js").Row} Row */
/** @typedef {import("../shell.js").Context} Context */

const BY = ["product", "event", "title", "description", "owner", "surface", "expires", "declared"];

const CARRIED = ["product", "event", "attribute", "holds", "lasts", "names", "description"];

/** @param {Context} context */
export async function catalog({ features, state }) {
  const verdicts = new Map(features.map((each) => [`${each.product} ${each.event}`, each.verdict]));
  const [events, attributes] = await Promise.all([
    rows("catalog", { by: BY }),
    rowsIfAny("attributes", { by: CARRIED }),
  ]);
  const carried = grouped(attributes, "event");
  const all = events.map((row) => ({
    ...row,
    carried: (carried.get(row.event) ?? []).filter((each) => each.product === row.product),
    event: row.event,
    declared: row.declared,
    expires: row.expires,
    count: row.count,
    verdict: verdicts.get(`${row.product} ${row.event}`) ?? null,
  }));
  const declared = all.filter((row) => row.declared);
  const unused = declared.filter((row) => !row.count).length;
  const foreign = state.lost.filter((row) => row.reason === "undeclared_event").reduce((a, row) => a + row.count, 0);
  return [
    title(
      `${plural(declared.length, "declared event")}: the whole of what may be stored.`,
      `${int(unused)} never came · ${int(foreign)} arrivals in ${periodName()} with a name that no event has; their names are not kept`,
    ),
    section(all),
  ];
}

/** @param {Row[]} all */
function section(all) {
  const products = new Set(all.map((row) => row.product));
  const owners = [...new Set(all.map((row) => row.owner ?? "nobody"))].sort();
  const table = grid({
    caption: "Events of the catalog",
    sort: "event",
    rows: kept(all),
    href: (row) => (row.declared ? toFeature(row.event) : undefined),
    empty: "No event matches.",
    columns: [
      {
        key: "event",
        label: "Event",
        cls: "feature",
        cell: (row) => [
          row.declared ? h("a", { class: "name mono", href: toFeature(row.event) }, row.event) : mono(row.event),
          h("span", { class: "under" }, row.title),
        ],
      },
      { key: "title", label: "Feature", cls: "event", cell: (row) => cut(row.title) },
      {
        key: "description",
        label: "What it means",
        sort: false,
        cls: "todo",
        cell: (row) => row.description ?? none("nothing is said of it"),
      },
      ...(products.size > 1
        ? [{ key: "product", label: "Product", cls: "adoption", cell: (/** @type {Row} */ row) => cut(row.product) }]
        : []),
      { key: "surface", label: "Surface", cls: "adoption", cell: (row) => cut(row.surface) },
      {
        key: "carried",
        label: "Carries",
        sort: false,
        cls: "last",
        cell: (row) => (row.carried.length ? carriedCell(row.carried) : none("nothing")),
      },
      { key: "owner", label: "Owner", cls: "owner", cell: (row) => row.owner ?? none("nobody") },
      {
        key: "expires",
        label: "Expires",
        cls: "expires",
        num: true,
        sort: (row) => row.expires ?? "9999",
        cell: expiry,
      },
      {
        key: "verdict",
        label: "State",
        cls: "verdict",
        cell: (row) => (row.declared ? chip(row.verdict) : none("withdrawn")),
      },
      {
        key: "count",
        label: "Came",
        num: true,
        cls: "uses",
        title: "How many times, whatever the action, in all that is kept",
        cell: (row) => int(row.count),
      },
      {
        key: "last_used",
        label: "Last use",
        num: true,
        cls: "last",
        cell: (row) => (row.last_used ? lastUse(row.last_used) : none("never")),
      },
    ],
  });
  const redraw = () => table.draw(kept(all));
  const typed = (/** @type {Event} */ event) => {
    set({ q: /** @type {HTMLInputElement} */ (event.target).value }, false);
    redraw();
  };
  const search = h(
    "span",
    { class: "search" },
    h("input", {
      type: "search",
      placeholder: "Search events",
      "aria-label": "Search events",
      value: get("q"),
      oninput: typed,
    }),
    h("kbd", { "aria-hidden": "true" }, "/"),
  );
  const owner = choose(
    "Owner",
    [["", "any"], ...owners.map((name) => /** @type {[string, string]} */ ([name, name]))],
    get("owner"),
    (next) => {
      set({ owner: next }, false);
      redraw();
    },
  );
  return h(
    "section",
    { class: "panel inventory", "aria-labelledby": "declared" },
    h(
      "div",
      { class: "head" },
      h("h2", { id: "declared" }, "Events"),
      h("p", { class: "note" }, "what is not declared is not stored"),
      h("div", { class: "tools" }, owner, search),
    ),
    table.el,
  );
}

/** What may be long: all of it is its title. @param {string} text */
const cut = (text) => h("span", { class: "cut", title: text }, text);

/** @param {Row[]} all */
function kept(all) {
  const [q, owner] = [get("q").toLowerCase(), get("owner")];
  return all.filter(
    (row) =>
      (!q ||
        `${row.title} ${row.event} ${row.owner ?? ""} ${row.surface} ${row.description ?? ""}`
          .toLowerCase()
          .includes(q)) &&
      (!owner || (row.owner ?? "nobody") === owner),
  );
}

/** @param {Row} row */
function expiry({ expires }) {
  if (!expires) return none("never");
  const left = daysLeft(expires);
  return h("span", { title: expires }, left > 0 ? `in ${plural(left, "day")}` : `ended ${day(expires)}`);
}
