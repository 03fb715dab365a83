// Sessions and ratings, where a product has them.

import { colour, timeOption, timeTable } from "../charts.js";
import { chart } from "../drawing.js";
import { h } from "../elements.js";
import { grouped, steps, total, values } from "../figures.js";
import { grid } from "../grid.js";
import { bar } from "../bars.js";
import { mono, none, panel } from "../parts.js";
import { DASH, int, plural, span } from "../words.js";

/** @typedef {import("../reports.js").Row} Row */

/** @typedef {import("../state.js").Range} Range */

const STARS = [5, 4, 3, 2, 1];

/** Groups are counted by whole days, whatever is chosen. @param {Range} now @returns {Range} */
export function daily(now) {
  if (now.unit === "day") return now;
  const since = Math.floor(now.since / 864e5) * 864e5;
  return { since, until: now.until, unit: "day", times: [since, since + 864e5].filter((at) => at < now.until) };
}

/** @param {Row[]} began @param {Range} days @param {import("../charts.js").Mark[]} marked */
export function sessions(began, days, marked) {
  if (!began.some((row) => row.sessions)) return [];
  const services = [...grouped(began, "service").keys()].slice(0, 4);
  const of = (/** @type {string} */ column) => steps(began, days).map((step) => total(step, column));
  const tones = ["series", "series-2", "series-3", "before"];
  const active = services.map((service) =>
    values(
      began.filter((row) => (row.service ?? "") === service),
      days,
      "daily_active",
    ),
  );
  const mean = total(began, "sessions") ? (total(began, "seconds") / total(began, "sessions")) * 1000 : 0;
  return [
    panel({
      title: "Sessions",
      note: `by the day on which they began; ${plural(total(began, "sessions"), "session")}, ${span(mean)} each on average`,
      body: chart("Sessions a day", "m", () =>
        timeOption({
          range: days,
          series: [{ name: "sessions", type: "bar", data: of("sessions"), color: colour("series") }],
          marks: marked,
        }),
      ),
      table: timeTable(days, ["Sessions", "Ended"], [of("sessions"), of("ended")]),
    }),
    panel({
      title: "Daily active",
      note: "installations that opened and did one other thing",
      body: chart("Daily active installations", "m", () =>
        timeOption({
          range: days,
          series: services.map((service, i) => ({
            name: service || "no service",
            data: active[i] ?? [],
            color: colour(tones[i] ?? "series"),
            label: colour("ink-2"),
            end: services.length > 1 ? service || "no service" : undefined,
          })),
          marks: marked,
        }),
      ),
      table: timeTable(
        days,
        services.map((each) => each || "no service"),
        active,
      ),
    }),
  ];
}

/** @param {Row[]} lengths */
export function lengthsPanel(lengths) {
  const most = Math.max(1, ...lengths.map((row) => row.sessions));
  if (!lengths.length) return [];
  return [
    panel({
      title: "How long sessions took",
      note: "hours:minutes:seconds; those that have ended",
      body: h(
        "ul",
        { class: "ranks" },
        lengths.map((row) =>
          h(
            "li",
            null,
            h("span", { class: "who" }, row.length),
            bar(row.sessions / most),
            h("span", { class: "num" }, int(row.sessions)),
          ),
        ),
      ),
      table: () => ({ columns: ["Length", "Sessions"], rows: lengths.map((row) => [row.length, int(row.sessions)]) }),
    }),
  ];
}

/** @param {Row[]} most */
export function concurrent(most) {
  if (!most.some((row) => row.most)) return [];
  const times = most.map((row) => Date.parse(row.day));
  const range = /** @type {Range} */ ({ since: times[0] ?? 0, until: Date.now(), unit: "day", times });
  const data = most.map((row) => row.most);
  return [
    panel({
      title: "At the same time",
      note: "the most sessions open at once, a day",
      body: chart("The most sessions open at once", "m", () =>
        timeOption({ range, series: [{ name: "at once", type: "bar", data, color: colour("series") }] }),
      ),
      table: timeTable(range, ["At once"], [data]),
    }),
  ];
}

/** @param {Row[]} ratings */
export function rated(ratings) {
  if (!ratings.length) return [];
  const stars = (/** @type {Row} */ row) => String(row.stars_1_to_5).split(" ").map(Number);
  return [
    panel({
      title: "Ratings",
      note: "of prompts, 1 to 5 stars; fewer than five are not shown",
      cls: "inventory",
      body: grid({
        caption: "Ratings",
        key: "qs",
        sort: "-ratings",
        rows: ratings,
        columns: [
          { key: "prompt", label: "Prompt", cell: (row) => mono(String(row.prompt).slice(0, 24)) },
          { key: "version", label: "Version", cell: (row) => row.version ?? none(DASH) },
          { key: "ratings", label: "Ratings", num: true, cell: (row) => int(row.ratings) },
          {
            key: "average",
            label: "Average",
            num: true,
            cell: (row) => (row.average === null ? none(DASH) : row.average.toFixed(2)),
          },
          {
            key: "stars_1_to_5",
            label: "5, 4, 3, 2, 1 stars",
            num: true,
            sort: false,
            cls: "wide-only",
            cell: (row) => STARS.map((star) => int(stars(row)[star - 1] ?? 0)).join(" · "),
          },
        ],
      }).el,
    }),
  ];
}
