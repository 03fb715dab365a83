// Parts: small things that stand for a figure or a verdict, and the panels that hold them.

import { $$, flat, h, s } from "./elements.js";
import { toFeature } from "./state.js";
import { COMPARED, pct, signed, SPEEDS, VERDICTS } from "./words.js";

/** @typedef {import("./elements.js").Kid} Kid */

/** @typedef {{columns: string[], rows: Kid[][]}} Plain */

const CIRCLE = "M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3";

/** @type {Record<string, string>} */
const ICONS = {
  new: "M8 2.5 9.6 6.4 13.5 8 9.6 9.6 8 13.5 6.4 9.6 2.5 8 6.4 6.4Z",
  growing: "M3 11 8 5l5 6",
  steady: "M3 8h10",
  fading: "M3 5l5 6 5-6",
  unused: `${CIRCLE}M4.6 11.4l6.8-6.8`,
  expiring: `${CIRCLE}M8 5.2V8l2 1.6`,
  expired: "M4 4l8 8M12 4l-8 8",
  few: "M4 8h.01M8 8h.01M12 8h.01",
  worse: "M8 2.8 14 13H2ZM8 6.6v3M8 11.4v.1",
  good: "M3.5 8.5 6.5 11.5 12.5 4.5",
  look: `${CIRCLE}M8 5.5v3M8 10.5v.1`,
};

/** @param {string} name */
export const icon = (name) =>
  s("svg", { viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" }, s("path", { d: ICONS[name] ?? ICONS.look }));

/** A sign and a word. @param {string} name Of the icon. @param {Kid} text @param {string} [title] */
export const tag = (name, text, title) => h("span", { class: `chip ${name}`, title }, icon(name), text);

/** @param {string | null} verdict Of `reporting.features`. */
export function chip(verdict) {
  const [name, text, title] = VERDICTS[verdict ?? ""] ?? [
    "few",
    "Not yet looked at",
    "The inventory is made anew every hour",
  ];
  return tag(name, text, title);
}

/** @param {string} verdict Of `releases`. */
export function comparedChip(verdict) {
  const [name, text] = COMPARED[verdict] ?? ["few", verdict];
  return tag(name, text);
}

/** Whether a version is slower. @param {string | null} speed Of `releases`. */
export function speedChip(speed) {
  if (speed === null) return none("\u2013", "not measured in two versions");
  const [name, text] = SPEEDS[speed] ?? ["few", speed];
  return tag(name, text);
}

/** Why there is no figure. @param {Kid} text @param {string} [title] */
export const none = (text, title) => h("span", { class: "none", title }, text);

/** @param {Kid} text */
export const mono = (text) => h("code", null, text);

/**
 * A change with its direction as a sign; it has no colour of its own, which only a verdict gives.
 *
 * @param {number | null | undefined} value
 * @param {{format?: (n: number) => string, tone?: string}} [how]
 */
export function change(value, { format = (n) => signed(n, pct), tone = "same" } = {}) {
  if (value === null || value === undefined || !Number.isFinite(value)) return null;
  return h("span", { class: `change ${tone}` }, value === 0 ? "no change" : format(value));
}

/** @param {number} now @param {number | null | undefined} before */
export const share = (now, before) => (before ? now / before - 1 : null);

/**
 * Buttons of which one is pressed.
 *
 * @param {string} label
 * @param {Record<string, string>} options
 * @param {string} value
 * @param {(key: string) => void} onpick
 */
export const seg = (label, options, value, onpick) =>
  h(
    "div",
    { class: "seg", role: "group", "aria-label": label },
    Object.entries(options).map(([key, text]) =>
      h("button", { type: "button", "aria-pressed": String(key === value), onclick: () => onpick(key) }, text),
    ),
  );

/**
 * @param {string} label
 * @param {[string, string][]} options
 * @param {string} value
 * @param {(value: string) => void} onpick
 * @param {string} [cls]
 */
export function choose(label, options, value, onpick, cls = "") {
  const picked = (/** @type {Event} */ event) => onpick(/** @type {HTMLSelectElement} */ (event.target).value);
  return h(
    "label",
    { class: `choose ${cls}` },
    h("span", null, label),
    h(
      "select",
      { onchange: picked },
      options.map(([key, text]) => h("option", { value: key, selected: key === value }, text)),
    ),
  );
}

/**
 * @typedef {object} Tile
 * @property {string} label
 * @property {string} [title]
 * @property {Kid} value
 * @property {Kid} [delta]
 * @property {Kid} [note]
 * @property {Kid} [graph]
 * @property {string} [tone]
 */

/** At most five figures, each with its change and one note. @param {...Tile} list */
export const tiles = (...list) =>
  h(
    "dl",
    { class: "tiles" },
    list.map(({ label, title, value, delta, note, graph, tone }) =>
      h(
        "div",
        { class: `tile ${tone ?? ""}` },
        h("dt", { title }, label),
        h("dd", null, h("span", { class: "value" }, value), graph),
        h(
          "dd",
          { class: "below" },
          delta,
          delta && note ? h("span", { class: "muted" }, " · ") : null,
          note ? h("span", { class: "muted" }, note) : null,
        ),
      ),
    ),
  );

/**
 * A section with a title, a chart or anything else, and the same as a table.
 *
 * @param {{title: string, body: Kid, note?: Kid, table?: () => Plain, actions?: Kid, cls?: string, id?: string}} of
 */
export function panel({ title, note, body, table, actions, cls = "", id }) {
  const name = `p-${title.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`;
  const content = h("div", { class: "body" }, body);
  const tools =
    actions || table
      ? h("div", { class: "tools" }, actions, table ? asTable(title, content, body, table) : null)
      : null;
  return h(
    "section",
    { class: `panel ${cls}`, id, "aria-labelledby": name },
    h("div", { class: "head" }, h("h2", { id: name }, title), note ? h("p", { class: "note" }, note) : null, tools),
    content,
  );
}

/**
 * The button that shows a chart's figures instead.
 *
 * @param {string} title
 * @param {HTMLElement} content
 * @param {Kid} body
 * @param {() => Plain} table
 */
function asTable(title, content, body, table) {
  let isTable = false;
  const button = h(
    "button",
    {
      type: "button",
      class: "quiet",
      "aria-label": `${title} as a table`,
      onclick: () => {
        isTable = !isTable;
        button.textContent = isTable ? "Chart" : "Table";
        button.setAttribute("aria-label", `${title} as a ${isTable ? "chart" : "table"}`);
        content.replaceChildren(...(isTable ? [plainTable(title, table())] : flat(body)));
        for (const chart of $$(".chart", content)) /** @type {any} */ (chart).chart?.resize();
      },
    },
    "Table",
  );
  return button;
}

/** @param {string} caption @param {Plain} of */
export const plainTable = (caption, { columns, rows }) =>
  h(
    "div",
    { class: "scroll tall", tabindex: "0", role: "region", "aria-label": `${caption}, table` },
    h(
      "table",
      { class: "plain" },
      h("caption", { class: "sr" }, caption),
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          columns.map((name, i) => h("th", { scope: "col", class: i ? "num" : "" }, name)),
        ),
      ),
      h(
        "tbody",
        null,
        rows.map((row) =>
          h(
            "tr",
            null,
            row.map((cell, i) => (i ? h("td", { class: "num" }, cell) : h("th", { scope: "row" }, cell))),
          ),
        ),
      ),
    ),
  );

/** @param {Kid} text @param {Kid} [sub] @param {...Kid} more */
export const title = (text, sub, ...more) =>
  h("div", { class: "title" }, h("h1", null, text), sub ? h("p", { class: "muted" }, sub) : null, more);

/** A feature's name, which leads to it, with its event. @param {Record<string, any>} row @param {boolean} [under] */
export const featureCell = (row, under = true) => [
  h("a", { href: toFeature(row.event), class: "name", title: row.title }, row.title),
  under ? h("span", { class: "under" }, row.event) : null,
];

/** Names as links, with commas and `and`. @param {Record<string, any>[]} list @returns {Kid[]} */
export const names = (list) =>
  list.map((each, i) => [
    i ? (i === list.length - 1 ? " and " : ", ") : "",
    h("a", { href: toFeature(each.event) }, each.title),
  ]);

/** Panels beside each other, by two; three where one would be left. @param {Kid[]} panels */
export function beside(panels) {
  const rows = [];
  for (let left = panels; left.length;) {
    const many = left.length === 3 ? 3 : 2;
    rows.push(h("div", { class: left.length === 1 ? "row" : "row half" }, left.slice(0, many)));
    left = left.slice(many);
  }
  return rows;
}

/**
 * What stands in the place of figures: why there are none, and the way out.
 *
 * @param {string} head
 * @param {...Kid} why
 */
export const blank = (head, ...why) => h("section", { class: "panel blank" }, h("h2", null, head), why);
