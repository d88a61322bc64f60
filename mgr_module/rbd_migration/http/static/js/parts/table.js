// The rows of the table of migrations. Only the changed cells of a row are redrawn.

import { fill, h, refill, say, sentence } from "../dom.js";
import { rate, seconds } from "../format.js";
import { migrationLink } from "../router.js";
import { badge } from "./badge.js";
import { bar } from "./bar.js";
import { kept } from "./kept.js";
import { names } from "./names.js";
import { note } from "./note.js";

const COLUMNS = [
  { label: "Source → target", sort: "target", spoken: "Source to target" },
  { label: "State", sort: "state" },
  { label: "Goal", sort: "goal" },
  { label: "Progress", sort: "percent" },
  { label: "Throughput", sort: "rate" },
  { label: "Note" },
];

// ``choose(sort)`` is called with a key and its sign, or with "" for the order without one;
// ``update(reports, sort)`` shows a page.
export function table(sort, choose) {
  const heads = COLUMNS.map((column) => head(column, () => current, choose));
  const body = h("tbody", {});
  const show = kept(body, (report) => report.id, row);
  let current = sort;
  mark(heads, current);
  return {
    element: h(
      "div",
      { class: "scroll" },
      h("table", { class: "migrations" }, h("caption", { class: "unseen" }, "Migrations"), h("thead", {}, h("tr", {}, heads.map((one) => one.element))), body),
    ),
    update(reports, by) {
      current = by;
      mark(heads, by);
      show(reports);
    },
  };
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

function mark(heads, sort) {
  for (const { column, element, arrow } of heads) {
    if (!arrow) continue;
    const chosen = sort.slice(1) === column.sort;
    say(arrow, chosen ? (sort.startsWith("-") ? " ▼" : " ▲") : " ↕");
    arrow.classList.toggle("chosen", chosen);
    if (chosen) element.setAttribute("aria-sort", sort.startsWith("-") ? "descending" : "ascending");
    else element.removeAttribute("aria-sort");
  }
}

function row(first) {
  const link = h("a", { href: migrationLink(first.target) });
  const state = badge();
  const goal = h("td", { "data-label": "Goal" });
  const progress = bar(`Progress of ${first.target}`);
  const speed = h("td", { "data-label": "Throughput", class: "speed" });
  const left = h("div", { class: "quiet" });
  const remark = h("td", { class: "note" });
  return {
    element: h(
      "tr",
      {},
      h("th", { scope: "row" }, link),
      h("td", { class: "state" }, state.element),
      goal,
      h("td", { class: "progress" }, progress.element),
      speed,
      remark,
    ),
    update(report) {
      refill(link, [report.source, report.target], () => names(report));
      state.update(report);
      say(goal, report.goal);
      progress.update(report);
      refill(speed, report.rate, () => (report.rate === null ? [] : [rate(report.rate), left]));
      say(left, report.eta_seconds === null ? "" : `${seconds(report.eta_seconds)} left`);
      const { tone, text } = note(report);
      remark.className = `note ${tone ? `${tone}-text` : ""}`;
      refill(remark, text, () => sentence(text));
    },
  };
}
