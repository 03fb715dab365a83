// What an event may carry: its attributes, and whether one of them could name somebody.

import { h } from "../elements.js";
import { mono } from "../parts.js";

/** @typedef {import("../reports.js").Row} Row */

/** What an attribute holds. @type {Record<string, string>} */
const HOLDS = {
  enum: "one of a list",
  number: "number",
  boolean: "yes or no",
  hash: "hash",
  identifier: "identifier",
  text: "text",
};

/** Until when equal hashes stay equal. @type {Record<string, string>} */
const LASTS = { daily: "of a day", weekly: "of a week", monthly: "of a month", static: "that lasts" };

/** Whether it can name somebody: a class, a word, what that means. @type {Record<string, [string, string, string]>} */
const NAMES = {
  no: ["steady", "names nobody", "A list, a number within bounds, or yes and no: nobody’s name fits in"],
  pseudonym: ["look", "stands for somebody", "It tells that it is the same one again, and not who; no report shows it"],
  maybe: [
    "worse",
    "may name somebody",
    "Free text: what is recognised as personal is taken out, a name is not recognised",
  ],
};

/** What an attribute holds, in words. @param {Row} row Of `attributes`. */
const held = ({ holds, lasts }) => [HOLDS[holds] ?? holds, lasts ? LASTS[lasts] : ""].filter(Boolean).join(" ");

/** @param {Row} row Of `attributes`. */
export function naming(row) {
  const [kind, word, meaning] = NAMES[row.names] ?? ["look", row.names, ""];
  const unbounded = row.names === "maybe" && row.holds === "number";
  return [kind, word, unbounded ? "A number without bounds: an account’s would fit in" : meaning];
}

/** Each attribute in a line of its own. @param {Row[]} attributes */
export const carriedList = (attributes) =>
  h(
    "ul",
    { class: "plain-list carried" },
    attributes.map((row) =>
      h(
        "li",
        { title: row.description ?? naming(row)[2] },
        mono(row.attribute),
        ` ${held(row)}, `,
        h("span", { class: `names ${row.names}`, title: naming(row)[2] }, naming(row)[1]),
      ),
    ),
  );

/** The same in a cell: the names, and what the worst of them may tell. @param {Row[]} attributes */
export function carriedCell(attributes) {
  const worst = ["maybe", "pseudonym", "no"].find((names) => attributes.some((row) => row.names === names));
  const said = NAMES[worst ?? ""];
  const all = attributes.map((row) => `${row.attribute}: ${held(row)}, ${naming(row)[1]}`).join("\n");
  return h(
    "span",
    { class: "stacked", title: all },
    mono(attributes.map((row) => row.attribute).join(", ")),
    said ? h("span", { class: `names ${worst}` }, said[1]) : null,
  );
}
