// Groups: how many are active, what they use, and what nobody can know; sessions and ratings where there are any.

import { colour, timeOption, timeTable } from "../charts.js";
import { chart } from "../drawing.js";
import { h } from "../elements.js";
import { ofProduct, values } from "../figures.js";
import { grid } from "../grid.js";
import { bar } from "../bars.js";
import { beside, blank, panel, title } from "../parts.js";
import { ofChosenProduct, rowsIfAny } from "../reports.js";
import { get, toFeature } from "../state.js";
import { day, groupWord, int, pct, plural } from "../words.js";
import { depth } from "./depth.js";
import { concurrent, daily, lengthsPanel, rated, sessions } from "./sessions.js";

/** @typedef {import("../reports.js").Row} Row */

/** @typedef {import("../shell.js").Context} Context */

/** @typedef {import("../state.js").Range} Range */

/** @param {Context} context */
export async function groups(context) {
  const { now, features, marks: marked } = context;
  const days = daily(now);
  const [active, deep, weeks, began, lengths, most, ratings] = await Promise.all([
    rowsIfAny("groups", { range: days, where: ofChosenProduct() }),
    rowsIfAny("depth", { range: days, where: ofChosenProduct() }),
    rowsIfAny("groups", { range: days, by: ["week"], where: ofChosenProduct() }),
    rowsIfAny("sessions", { range: days, by: ["day", "service"] }),
    rowsIfAny("session_length", { range: days, by: ["length"] }),
    rowsIfAny("concurrent", { by: ["day"] }),
    rowsIfAny("ratings", { range: days, by: ["prompt", "version"] }),
  ]);
  const attributes = [...new Set(active.map((row) => row.attribute))];
  const listed = ofProduct(features, get("product"));
  const head = heading(active, attributes);
  const panels = [
    ...attributes.map((attribute) =>
      course(
        attribute,
        active.filter((row) => row.attribute === attribute),
        days,
        marked,
      ),
    ),
    ...attributes.flatMap((attribute) =>
      depth(
        attribute,
        deep.filter((row) => row.attribute === attribute),
        days,
        marked,
      ),
    ),
    ...adopted(listed),
    ...weekly(weeks),
    ...sessions(began, days, marked),
    ...lengthsPanel(lengths),
    ...concurrent(most),
    ...rated(ratings),
    unknowable(attributes),
  ];
  return [
    head,
    attributes.length || began.length || ratings.length
      ? null
      : blank(
          "No group is counted",
          h(
            "p",
            null,
            "Groups are values of hashed attributes, such as a guild, counted six hours after the end of a day. None is declared, none was sent, or no day has ended yet.",
          ),
        ),
    ...beside(panels),
  ];
}

/** @param {Row[]} active @param {string[]} attributes */
function heading(active, attributes) {
  const said = attributes.flatMap((attribute) => {
    const known = active.filter((row) => row.attribute === attribute && row.active !== null);
    const last = known[known.length - 1];
    return last
      ? [`${plural(last.active, groupWord(attribute, false), groupWord(attribute))} on ${day(last.day)}`]
      : [];
  });
  const words = attributes.map((each) => groupWord(each));
  return title(
    said.length ? `${said.join(", ")}.` : "No group is known.",
    `${words.length ? `Groups are ${words.join(" and ")}, counted by hashes` : "Groups are counted by hashes"}. Persons are not counted at all.`,
  );
}

/** @param {string} attribute @param {Row[]} mine @param {Range} days @param {import("../charts.js").Mark[]} marked */
function course(attribute, mine, days, marked) {
  const word = groupWord(attribute);
  const name = `${word[0]?.toUpperCase()}${word.slice(1)}`;
  const data = values(mine, days, "active");
  const gaps = [...new Set(mine.filter((row) => row.active === null && row.reason).map((row) => row.reason))];
  return panel({
    title: name,
    note: `distinct a day, closed days${gaps.length ? `; gaps: ${gaps.join(", ")}` : ""}`,
    body: chart(`${name} a day`, "m", () =>
      timeOption({ range: days, series: [{ name: word, data, color: colour("series"), area: 0.1 }], marks: marked }),
    ),
    table: timeTable(days, [name], [data]),
  });
}

/** @param {Row[]} listed */
function adopted(listed) {
  const known = listed.filter((each) => each.adoption !== null).sort((a, b) => b.adoption - a.adoption);
  if (!known.length) return [];
  return [
    panel({
      title: "Adoption",
      note: "share of the groups that used the product, last week that is counted",
      body: h(
        "ul",
        { class: "ranks adopted" },
        known
          .slice(0, 15)
          .map((each) =>
            h(
              "li",
              null,
              h("span", { class: "who" }, h("a", { href: toFeature(each.event) }, each.title)),
              bar(each.adoption),
              h("span", { class: "num" }, pct(each.adoption, each.adoption < 0.01 ? 1 : 0)),
            ),
          ),
      ),
      table: () => ({
        columns: ["Feature", "Adoption"],
        rows: known.map((each) => [each.title, pct(each.adoption, 1)]),
      }),
    }),
  ];
}

/** @param {Row[]} weeks */
function weekly(weeks) {
  const known = weeks.filter((row) => row.active !== null);
  if (!known.length) return [];
  return [
    panel({
      title: "By week",
      note: "where the hash lasts for a week",
      body: grid({
        caption: "Groups by week",
        key: "ws",
        sort: "-week",
        rows: known,
        columns: [
          { key: "week", label: "Week from", cell: (row) => day(row.week) },
          { key: "attribute", label: "Groups", cell: (row) => groupWord(row.attribute) },
          { key: "active", label: "Active", num: true, cell: (row) => int(row.active) },
        ],
      }).el,
    }),
  ];
}

/** @param {string[]} attributes */
function unknowable(attributes) {
  const word = attributes[0] ? groupWord(attributes[0], false) : "group";
  return panel({
    title: "What nobody can know from this",
    body: h(
      "ul",
      { class: "prose" },
      h("li", null, h("b", null, "Who they are."), " A group is a hash; the key it was made with is destroyed."),
      h(
        "li",
        null,
        h("b", null, `Whether a ${word} came back after its hash ended.`),
        " It has another one then, so there is no figure for a longer time, and none is guessed.",
      ),
      h("li", null, h("b", null, "Anything about fewer than five."), " Small groups are not shown."),
    ),
  });
}
