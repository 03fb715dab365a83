/**
 * The rating of a prompt: one to five stars and a note, offered in a corner of the page and in nobody's way.
 *
 * Importing this module defines the element `<footfall-psr>`. Nothing is sent before the user presses Send. No
 * function throws or waits for the network.
 */

/**
 * @typedef {object} Offer
 * @property {string} promptId What is to be rated.
 * @property {string} [version] Which version of it.
 * @property {"copy" | "duplicate" | "manual" | "other"} [source] What the user has done with it; "copy" when
 *     not given.
 * @property {Partial<Texts>} [texts] What the widget says, where it is not to be English.
 */

/**
 * @typedef {object} Texts
 * @property {string} question
 * @property {(stars: number) => string} stars What a screen reader says of a star.
 * @property {string} note The label of the note.
 * @property {string} hint What stands in the note while it is empty.
 * @property {string} send
 * @property {string} dismiss What a screen reader says of the button that closes.
 * @property {(average?: number | null, total?: number | null) => string} thanks What is said when it has arrived;
 *     average and total are what the server says of the prompt, if it does.
 */

/** @type {Texts} */
const TEXTS = {
  question: "How was this prompt?",
  stars: (stars) => (stars == 1 ? "1 star" : stars + " stars"),
  note: "Note (optional)",
  hint: "No personal details, please",
  send: "Send",
  dismiss: "Dismiss",
  thanks: (average) => "Thank you!" + (average ? ` It has ${average.toFixed(1)} of 5 stars.` : ""),
};
const NOTE = 280; // characters
const WAIT = 5000; // ms for an answer, unless the attribute `timeout` says otherwise; and that the thanks stand
const KEY = "psr:last:";
const STAR = "M12 2.8l2.8 5.9 6.4.9-4.6 4.6 1.1 6.5-5.7-3.1-5.7 3.1 1.1-6.5L2.8 9.6l6.4-.9z";
// A page styles the element itself from outside, and what is in it by the properties --psr-*.
const STYLE = `
:host{--b:var(--psr-background,light-dark(#fff,#1d2129));--f:var(--psr-color,light-dark(#1f2430,#eceef2));
--m:var(--psr-muted,light-dark(#626975,#a3aab6));--l:var(--psr-border,light-dark(#d4d8df,#3d4450));
--a:var(--psr-accent,light-dark(#2f5bd0,#9db8ff));--o:var(--psr-on-accent,light-dark(#fff,#10131a));
--s:var(--psr-star,#fbb924);
position:fixed;inset:auto 1rem 1rem auto;z-index:1000;width:min(20rem,100vw - 2rem);
font:.9375rem/1.4 var(--psr-font,system-ui,sans-serif)}
*{box-sizing:border-box;margin:0;padding:0;border:0;font:inherit;color:inherit}
form,.thanks{background:var(--b);color:var(--f);border:1px solid var(--l);border-radius:var(--psr-radius,12px);
box-shadow:0 8px 24px #0003;padding:1rem}
legend{padding-inline-end:2rem}
legend,.more label,.send{font-weight:600}
.stars{display:flex;margin:.375rem -.375rem -.375rem}
.stars label{padding:.375rem}
input{position:absolute;inset:0;width:100%;height:100%;opacity:0;cursor:pointer}
svg{display:block;width:2.25rem;height:2.25rem;border-radius:8px;fill:none;
stroke:var(--m);stroke-width:1.25;stroke-linejoin:round}
.stars:is(:not(:hover),:has(:focus-visible)) label:is(:has(:checked),:has(~label :checked)) svg,
.stars:not(:has(:focus-visible)) label:is(:hover,:has(~label:hover)) svg{
fill:var(--s);stroke:color-mix(in srgb,var(--s),var(--f) 45%)}
:focus-visible,:focus-visible+svg{outline:2px solid var(--a);outline-offset:2px}
.more{margin-top:1rem;font-size:.8125rem}
textarea{display:block;width:100%;margin:.25rem 0 .75rem;padding:.5rem;font-size:.9375rem;
background:none;border:1px solid var(--m);border-radius:8px}
.end{display:flex;align-items:center;justify-content:space-between;color:var(--m)}
button{border-radius:8px;background:none;cursor:pointer}
.send{padding:.5rem 1rem;background:var(--a);border:1px solid transparent;color:var(--o)}
.stars label,form{position:relative}
.dismiss{position:absolute;top:.625rem;inset-inline-end:.625rem;padding:.375rem}
.dismiss svg{width:1.25rem;height:1.25rem;stroke-linecap:round}
button:hover{opacity:.8}
p:not(.thanks),label span{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
@media (prefers-reduced-motion:no-preference){form,.thanks{animation:in .2s ease-out}
@keyframes in{from{opacity:0;transform:translateY(.5rem)}}}`;

let off = false;
/** @type {Map<string, string>} The day on which this page offered a prompt: storage may be blocked. */
const offered = new Map();
/** @type {CSSStyleSheet | undefined} */
let sheet;

/**
 * Offers a rating in the page's `<footfall-psr>`, or in one that is added at its end.
 * @param {Offer} what
 * @returns {boolean} Whether it is shown: not twice on a day, nor while another prompt is being rated, nor
 *     where the server has answered that there are no ratings.
 */
export function offer(what) {
  try {
    let element = /** @type {Psr | null} */ (document.querySelector("footfall-psr"));
    if (!element) document.body.append((element = new Psr()));
    return element.offer(what);
  } catch {
    return false;
  }
}

// On a server that renders pages there are no elements.
const Element = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? Object);

/**
 * The widget. Its attributes: `endpoint`, where ratings go ("/psr" when not given), and `timeout`, the milliseconds
 * after which one is given up (5000 when not given).
 */
export class Psr extends Element {
  /** @type {HTMLElement | undefined} */
  #card;
  /** @type {HTMLElement | undefined} What screen readers are told, and the thanks. */
  #status;
  /** @type {EventTarget | null | undefined} Where the focus was before it came in here. */
  #from;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #later;

  /** @internal */
  connectedCallback() {
    if (this.#status) return;
    this.#status = make("p", { role: "status" });
    this.attachShadow({ mode: "open" }).append(this.#status);
    this.addEventListener("focusin", (event) => {
      this.#from = event.relatedTarget ?? this.#from;
    });
  }

  /** @internal */
  disconnectedCallback() {
    this.#close();
  }

  /**
   * Offers a rating here.
   * @param {Offer} what
   * @returns {boolean} Whether it is shown.
   */
  offer(what) {
    try {
      if (off || !CSS.supports("color", "light-dark(red,red)")) return false; // browsers of before May 2024
      if (!this.isConnected || this.#card?.querySelector(":checked")) return false;
      if (typeof what.promptId != "string" || !first(what.promptId)) return false;
      this.#close();
      this.#open(what, { ...TEXTS, ...what.texts });
      return true;
    } catch {
      return false;
    }
  }

  /**
   * @param {Offer} what
   * @param {Texts} texts
   */
  #open(what, texts) {
    const [card, more, note, left, send, dismiss] = build(texts);
    more.hidden = true;
    card.onchange = () => (more.hidden = false);
    note.oninput = () => (left.textContent = `${note.value.length}/${NOTE}`);
    dismiss.onclick = () => this.#close();
    send.onclick = (event) => {
      event.preventDefault(); // a policy may forbid forms
      const chosen = /** @type {HTMLInputElement | null} */ (card.querySelector(":checked"));
      if (!chosen) return;
      this.#close();
      this.#send(what, texts, +chosen.value, note.value.slice(0, NOTE).trim());
    };
    const root = /** @type {ShadowRoot} */ (this.shadowRoot);
    if (!sheet) (sheet = new CSSStyleSheet()).replaceSync(STYLE); // a policy may forbid styles in the page
    root.adoptedStyleSheets = [sheet];
    root.prepend((this.#card = card));
    addEventListener("keydown", this.#escape);
    this.#say(texts.question);
  }

  /** @param {KeyboardEvent} event */
  #escape = (event) => {
    if (event.key != "Escape" || event.defaultPrevented || event.isComposing) return;
    if (this.matches(":focus-within")) event.preventDefault(); // a dialog around it stays open
    this.#close();
  };

  #close() {
    removeEventListener("keydown", this.#escape);
    if (this.matches(":focus-within")) /** @type {HTMLElement | null} */ (this.#from)?.focus({ preventScroll: true });
    this.#card?.remove();
    this.#card = undefined;
    this.#say("");
  }

  /**
   * @param {string} text
   * @param {string} [kind]
   */
  #say(text, kind = "") {
    const status = /** @type {HTMLElement} */ (this.#status);
    clearTimeout(this.#later);
    status.className = kind;
    status.textContent = text;
    if (kind) this.#later = setTimeout(() => this.#say(""), WAIT);
  }

  /**
   * @param {Offer} what
   * @param {Texts} texts
   * @param {number} rating
   * @param {string} note
   */
  async #send({ promptId, version, source = "copy" }, texts, rating, note) {
    try {
      const answer = await fetch(this.getAttribute("endpoint") ?? "/psr", {
        method: "POST",
        body: JSON.stringify({ prompt_id: promptId, version, rating, note: note || undefined, source }),
        headers: { "Content-Type": "application/json" },
        keepalive: true, // and cookies to the page's own origin: who it is, the server derives from its session
        referrerPolicy: "no-referrer", // the page's address stays here
        signal: AbortSignal.timeout(+(this.getAttribute("timeout") ?? WAIT)),
      });
      off ||= answer.status == 404;
      if (!answer.ok) throw answer.status;
      const { avg_rating, total_ratings } = (await answer.json().catch(() => null)) ?? {};
      if (!this.#card) this.#say(texts.thanks(avg_rating, total_ratings), "thanks");
    } catch (error) {
      console.debug("footfall-psr: not rated:", error);
    }
  }
}

/**
 * Whether a prompt is offered for the first time on this day, UTC. Days gone by are forgotten.
 * @param {string} promptId
 */
function first(promptId) {
  const today = new Date().toISOString().slice(0, 10);
  const days = [offered.get(promptId)];
  offered.set(promptId, today);
  try {
    const mine = Object.keys(localStorage).filter((key) => key.startsWith(KEY));
    for (const key of mine) {
      const day = localStorage.getItem(key) ?? "";
      if (key == KEY + promptId) days.push(day);
      if (day != today) localStorage.removeItem(key);
    }
    localStorage.setItem(KEY + promptId, today);
  } catch {}
  return !days.includes(today);
}

/**
 * The card, and of what is in it that which does something.
 * @param {Texts} texts
 * @returns {[card: HTMLElement, more: HTMLElement, note: HTMLTextAreaElement, left: HTMLElement,
 *     send: HTMLElement, dismiss: HTMLElement]}
 */
function build({ question, stars, note: label, hint, send: sends, dismiss: dismisses }) {
  const radios = [1, 2, 3, 4, 5].map((value) =>
    make(
      "label",
      {},
      make("input", { type: "radio", name: "stars", value }),
      drawing(STAR),
      make("span", {}, stars(value)),
    ),
  );
  const asked = make("legend", {}, question);
  const rating = make("fieldset", { role: "radiogroup" }, asked, make("div", { class: "stars" }, ...radios));
  const described = { id: "note", "aria-describedby": "left", placeholder: hint, rows: 2, maxlength: NOTE };
  const note = /** @type {HTMLTextAreaElement} */ (make("textarea", described));
  const left = make("span", { id: "left" }, "0/" + NOTE);
  const send = make("button", { class: "send" }, sends);
  const end = make("div", { class: "end" }, left, send);
  const more = make("div", { class: "more" }, make("label", { for: "note" }, label), note, end);
  const cross = drawing("M6 6l12 12M18 6L6 18");
  const dismiss = make("button", { type: "button", class: "dismiss", "aria-label": dismisses }, cross);
  const card = make("form", { "aria-label": question }, rating, more, dismiss);
  return [card, more, note, left, send, dismiss];
}

/**
 * @param {string} tag
 * @param {Record<string, any>} attributes
 * @param {(Node | string)[]} children
 */
function make(tag, attributes, ...children) {
  const space = /svg|path/.test(tag) ? "2000/svg" : "1999/xhtml";
  const element = /** @type {HTMLElement} */ (document.createElementNS("http://www.w3.org/" + space, tag));
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** @param {string} lines */
function drawing(lines) {
  return make("svg", { viewBox: "0 0 24 24", "aria-hidden": true }, make("path", { d: lines }));
}

if (globalThis.customElements && !customElements.get("footfall-psr")) customElements.define("footfall-psr", Psr);
