// The heads of a table's columns, with buttons that sort by them.

import { fill, h, say } from "../dom.js";

// ``columns``: {label, sort, spoken}, without ``sort`` where the API does not sort by it. ``choose(sort)`` is called with a
// key and its sign, or with "" for the order without one. ``mark(sort)`` shows what is sorted by.
export function sortHeads(columns, sort, choose) {
  let current = sort;
  const heads = columns.map((column) => head(column, () => current, choose));
  const mark = (by) => {
    current = by;
    heads.forEach((one) => show(one, by));
  };
  mark(sort);
  return { elements: heads.map((one) => one.element), mark };
}

function head(column, current, choose) {
  const element = h("th", { scope: "col" });
  if (!column.sort) return { column, element: fill(element, column.label) };
  const arrow = h("span", { class: "sort-arrow", "aria-hidden": "true" });
  const next = { [`+${column.sort}`]: `-${column.sort}`, [`-${column.sort}`]: "" };
  const toggle = () => choose(next[current()] ?? `+${column.sort}`);
  fill(element, h("button", { type: "button", class: "sort", onclick: toggle, "aria-label": `Sort by ${(column.spoken ?? column.label).toLowerCase()}` }, column.label, arrow));
  return { column, element, arrow };
}

function show({ column, element, arrow }, sort) {
  if (!arrow) return;
  const chosen = sort.slice(1) === column.sort;
  say(arrow, chosen ? (sort.startsWith("-") ? " ▼" : " ▲") : " ↕");
  arrow.classList.toggle("chosen", chosen);
  if (chosen) element.setAttribute("aria-sort", sort.startsWith("-") ? "descending" : "ascending");
  else element.removeAttribute("aria-sort");
}
