// The list of plans, each of which moves many images wave by wave.

import * as api from "../api.js";
import { fill, h, refill, say, sentence } from "../dom.js";
import { count } from "../format.js";
import { EXAMPLE } from "../plan_example.js";
import { planLink } from "../router.js";
import { PLAN_STATES } from "../states.js";
import { badge } from "../parts/badge.js";
import { bar } from "../parts/bar.js";
import { kept } from "../parts/kept.js";
import { pager } from "../parts/pager.js";
import { OF_BEGUN, barOf, imagesText, isBad, leftText, phasesText, rateText, waveText } from "../parts/plan_text.js";

const LINES = 50;
const COLUMNS = ["Plan", "State", "Progress", "Images", "Throughput", "Problems"];

export function plans(root, { app }) {
  let all = [];
  let page = 1;
  const may = app.may(api.PLAN_RIGHTS.create);
  const found = h("p", { class: "found", role: "status" });
  const body = h("tbody", {});
  const show = kept(body, (plan) => plan.name, row);
  const pages = pager("Pages", (to) => {
    page = to;
    draw();
  });
  const table = h(
    "div",
    { class: "scroll", hidden: true },
    h(
      "table",
      { class: "migrations plans" },
      h("caption", { class: "unseen" }, "Plans"),
      h("thead", {}, h("tr", {}, COLUMNS.map((name) => h("th", { scope: "col" }, name)))),
      body,
    ),
  );
  const none = h("section", { class: "card", hidden: true }, about(may));
  pages.element.hidden = true;

  fill(
    root,
    h("div", { class: "title" }, h("h1", {}, "Plans"), may ? h("a", { href: "#/new-plan", class: "button primary" }, "New plan") : null),
    found,
    table,
    pages.element,
    none,
  );

  function draw() {
    const last = Math.max(1, Math.ceil(all.length / LINES));
    page = Math.min(page, last);
    table.hidden = !all.length;
    none.hidden = all.length > 0;
    say(found, all.length ? count(all.length, "plan") : "There are no plans.");
    show(all.slice((page - 1) * LINES, page * LINES));
    pages.update(page, last);
  }

  app.watch(3, async () => {
    all = await api.plans.list();
    draw();
  });
  return "Plans";
}

function row(first) {
  const state = badge(PLAN_STATES);
  const progress = bar(`Progress of ${first.name}`, OF_BEGUN);
  const wave = h("div", { class: "quiet" });
  const images = h("td", { "data-label": "Images" });
  const speed = h("td", { class: "speed", "data-label": "Throughput" });
  const problems = h("td", { class: "note" });
  return {
    element: h(
      "tr",
      {},
      h("th", { scope: "row" }, h("a", { href: planLink(first.name) }, h("span", { class: "name" }, first.name))),
      h("td", { class: "state" }, state.element, wave),
      h("td", { class: "progress" }, progress.element),
      images,
      speed,
      problems,
    ),
    update(plan) {
      state.update(plan);
      say(wave, waveText(plan));
      progress.element.hidden = !plan.total;
      progress.update(barOf(plan));
      refill(images, [plan.total, plan.counts], () => [imagesText(plan), plan.total ? h("div", { class: "quiet" }, phasesText(plan.counts)) : null]);
      refill(speed, [plan.rate, plan.eta_seconds], () => (plan.rate ? [rateText(plan), h("div", { class: "quiet" }, leftText(plan))] : []));
      problems.className = `note ${isBad(plan) ? "bad-text" : "held-text"}`;
      refill(problems, plan.problems, () => firstOf(plan.problems));
    },
  };
}

function firstOf(problems) {
  const [first, ...more] = problems;
  if (first === undefined) return [];
  return [sentence(first), more.length ? h("div", { class: "quiet" }, `and ${more.length} more`) : null];
}

// Explains plans, shown while there are none.
function about(may) {
  return [
    h("h2", {}, "Many images at once"),
    h(
      "p",
      {},
      "A plan moves many images together: which ones, by pool, name, size or label; where they go; how many at a time; within which rate and window. ",
      "It begins them wave by wave, waits for images that are in use, and stops after too many failures. ",
      "An image whose clients are still running waits until they are stopped.",
    ),
    h("p", {}, may ? "It is written as a file. No migration begins before you start the plan:" : "It is written as a file:"),
    h("pre", { class: "file", tabindex: "0", role: "region", "aria-label": "Example of a plan file" }, EXAMPLE),
    may
      ? h("p", {}, h("a", { href: "#/new-plan?example=true", class: "button primary" }, "Begin with this example"))
      : h("p", { class: "hint" }, "Your login does not allow you to create plans."),
  ];
}
