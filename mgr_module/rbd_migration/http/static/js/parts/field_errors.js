// Errors at the fields that they are about.

import { fill, freshId, h, sentence } from "../dom.js";
import { parseRate, parseWindow } from "../timetable.js";

const DURATION = /^\d{1,20}(\.\d{1,20})?\s*[smhd]?$/i;
const CHECKS = {
  rate: (value) => parseRate(value),
  window: (value) => value === "off" || parseWindow(value),
  cutover_window: (value) => value === "off" || parseWindow(value),
  soak: requireDuration,
  refresh_source: (value) => value === "off" || requireDuration(value),
};

function requireDuration(value) {
  if (!DURATION.test(value)) throw new Error("This is not a duration; give one such as 90s, 30m, 1h or 7d.");
}

// Show ``message`` at the form's field of that name; "" removes it. False: there is no such field to be seen.
export function showAt(form, name, message) {
  const control = controlOf(form, name);
  const place = control?.closest(".field");
  if (!place || place.closest("[hidden]")) return false;
  let error = place.querySelector(".field-error");
  if (!error && !message) return true;
  if (!error) {
    error = h("p", { class: "field-error", id: freshId("error"), role: "alert" });
    place.append(error);
  }
  fill(error, message ? sentence(message) : []);
  error.hidden = !message;
  describe(control, error, message);
  place.closest("details")?.toggleAttribute("open", message !== "" || place.closest("details").open);
  return true;
}

function describe(control, error, message) {
  const ids = (control.getAttribute("aria-describedby") ?? "").split(" ").filter((id) => id && id !== error.id);
  if (message) ids.push(error.id);
  if (ids.length) control.setAttribute("aria-describedby", ids.join(" "));
  else control.removeAttribute("aria-describedby");
  if (message) control.setAttribute("aria-invalid", "true");
  else control.removeAttribute("aria-invalid");
}

// Remove all errors from a form's fields.
export function clearErrors(form) {
  for (const error of form.querySelectorAll(".field-error")) {
    const control = error.closest(".field").querySelector("input, select, textarea");
    fill(error, []);
    error.hidden = true;
    describe(control, error, "");
  }
}

// Check what is typed into fields of rates, windows and durations; show what is wrong with it. Whether all is right.
export function checkFields(form) {
  let right = true;
  for (const [name, check] of Object.entries(CHECKS)) {
    const control = controlOf(form, name);
    if (!control || control.disabled) continue;
    const message = problemOf(check, control.value.trim());
    showAt(form, name, message);
    right = right && !message;
  }
  return right;
}

function problemOf(check, value) {
  try {
    if (value) check(value);
    return "";
  } catch (error) {
    return error.message;
  }
}

// Show a refusal of the API at its field, if it begins with the field's name. Whether it could be shown there.
export function showRefusal(form, message) {
  const [, name] = /^"?([a-z][a-z_.]*[a-z])"?\b/.exec(message) ?? [];
  if (name && showAt(form, name, message)) return true;
  const about = [...form.querySelectorAll("input[name=source], input[name=target]")].find((control) => control.value.trim() && message.includes(control.value.trim()));
  return about !== undefined && showAt(form, about.name, message);
}

// The name of the field that a finding of preflight is about; "" if none is.
export function fieldOfFinding({ code, object }, { source = "", target = "" }) {
  if (code === "STRIPE_UNIT") return "layout.stripe_unit";
  if (code.startsWith("DATA_POOL")) return "layout.data_pool";
  if (/^(TARGET_|NOTHING_CHANGES|NO_SPACE|QUOTA_)/.test(code)) return "target";
  if (/^(SOURCE_|WARM_|NO_EXCLUSIVE_LOCK)/.test(code)) return "source";
  if (object && (object === target || poolOf(target) === object)) return "target";
  return object && (object === source || poolOf(source) === object) ? "source" : "";
}

function poolOf(spec) {
  return spec.split("/")[0];
}

function controlOf(form, name) {
  const all = [...form.elements].filter((control) => control.name);
  return all.find((control) => control.name === name) ?? all.find((control) => control.name.endsWith(`.${name}`));
}
