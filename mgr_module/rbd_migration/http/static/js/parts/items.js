// The images of a plan: filtered and paged in the browser, so that thousands make one page of a table.

import { h, refill, say, sentence } from "../dom.js";
import { migrationLink } from "../router.js";
import { PHASES } from "../states.js";
import { badge } from "./badge.js";
import { bar } from "./bar.js";
import { field, select, text } from "./field.js";
import { kept } from "./kept.js";
import { names } from "./names.js";
import { pager } from "./pager.js";
import { skipButton } from "./skip.js";

const SIZES = ["25", "50", "100", "200"];
const TYPING = 300;
const COLUMNS = ["Source → target", "Wave", "Phase", "Progress", "Message"];
const UNBEGUN = ["queued", "waiting"];
const ORDERS = [["", "most urgent first"], ["plan", "as in the plan"]];
const URGENT = ["failed", "waiting", "paused", "running", "queued", "done", "skipped", "cancelled"];

// ``asked``: the initial {phase, wave, search, order, page, size}; ``changed(asked)`` is called after each
// change. ``maySkip(plan)`` tells whether images that have not begun get a button to skip them, and
// ``skipped(report)`` is called with the changed plan. ``update(plan)`` shows the images, ``choose(wave)``
// only those of a wave, or all again.
export function items(asked, changed, maySkip, skipped) {
  const chips = phaseChips(asked, (phase) => change({ phase }));
  const search = text("search", { type: "search", value: asked.search, placeholder: "part of a name or a message" });
  const waveBox = text("wave", { type: "search", inputmode: "numeric", value: asked.wave ? String(asked.wave) : "", placeholder: "all" });
  const orders = select("order", ORDERS, asked.order);
  const sizes = select("size", SIZES, String(asked.size));
  const found = h("p", { class: "found", role: "status", tabindex: "-1" });
  const body = h("tbody", {});
  const skipOne = (item) => skipButton(plan.name, item, done);
  const show = kept(body, (item) => item.target, (item) => row(item, (now) => UNBEGUN.includes(now.phase) && maySkip(plan), skipOne));
  const pages = pager("Pages of images", (page) => change({ page }));
  let plan = null;
  let typing = 0;

  const element = h(
    "div",
    {},
    chips.element,
    h(
      "form",
      { class: "filters images", role: "search", onsubmit: (event) => event.preventDefault() },
      field("Search", search),
      field("Wave", waveBox),
      field("Lines", sizes),
      field("Order", orders),
    ),
    found,
    h(
      "div",
      { class: "scroll" },
      h(
        "table",
        { class: "migrations items" },
        h("caption", { class: "unseen" }, "Images of the plan"),
        h("thead", {}, h("tr", {}, COLUMNS.map((name) => h("th", { scope: "col" }, name)))),
        body,
      ),
    ),
    pages.element,
  );
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => change({ search: search.value.trim() }), TYPING);
  });
  waveBox.addEventListener("input", () => change({ wave: Math.max(0, Math.floor(Number(waveBox.value))) || 0 }));
  orders.addEventListener("change", () => change({ order: orders.value }));
  sizes.addEventListener("change", () => change({ size: Number(sizes.value) }));

  function change(changes) {
    Object.assign(asked, { page: 1 }, changes);
    changed(asked);
    if (plan) draw();
  }

  // The button of a skipped image is gone, so its focus moves to the line above the table.
  function done(report) {
    skipped(report);
    if (document.activeElement === document.body) found.focus();
  }

  function draw() {
    const { size } = asked;
    const wanted = asked.search.toLowerCase();
    const fits = (item) =>
      (!asked.phase || item.phase === asked.phase) &&
      (!asked.wave || item.wave === asked.wave) &&
      (!wanted || [item.source, item.target, item.message].some((part) => part.toLowerCase().includes(wanted)));
    let those = plan.items.filter(fits);
    if (!asked.order) those = URGENT.flatMap((phase) => those.filter((item) => item.phase === phase));
    const last = Math.max(1, Math.ceil(those.length / size));
    asked.page = Math.min(asked.page, last);
    const from = (asked.page - 1) * size;
    const shown = those.slice(from, from + size);
    chips.update(plan);
    say(found, those.length ? `${from + 1} to ${from + shown.length} of ${those.length}` : "No image matches.");
    show(shown);
    pages.update(asked.page, last);
  }

  return {
    element,
    update(report) {
      plan = report;
      draw();
    },
    choose(wave) {
      const chosen = asked.wave === wave ? 0 : wave;
      waveBox.value = chosen ? String(chosen) : "";
      change({ wave: chosen });
    },
    stop: () => clearTimeout(typing),
  };
}

// Buttons for the phases of images, with the number of images in each.
function phaseChips(asked, choose) {
  const element = h("div", { class: "chips", role: "group", "aria-label": "Phase" });
  const chip = (phase, label) => {
    const number = h("span", { class: "chip-number" });
    const button = h("button", { type: "button", class: "chip", onclick: () => choose(phase) }, label, " ", number);
    return {
      element: button,
      update(plan) {
        const some = phase ? plan.counts[phase] : plan.total;
        say(number, String(some));
        button.hidden = phase !== "" && !some && asked.phase !== phase;
        button.setAttribute("aria-pressed", String(asked.phase === phase));
      },
    };
  };
  const chips = [chip("", "All"), ...Object.keys(PHASES).map((phase) => chip(phase, phase[0].toUpperCase() + phase.slice(1)))];
  element.append(...chips.map((one) => one.element));
  return { element, update: (plan) => chips.forEach((one) => one.update(plan)) };
}

// ``may(item)``: whether it has a button, which ``skip(item)`` makes.
function row(first, may, skip) {
  const name = h("th", { scope: "row" });
  const wave = h("td", { class: "wave-number", "data-label": "Wave" });
  const phase = badge(PHASES);
  const state = h("div", { class: "quiet" });
  const progress = bar(`Progress of ${first.target}`);
  const message = h("div", {});
  const button = h("div", { class: "row-action" });
  const note = h("td", { class: "note" }, message, button);
  return {
    element: h("tr", {}, name, wave, h("td", { class: "state" }, phase.element, state), h("td", { class: "progress" }, progress.element), note),
    update(item) {
      const begun = item.state !== null || !UNBEGUN.includes(item.phase);
      refill(name, [item.source, item.target, begun], () => (begun ? h("a", { href: migrationLink(item.target) }, names(item)) : names(item)));
      say(wave, String(item.wave));
      phase.update({ state: item.phase });
      say(state, item.state !== null && item.state !== item.phase ? item.state : "");
      progress.element.hidden = !begun;
      progress.update({ ...item, state: item.phase, hold: item.phase === "waiting" });
      message.className = { failed: "bad-text", waiting: "held-text" }[item.phase] ?? "";
      refill(message, item.message, () => sentence(item.message));
      refill(button, may(item), () => (may(item) ? skip(item) : []));
    },
  };
}
