// The rows of the table of migrations. Only the changed cells of a row are redrawn.

import { h, refill, say, sentence } from "../dom.js";
import { rate, seconds, size, time } from "../format.js";
import { migrationLink, planLink } from "../router.js";
import { menuItems } from "./actions.js";
import { badge } from "./badge.js";
import { bar } from "./bar.js";
import { kept } from "./kept.js";
import { menu } from "./menu.js";
import { names } from "./names.js";
import { note } from "./note.js";
import { sortHeads } from "./sort_heads.js";

const COLUMNS = [
  { label: "Source → target", sort: "target", spoken: "Source to target" },
  { label: "State", sort: "state" },
  { label: "Goal", sort: "goal" },
  { label: "Progress", sort: "percent" },
  { label: "Throughput", sort: "rate" },
  { label: "Size", sort: "bytes_total" },
  { label: "Plan", sort: "plan" },
  { label: "Priority", sort: "priority" },
  { label: "Begun", sort: "created" },
];

// ``choose(sort)`` is called with a key and its sign, or with "" for the order without one. ``chosen``: the selection,
// null where nothing can be done; then rows have a menu, too, and ``done()`` is called after one of its actions.
// ``update(reports, sort)`` shows a page.
export function table(sort, choose, chosen, done) {
  const heads = sortHeads(COLUMNS, sort, choose);
  const body = h("tbody", {});
  const show = kept(body, (report) => report.id, (first) => row(first, chosen, done));
  const first = chosen ? h("th", { scope: "col", class: "select" }, chosen.all) : null;
  const last = chosen ? h("th", { scope: "col", class: "row-menu" }, h("span", { class: "unseen" }, "Actions")) : null;
  return {
    element: h(
      "div",
      { class: "scroll" },
      h("table", { class: "migrations jobs" }, h("caption", { class: "unseen" }, "Migrations"), h("thead", {}, h("tr", {}, first, heads.elements, last)), body),
    ),
    update(reports, by) {
      heads.mark(by);
      chosen?.showPage(reports);
      show(reports);
    },
  };
}

function row(first, chosen, done) {
  const link = h("a", { href: migrationLink(first.target) });
  const state = badge();
  const remark = h("div", { class: "note" });
  const goal = h("td", { "data-label": "Goal" });
  const progress = bar(`Progress of ${first.target}`);
  const speed = h("td", { "data-label": "Throughput", class: "speed" });
  const left = h("div", { class: "quiet" });
  const bytes = h("td", { "data-label": "Size", class: "number" });
  const plan = h("td", { "data-label": "Plan" });
  const priority = h("td", { "data-label": "Priority", class: "number" });
  const begun = h("td", { "data-label": "Begun", class: "when" });
  const box = chosen?.box();
  let current = first;
  const actions = chosen ? menu(`Actions on ${first.target}`, () => menuItems(current, done)) : null;
  return {
    element: h(
      "tr",
      {},
      box ? h("td", { class: "select" }, box.element) : null,
      h("th", { scope: "row" }, link),
      h("td", { class: "state" }, state.element, remark),
      goal,
      h("td", { class: "progress" }, progress.element),
      speed,
      bytes,
      plan,
      priority,
      begun,
      actions ? h("td", { class: "row-menu" }, actions.element) : null,
    ),
    update(report) {
      current = report;
      box?.show(report);
      refill(link, [report.source, report.target], () => names(report));
      state.update(report);
      const { tone, text } = note(report);
      remark.className = `note ${tone ? `${tone}-text` : ""}`;
      refill(remark, text, () => sentence(text));
      say(goal, report.goal);
      progress.update(report);
      refill(speed, report.rate, () => (report.rate === null ? [] : [rate(report.rate), left]));
      say(left, report.eta_seconds === null ? "" : `${seconds(report.eta_seconds)} left`);
      say(bytes, report.bytes_total === null ? "" : size(report.bytes_total));
      refill(plan, report.plan, () => (report.plan ? h("a", { href: planLink(report.plan) }, report.plan) : []));
      say(priority, report.priority ? String(report.priority) : "");
      refill(begun, report.created, () => h("time", { datetime: report.created }, time(report.created)));
    },
  };
}
