// Groups: how many are active, what they use, and what nobody can know; sessions and ratings where there are any.

import { chart, colour, timeOption, timeTable } from "../charts.js";
import { h } from "../elements.js";
import { grouped, ofProduct, steps, total, values } from "../figures.js";
import { grid } from "../grid.js";
import { bar, beside, blank, mono, none, panel, title } from "../parts.js";
import { ofChosenProduct, rowsIfAny } from "../reports.js";
import { get, toFeature } from "../state.js";
import { DASH, day, groupWord, int, pct, plural, span } from "../words.js";

/** @typedef {import("../reports.js").Row} Row */
/** @typedef {import("../shell.js").Context} Context */
/** @typedef {import("../state.js").Range} Range */

const STARS = [5, 4, 3, 2, 1];

/** @param {Context} context */
export async function groups(context) {
  const { now, features, marks: marked } = context;
  const days = daily(now);
  const [active, weeks, began, lengths, most, ratings] = await Promise.all([
    rowsIfAny("groups", { range: days, where: ofChosenProduct() }), rowsIfAny("groups", { range: days, by: ["week"], where: ofChosenProduct() }),
    rowsIfAny("sessions", { range: days, by: ["day", "service"] }), rowsIfAny("session_length", { range: days, by: ["length"] }),
    rowsIfAny("concurrent", { by: ["day"] }), rowsIfAny("ratings", { range: days, by: ["prompt", "version"] }),
  ]);
  const attributes = [...new Set(active.map((row) => row.attribute))];
  const listed = ofProduct(features, get("product"));
  const head = heading(active, attributes);
  const panels = [...attributes.map((attribute) => course(attribute, active.filter((row) => row.attribute === attribute), days, marked)),
    ...adopted(listed), ...weekly(weeks), ...sessions(began, days, marked), ...lengthsPanel(lengths), ...concurrent(most), ...rated(ratings), unknowable(attributes)];
  return [head, attributes.length || began.length || ratings.length ? null : blank("No group is counted", h("p", null, "Groups are values of hashed attributes, such as a guild, counted six hours after the end of a day. None is declared, none was sent, or no day has ended yet.")),
    ...beside(panels)];
}

/** Groups are counted by whole days, whatever is chosen. @param {Range} now @returns {Range} */
function daily(now) {
  if (now.unit === "day") return now;
  const since = Math.floor(now.since / 864e5) * 864e5;
  return { since, until: now.until, unit: "day", times: [since, since + 864e5].filter((at) => at < now.until) };
}

/** @param {Row[]} active @param {string[]} attributes */
function heading(active, attributes) {
  const said = attributes.flatMap((attribute) => {
    const known = active.filter((row) => row.attribute === attribute && row.active !== null);
    const last = known[known.length - 1];
    return last ? [`${plural(last.active, groupWord(attribute, false), groupWord(attribute))} on ${day(last.day)}`] : [];
  });
  const words = attributes.map((each) => groupWord(each));
  return title(said.length ? `${said.join(", ")}.` : "No group is known.", `${words.length ? `Groups are ${words.join(" and ")}, counted by hashes` : "Groups are counted by hashes"}. Persons are not counted at all.`);
}

/** @param {string} attribute @param {Row[]} mine @param {Range} days @param {import("../charts.js").Mark[]} marked */
function course(attribute, mine, days, marked) {
  const word = groupWord(attribute);
  const name = `${word[0]?.toUpperCase()}${word.slice(1)}`;
  const data = values(mine, days, "active");
  const gaps = [...new Set(mine.filter((row) => row.active === null && row.reason).map((row) => row.reason))];
  return panel({ title: name, note: `distinct a day, closed days${gaps.length ? `; gaps: ${gaps.join(", ")}` : ""}`,
    body: chart(`${name} a day`, "m", () => timeOption({ range: days, series: [{ name: word, data, color: colour("series"), area: 0.1 }], marks: marked })), table: timeTable(days, [name], [data]) });
}

/** @param {Row[]} listed */
function adopted(listed) {
  const known = listed.filter((each) => each.adoption !== null).sort((a, b) => b.adoption - a.adoption);
  if (!known.length) return [];
  return [panel({ title: "Adoption", note: "share of the groups that used the product, last week that is counted",
    body: h("ul", { class: "ranks adopted" }, known.slice(0, 15).map((each) => h("li", null, h("span", { class: "who" }, h("a", { href: toFeature(each.event) }, each.title)), bar(each.adoption), h("span", { class: "num" }, pct(each.adoption, each.adoption < 0.01 ? 1 : 0))))),
    table: () => ({ columns: ["Feature", "Adoption"], rows: known.map((each) => [each.title, pct(each.adoption, 1)]) }) })];
}

/** @param {Row[]} weeks */
function weekly(weeks) {
  const known = weeks.filter((row) => row.active !== null);
  if (!known.length) return [];
  return [panel({ title: "By week", note: "where the hash lasts for a week", body: grid({ caption: "Groups by week", key: "ws", sort: "-week", rows: known, columns: [
    { key: "week", label: "Week from", cell: (row) => day(row.week) }, { key: "attribute", label: "Groups", cell: (row) => groupWord(row.attribute) }, { key: "active", label: "Active", num: true, cell: (row) => int(row.active) }] }).el })];
}

/** @param {Row[]} began @param {Range} days @param {import("../charts.js").Mark[]} marked */
function sessions(began, days, marked) {
  if (!began.some((row) => row.sessions)) return [];
  const services = [...grouped(began, "service").keys()].slice(0, 4);
  const of = (/** @type {string} */ column) => steps(began, days).map((step) => total(step, column));
  const tones = ["series", "series-2", "series-3", "before"];
  const active = services.map((service) => values(began.filter((row) => (row.service ?? "") === service), days, "daily_active"));
  const mean = total(began, "sessions") ? (total(began, "seconds") / total(began, "sessions")) * 1000 : 0;
  return [panel({ title: "Sessions", note: `by the day on which they began; ${plural(total(began, "sessions"), "session")}, ${span(mean)} each on average`, body: chart("Sessions a day", "m", () => timeOption({ range: days, series: [{ name: "sessions", type: "bar", data: of("sessions"), color: colour("series") }], marks: marked })), table: timeTable(days, ["Sessions", "Ended"], [of("sessions"), of("ended")]) }),
    panel({ title: "Daily active", note: "installations that opened and did one other thing", body: chart("Daily active installations", "m", () => timeOption({ range: days, series: services.map((service, i) => ({ name: service || "no service", data: active[i] ?? [], color: colour(tones[i] ?? "series"), label: colour("ink-2"), end: services.length > 1 ? service || "no service" : undefined })), marks: marked })), table: timeTable(days, services.map((each) => each || "no service"), active) })];
}

/** @param {Row[]} lengths */
function lengthsPanel(lengths) {
  const most = Math.max(1, ...lengths.map((row) => row.sessions));
  if (!lengths.length) return [];
  return [panel({ title: "How long sessions took", note: "hours:minutes:seconds; those that have ended", body: h("ul", { class: "ranks" }, lengths.map((row) => h("li", null, h("span", { class: "who" }, row.length), bar(row.sessions / most), h("span", { class: "num" }, int(row.sessions))))), table: () => ({ columns: ["Length", "Sessions"], rows: lengths.map((row) => [row.length, int(row.sessions)]) }) })];
}

/** @param {Row[]} most */
function concurrent(most) {
  if (!most.some((row) => row.most)) return [];
  const times = most.map((row) => Date.parse(row.day));
  const range = /** @type {Range} */ ({ since: times[0] ?? 0, until: Date.now(), unit: "day", times });
  const data = most.map((row) => row.most);
  return [panel({ title: "At the same time", note: "the most sessions open at once, a day", body: chart("The most sessions open at once", "m", () => timeOption({ range, series: [{ name: "at once", type: "bar", data, color: colour("series") }] })), table: timeTable(range, ["At once"], [data]) })];
}

/** @param {Row[]} ratings */
function rated(ratings) {
  if (!ratings.length) return [];
  const stars = (/** @type {Row} */ row) => String(row.stars_1_to_5).split(" ").map(Number);
  return [panel({ title: "Ratings", note: "of prompts, 1 to 5 stars; fewer than five are not shown", cls: "inventory", body: grid({ caption: "Ratings", key: "qs", sort: "-ratings", rows: ratings, columns: [
    { key: "prompt", label: "Prompt", cell: (row) => mono(String(row.prompt).slice(0, 24)) }, { key: "version", label: "Version", cell: (row) => row.version ?? none(DASH) },
    { key: "ratings", label: "Ratings", num: true, cell: (row) => int(row.ratings) }, { key: "average", label: "Average", num: true, cell: (row) => (row.average === null ? none(DASH) : row.average.toFixed(2)) },
    { key: "stars_1_to_5", label: "5, 4, 3, 2, 1 stars", num: true, sort: false, cls: "wide-only", cell: (row) => STARS.map((star) => int(stars(row)[star - 1] ?? 0)).join(" · ") }] }).el })];
}

/** @param {string[]} attributes */
function unknowable(attributes) {
  const word = attributes[0] ? groupWord(attributes[0], false) : "group";
  return panel({ title: "What nobody can know from this", body: h("ul", { class: "prose" }, h("li", null, h("b", null, "Who they are."), " A group is a hash; the key it was made with is destroyed."),
    h("li", null, h("b", null, `Whether a ${word} came back after its hash ended.`), " It has another one then, so there is no figure for a longer time, and none is guessed."), h("li", null, h("b", null, "Anything about fewer than five."), " Small groups are not shown.")) });
}
