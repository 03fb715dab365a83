// When a feature is used: uses by weekday and hour.

import { h } from "../elements.js";
import { tally } from "../figures.js";
import { panel } from "../parts.js";
import { rows } from "../reports.js";
import { int, plural } from "../words.js";

const WEEK = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const HOURS = Array.from({ length: 24 }, (_, hour) => String(hour).padStart(2, "0"));
const SHADES = 5;

/** @param {import("../reports.js").Row} found @param {import("../shell.js").Context} context */
export async function rhythm(found, { now, where }) {
  const used = await rows("usage", { range: now, by: ["hour", "action"], where: { ...where, event: [found.event] } });
  const week = WEEK.map(() => HOURS.map(() => 0));
  for (const row of used) {
    const at = new Date(row.hour);
    const line = week[(at.getUTCDay() + 6) % 7];
    if (line) line[at.getUTCHours()] = (line[at.getUTCHours()] ?? 0) + tally([row]).uses;
  }
  return panel({
    title: "When it is used",
    note: "uses by weekday and hour, UTC; darker: more",
    body: h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Uses by weekday and hour" },
      heat(week),
    ),
    table: () => ({
      columns: ["Hour", ...WEEK],
      rows: HOURS.map((hour, i) => [hour, ...week.map((line) => int(line[i] ?? 0))]),
    }),
  });
}

/** @param {number[][]} week */
function heat(week) {
  const most = Math.max(1, ...week.flat());
  const shade = (/** @type {number} */ n) => (n ? Math.min(SHADES, 1 + Math.floor((n / most) * (SHADES - 0.001))) : 0);
  const hours = HOURS.map((hour, i) =>
    h("th", { scope: "col" }, i % 6 === 0 ? hour : h("span", { class: "sr" }, hour)),
  );
  return h(
    "table",
    { class: "heat" },
    h("caption", { class: "sr" }, "Uses by weekday and hour"),
    h("thead", null, h("tr", null, h("td"), hours)),
    h(
      "tbody",
      null,
      week.map((line, day) =>
        h(
          "tr",
          null,
          h("th", { scope: "row" }, WEEK[day]),
          line.map((n, hour) =>
            h(
              "td",
              { class: `q${shade(n)}`, title: `${WEEK[day]} ${HOURS[hour]}:00 · ${plural(n, "use")}` },
              h("span", { class: "sr" }, n),
            ),
          ),
        ),
      ),
    ),
  );
}
