// The bar of actions on the selected migrations: one question for all of them, and what became of each.

import { bulk as request } from "../api.js";
import { fill, h, say, sentence } from "../dom.js";
import { count } from "../format.js";
import { migrationLink } from "../router.js";
import { possible } from "./actions.js";
import { busily } from "./busy.js";
import { confirm } from "./confirm.js";
import { consequence } from "./consequences.js";
import { onItsOwnView } from "./forced.js";
import { names } from "./names.js";
import { MOST } from "./selection.js";

const SHOWN = 50; // lines of a list that is not unfolded
const BULK = {
  execute: { label: "Execute", done: "begins to be copied" },
  cutover: { label: "Cut over", done: "is being cut over" },
  commit: { label: "Commit", done: "is being committed", danger: true, warning: "There is no way back after a commit." },
  pause: { label: "Pause", done: "is paused" },
  resume: { label: "Resume", done: "continues" },
  retry: { label: "Retry", done: "is tried again" },
  abort: { label: "Abort", done: "is being aborted", danger: true, warning: "Targets are removed, and what was copied is lost." },
};

// ``chosen``: a selection; ``addAll()`` selects all that match the table's filters; ``done()`` is called after an
// action. ``update(total)``: the number of those that match.
export function bulkBar(chosen, addAll, done) {
  const found = h("strong", {});
  const everything = h("button", { type: "button", class: "link-button" });
  const none = h("button", { type: "button", class: "link-button", onclick: () => chosen.clear() }, "Clear the selection");
  const buttons = new Map(Object.keys(BULK).map((name) => [name, actionButton(name)]));
  const results = h("div", {});
  const bar = h("div", { class: "bulk", role: "region", "aria-label": "Actions on the selected migrations", hidden: true }, h("p", { class: "bulk-count", role: "status" }, found, " ", everything, none), h("div", { class: "buttons" }, [...buttons.values()]));
  everything.addEventListener("click", () => busily(everything, addAll));

  function actionButton(name) {
    const { danger } = BULK[name];
    const button = h("button", { type: "button", class: danger ? "danger-line" : "", "data-action": name });
    button.addEventListener("click", () => busily(button, () => run(name)));
    return button;
  }

  const ableTo = (name) => chosen.reports().filter((report) => possible(report).includes(name));

  async function run(name) {
    const fits = ableTo(name);
    const others = chosen.reports().filter((report) => !fits.includes(report));
    const { label, danger, warning } = BULK[name];
    const answer = await confirm({
      title: `${label} ${count(fits.length, "migration")}?`,
      text: [warning, others.length ? `${count(others.length, "selected migration")} cannot be changed like this now and ${others.length === 1 ? "is" : "are"} left out.` : ""].filter(Boolean),
      verb: `${label} ${fits.length}`,
      danger: danger === true,
      more: listOf(fits, (report) => consequence(name, report)),
      act: () => carryOut(name, fits.map((report) => report.target)),
    });
    if (!answer) return;
    fill(results, outcome(name, answer, () => fill(results)));
    results.querySelector("h2").focus();
    chosen.remove(fits.filter((report) => answer.done.includes(report.target)));
    done();
  }

  return {
    element: bar,
    results,
    update(total) {
      const reports = chosen.reports();
      bar.hidden = !reports.length;
      say(found, `${count(reports.length, "migration")} selected.`);
      const more = chosen.pageIsSelected() && total > reports.length;
      everything.hidden = !more;
      say(everything, total > MOST ? `Select the first ${MOST} that match` : `Select all ${total} that match`);
      for (const [name, button] of buttons) {
        const fits = ableTo(name).length;
        button.hidden = !fits;
        say(button, `${BULK[name].label} ${fits} …`);
      }
    },
  };
}

// Send requests until every target has an outcome: the manager stops after some seconds and tells how many are left.
async function carryOut(action, targets) {
  const all = { done: [], refused: [], left: 0 };
  let waiting = targets;
  while (waiting.length) {
    const answer = await request(action, waiting);
    all.done.push(...answer.done);
    all.refused.push(...answer.refused);
    const answered = new Set([...answer.done, ...answer.refused.map((one) => one.target)]);
    const rest = waiting.filter((target) => !answered.has(target));
    if (rest.length === waiting.length) return { ...all, left: rest.length };
    waiting = rest;
  }
  return all;
}

function listOf(reports, text) {
  const line = (report) => h("li", {}, h("span", {}, names(report)), h("span", { class: "quiet" }, sentence(text(report))));
  const others = reports.slice(SHOWN);
  return h(
    "div",
    { class: "bulk-list", tabindex: "0", role: "region", "aria-label": "What happens to each" },
    h("ul", {}, reports.slice(0, SHOWN).map(line)),
    others.length ? h("details", {}, h("summary", {}, count(others.length, "more", "more")), h("ul", {}, others.map(line))) : null,
  );
}

// What became of each, the refused ones first; ``close()`` removes it.
function outcome(name, { done, refused, left }, close) {
  const parts = [`${done.length} begun`, refused.length ? `${refused.length} refused` : "", left ? `no time for ${left}` : ""];
  const refusal = ({ target, message }) => {
    const rest = message.startsWith(`${target} `) ? message.slice(target.length) : `: ${message}`;
    return h("li", {}, h("span", { class: "glyph bad-text", "aria-hidden": "true" }, "✖ "), h("a", { href: migrationLink(target) }, target), sentence(onItsOwnView(rest)));
  };
  const success = (target) => h("li", {}, h("span", { class: "glyph good-text", "aria-hidden": "true" }, "✔ "), h("a", { href: migrationLink(target) }, target), ` ${BULK[name].done}.`);
  return h(
    "section",
    { class: `alert ${refused.length || left ? "warning" : "info"} bulk-results` },
    h("h2", { tabindex: "-1" }, `${BULK[name].label}: ${parts.filter(Boolean).join(", ")}`),
    refused.length ? h("ul", {}, refused.map(refusal)) : null,
    left ? h("p", {}, "The manager was busy. Those that are left are still selected; press the button again.") : null,
    done.length ? h("details", { open: done.length <= SHOWN }, h("summary", {}, count(done.length, "image")), h("ul", {}, done.map(success))) : null,
    h("div", { class: "buttons" }, h("button", { type: "button", onclick: close }, "Close")),
  );
}
