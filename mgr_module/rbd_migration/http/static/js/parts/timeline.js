// The changes of a migration's state, newest first.

import { h } from "../dom.js";
import { seconds, time } from "../format.js";
import { STATES } from "../states.js";

export function timeline(report) {
  const entries = report.timeline;
  const items = entries.map((entry, index) => {
    const { tone, glyph } = STATES[entry.state] ?? { tone: "rest", glyph: "?" };
    const next = entries[index + 1];
    const lasted = next ? (new Date(next.at) - new Date(entry.at)) / 1000 : null;
    return h(
      "li",
      { class: `moment ${tone}` },
      h("span", { class: "moment-dot", "aria-hidden": "true" }, glyph),
      h("span", { class: "moment-state" }, entry.state),
      h("time", { datetime: entry.at }, time(entry.at)),
      lasted !== null && lasted >= 1 ? h("span", { class: "moment-lasted" }, `for ${seconds(lasted)}`) : null,
      entry.message || entry.by ? h("span", { class: "moment-message" }, [entry.message, entry.by ? `by ${entry.by}` : ""].filter(Boolean).join(" – ")) : null,
    );
  });
  return h("ol", { class: "timeline", reversed: true }, items.reverse());
}
