// Form fields with labels and hints.

import { h, freshId } from "../dom.js";

// A labelled control, with the list of what it proposes if it is one of parts/picker.js. ``hint`` is a short help that
// screen readers read with it.
export function field(label, control, hint = "") {
  control.id ||= freshId("field");
  const help = hint ? h("small", { class: "hint", id: `${control.id}-hint` }, hint) : null;
  if (help) control.setAttribute("aria-describedby", help.id);
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control, control.proposals ?? null, help);
}

// A line of text without spelling correction, for names and numbers.
export function text(name, options = {}) {
  return h("input", { type: "text", name, autocomplete: "off", autocapitalize: "none", spellcheck: "false", ...options });
}

export function number(name, options = {}) {
  return h("input", { type: "number", name, inputmode: "numeric", autocomplete: "off", ...options });
}

// ``choices``: values, or [value, label] pairs.
export function select(name, choices, chosen = "") {
  const options = choices.map((choice) => {
    const [value, label] = Array.isArray(choice) ? choice : [choice, choice];
    return h("option", { value, selected: value === chosen }, label);
  });
  return h("select", { name }, options);
}

// A checkbox followed by its label.
export function check(label, name, options = {}) {
  const box = h("input", { type: "checkbox", name, id: freshId("box"), ...options });
  return h("div", { class: "check" }, box, h("label", { for: box.id }, label));
}

// Radio buttons, of which the first is chosen; ``onchange`` gets the value.
export function radios(legend, name, choices, onchange) {
  const items = choices.map(([value, label], index) => {
    const input = h("input", { type: "radio", name, value, id: freshId("radio"), checked: index === 0, onchange: () => onchange(value) });
    return h("div", { class: "check" }, input, h("label", { for: input.id }, label));
  });
  return h("fieldset", { class: "radios" }, h("legend", {}, legend), items);
}

// The values of a form's named controls, without empty fields and unticked boxes.
export function values(form) {
  const found = {};
  for (const control of form.elements) {
    if (!control.name || control.disabled || control.closest("[hidden]")) continue;
    if (control.type === "checkbox") {
      if (control.checked) found[control.name] = true;
    } else if (control.type === "radio") {
      if (control.checked) found[control.name] = control.value;
    } else if (control.value.trim() !== "") {
      found[control.name] = control.type === "number" ? Number(control.value) : control.value.trim();
    }
  }
  return found;
}
