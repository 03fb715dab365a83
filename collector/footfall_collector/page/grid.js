// Tables that sort, filter by page and lead somewhere. No more than a page of rows is in the document.

import { h } from "./elements.js";
import { get, isGuest, set } from "./state.js";
import { int } from "./words.js";

/** @typedef {import("./elements.js").Kid} Kid */
/** @typedef {Record<string, any>} Row */
/**
 * @typedef {object} Column
 * @property {string} key
 * @property {Kid} label
 * @property {(row: Row) => Kid} [cell]
 * @property {false | ((row: Row) => any)} [sort] By what it sorts; false: it does not.
 * @property {boolean} [num]
 * @property {string} [cls]
 * @property {string} [title]
 */
/**
 * @typedef {object} Grid
 * @property {string} caption
 * @property {Column[]} columns
 * @property {Row[]} rows
 * @property {string} sort The usual order: a column's key, with `-` downwards.
 * @property {Record<string, (row: Row) => any>} [orders] Others, beside those of columns.
 * @property {(row: Row) => string | undefined} [href] Where a row leads.
 * @property {string} [key] What the order is called in the address.
 * @property {string} [empty] What stands there when nothing does.
 * @property {(shown: Row[]) => void} [ondraw] Told which rows are in the document.
 */

export const PAGE = 30;

/** @param {any} a @param {any} b Nothing comes last, in both directions. @param {boolean} down */
function compared(a, b, down) {
  if (a === b) return 0;
  if (a === null || a === undefined) return 1;
  if (b === null || b === undefined) return -1;
  return (a < b ? -1 : 1) * (down ? -1 : 1);
}

/** @param {Row[]} rows @param {(row: Row) => any} value @param {boolean} down */
const sorted = (rows, value, down) => [...rows].sort((x, y) => compared(value(x), value(y), down));

/** @param {Column} column @param {Row} row @param {boolean} head */
const cell = (column, row, head) =>
  h(
    head ? "th" : "td",
    { scope: head ? "row" : null, class: `${column.cls ?? ""} ${column.num ? "num" : ""}` },
    column.cell ? column.cell(row) : row[column.key],
  );

/** @param {string} to @param {MouseEvent} event */
function followed(to, event) {
  if (/** @type {Element} */ (event.target).closest("a,button") || getSelection()?.toString()) return;
  location.href = to;
}

/** @param {Grid} of */
export function grid(of) {
  const { caption, columns, sort, orders = {}, href, key = "sort", empty = "Nothing to show." } = of;
  const body = h("tbody");
  const pages = h("nav", { class: "pages", "aria-label": `${caption}: pages` });
  let list = of.rows;
  let page = 0;

  /** @param {Column} column The next order, when its head is pressed. */
  function turned(column) {
    const was = get(key) || sort;
    const falling = `-${column.key}`;
    const first = column.num ? falling : column.key;
    const next = was === falling ? column.key : was === column.key ? falling : first;
    set({ [key]: next === sort ? "" : next }, false);
    draw();
  }

  const heads = columns.map((column) =>
    h(
      "th",
      { scope: "col", class: `${column.cls ?? ""} ${column.num ? "num" : ""}`, title: column.title },
      column.sort === false
        ? column.label
        : h(
            "button",
            { type: "button", onclick: () => turned(column) },
            column.label,
            h("span", { class: "arrow", "aria-hidden": "true" }),
          ),
    ),
  );

  /** @param {Row} row */
  function line(row) {
    const to = isGuest() ? undefined : href?.(row);
    const click = to ? (/** @type {MouseEvent} */ event) => followed(to, event) : null;
    return h(
      "tr",
      { class: to ? "go" : "", onclick: click },
      columns.map((column, i) => cell(column, row, i === 0)),
    );
  }

  function ordered() {
    const asked = get(key) || sort;
    const name = asked.replace(/^-/, "");
    const down = asked.startsWith("-");
    const column = columns.find((each) => each.key === name);
    columns.forEach((each, i) =>
      heads[i]?.setAttribute("aria-sort", each.key === name ? (down ? "descending" : "ascending") : "none"),
    );
    const value = orders[name] ?? (column?.sort || ((/** @type {Row} */ row) => row[name]));
    return sorted(list, value, down);
  }

  function turnPages() {
    const last = Math.ceil(list.length / PAGE) - 1;
    const to = (/** @type {number} */ next, /** @type {string} */ text) =>
      h(
        "button",
        {
          type: "button",
          class: "quiet",
          disabled: next < 0 || next > last,
          onclick: () => {
            page = next;
            draw(undefined, false);
          },
        },
        text,
      );
    pages.replaceChildren(
      ...(last > 0
        ? [
            to(page - 1, "← Before"),
            h(
              "span",
              { class: "muted" },
              `${int(page * PAGE + 1)} to ${int(Math.min(list.length, (page + 1) * PAGE))} of ${int(list.length)}`,
            ),
            to(page + 1, "Next →"),
          ]
        : []),
    );
  }

  /**
   * Draws it, with other rows where they are given.
   *
   * @param {Row[]} [given]
   * @param {boolean} [first] Whether its first page.
   */
  function draw(given, first = true) {
    if (given) list = given;
    if (first) page = 0;
    const shown = ordered().slice(page * PAGE, (page + 1) * PAGE);
    body.replaceChildren(
      ...(shown.length
        ? shown.map(line)
        : [h("tr", null, h("td", { colspan: columns.length, class: "empty" }, empty))]),
    );
    turnPages();
    of.ondraw?.(shown);
  }

  const table = h(
    "table",
    { class: "grid" },
    h("caption", { class: "sr" }, caption),
    h("thead", null, h("tr", null, heads)),
    body,
  );
  const el = h(
    "div",
    null,
    h("div", { class: "scroll", role: "region", "aria-label": `${caption}, table`, tabindex: "0" }, table),
    pages,
  );
  draw();
  return { el, table, draw };
}
