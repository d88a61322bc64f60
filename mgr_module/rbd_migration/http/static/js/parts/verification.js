// The last verification of a migration: its outcome, what was not compared, and the differences.

import { h } from "../dom.js";
import { count, seconds, size, time } from "../format.js";
import { tag } from "./badge.js";

const OUTCOMES = {
  passed: { tone: "good", glyph: "✔", text: "passed: nothing differs" },
  failed: { tone: "bad", glyph: "✖", text: "failed: source and target differ" },
  partial: { tone: "held", glyph: "!", text: "partial: not all of it could be compared" },
};

export function verification(v) {
  const outcome = OUTCOMES[v.outcome] ?? { tone: "busy", glyph: "▶", text: "under way" };
  return [
    h("p", {}, tag(outcome.text, outcome.tone, outcome.glyph)),
    h(
      "p",
      {},
      `${v.mode === "full" ? "All data" : `A sample (${Number((v.fraction * 100).toPrecision(3))}% of the blocks with data)`}: `,
      `${size(v.bytes)} read on each side in ${seconds(v.seconds)}, `,
      v.at ? ["ended ", h("time", { datetime: v.at }, time(v.at))] : ["begun ", h("time", { datetime: v.started }, time(v.started))],
      ".",
    ),
    v.miss_probability ? h("p", {}, `One differing block is missed with probability ${v.miss_probability.toFixed(3)}.`) : null,
    v.reasons.length ? [h("p", {}, "Not compared:"), h("ul", {}, v.reasons.map((reason) => h("li", {}, reason)))] : null,
    v.views.length
      ? h(
          "div",
          { class: "scroll", role: "region", "aria-label": "Compared snapshots", tabindex: "0" },
          h(
            "table",
            { class: "plain" },
            h("thead", {}, h("tr", {}, ["Snapshot", "Compared", "Extents", "Differences"].map((name) => h("th", { scope: "col" }, name)))),
            h("tbody", {}, v.views.map(row)),
          ),
        )
      : null,
  ];
}

function row(view) {
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, view.snapshot ?? "head"),
    h("td", {}, view.compared ? size(view.bytes) : view.skipped || "not yet"),
    h("td", {}, String(view.extents)),
    h("td", { class: view.different ? "bad-text" : "" }, view.different ? differences(view) : "none"),
  );
}

function differences(view) {
  const shown = view.differences.map((one) => `${one.offset}+${one.length}`).join(", ");
  const more = view.different - view.differences.length;
  return `${count(view.different, "extent")}: ${shown}${more > 0 ? ` and ${more} more` : ""}`;
}
