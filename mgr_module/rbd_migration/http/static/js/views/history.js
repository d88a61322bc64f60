// Migrations that have ended. The manager filters, sorts and pages them.

import * as api from "../api.js";
import { fill, h, refill, say } from "../dom.js";
import { rate, seconds, size, time } from "../format.js";
import { link, migrationLink } from "../router.js";
import { ENDED } from "../states.js";
import { badge } from "../parts/badge.js";
import { downloads } from "../parts/downloads.js";
import { field, select, text } from "../parts/field.js";
import { names } from "../parts/names.js";
import { pager } from "../parts/pager.js";
import { planPicker, poolPicker } from "../parts/picker.js";
import { sortHeads } from "../parts/sort_heads.js";

const SINCE = [["1d", "a day"], ["7d", "a week"], ["30d", "30 days"], ["all", "all that is kept"]];
const SIZES = ["25", "50", "100", "200"];
const TYPING = 300;
const LATEST = "-ended";
const COLUMNS = [
  { label: "Source → target", sort: "target", spoken: "Source to target" },
  { label: "State", sort: "state" },
  { label: "Ended", sort: "ended" },
  { label: "Took", sort: "seconds" },
  { label: "Data", sort: "bytes_total" },
  { label: "Rate" },
  { label: "Verified" },
  { label: "Plan", sort: "plan" },
  { label: "By", sort: "by", spoken: "who" },
];

export function history(root, { app, query }) {
  const given = (name, choices, otherwise) => (choices.includes(query.get(name)) ? query.get(name) : otherwise);
  const asked = {
    search: query.get("search") ?? "",
    since: given("since", SINCE.map(([value]) => value), "7d"),
    state: given("state", ENDED, ""),
    pool: query.get("pool") ?? "",
    plan: query.get("plan") ?? "",
    sort: query.get("sort") ?? LATEST,
    size: given("size", SIZES, "25"),
    page: Math.max(1, Number(query.get("page")) || 1),
  };
  const controls = {
    search: text("search", { type: "search", value: asked.search, placeholder: "part of a name or an id" }),
    since: select("since", SINCE, asked.since),
    state: select("state", [["", "any"], ...ENDED], asked.state),
    pool: poolPicker("pool", { type: "search", value: asked.pool, placeholder: "any" }),
    plan: planPicker("plan", { type: "search", value: asked.plan, placeholder: "any" }),
    size: select("size", SIZES, asked.size),
  };
  const labels = { search: "Search", since: "Since", state: "State", pool: "Pool", plan: "Plan", size: "Lines" };
  const heads = sortHeads(COLUMNS, asked.sort, (sort) => change({ sort: sort || LATEST }));
  const found = h("p", { class: "found", role: "status" });
  const body = h("tbody", {});
  const pages = pager("Pages", (page) => change({ page }));
  let typing = 0;

  fill(
    root,
    h("h1", {}, "History"),
    h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() }, Object.entries(controls).map(([name, control]) => field(labels[name], control))),
    found,
    downloads("Export", ["csv", "json"], () => ["/history/export", filter()]),
    h(
      "div",
      { class: "scroll" },
      h("table", { class: "migrations" }, h("caption", { class: "unseen" }, "Ended migrations"), h("thead", {}, h("tr", {}, heads.elements)), body),
    ),
    pages.element,
  );
  for (const control of Object.values(controls)) {
    const typed = control.tagName === "INPUT";
    control.addEventListener(typed ? "input" : "change", () => {
      clearTimeout(typing);
      typing = setTimeout(() => change(chosen()), typed ? TYPING : 0);
    });
  }

  // What all fields say.
  function chosen() {
    return Object.fromEntries(Object.entries(controls).map(([name, control]) => [name, control.value.trim()]));
  }

  function change(changes) {
    Object.assign(asked, { page: 1 }, changes);
    window.history.replaceState(null, "", address());
    loop.now();
  }

  function address() {
    const usual = { since: "7d", sort: LATEST, size: "25", page: 1 };
    return link(["history"], Object.fromEntries(Object.entries(asked).map(([name, value]) => [name, value === usual[name] ? "" : value])));
  }

  // The filters as the API takes them.
  function filter() {
    const { search, since, state, pool, plan } = asked;
    return { search, since: since === "all" ? "" : since, state, pool, plan };
  }

  const loop = app.watch(15, async () => {
    const size = Number(asked.size);
    const wanted = JSON.stringify(asked);
    const { items, total } = await api.list({ ...filter(), sort: asked.sort, offset: (asked.page - 1) * size, limit: size }, "/history");
    if (wanted !== JSON.stringify(asked)) return; // the filters have changed since
    const last = Math.max(1, Math.ceil(total / size));
    if (asked.page > last) {
      change({ page: last });
      return;
    }
    heads.mark(asked.sort);
    const from = (asked.page - 1) * size;
    say(found, total ? `${from + 1} to ${from + items.length} of ${total}` : "No ended migration matches.");
    refill(body, items, () => items.map(row));
    pages.update(asked.page, last);
  });
  app.onLeave(() => clearTimeout(typing));
  return "History";
}

function row(report) {
  const state = badge();
  state.update(report);
  const copying = passed(report.prepared, report.executed);
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, h("a", { href: migrationLink(report.target) }, names(report))),
    h("td", { class: "state" }, state.element),
    h("td", { "data-label": "Ended" }, h("time", { datetime: report.ended }, time(report.ended))),
    h("td", { "data-label": "Took" }, seconds(passed(report.created, report.ended))),
    h("td", { "data-label": "Data", class: "number" }, report.bytes_total ? size(report.bytes_total) : "–"),
    h("td", { "data-label": "Rate", class: "number" }, report.bytes_total && copying ? rate(report.bytes_total / copying) : "–"),
    h("td", { "data-label": "Verified" }, report.verification?.outcome ? `${report.verification.mode}: ${report.verification.outcome}` : "–"),
    h("td", { "data-label": "Plan" }, report.plan ?? "–"),
    h("td", { "data-label": "By" }, report.by ?? "–"),
  );
}

// Seconds between two times; null where one of them is not known.
function passed(begin, end) {
  return begin && end ? Math.max(0, (new Date(end) - new Date(begin)) / 1000) : null;
}
