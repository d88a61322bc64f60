// A new plan: its steps as fields and its text next to them, which agree; check it, create it.

import { PLAN_RIGHTS, plans } from "../api.js";
import { fill, h, sentence, freshId } from "../dom.js";
import { EXAMPLE } from "../plan_example.js";
import { planLink } from "../router.js";
import { busily } from "../parts/busy.js";
import { confirm } from "../parts/confirm.js";
import { field } from "../parts/field.js";
import { announce } from "../parts/notices.js";
import { planChecker } from "../parts/plan_checker.js";
import { planSync } from "../parts/plan_sync.js";

const MOST = 512 * 1024; // characters, the limit of the manager
const NAME = /^\s*\{?\s*["']?plan["']?\s*:\s*["']?([\w.-]+)/m;

export function newPlan(root, { app, query }) {
  if (!app.may(PLAN_RIGHTS.create)) {
    fill(root, h("h1", {}, "New plan"), h("p", { class: "alert warning" }, "Your login does not allow you to create plans."));
    return "New plan";
  }
  const file = h("input", { type: "file", accept: ".yaml,.yml,.json,.txt,text/plain,application/json" });
  const text = h("textarea", { name: "file", id: freshId("file"), class: "file", rows: 30, wrap: "off", autocomplete: "off", autocapitalize: "none", spellcheck: "false", required: true });
  const refusal = h("div", { role: "alert" });
  const example = h("button", { type: "button" }, "Insert an example");
  const look = h("button", { type: "button" }, "Check");
  const keep = h("button", { type: "submit", class: "primary" }, "Create");
  const checker = planChecker();
  const found = h("div", { hidden: true }, checker.element);
  const sync = planSync(text);
  const fileCard = h(
    "section",
    { class: "card plan-text" },
    h("h2", {}, "The plan's file"),
    field("Choose a file", file, "YAML or JSON; it appears below and can be edited there"),
    field("The plan", text, "what the fields say; a change in a field rewrites it, without comments"),
    sync.status,
    h("div", { class: "buttons" }, example),
  );
  const preview = h(
    "section",
    { class: "card", "aria-label": "Step 4: Preview" },
    h("h2", {}, h("span", { class: "step-number" }, "4"), " Preview"),
    refusal,
    h("p", { class: "hint" }, "Check saves the plan as a draft and shows which images it selects, where they go and what prevents them; Create saves it and shows it. No migration begins before you start the plan."),
    h("div", { class: "buttons" }, keep, look),
    found,
  );
  const form = h("form", {}, h("div", { class: "plan-columns" }, sync.element, fileCard), preview);
  fill(root, h("p", { class: "crumbs" }, h("a", { href: "#/plans" }, "Plans")), h("h1", {}, "New plan"), form);
  sync.take(query.get("example") ? EXAMPLE : "");

  const ours = new Set(); // names of plans that this form has created and may change without asking
  let checked = null; // the text of the last check
  file.addEventListener("change", read);
  example.addEventListener("click", insert);
  look.addEventListener("click", () => busily(look, check));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busily(keep, create);
  });
  app.onLeave(() => {
    checker.stop();
    sync.stop();
  });

  async function read() {
    const [chosen] = file.files;
    if (!chosen) return;
    if (chosen.size > 4 * MOST) {
      refuse(`${chosen.name} is longer than a plan may be (${MOST} characters).`);
      return;
    }
    fill(refusal, []);
    sync.take(await chosen.text());
    file.value = ""; // so that the same file can be chosen again
    announce(`${chosen.name} was read.`);
  }

  // Asks before it replaces text that the user typed.
  async function insert() {
    const put = () => {
      sync.take(EXAMPLE);
      return true;
    };
    const typed = text.value.trim() && text.value !== EXAMPLE;
    const done = typed ? await confirm({ title: "Insert the example?", text: ["The text in the field is replaced."], verb: "Replace it", act: put }) : put();
    if (!done) return;
    fill(refusal, []);
    text.focus();
    text.setSelectionRange(0, 0);
    text.scrollTop = 0;
  }

  // Save the text as a draft. Returns its report, or undefined when it was refused.
  async function kept() {
    if (!form.reportValidity()) return undefined;
    fill(refusal, []);
    try {
      const [, name] = NAME.exec(text.value) ?? [];
      const report = await (ours.has(name) ? plans.apply(text.value) : plans.create(text.value));
      ours.add(report.name);
      return report;
    } catch (error) {
      if (error.code === "EEXIST") return replace(error);
      refuse(error.message);
      return undefined;
    }
  }

  // Asks whether to change the existing plan of that name.
  async function replace(error) {
    const report = await confirm({
      title: "Change the existing plan?",
      text: [
        error.message,
        "A draft, or a plan that has ended, is replaced by this one. For a plan that has started, only waves, policy, limits and window change; its images stay.",
      ],
      verb: "Change it",
      act: () => plans.apply(text.value),
    });
    if (report) ours.add(report.name);
    else refuse(error.message);
    return report;
  }

  async function check() {
    checked = text.value;
    const report = await kept();
    found.hidden = !report;
    if (report) await checker.run(report.name);
  }

  async function create() {
    const report = await kept();
    if (!report) return;
    if (text.value !== checked) checker.forget();
    announce(`${report.name}: It is saved as a ${report.state}.`);
    location.hash = planLink(report.name);
  }

  // Show why the plan was refused, at its field, or here with a button to the line if the message names one.
  function refuse(message) {
    if (sync.refused(message)) {
      fill(refusal, []);
      return;
    }
    const [, line] = /\(line (\d+), column \d+\)/.exec(message) ?? [];
    const go = line ? h("button", { type: "button", onclick: () => select(text, Number(line)) }, `Go to line ${line}`) : null;
    fill(refusal, h("div", { class: "alert error" }, h("p", {}, sentence(message)), go));
  }

  return "New plan";
}

// Select a line of a text field, and show it.
function select(area, line) {
  const lines = area.value.split("\n");
  const from = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
  area.focus();
  area.setSelectionRange(from, from + (lines[line - 1] ?? "").length);
  area.scrollTop = (area.scrollHeight / lines.length) * Math.max(0, line - 4);
}
