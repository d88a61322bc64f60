// Creates elements from plain data. Text is always a text node: nothing here parses markup, so that
// texts from the API (image names, errors) cannot become anything else.

import { withTimes } from "./format.js";
import { pageWord } from "./page_words.js";

const SVG = "http://www.w3.org/2000/svg";

// h("a", {href: "#/", class: "x", onclick: go}, "text", child, [more]) -> HTMLElement.
// Properties: on... are listeners, true and false set and leave out an attribute, null leaves it out.
export function h(tag, properties = {}, ...children) {
  return furnish(document.createElement(tag), properties, children);
}

// The same for SVG.
export function svg(tag, properties = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), properties, children);
}

function furnish(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...flat(children));
  return element;
}

function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

// Replace the children of an element.
export function fill(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

// Set an element's text if it differs, so that screen readers and selections are not disturbed.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Replace the children of an element only if ``key`` has changed since the last time.
export function refill(element, key, make) {
  const text = JSON.stringify(key);
  if (element.shownKey === text) return;
  element.shownKey = text;
  fill(element, make());
}

// A message of the manager as elements: text between backticks is code, or if it is a command for which the page has
// a button or a view, the name of that; times are shown in the zone of the page.
export function sentence(text) {
  return String(text)
    .split("`")
    .map((part, index) => (index % 2 ? coded(part) : withTimes(part)))
    .filter((part) => part !== "");
}

function coded(text) {
  const word = text.startsWith("ceph rbd migration ") ? pageWord(text) : null;
  if (word === null) return h("code", {}, text);
  return word.button ? h("strong", { class: "button-name" }, word.button) : h("a", { href: `#/${word.path}` }, word.text);
}

let last = 0;

// An id that no other element has.
export function freshId(prefix) {
  last += 1;
  return `${prefix}-${last}`;
}
