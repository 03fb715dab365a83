// Trust: what of all that happened is stored, what was lost and why, what keeps the store in shape.

import { h } from "../elements.js";
import { completeness, ofCounted, steps, sum, total } from "../figures.js";
import { grid } from "../grid.js";
import { beside, none, panel, tag, title } from "../parts.js";
import { rows, rowsIfAny } from "../reports.js";
import { link, periodName } from "../state.js";
import { ago, complete, DASH, day, int, plural, span, spoken } from "../words.js";
import { passedOn } from "./backends.js";
import { door, least, lossesPanel, notStored } from "./losses.js";

/** @typedef {import("../reports.js").Row} Row */

/** @typedef {import("../shell.js").Context} Context */

/** @typedef {import("../state.js").Range} Range */

const DAY = 864e5;

/** @param {Context} context */
export async function trust(context) {
  const { now } = context;
  const days = daily(now);
  const [byDay, byEvent, losses, refused, kept, tasks, backends] = await Promise.all([
    rows("completeness", { range: days, by: ["day"] }),
    rows("completeness", { range: days, by: ["event"] }),
    rows("losses", { range: days, by: ["day", "signal", "reason"] }),
    rows("refused", { range: days, by: ["signal", "reason"] }),
    rows("retention"),
    rowsIfAny("housekeeping"),
    rowsIfAny("backends"),
  ]);
  const missing = steps(byDay, days).map(([row]) => (row?.emitted ? completeness([row]).missing : null));
  return [
    heading(context, missing, days),
    way(byDay, losses, refused),
    h("div", { class: "row two-one" }, notStored(missing, days), least(byEvent, context)),
    lossesPanel(losses, days),
    ...beside([...passedOn(backends), privacy(context, kept)]),
    ...beside([...door(refused), ...housekeeping(tasks)]),
  ];
}

/** What is kept by days is asked by whole ones. @param {Range} now @returns {Range} */
const daily = (now) =>
  now.unit === "day"
    ? now
    : {
        since: Math.floor(now.since / DAY) * DAY,
        until: now.until,
        unit: "day",
        times: [Math.floor(now.since / DAY) * DAY, Math.floor(now.until / DAY) * DAY],
      };

/**
 * The figure of all that is kept, as at the foot.
 *
 * @param {Context} context
 * @param {(number | null)[]} missing
 * @param {Range} days
 */
function heading({ state }, missing, days) {
  const whole = completeness([state.complete]);
  if (whole.share === null)
    return title(
      "How complete it is is unknown.",
      "No sender keeps a tally: Footfall’s own SDK does, others may be as complete.",
    );
  const worst = missing.indexOf(Math.max(...missing.map((n) => n ?? 0)));
  const lost = sum(missing.map((n) => n ?? 0));
  const isMost = lost > 0 && (missing[worst] ?? 0) > lost / 2;
  const most = isMost ? ` Of what is missing in ${periodName()}, most is from ${day(days.times[worst] ?? 0)}.` : "";
  return title(
    `${complete(whole.share)} of what was counted is stored.`,
    `Of all that is kept${whole.untallied ? `, ${ofCounted(whole)}; of the rest it is unknown` : ""}.${most}`,
  );
}

/** @param {Row[]} byDay @param {Row[]} losses @param {Row[]} refused */
function way(byDay, losses, refused) {
  const { emitted, stored, untallied, missing, share } = completeness(byDay);
  const at = (/** @type {string[]} */ signals) =>
    sum(losses.filter((row) => signals.includes(row.signal)).map((row) => row.count));
  const [sdk, backend] = [at(["sdk"]), at(["subscriber"])];
  const door = sum(losses.map((row) => row.count)) - sdk - backend;
  const toLosses = (/** @type {string} */ text) => h("a", { href: "#losses" }, text);
  const stage = (
    /** @type {string} */ name,
    /** @type {number} */ value,
    /** @type {string} */ note,
    /** @type {import("../elements.js").Kid} */ out,
    cls = "",
  ) =>
    h(
      "li",
      { class: cls },
      h("span", { class: "stage" }, name),
      h("b", { class: "num" }, int(value)),
      h("span", { class: "muted" }, note),
      out ? h("span", { class: "out" }, out) : null,
    );
  return panel({
    title: "The way of an event",
    note: `last ${periodName()}`,
    body: h(
      "ol",
      { class: "flow" },
      stage(
        "Counted in the applications",
        emitted,
        "by the SDKs’ own tally",
        sdk ? toLosses(`${int(sdk)} could not be sent in full`) : "nothing was lost there",
      ),
      stage(
        "Stored, once",
        stored,
        emitted ? `${complete(share)} of what was counted` : "of senders that keep a tally",
        `${emitted ? `${int(missing)} missing` : ""}${emitted && untallied ? "; " : ""}${untallied ? `${int(untallied)} more from senders without a tally` : ""}`,
        "strong",
      ),
      stage(
        "Not let in",
        door,
        "undeclared, expired, out of time",
        door ? toLosses("each by its reason") : null,
        "aside",
      ),
      stage("Not taken at the door", total(refused, "requests"), "requests; senders may come again", null, "aside"),
    ),
  });
}

/** @param {Context} context @param {Row[]} kept */
function privacy({ features }, kept) {
  const long = (/** @type {string} */ text) =>
    text.replace(/ 0?(\d+):00:00$/, (_, hours) => ` and ${plural(Number(hours), "hour")}`);
  const what = (/** @type {Row} */ row) =>
    `${row.what}${row.product ? ` of ${row.product}` : ""}${row.environment ? ` in ${row.environment}` : ""}`;
  return panel({
    title: "Privacy in force",
    body: h(
      "dl",
      { class: "facts" },
      h(
        "div",
        null,
        h("dt", null, "Let through"),
        h("dd", null, h("a", { href: link("catalog") }, plural(features.length, "declared event")), "; nothing else"),
      ),
      h(
        "div",
        null,
        h("dt", null, "Never stored"),
        h("dd", null, "names, ids, addresses, messages, arguments, user agents, stack traces"),
      ),
      h(
        "div",
        null,
        h("dt", null, "Kept"),
        h(
          "dd",
          null,
          h(
            "ul",
            { class: "plain-list" },
            kept.map((row) => h("li", null, `${what(row)}: ${long(row.kept)}`)),
          ),
        ),
      ),
    ),
  });
}

/** @param {Row[]} tasks */
function housekeeping(tasks) {
  if (!tasks.length) return [];
  const bad = tasks.filter((row) => row.failing || row.overdue);
  const state = (/** @type {Row} */ row) =>
    row.failing ? tag("worse", "Failed") : row.overdue ? tag("expiring", "Overdue") : tag("good", "On time");
  return [
    panel({
      title: "Housekeeping",
      note: bad.length ? `${plural(bad.length, "task")} behind` : `${plural(tasks.length, "task")}, all on time`,
      body: grid({
        caption: "Housekeeping",
        key: "hs",
        sort: "task",
        rows: tasks,
        columns: [
          { key: "task", label: "Task", cls: "feature", cell: (row) => spoken(row.task) },
          {
            key: "state",
            label: "State",
            cls: "verdict",
            sort: (row) => Number(!row.failing) + Number(!row.overdue),
            cell: state,
          },
          { key: "every_s", label: "Every", num: true, cls: "wide-only", cell: (row) => span(row.every_s * 1000) },
          {
            key: "last_run",
            label: "Last run",
            num: true,
            cls: "uses",
            cell: (row) => (row.last_run ? ago(row.last_run) : none("never")),
          },
          {
            key: "outcome",
            label: "Did",
            sort: false,
            cls: "wide-only wrap",
            cell: (row) => row.outcome ?? none(DASH),
          },
        ],
      }).el,
    }),
  ];
}
