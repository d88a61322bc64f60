// The form for a new migration or an import. Preflight runs on a button and after a pause in typing.

import * as api from "../api.js";
import { fill, h, sentence } from "../dom.js";
import { migrationLink } from "../router.js";
import { busily } from "../parts/busy.js";
import { cutoverFields } from "../parts/cutover_fields.js";
import { check, field, number, radios, select, text, values } from "../parts/field.js";
import { showRefusal } from "../parts/field_errors.js";
import { inTicks } from "../parts/forced.js";
import { layoutFields, layoutOf } from "../parts/layout.js";
import { announce } from "../parts/notices.js";
import { imagePicker, targetPicker } from "../parts/picker.js";
import { preflight } from "../parts/preflight.js";
import { sourceFields } from "../parts/source.js";

const GOALS = [
  ["prepared", "prepared – you execute and commit it"],
  ["executed", "executed – all data is copied; you commit it, or cut over first"],
  ["cut-over", "cut-over – it is copied and cut over; only with the method warm"],
  ["verified", "verified – contents are compared; you commit it"],
  ["committed", "committed – all steps; an image that is the source is removed"],
];
const METHODS = [
  ["auto", "auto – warm where it can do the job, else live; preflight says which"],
  ["warm", "warm – clients use the source until you cut over"],
  ["live", "live – clients are stopped for the prepare and use the target from then on"],
];
const IMPORT_METHODS = [
  ["", "best for the source"],
  ["live", "live – the target is linked to the source and can be used while data is copied"],
  ["copy", "copy – all data is read first; for formats that librbd does not read"],
  ["warm", "warm – an image of another cluster, which its clients use until you cut over"],
];
const TARGET = {
  image: "[pool/[namespace/]]image; empty: in place, with a new layout",
  external: "[pool/[namespace/]]image; it is created",
};

export function create(root, { app }) {
  if (!app.may("create")) {
    fill(root, h("h1", {}, "New migration"), h("p", { class: "alert warning" }, "Your login does not allow you to begin migrations or to check external sources; both need the permission create."));
    return "New migration";
  }
  const method = select("method", METHODS, "auto");
  const cutover = cutoverFields({ asked: true });
  method.addEventListener("change", () => {
    cutover.hidden = method.value === "live"; // which has none
  });
  const source = imagePicker("source", { required: true });
  const image = h("div", {}, field("Source image", source, "[pool/[namespace/]]image"), field("Method", method, "how it is copied"), cutover);
  const importMethod = select("import_method", IMPORT_METHODS);
  const external = sourceFields(field("Import method", importMethod, "how it is copied"));
  const leaving = h("div", {});
  importMethod.addEventListener("change", () => {
    fill(leaving, importMethod.value === "warm" ? cutoverFields({ asked: true, elsewhere: true }) : []);
  });
  external.element.append(leaving);
  external.element.hidden = true;
  const target = targetPicker("target", () => (source.disabled ? "" : source.value.trim()));
  const targetField = field("Target image", target, TARGET.image);
  const refusal = h("div", { role: "alert" });
  const onto = check("Copy the image onto itself without a new layout (force)", "force"); // shown if preflight requires it
  onto.hidden = true;
  const asRaw = check("Import the file's bytes as they are, not the disk in it (as raw)", "as_raw"); // likewise
  asRaw.hidden = true;
  const look = h("button", { type: "button" }, "Check");
  const begin = h("button", { type: "submit", class: "primary" }, "Begin");
  const blocked = h("p", { class: "hint", hidden: true }, "Begin is possible when no error is left. Check looks again.");
  const kind = radios("Source", "kind", [["image", "an image of this cluster"], ["external", "import from an external source"]], (value) => {
    image.hidden = value !== "image";
    external.element.hidden = value === "image";
    for (const control of image.querySelectorAll("input, select")) control.disabled = value !== "image";
    external.enable(value !== "image");
    target.required = value !== "image";
    targetField.querySelector(".hint").textContent = TARGET[value];
  });
  external.enable(false);

  const checks = h("section", { class: "card" }, h("h2", {}, "Preflight"));
  const form = h(
    "form",
    {},
    h("section", { class: "card" }, h("h2", {}, "Source and target"), kind, image, external.element, targetField),
    h("details", { class: "card" }, h("summary", {}, h("h2", {}, "Layout of the target")), h("p", { class: "hint" }, "Options left empty are those of the source."), layoutFields()),
    h("section", { class: "card" }, h("h2", {}, "Goal, rate and window"), policyFields()),
    checks,
  );
  const looked = preflight(form, request, offerBoxes, (yes) => {
    begin.disabled = !yes;
    blocked.hidden = yes;
  });
  checks.append(looked.element, refusal, onto, asRaw, h("div", { class: "buttons" }, begin, look), blocked);
  fill(root, h("h1", {}, "New migration"), form);

  // Boxes that override a finding are there while that finding is.
  function offerBoxes(answer, asks) {
    onto.hidden = !asks.force && !answer.findings.some(({ code }) => code === "NOTHING_CHANGES");
    asRaw.hidden = !answer.findings.some(({ code }) => code === "RAW_CONTAINER");
  }

  look.addEventListener("click", () => looked.run(true));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busily(begin, submit);
  });
  app.onLeave(looked.stop);

  async function submit() {
    try {
      fill(refusal, []);
      const report = await api.post("", { ...request(), ...policy() });
      announce(`${report.target}: The migration has begun.`);
      location.hash = migrationLink(report.target);
    } catch (error) {
      const message = inTicks(error.message);
      if (!showRefusal(form, message)) fill(refusal, h("p", { class: "alert error" }, sentence(message)));
    }
  }

  // The fields about source, target and layout, as the API expects them.
  function request() {
    const given = values(form);
    const common = { target: given.target, layout: layoutOf(given) };
    if (given.kind !== "external") return { ...common, source: given.source, force: given.force, method: given.method };
    const spec = external.spec();
    const asIs = spec.type === "raw" ? given.as_raw : undefined;
    return { ...common, import_only: true, method: given.import_method, source_spec: spec, inline_secrets: given.inline_secrets, as_raw: asIs };
  }

  function policy() {
    const { goal, verify, rate, priority, window, soak, cutover, max_pause, name_changes, cutover_window, refresh_source } = values(form);
    return { goal, verify, rate, priority, window, soak, cutover, max_pause, name_changes, cutover_window, refresh_source };
  }

  return "New migration";
}

function policyFields() {
  return h(
    "div",
    { class: "fields" },
    h("div", { class: "wide" }, field("Goal", select("goal", GOALS, "prepared"), "how far it goes by itself")),
    field("Verify", select("verify", ["auto", "none", "sample", "full"], "auto"), "verification before the commit; auto: images with snapshots or a parent"),
    field("Soak", text("soak"), "between verification and commit, such as 30m or 7d"),
    field("Rate", text("rate"), "bytes per second, such as 50M; empty: no limit of its own"),
    field("Priority", number("priority"), "higher goes first"),
    field("Window", text("window"), "such as Mon-Fri 20:00-06:00, Sat-Sun; empty: always"),
  );
}
