// Elements. Whatever is shown goes through `append` or an attribute that is no code: nothing is parsed as HTML.

import { isGuest } from "./state.js";

/** @typedef {Node | string | number | null | undefined | false | Kid[]} Kid */
/** @typedef {Record<string, any> | null} Props */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @template {Element} T
 * @param {T} node
 * @param {Props} props Attributes; `onclick` and the like are listeners, `style` is set by CSSOM.
 * @param {Kid[]} kids
 * @returns {T}
 */
function fill(node, props, kids) {
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "style") paint(/** @type {any} */ (node), value);
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  node.append(...flat(kids));
  return node;
}

/**
 * Styles by CSSOM, which the policy allows; attributes of style it does not.
 *
 * @param {HTMLElement | SVGElement} node
 * @param {Record<string, string | number>} styles
 */
function paint(node, styles) {
  for (const [name, value] of Object.entries(styles)) node.style.setProperty(name, String(value));
}

/**
 * @param {Kid} kids
 * @returns {(Node | string)[]}
 */
export function flat(kids) {
  if (Array.isArray(kids)) return kids.flatMap(flat);
  if (kids === null || kids === undefined || kids === false || kids === "") return [];
  return [typeof kids === "number" ? String(kids) : kids];
}

/** Whether a link leads to what a guest may not see: it is text then. @param {string} tag @param {Props} props */
const isShut = (tag, props) => tag === "a" && isGuest() && !String(props?.href ?? "").startsWith("#");

/**
 * An HTML element; for guests of a shared view a link to another page is its text alone.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Props} [props]
 * @param {...Kid} kids
 */
export const h = (tag, props = null, ...kids) =>
  isShut(tag, props)
    ? /** @type {any} */ (fill(document.createElement("span"), { ...props, href: null }, kids))
    : fill(document.createElement(tag), props, kids);

/**
 * An SVG element.
 *
 * @param {string} tag
 * @param {Props} [props]
 * @param {...Kid} kids
 */
export const s = (tag, props = null, ...kids) =>
  fill(/** @type {SVGElement} */ (document.createElementNS(SVG, tag)), props, kids);

/**
 * @param {string} selector
 * @param {ParentNode} [root]
 * @returns {HTMLElement | null}
 */
export const $ = (selector, root = document) => root.querySelector(selector);

/**
 * @param {string} selector
 * @param {ParentNode} [root]
 * @returns {HTMLElement[]}
 */
export const $$ = (selector, root = document) =>
  [...root.querySelectorAll(selector)].map((found) => /** @type {HTMLElement} */ (found));

/**
 * Has something scroll into view, at once where motion is unwanted.
 *
 * @param {Element | null | undefined} node
 */
export const reveal = (node) => node?.scrollIntoView({ block: "nearest" });
