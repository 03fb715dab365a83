// Trust: which privacy is in force, and the tasks that keep it and the store in shape.

import { h } from "../elements.js";
import { grouped } from "../figures.js";
import { grid } from "../grid.js";
import { none, panel, tag } from "../parts.js";
import { link } from "../state.js";
import { ago, DASH, plural, span, spoken } from "../words.js";

/** @typedef {import("../reports.js").Row} Row */

/** @typedef {import("../shell.js").Context} Context */

/** @type {Record<string, string>} */
const TASKS = {
  brin: "Index new rows",
  groups: "Count distinct groups",
  indexes: "Index days for summaries",
  inventory: "Judge each feature",
  latency: "Add up durations and days",
  partitions: "Make the next days",
  published: "Publish settled days",
  rates: "Forget minutes of limits",
  releases: "Compare versions",
  retention: "Drop old days",
  salts: "Make and destroy salts",
  sessions: "Follow and end sessions",
  subscribers: "Look after backends",
  writers: "End stuck writers",
};

/** @type {Record<string, string>} */
const LASTS = {
  daily: "another one every day",
  weekly: "another one every week",
  monthly: "another one every month",
  static: "the same for as long as it is stored",
};

/** @param {Context} context @param {Row[]} kept @param {Row[]} attributes */
export function privacy({ features }, kept, attributes) {
  const hashed = grouped(
    attributes.filter((row) => row.lasts),
    "attribute",
  );
  const texts = new Set(attributes.filter((row) => row.holds === "text").map((row) => row.attribute));
  const toCatalog = (/** @type {string} */ text) => h("a", { href: link("catalog") }, text);
  return panel({
    title: "Privacy in force",
    body: h(
      "dl",
      { class: "facts" },
      fact("Let through", toCatalog(plural(features.length, "declared event")), "; nothing else"),
      fact("Never stored", "names, ids, addresses, messages, arguments, user agents, stack traces"),
      hashed.size
        ? fact("Hashed", listed([...hashed].map(([name, of]) => `${spoken(name)}: ${lasting(of)}`)))
        : null,
      texts.size ? fact("Free text", toCatalog(plural(texts.size, "attribute")), ", redacted") : null,
      fact("Kept", listed(terms(kept))),
    ),
  });
}

/** Of one attribute, which another event or product may declare otherwise. @param {Row[]} of */
const lasting = (of) => [...new Set(of.map((row) => LASTS[row.lasts] ?? row.lasts))].join(", or ");

/** @param {string} name @param {import("../elements.js").Kid[]} said */
const fact = (name, ...said) => h("div", null, h("dt", null, name), h("dd", null, said));

/** @param {string[]} texts */
const listed = (texts) =>
  h(
    "ul",
    { class: "plain-list" },
    texts.map((text) => h("li", null, text)),
  );

/** What is kept for how long, what goes first first. @param {Row[]} kept */
function terms(kept) {
  const long = (/** @type {string} */ text) =>
    text.replace(/ 0?(\d+):00:00$/, (_, hours) => ` and ${plural(Number(hours), "hour")}`);
  const what = (/** @type {Row} */ row) =>
    `${row.what}${row.product ? ` of ${row.product}` : ""}${row.environment ? ` in ${row.environment}` : ""}`;
  return [...grouped(kept, "kept")]
    .sort(([one], [other]) => parseInt(one, 10) - parseInt(other, 10))
    .map(([text, of]) => `${long(text)}: ${of.map(what).join(", ")}`);
}

/** @param {Row} row */
const named = (row) => TASKS[row.task] ?? spoken(row.task);

/** @param {Row[]} tasks */
export function housekeeping(tasks) {
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
        sort: bad.length ? "state" : "task",
        rows: tasks,
        columns: [
          {
            key: "task",
            label: "Task",
            cls: "feature",
            sort: named,
            cell: (row) => h("span", { title: row.task }, named(row)),
          },
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
