// A table whose rows are drawn again when what they show has changed.

import { h, refill } from "../dom.js";

// ``caption``: for screen readers; ``names``: of the columns; ``make(item)`` returns a row. ``update(items)``.
export function rows(caption, names, make) {
  const body = h("tbody", {});
  const element = h(
    "div",
    { class: "scroll" },
    h("table", { class: "migrations" }, h("caption", { class: "unseen" }, caption), h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name)))), body),
  );
  return { element, update: (found) => refill(body, found, () => found.map(make)) };
}
