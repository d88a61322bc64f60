// The waves of a plan as rows: each image is a block with the glyph of its phase; numbers as text.

import { fill, h, refill, say, svg } from "../dom.js";
import { PHASES } from "../states.js";
import { kept } from "./kept.js";
import { pager } from "./pager.js";
import { phasesText } from "./plan_text.js";

const ROWS = 10; // waves at once
const BLOCKS = 60; // a larger wave is one bar
const ENDED = ["done", "failed", "cancelled", "skipped"];

// ``choose(number)`` is called with the wave whose images the user selects; ``update(plan, chosen)``.
export function waves(choose) {
  const list = h("ol", { class: "waves" });
  const show = kept(list, (wave) => wave.number, (wave) => row(wave, choose));
  const legend = h("p", { class: "waves-legend" });
  const nothing = h("p", { class: "nothing" }, "Its images are selected, and divided into waves, when it starts. A check shows which images those would be now.");
  let page = null; // null: the page of the current wave
  let last = null;
  const pages = pager("Pages of waves", (to) => {
    page = to;
    draw();
  });

  function draw() {
    const { plan, chosen } = last;
    const all = Math.ceil(plan.waves / ROWS);
    const now = Math.min(all, page ?? Math.ceil(plan.wave / ROWS)) || 1;
    nothing.hidden = plan.waves > 0;
    show(waveList(plan, (now - 1) * ROWS, now * ROWS, chosen));
    pages.update(now, Math.max(1, all));
    const there = Object.keys(PHASES).filter((phase) => plan.counts[phase]);
    legend.hidden = !there.length;
    refill(legend, there, () => there.map((phase) => h("span", {}, block(phase), ` ${phase}`)));
  }

  return {
    element: h("div", {}, nothing, list, legend, pages.element),
    update(plan, chosen) {
      last = { plan, chosen };
      draw();
    },
  };
}

// The waves from one to another, with the phases of their images.
function waveList(plan, from, to, chosen) {
  const found = [];
  for (let index = from; index < Math.min(to, plan.waves); index += 1) {
    const phases = plan.items.slice(index * plan.wave_size, (index + 1) * plan.wave_size).map((item) => item.phase);
    const counts = {};
    for (const phase of phases) counts[phase] = (counts[phase] ?? 0) + 1;
    const ended = phases.every((phase) => ENDED.includes(phase));
    const now = index + 1 === plan.wave && !ended && plan.ended === null;
    found.push({ number: index + 1, phases, counts, now, chosen: chosen === index + 1 });
  }
  return found;
}

function row(first, choose) {
  const button = h("button", { type: "button", class: "chip wave-name", onclick: () => choose(first.number) }, `Wave ${first.number}`);
  const blocks = h("div", { class: "wave-blocks", "aria-hidden": "true" });
  const words = h("span", { class: "wave-words" });
  const element = h("li", { class: "wave" }, h("div", { class: "wave-head" }, button, words), blocks);
  return {
    element,
    update(wave) {
      element.classList.toggle("now", wave.now);
      if (wave.now) element.setAttribute("aria-current", "step");
      else element.removeAttribute("aria-current");
      button.setAttribute("aria-pressed", String(wave.chosen));
      say(words, `${wave.now ? "now: " : ""}${phasesText(wave.counts)}`);
      refill(blocks, wave.phases.length > BLOCKS ? wave.counts : wave.phases, () => (wave.phases.length > BLOCKS ? strip(wave) : wave.phases.map(block)));
    },
  };
}

function block(phase) {
  const { tone, glyph } = PHASES[phase] ?? { tone: "rest", glyph: "?" };
  return h("span", { class: `block ${tone}`, "aria-hidden": "true" }, glyph);
}

// A wave of many images as one bar, divided by phase.
function strip({ phases, counts }) {
  let at = 0;
  const parts = Object.keys(PHASES).map((phase) => {
    const width = ((counts[phase] ?? 0) / phases.length) * 100;
    const part = svg("rect", { class: `strip ${PHASES[phase].tone} ${phase}`, x: at, y: 0, width, height: 10 });
    at += width;
    return part;
  });
  return fill(svg("svg", { class: "wave-strip", viewBox: "0 0 100 10", preserveAspectRatio: "none" }), parts);
}
