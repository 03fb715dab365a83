// Keys and words, as `?` shows them.

import { $, h } from "./elements.js";
import { chip } from "./parts.js";
import { NAV } from "./shell.js";
import { VERDICTS } from "./words.js";

export const openHelp = () => /** @type {HTMLDialogElement | null} */ ($("#help"))?.showModal();

/** @type {[string, string][]} */
const KEYS = [
  ["/", "search"],
  ["j  k", "next, previous row"],
  ["Enter", "open the row"],
  ["u", "back to the overview"],
  ["?", "this"],
];

/** @type {[string, string][]} */
const WORDS = [
  [
    "Use",
    "Something declared happened and ended, well or badly. Exact: every use is counted, also those that were sampled out.",
  ],
  ["Failed", "Of what ended as a success or a failure, the share that did not end well."],
  ["p95", "95 of 100 uses were faster than this."],
  ["Adoption", "Share of the groups that used the product which used the feature."],
  ["Complete", "Stored uses, as a share of those the applications say they counted."],
  ["Beyond chance", "A test says so, at most one time in twenty without cause. The page decides nothing itself."],
];

/** Keys and words. */
export function help() {
  const keys = [...KEYS, ...NAV.map(([, name, key]) => /** @type {[string, string]} */ ([`g ${key}`, name]))];
  return h(
    "dialog",
    { id: "help", "aria-labelledby": "help-title" },
    h(
      "form",
      { method: "dialog", class: "dialog-head" },
      h("h2", { id: "help-title" }, "Keys and words"),
      h("button", { class: "quiet", value: "close" }, "Close"),
    ),
    h(
      "div",
      { class: "help" },
      h(
        "dl",
        { class: "keys" },
        keys.map(([key, text]) =>
          h(
            "div",
            null,
            h(
              "dt",
              null,
              key.split(/\s+/).map((each) => h("kbd", null, each)),
            ),
            h("dd", null, text),
          ),
        ),
      ),
      h(
        "dl",
        { class: "words" },
        WORDS.map(([word, text]) => h("div", null, h("dt", null, word), h("dd", null, text))),
        Object.entries(VERDICTS).map(([verdict, [, , text]]) =>
          h("div", null, h("dt", null, chip(verdict)), h("dd", null, text)),
        ),
      ),
    ),
  );
}
