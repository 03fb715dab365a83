// The page before the first event: three steps, and a look now and then whether it has come.

import { h } from "../elements.js";
import { mono, title } from "../parts.js";
import { fetched } from "../reports.js";
import { link } from "../state.js";
import { plural } from "../words.js";

const LOOK_AGAIN = 5000;
const YAML = `product: mybot
attributes:
  # only a hash is kept, for a day
  guild_id: {type: string, hash: daily}
events:
  discord.generator:
    surface: discord
    feature: generator
    attributes: [guild_id]
    owner: bot-team
`;
const PYTHON = `import footfall

footfall.configure(catalog="events.yaml")

@footfall.feature("discord.generator")
async def generate(): ...
`;
const CURL = `curl http://127.0.0.1:4318/v1/logs \\
  -H 'content-type: application/json' -d '
{"resourceLogs": [{"scopeLogs": [{"logRecords": [
  {"eventName": "discord.generator",
   "timeUnixNano": "'$(date +%s)'000000000",
   "attributes": [{"key": "feature.action",
     "value": {"stringValue": "success"}}]}
]}]}]}'
`;

/** @param {import("../shell.js").Context} context */
export async function empty({ features }) {
  const waiting = h(
    "p",
    { class: "waiting", role: "status" },
    h("span", { class: "dot pulse", "aria-hidden": "true" }),
    h("span", null, "Listening. The first event turns this page into your overview."),
  );
  lookAgain(waiting);
  return [
    title(
      "Nothing has arrived yet.",
      "Three steps, about five minutes. Footfall counts which features are used, without knowing by whom.",
    ),
    waiting,
    h(
      "ol",
      { class: "teach" },
      step(
        1,
        "Say what you want to count",
        "events.yaml is the whole of what may be sent and stored; put it beside your code.",
        YAML,
        h(
          "span",
          null,
          "In force now: ",
          h("b", null, plural(features.length, "event")),
          ". Check a change with ",
          mono("footfall validate events.yaml"),
          ".",
        ),
      ),
      step(
        2,
        "Three lines in your application",
        "Start, success, failure and duration come by themselves. A mistake is one warning in the log, never an exception.",
        PYTHON,
        h("span", null, "Start it with ", mono("TELEMETRY_ENABLED=true"), ": without it, nothing is sent."),
      ),
      step(
        3,
        "Or try it without any code",
        "Any OpenTelemetry SDK in any language can send, and so can curl. Use a name that is not declared, and see it refused.",
        CURL,
        h(
          "span",
          null,
          "An empty ",
          mono("{}"),
          " comes back: it is stored. Anything refused is under ",
          h("a", { href: link("trust") }, "Trust"),
          " with its reason.",
        ),
      ),
    ),
    h(
      "section",
      { class: "panel blank", "aria-labelledby": "then" },
      h("h2", { id: "then" }, "What you will see then"),
      h(
        "dl",
        { class: "facts three" },
        [
          ["after the first event", "the feature in the table, and under Live"],
          ["after a day", "a trend, durations, groups"],
          ["after two releases", "what a release broke, and what nobody uses"],
        ].map(([when, what]) => h("div", null, h("dt", null, when), h("dd", null, what))),
      ),
    ),
  ];
}

/** Draws the overview once something is stored. @param {HTMLElement} waiting */
function lookAgain(waiting) {
  setTimeout(async () => {
    if (!waiting.isConnected) return;
    const found = document.visibilityState === "visible" ? await fetched("/api/reports/state").catch(() => null) : null;
    if (found?.freshness.position > 0) location.reload();
    else lookAgain(waiting);
  }, LOOK_AGAIN);
}

/**
 * @param {number} n
 * @param {string} name
 * @param {string} text
 * @param {string} code
 * @param {import("../elements.js").Kid} aside
 */
const step = (n, name, text, code, aside) =>
  h(
    "li",
    { class: "panel" },
    h("span", { class: "n", "aria-hidden": "true" }, n),
    h("div", null, h("h2", null, name), h("p", null, text), copied(code, name), h("p", { class: "muted" }, aside)),
  );

/** @param {string} code @param {string} name */
function copied(code, name) {
  const button = h(
    "button",
    {
      type: "button",
      class: "quiet",
      "aria-label": `Copy: ${name}`,
      onclick: () =>
        navigator.clipboard?.writeText(code).then(() => {
          button.textContent = "Copied";
        }),
    },
    "Copy",
  );
  return h("div", { class: "code" }, h("pre", { tabindex: "0" }, h("code", null, code)), button);
}
