// A short list of migrations, each with a progress bar and one sentence.

import { h, say, sentence, refill } from "../dom.js";
import { rate, seconds } from "../format.js";
import { migrationLink } from "../router.js";
import { badge } from "./badge.js";
import { bar } from "./bar.js";
import { kept } from "./kept.js";
import { names } from "./names.js";
import { note } from "./note.js";

// ``update(reports)``; ``empty`` is the text when there are none.
export function cards(empty) {
  const list = h("ul", { class: "cards" });
  const nothing = h("p", { class: "nothing" }, empty);
  const show = kept(list, (report) => report.id, card);
  return {
    element: h("div", {}, nothing, list),
    update(reports) {
      nothing.hidden = reports.length > 0;
      show(reports);
    },
  };
}

function card(first) {
  const state = badge();
  const progress = bar(`Progress of ${first.target}`);
  const speed = h("span", { class: "card-speed" });
  const way = h("div", { class: "card-progress" }, progress.element, speed);
  const remark = h("p", { class: "card-note" });
  return {
    element: h(
      "li",
      { class: "card-line" },
      h("div", { class: "card-head" }, h("a", { href: migrationLink(first.target) }, names(first)), state.element),
      way,
      remark,
    ),
    update(report) {
      state.update(report);
      progress.update(report);
      way.hidden = report.percent === 100;
      const parts = [report.rate === null ? "" : rate(report.rate), report.eta_seconds === null ? "" : `${seconds(report.eta_seconds)} left`];
      say(speed, parts.filter(Boolean).join(", "));
      const { tone, text } = note(report);
      const shown = text || (report.rate === null ? report.next : "");
      remark.hidden = !shown;
      remark.className = `card-note ${tone}-text`;
      refill(remark, shown, () => sentence(shown));
    },
  };
}
