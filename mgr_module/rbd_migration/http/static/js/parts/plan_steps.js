// A plan as steps: which images, where they go, when and how far. The fields and the plan's text agree:
// ``definition()`` is what the fields say, ``show(definition)`` puts a plan into them.

import { fill, h } from "../dom.js";
import { check, field, number, select, text } from "./field.js";
import { namespacePicker, poolPicker } from "./picker.js";

const GOALS = [
  ["", "committed – all steps; sources are removed (as without a choice)"],
  ["prepared", "prepared – you execute and commit"],
  ["executed", "executed – all data is copied; you commit"],
  ["cut-over", "cut-over – clients use the target; you commit (method warm)"],
  ["verified", "verified – contents are compared; you commit"],
  ["committed", "committed – all steps; sources are removed"],
];
const VERIFY = [["", "auto: images with snapshots or a parent"], "auto", "none", "sample", "full"];
const METHODS = [["", "live – clients are stopped for the prepare"], "live", ["warm", "warm – clients use the source until the cutover"]];
const MODES = [["", "as without a choice: refuse"], "refuse", "when-closed", "agent", "hook"];

// Fields by where they are in a plan file: the path, the label, the hint, and what makes the control.
const MAP = [
  ["map.target_pool", "Target pool", "empty: each image stays in its pool", poolPicker],
  ["map.target_namespace", "Target namespace", "empty: the default one", (name, form) => namespacePicker(name, () => valueOf(form(), "map.target_pool"))],
  ["map.name", "Name of a target", "may use {pool} {namespace} {name} {index}; empty: the same name", text],
  ["map.object_size", "Object size", "such as 4M; empty: that of the source", text],
  ["map.data_pool", "Data pool", "for the data; empty: that of the source", poolPicker],
];
const SCHEDULE = [
  ["waves.size", "Images in a wave", "empty: 20", number],
  ["waves.stop_after_failures", "Stop after failures", "empty: 3; 0: never", number],
  ["waves.wait", "A wave waits", "for images in use, such as 10m; empty: until they are free", text],
  ["policy.goal", "Goal", "how far each image goes by itself", (name) => select(name, GOALS)],
  ["policy.method", "Method", "how images are copied", (name) => select(name, METHODS)],
  ["policy.verify", "Verify", "comparison before the commit", (name) => select(name, VERIFY)],
  ["policy.cutover", "Clients at the cutover", "for the method warm", (name) => select(name, MODES)],
  ["policy.cutover_window", "Cutover window", "for the method warm, such as Sun 02:00-04:00", text],
  ["policy.refresh_source", "Refresh the sources", "for the method warm, after the cutover, such as every 6h; empty: not by itself", text],
  ["policy.rate", "Rate", "of all copies of the plan together, such as 200M", text],
  ["policy.priority", "Priority", "higher goes first", number],
  ["limits.max_copies", "Copies at once", "empty: as many as the cluster allows", number],
  ["window", "Window", "when copies may run, such as Mon-Fri 20:00-06:00, Sat-Sun", text],
];
const SELECT = ["pool", "namespace", "name", "regex", "exclude", "size"];

// ``changed()`` is called when the user has changed a field.
export function planSteps(changed) {
  const name = text("plan", { required: true });
  const list = h("ol", { class: "snapshots" });
  const add = h("button", { type: "button" }, "Add another selection");
  const note = h("p", { class: "hint", hidden: true }, "The text has parts that have no field here (images by name, labels or more options). They stay as they are.");
  const whole = () => element;
  const make = ([path, label, hint, control]) => field(label, control(path, whole), hint);
  const element = h(
    "div",
    { class: "steps" },
    step(1, "Select", "Which images are moved.", h("div", { class: "fields" }, field("Name of the plan", name, "letters, digits, '_', '.' and '-'")), list, add, note),
    step(2, "Map", "Where they go.", h("div", { class: "fields" }, MAP.map(make)), check("Flatten: targets depend on no parent", "map.flatten")),
    step(3, "Schedule", "When, how fast and how far.", h("div", { class: "fields" }, SCHEDULE.map(make))),
  );
  let rows = [];
  let kept = {}; // the definition of which the fields are a part

  function selector(given = {}) {
    const controls = {
      pool: poolPicker("", { value: given.pool ?? "" }),
      namespace: namespacePicker("", () => controls.pool.value.trim(), { value: given.namespace ?? "" }),
      name: text("", { value: given.name ?? "" }),
      regex: text("", { value: given.regex ?? "" }),
      exclude: text("", { value: listed(given.exclude) }),
      size: text("", { value: given.size ?? "" }),
    };
    const drop = h("button", { type: "button" }, "Remove this selection");
    const row = {
      controls,
      given,
      element: h(
        "li",
        { class: "fields" },
        field("Pool of the images", controls.pool),
        field("Namespace", controls.namespace, "empty: the default one"),
        field("Names", controls.name, "such as vm-*; empty: all"),
        field("Or a regular expression", controls.regex, "that fits the whole name"),
        field("Except", controls.exclude, "names, with commas, such as vm-test-*"),
        field("Size", controls.size, "such as >=1G,<2T"),
        drop,
      ),
    };
    drop.addEventListener("click", () => {
      rows = rows.filter((one) => one !== row);
      showRows();
      changed();
    });
    return row;
  }

  function showRows() {
    if (!rows.length) rows = [selector()];
    fill(list, rows.map((row) => row.element));
    for (const row of rows) row.element.lastElementChild.hidden = rows.length === 1;
  }

  add.addEventListener("click", () => {
    rows.push(selector());
    showRows();
    rows.at(-1).controls.pool.focus();
  });
  element.addEventListener("input", changed);
  showRows();

  return {
    element,
    definition() {
      const found = { ...kept, plan: name.value.trim() };
      const selects = rows.map(selectOf).filter((one) => Object.keys(one).length);
      set(found, "select", selects.length ? selects : "");
      for (const control of element.querySelectorAll("[name]")) {
        if (control === name || !control.name) continue;
        set(found, control.name, control.type === "checkbox" ? (control.checked ? "true" : "") : control.value.trim());
      }
      return found;
    },
    show(given) {
      kept = given;
      name.value = given.plan ?? "";
      rows = (Array.isArray(given.select) ? given.select : []).map(selector);
      showRows();
      for (const control of element.querySelectorAll("[name]")) {
        if (control === name || !control.name) continue;
        const value = at(given, control.name);
        if (control.type === "checkbox") control.checked = ["true", "yes", "on"].includes(String(value).toLowerCase());
        else control.value = Array.isArray(value) ? value.join(", ") : String(value ?? "");
      }
      note.hidden = !hasMore(given);
    },
  };
}

function step(position, title, about, ...content) {
  return h("section", { class: "card", "aria-label": `Step ${position}: ${title}` }, h("h2", {}, h("span", { class: "step-number" }, String(position)), ` ${title}`), h("p", { class: "hint" }, about), content);
}

function selectOf({ controls, given }) {
  const found = { ...given };
  for (const part of SELECT) {
    const value = controls[part].value.trim();
    if (!value) delete found[part];
    else found[part] = part === "exclude" ? value.split(",").map((one) => one.trim()).filter(Boolean) : value;
  }
  return found;
}

function listed(value) {
  return Array.isArray(value) ? value.join(", ") : (value ?? "");
}

function valueOf(element, name) {
  return element.querySelector(`[name="${name}"]`)?.value.trim() ?? "";
}

function at(given, path) {
  return path.split(".").reduce((found, part) => found?.[part], given);
}

// Set or, if ``value`` is empty, remove what is at a path of one or two parts; empty objects are removed, too.
function set(found, path, value) {
  const [first, second] = path.split(".");
  if (second === undefined) {
    if (value === "") delete found[first];
    else if (!same(found[first], value)) found[first] = value;
    return;
  }
  const inner = typeof found[first] === "object" ? { ...found[first] } : {};
  if (value === "") delete inner[second];
  else if (!same(inner[second], value)) inner[second] = value;
  if (Object.keys(inner).length) found[first] = inner;
  else delete found[first];
}

// A list in the text is a line with commas in its field.
function same(before, value) {
  return Array.isArray(before) && before.join(", ") === value;
}

function hasMore(given) {
  const known = ["plan", "select", "window", ...[...MAP, ...SCHEDULE].map(([path]) => path), "map.flatten"];
  const flat = Object.entries(given).flatMap(([name, value]) => (value && typeof value === "object" && !Array.isArray(value) ? Object.keys(value).map((inner) => `${name}.${inner}`) : [name]));
  const selects = Array.isArray(given.select) ? given.select : [];
  return flat.some((path) => !known.includes(path)) || selects.some((one) => Object.keys(one ?? {}).some((part) => !SELECT.includes(part)));
}
