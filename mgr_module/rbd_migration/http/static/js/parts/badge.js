// A state as a word with a glyph.

import { h, fill, refill } from "../dom.js";
import { HOLDS, STATES } from "../states.js";

// An element that shows a state, and next to it the reason of a hold; ``update(report)``.
// ``states``: the look of each state.
export function badge(states = STATES) {
  const element = h("span", { class: "badge" });
  return {
    element,
    update(report) {
      refill(element, [report.state, report.hold?.reason], () => {
        const { tone, glyph, word } = states[report.state] ?? { tone: "rest", glyph: "?" };
        element.className = `badge ${report.hold ? "held" : tone}`;
        return [
          h("span", { class: "glyph", "aria-hidden": "true" }, report.hold ? "‖" : glyph),
          word ?? report.state,
          report.hold ? h("span", { class: "badge-hold" }, ` · ${HOLDS[report.hold.reason]?.word ?? report.hold.reason}`) : null,
        ];
      });
    },
  };
}

// A word with a colour, such as a severity.
export function tag(text, tone, glyph = "") {
  return fill(h("span", { class: `badge ${tone}` }), glyph && h("span", { class: "glyph", "aria-hidden": "true" }, glyph), text);
}
