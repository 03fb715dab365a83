// Backends: to whom what is stored is passed on, and how far each of them is.

import { h } from "../elements.js";
import { grid } from "../grid.js";
import { mono, none, panel, tag } from "../parts.js";
import { ago, int, plural } from "../words.js";

/** @typedef {import("../reports.js").Row} Row */

/** @param {Row[]} backends Of `backends`. */
export function passedOn(backends) {
  if (!backends.length) return [];
  const behind = backends.filter((row) => row.behind).length;
  return [
    panel({
      title: "Passed on",
      note: behind ? `${plural(behind, "backend")} behind` : `${plural(backends.length, "backend")}, each has all`,
      body: grid({
        caption: "Passed on",
        key: "bs",
        sort: "backend",
        rows: backends,
        columns: [
          { key: "backend", label: "Backend", cls: "feature", cell: (row) => mono(row.backend) },
          { key: "behind", label: "State", cls: "verdict", cell: state },
          {
            key: "refused",
            label: "Refused for good",
            title: "Requests that it did not take; footfall export brings them again",
            num: true,
            cell: (row) => (row.refused ? int(row.refused) : none("0")),
          },
          { key: "moved_at", label: "Took last", num: true, cls: "uses", cell: (row) => ago(row.moved_at) },
        ],
      }).el,
    }),
  ];
}

/** @param {Row} row */
const state = (row) =>
  row.behind
    ? h(
        "span",
        { title: row.waiting_since ? `the oldest was stored ${ago(row.waiting_since)}` : null },
        tag("expiring", `${plural(row.behind, "commit")} behind`),
      )
    : tag("good", "Has all");
