// What is counted of whoever is logged in: counts of 7 and 30 days, and of what was shown the share that was accepted,
// skipped, edited or undone. Text is text: no HTML is made of anything that is asked for.

/** @typedef {{ok: true, days: number, counts: Record<string, number>}} Summary */
/** @typedef {{stem: string, rates: {name: string, event: string}[], shown: string}} Family */

const PERIODS = [7, 30];
/** @type {[string, string][]} How an event of a family ends, and what its rate is called. */
const RATES = [["accepted", "Accept"], ["skipped", "Skip"], ["edited", "Edit"], ["undo", "Undo"]];
const DASH = "\u2013";
/** @type {Record<string, string>} What is to be done, by what the collector says. */
const ADVICE = {
  no_viewer: "Nobody is logged in. Log in to this site, then open this page again.",
  telemetry_disabled: "Telemetry is off: the collector has receivers.http_api.enabled: false.",
  unavailable: "The collector cannot be asked. Is it running, and does it take this site's key?",
};

/** Why there are no figures. */
class NoSummary extends Error {}

/** @param {string} endpoint @param {number} days @returns {Promise<Summary>} */
async function summary(endpoint, days) {
  const answer = await fetch(`${endpoint}?days=${days}`, { headers: { accept: "application/json" }, cache: "no-store" }).catch(() => null);
  if (answer === null) throw new NoSummary("This site does not answer.");
  const said = await answer.json().catch(() => ({}));
  if (answer.ok && said.ok === true) return said;
  throw new NoSummary(ADVICE[said.error] ?? String(said.message ?? `${endpoint} answered ${answer.status}.`));
}

/** Events that say what became of what was shown, such as suggestion_shown and suggestion_accepted. @param {string[]} events @returns {Family[]} */
function families(events) {
  return events.filter((event) => /[._]shown$/.test(event)).flatMap((shown) => {
    const stem = shown.slice(0, -"shown".length);
    const rates = RATES.map(([end, name]) => ({ name, event: stem + end })).filter(({ event }) => events.includes(event));
    return rates.length ? [{ stem: stem.slice(0, -1), rates, shown }] : [];
  });
}

/** A share of what was shown; of nothing there is none. @param {number} part @param {number} whole */
const share = (part, whole) => (whole ? new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 }).format(part / whole) : DASH);

/** @param {string} name @param {string} [text] @param {Record<string, string>} [attributes] */
function element(name, text = "", attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** @param {string} caption @param {string} first @param {[string, string[]][]} rows */
function table(caption, first, rows) {
  const made = element("table");
  const head = element("tr");
  head.append(element("th", first, { scope: "col" }), ...PERIODS.map((days) => element("th", `${days} days`, { scope: "col" })));
  const thead = element("thead");
  thead.append(head);
  const body = element("tbody");
  for (const [name, cells] of rows) {
    const row = element("tr");
    row.append(element("th", name, { scope: "row" }), ...cells.map((cell) => element("td", cell)));
    body.append(row);
  }
  made.append(element("caption", caption), thead, body);
  return made;
}

/** @param {Summary[]} periods */
function drawn(periods) {
  const events = Object.keys(periods[0]?.counts ?? {});
  const count = (/** @type {Summary} */ of, /** @type {string} */ event) => of.counts[event] ?? 0;
  const rates = families(events).map(({ stem, rates: each, shown }) => {
    const rows = each.map(({ name, event }) => /** @type {[string, string[]]} */ ([name, periods.map((of) => share(count(of, event), count(of, shown)))]));
    return table(`${stem}: of what was shown`, "Rate", rows);
  });
  const counts = events.map((event) => /** @type {[string, string[]]} */ ([event, periods.map((of) => count(of, event).toLocaleString("en"))]));
  return [...(rates.length ? [element("h2", "Rates"), ...rates] : []), element("h2", "Counts"), table("How often each event was", "Event", counts)];
}

/** What there is to say where nothing is counted. @param {Summary[]} periods */
function emptiness(periods) {
  const longest = periods[periods.length - 1];
  if (!longest || !Object.keys(longest.counts).length) return "No event of the catalog is counted by viewer: give one the attribute of viewers (receivers.http_api.attributes.viewer), with a hash.";
  return Object.values(longest.counts).some(Boolean) ? "" : "Nothing was counted of you in 30 days. Use the site, then open this page again.";
}

async function main() {
  const said = /** @type {HTMLElement} */ (document.getElementById("said"));
  try {
    const periods = await Promise.all(PERIODS.map((days) => summary(document.body.dataset.endpoint ?? "", days)));
    said.textContent = emptiness(periods);
    if (Object.keys(periods[0]?.counts ?? {}).length) document.getElementById("figures")?.append(...drawn(periods));
  } catch (error) {
    said.textContent = error instanceof NoSummary ? error.message : "This page is broken: see the console.";
    if (!(error instanceof NoSummary)) console.error(error);
  }
  document.documentElement.dataset.ready = "yes";
}

main();
