// Keeps the fields of a plan's steps and its text in agreement. The text is what counts.

import { plans } from "../api.js";
import { fill, h, sentence } from "../dom.js";
import { planYaml } from "../plan_yaml.js";
import { clearErrors, showAt } from "./field_errors.js";
import { planSteps } from "./plan_steps.js";

const TYPING = 500; // milliseconds after the last key in the text before the manager reads it

// ``text``: the text area. ``take(value)`` replaces its text, ``status`` says whether the text could be read.
export function planSync(text) {
  const status = h("p", { class: "bad-text", role: "status" });
  const steps = planSteps(write);
  // While the text says something else, the fields wait: a change there would overwrite it.
  const element = h("fieldset", { class: "plan-fields" }, h("legend", { class: "unseen" }, "The plan as fields"), steps.element);
  let timer = 0;
  let asked = 0;
  let refusal = ""; // of the plan, which the view shows

  function write() {
    asked += 1;
    text.value = planYaml(steps.definition());
    clearTimeout(timer);
    timer = setTimeout(judge, TYPING);
  }

  // Ask what is wrong with what the fields say.
  async function judge() {
    const mine = asked;
    try {
      const { problem } = await plans.read(text.value);
      if (mine === asked) say(problem);
    } catch (error) {
      if (mine === asked) say(error.message);
    }
  }

  // Show a problem at the field that it names, or below the text.
  function say(problem) {
    fill(status, atField(problem) || problem === refusal ? [] : sentence(problem));
  }

  // Show a problem at the field that it names; false if there is none.
  function atField(problem) {
    clearErrors(element);
    const [, path] = /^([a-z_.]+) in the plan\b/.exec(problem) ?? [];
    return path !== undefined && showAt(element, path, problem);
  }

  function soon() {
    clearTimeout(timer);
    asked += 1;
    element.disabled = true;
    timer = setTimeout(read, TYPING);
  }

  async function read() {
    asked += 1;
    const mine = asked;
    const empty = !text.value.trim();
    try {
      const { definition, problem } = empty ? { definition: {}, problem: "" } : await plans.read(text.value);
      if (mine !== asked) return;
      if (definition === null || typeof definition !== "object" || Array.isArray(definition)) throw new Error("It does not begin with `plan: NAME`.");
      steps.show(definition);
      element.disabled = false;
      say(problem);
    } catch (error) {
      if (mine === asked) fill(status, "The fields wait until the text can be read. ", sentence(error.message));
    }
  }

  text.addEventListener("input", soon);
  return {
    element,
    status,
    // Whether a refusal of the plan can be shown at a field, which then is.
    refused(message) {
      refusal = message;
      fill(status, []);
      const shown = atField(message);
      if (shown) element.querySelector("[aria-invalid]")?.focus();
      return shown;
    },
    take(value) {
      clearTimeout(timer);
      text.value = value;
      element.disabled = true;
      read();
    },
    stop: () => clearTimeout(timer),
  };
}
