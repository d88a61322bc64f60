// The table of migrations. The manager filters, sorts and pages it, so that it works with thousands.

import * as api from "../api.js";
import { fill, h, say } from "../dom.js";
import { link } from "../router.js";
import { ENDED, GOALS, GROUPS, HOLDS } from "../states.js";
import { bulkBar } from "../parts/bulk.js";
import { field, select, text } from "../parts/field.js";
import { announce } from "../parts/notices.js";
import { pager } from "../parts/pager.js";
import { planPicker, poolPicker } from "../parts/picker.js";
import { MOST, selection } from "../parts/selection.js";
import { table } from "../parts/table.js";

const SIZES = ["25", "50", "100", "200"];
const TYPING = 300;
const NEWEST = "-created";
const ANY = "any"; // as a reason to wait

export function migrations(root, { app, query }) {
  const asked = {
    group: GROUPS.some((group) => group.name === query.get("group")) ? query.get("group") : "all",
    search: query.get("search") ?? "",
    pool: query.get("pool") ?? "",
    plan: query.get("plan") ?? "",
    goal: GOALS.includes(query.get("goal")) ? query.get("goal") : "",
    hold: query.get("hold") in HOLDS || query.get("hold") === ANY ? query.get("hold") : "",
    sort: query.get("sort") ?? NEWEST,
    page: Math.max(1, Number(query.get("page")) || 1),
    size: SIZES.includes(query.get("size")) ? query.get("size") : "25",
    ended: query.get("ended") === "true",
  };
  let total = 0;
  let typing = 0;

  const groups = groupLinks(asked, (name) => change({ group: name }));
  const search = text("search", { type: "search", value: asked.search, placeholder: "part of a name or an id" });
  const pool = poolPicker("pool", { type: "search", value: asked.pool, placeholder: "any" });
  const plan = planPicker("plan", { type: "search", value: asked.plan, placeholder: "any" });
  const goal = select("goal", [["", "any"], ...GOALS], asked.goal);
  const hold = select("hold", [["", "all migrations"], [ANY, "those that wait"], ...Object.entries(HOLDS).map(([name, { word }]) => [name, `… : ${word}`])], asked.hold);
  const ended = h("input", { type: "checkbox", id: "with-ended", checked: asked.ended });
  const sizes = select("size", SIZES, asked.size);
  const chosen = app.may("update") ? selection(() => bulk?.update(total)) : null;
  const bulk = chosen && bulkBar(chosen, addAll, () => loop.now());
  const rows = table(asked.sort, (sort) => change({ sort: sort || NEWEST }), chosen, () => loop.now());
  const found = h("p", { class: "found", role: "status" });
  const pages = pager("Pages", (page) => change({ page }));

  fill(
    root,
    h("div", { class: "title" }, h("h1", {}, "Migrations"), app.may("create") ? h("a", { href: "#/new", class: "button primary" }, "New migration") : null),
    groups.element,
    h(
      "form",
      { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
      field("Search", search),
      field("Pool", pool),
      field("Plan", plan),
      field("Goal", goal),
      field("Waiting", hold),
      field("Lines", sizes),
      h("div", { class: "check" }, ended, h("label", { for: "with-ended" }, "include ended ones")),
    ),
    found,
    bulk ? [bulk.results, bulk.element] : null,
    rows.element,
    pages.element,
  );
  search.addEventListener("input", () => soon({ search: search.value.trim() }));
  pool.addEventListener("input", () => soon({ pool: pool.value.trim() }));
  plan.addEventListener("input", () => soon({ plan: plan.value.trim() }));
  goal.addEventListener("change", () => change({ goal: goal.value }));
  hold.addEventListener("change", () => change({ hold: hold.value }));
  ended.addEventListener("change", () => change({ ended: ended.checked }));
  sizes.addEventListener("change", () => change({ size: sizes.value }));

  function soon(changes) {
    clearTimeout(typing);
    typing = setTimeout(() => change(changes), TYPING);
  }

  function change(changes) {
    Object.assign(asked, { page: 1 }, changes);
    window.history.replaceState(null, "", address());
    groups.mark();
    loop.now();
  }

  function address() {
    return link(["migrations"], {
      group: asked.group === "all" ? "" : asked.group,
      search: asked.search,
      pool: asked.pool,
      plan: asked.plan,
      goal: asked.goal,
      hold: asked.hold,
      sort: asked.sort === NEWEST ? "" : asked.sort,
      size: asked.size === "25" ? "" : asked.size,
      page: asked.page === 1 ? "" : asked.page,
      ended: asked.ended || "",
    });
  }

  // The filters as the API takes them.
  function filter() {
    const { states = [], awaiting = false } = GROUPS.find((group) => group.name === asked.group);
    return {
      search: asked.search,
      pool: asked.pool,
      plan: asked.plan,
      goal: asked.goal,
      hold: asked.hold === ANY ? Object.keys(HOLDS).join() : asked.hold,
      awaiting_commit: awaiting || "",
      state: states.length && asked.ended ? [...states, ...ENDED].join() : states.join(),
      ended: asked.ended,
    };
  }

  // Select all that match, also those of other pages.
  async function addAll() {
    try {
      const { items } = await api.list({ ...filter(), ended: false, limit: MOST, sort: asked.sort });
      chosen.add(items);
    } catch (error) {
      announce(error.message, "bad");
    }
  }

  const loop = app.watch(2, async () => {
    const size = Number(asked.size);
    const wanted = JSON.stringify(asked);
    const answer = await api.list({ ...filter(), offset: (asked.page - 1) * size, limit: size, sort: asked.sort });
    if (wanted !== JSON.stringify(asked)) return; // the filters have changed since
    total = answer.total;
    const last = Math.max(1, Math.ceil(total / size));
    if (asked.page > last) {
      change({ page: last });
      return;
    }
    rows.update(answer.items, asked.sort);
    bulk?.update(total);
    const from = (asked.page - 1) * size;
    say(found, total ? `${from + 1} to ${from + answer.items.length} of ${total}` : "No migration matches.");
    pages.update(asked.page, last);
  });
  app.onSummary((summary) => groups.count(summary));
  app.onLeave(() => clearTimeout(typing));
  return "Migrations";
}

// Buttons for the groups of states, with the number of migrations in each.
function groupLinks(asked, choose) {
  const buttons = GROUPS.map((group) => {
    const number = h("span", { class: "chip-number" });
    const element = h("button", { type: "button", class: "chip", onclick: () => choose(group.name) }, group.label, " ", number);
    return { group, number, element };
  });
  const mark = () => buttons.forEach(({ group, element }) => element.setAttribute("aria-pressed", String(group.name === asked.group)));
  mark();
  return {
    element: h("div", { class: "chips", role: "group", "aria-label": "State" }, buttons.map((button) => button.element)),
    mark,
    count: (summary) =>
      buttons.forEach(({ group, number }) =>
        say(number, String(numberOf(group, summary))),
      ),
  };
}

function numberOf({ states, awaiting }, summary) {
  if (awaiting) return summary.awaiting_commit;
  return states.length ? states.reduce((sum, state) => sum + (summary.counts[state] ?? 0), 0) : summary.total;
}
