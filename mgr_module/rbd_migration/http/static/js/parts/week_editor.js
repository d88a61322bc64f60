// Changes a part of the week: days and hours, chosen with the mouse in the drawing or with these fields, get a rate or
// are opened or closed for copies.

import { fill, h } from "../dom.js";
import { DAY, DAYS, parseClock, parseRate } from "../timetable.js";
import { clock } from "../week_text.js";
import { check, field, select, text } from "./field.js";

const ACTS = [
  ["rate", "limit the rate to"],
  ["free", "no limit of the rate"],
  ["still", "no copies (rate 0)"],
  ["open", "the window is open"],
  ["closed", "the window is closed: no copies"],
];

// ``apply({days, from, to, rate | open})`` is called for a change, and answers with a sentence if it is not possible.
// ``selected(selection)`` is called when the fields say another part of the week.
export function weekEditor(apply, selected) {
  const boxes = DAYS.map((day, index) => check(day, "", { value: index, checked: index < 5 }));
  const from = text("", { value: "08:00", inputmode: "numeric" });
  const to = text("", { value: "18:00", inputmode: "numeric" });
  const act = select("", ACTS, "rate");
  const rate = text("", { value: "50M" });
  const rateField = field("Rate of this part", rate, "bytes per second, such as 50M");
  const problem = h("p", { class: "bad-text", role: "status" });
  const go = h("button", { type: "button" }, "Change this part of the week");
  const element = h(
    "details",
    { class: "week-editor" },
    h("summary", {}, "Edit the week"),
    h("p", { class: "hint" }, "Drag over the drawing, or choose days and times here. Nothing is set before you press the button below the fields of throttle and window."),
    h("fieldset", { class: "days" }, h("legend", {}, "Days"), boxes),
    h("div", { class: "fields" }, field("From", from, "such as 08:00"), field("To", to, "such as 18:00; up to 24:00"), field("In this part", act), rateField),
    problem,
    h("div", { class: "buttons" }, go),
  );

  function chosen() {
    const days = boxes.flatMap((box, index) => (box.querySelector("input").checked ? [index] : []));
    return { days, from: parseClock(from.value.trim()), to: parseClock(to.value.trim()) };
  }

  function problemOf({ days, from: start, to: end }) {
    if (!days.length) return "Choose at least one day.";
    if (start === null || end === null || start >= DAY) return "Give times of the day, from 00:00 to 24:00.";
    return start < end ? "" : "The time from has to be before the time to; for a night change both days.";
  }

  function look() {
    const part = chosen();
    rateField.hidden = act.value !== "rate";
    fill(problem, element.open ? problemOf(part) : "");
    selected(element.open && !problemOf(part) ? part : null);
  }

  function change() {
    const part = chosen();
    let said = problemOf(part);
    try {
      const changes = { rate: () => ({ rate: parseRate(rate.value) }), free: () => ({ rate: null }), still: () => ({ rate: 0 }), open: () => ({ open: true }), closed: () => ({ open: false }) };
      if (!said) said = apply({ ...part, ...changes[act.value]() }) ?? "";
    } catch (error) {
      said = error.message;
    }
    fill(problem, said);
  }

  element.addEventListener("input", (event) => {
    event.stopPropagation();
    look();
  });
  element.addEventListener("toggle", look);
  go.addEventListener("click", change);
  look();
  return {
    element,
    // Take over what was selected with the mouse.
    choose({ days, from: start, to: end }) {
      element.open = true;
      boxes.forEach((box, index) => {
        box.querySelector("input").checked = days.includes(index);
      });
      from.value = clock(start);
      to.value = clock(end);
      look();
    },
  };
}
