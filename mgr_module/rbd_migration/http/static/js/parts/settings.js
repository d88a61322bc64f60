// The form that changes the settings of a migration under way.

import { at, put } from "../api.js";
import { fill, h, sentence } from "../dom.js";
import { exactRate } from "../format.js";
import { goalsOf, VERIFY } from "../states.js";
import { field, number, select, text } from "./field.js";
import { checkFields, clearErrors, showRefusal } from "./field_errors.js";
import { announce } from "./notices.js";

// ``update(report)`` fills the form unless the user is editing it; ``done`` is called with the new report.
export function settings(done) {
  const controls = {
    goal: select("goal", goalsOf("warm")),
    verify: select("verify", VERIFY),
    rate: text("rate"),
    priority: number("priority"),
    window: text("window"),
    soak: text("soak"),
    cutover_window: text("cutover_window"),
    refresh_source: text("refresh_source"),
  };
  const whenCutOver = field("Cutover window", controls.cutover_window, "such as Sun 02:00-04:00; off: always");
  const refreshes = field("Refresh the source", controls.refresh_source, "after the cutover, such as every 6h; off: not by itself");
  const refusal = h("div", { role: "alert" });
  const form = h(
    "form",
    { class: "fields" },
    field("Goal", controls.goal, "how far it goes by itself"),
    field("Verify", controls.verify, "verification before the commit"),
    field("Rate", controls.rate, "bytes per second, such as 50M; off: no limit; 0: it is not copied"),
    field("Priority", controls.priority, "higher goes first"),
    field("Window", controls.window, "such as Mon-Fri 20:00-06:00, Sat-Sun; off: always"),
    field("Soak", controls.soak, "between verification and commit, such as 30m"),
    whenCutOver,
    refreshes,
    h("div", { class: "wide" }, refusal, h("div", { class: "buttons" }, h("button", { type: "submit", class: "primary" }, "Save the settings"))),
  );
  const element = h("details", { class: "card" }, h("summary", {}, h("h2", {}, "Change its settings")), form);
  let current = null;
  let shown = {};

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const changes = {};
    for (const [name, control] of Object.entries(controls)) {
      const value = control.value.trim();
      if (value !== shown[name] && value !== "") changes[name] = name === "priority" ? Number(value) : value;
    }
    try {
      fill(refusal, []);
      clearErrors(form);
      if (!checkFields(form)) return;
      if (!Object.keys(changes).length) {
        announce("Nothing was changed.");
        return;
      }
      const report = await put(at(current.target), changes);
      announce(`${report.target}: changed.`);
      document.activeElement?.blur();
      done(report);
    } catch (error) {
      if (!showRefusal(form, error.message)) fill(refusal, h("p", { class: "alert error" }, sentence(error.message)));
    }
  });

  return {
    element,
    update(report) {
      current = report;
      const goals = goalsOf(report.method);
      for (const option of controls.goal.options) option.hidden = option.disabled = !goals.includes(option.value);
      whenCutOver.hidden = refreshes.hidden = report.method !== "warm";
      element.hidden = report.ended !== null || report.goal === "aborted" || report.state === "committing";
      const now = {
        goal: report.goal,
        verify: report.verify,
        rate: exactRate(report.own_rate),
        priority: String(report.priority),
        window: report.window ?? "off",
        soak: `${report.soak_seconds}s`,
        cutover_window: report.cutover?.window ?? "off",
        refresh_source: report.reverse_rounds?.every_seconds ? `${report.reverse_rounds.every_seconds}s` : "off",
      };
      const touched = Object.entries(controls).some(([name, control]) => control.value !== (shown[name] ?? control.value));
      if (form.contains(document.activeElement) || (touched && JSON.stringify(now) === JSON.stringify(shown))) return;
      shown = now;
      for (const [name, control] of Object.entries(controls)) control.value = now[name];
    },
  };
}
