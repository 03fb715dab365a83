// Trust: what of all that happened is stored, what was lost and why.

import { h } from "../elements.js";
import { completeness, ofCounted, steps, sum, total } from "../figures.js";
import { beside, panel, title } from "../parts.js";
import { rows, rowsIfAny } from "../reports.js";
import { periodName } from "../state.js";
import { complete, day, int } from "../words.js";
import { passedOn } from "./backends.js";
import { housekeeping, privacy } from "./inforce.js";
import { door, least, lossesPanel, notStored } from "./losses.js";

/** @typedef {import("../reports.js").Row} Row */

/** @typedef {import("../shell.js").Context} Context */

/** @typedef {import("../state.js").Range} Range */

const DAY = 864e5;

/** @param {Context} context */
export async function trust(context) {
  const { now } = context;
  const days = daily(now);
  const [byDay, byEvent, losses, refused, kept, tasks, backends, attributes] = await Promise.all([
    rows("completeness", { range: days, by: ["day"] }),
    rows("completeness", { range: days, by: ["event"] }),
    rows("losses", { range: days, by: ["day", "signal", "reason"] }),
    rows("refused", { range: days, by: ["signal", "reason"] }),
    rows("retention"),
    rowsIfAny("housekeeping"),
    rowsIfAny("backends"),
    rowsIfAny("attributes"),
  ]);
  const missing = steps(byDay, days).map(([row]) => (row?.emitted ? completeness([row]).missing : null));
  return [
    heading(context, missing, days),
    way(byDay, losses, refused),
    h("div", { class: "row two-one" }, notStored(missing, days), least(byEvent, context)),
    lossesPanel(losses, days),
    ...beside([...passedOn(backends), ...door(refused)]),
    ...beside([...housekeeping(tasks), privacy(context, kept, attributes)]),
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
