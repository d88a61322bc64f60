// The form for a new migration or an import. Preflight runs on a button and after a pause in typing.

import * as api from "../api.js";
import { fill, h, sentence } from "../dom.js";
import { migrationLink } from "../router.js";
import { busily } from "../parts/busy.js";
import { cutoverFields } from "../parts/cutover_fields.js";
import { check, field, number, radios, select, text, values } from "../parts/field.js";
import { findings } from "../parts/findings.js";
import { inTicks } from "../parts/forced.js";
import { layoutFields, layoutOf } from "../parts/layout.js";
import { announce } from "../parts/notices.js";
import { sourceFields } from "../parts/source.js";

const PAUSE = 900;
const GOALS = [
  ["prepared", "prepared – you execute and commit it"],
  ["executed", "executed – all data is copied; you commit it, or cut over first"],
  ["verified", "verified – contents are compared; you commit it"],
  ["committed", "committed – all steps; an image that is the source is removed"],
];
const METHODS = [
  ["live", "live – clients are stopped for the prepare and use the target from then on"],
  ["warm", "warm – clients use the source until you cut over"],
  ["auto", "auto – warm where it can do the job, else live"],
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
  const method = select("method", METHODS, "live");
  const cutover = cutoverFields();
  cutover.hidden = true; // live has none
  method.addEventListener("change", () => (cutover.hidden = method.value === "live"));
  const image = h("div", {}, field("Source image", text("source", { required: true }), "[pool/[namespace/]]image"), field("Method", method, "how it is copied"), cutover);
  const external = sourceFields();
  external.element.hidden = true;
  const target = text("target", {});
  const targetField = field("Target image", target, TARGET.image);
  const found = h("div", { class: "preflight", role: "status" }, h("p", { class: "nothing" }, "Fill in source and target; preflight runs when you stop typing."));
  const refusal = h("div", { role: "alert" });
  const onto = check("Copy the image onto itself without a new layout (force)", "force"); // shown if preflight requires it
  onto.hidden = true;
  const asRaw = check("Import the file's bytes as they are, not the disk in it (as raw)", "as_raw"); // likewise
  asRaw.hidden = true;
  const look = h("button", { type: "button" }, "Check");
  const begin = h("button", { type: "submit", class: "primary" }, "Begin");
  const kind = radios("Source", "kind", [["image", "an image of this cluster"], ["external", "import from an external source"]], (value) => {
    image.hidden = value !== "image";
    external.element.hidden = value === "image";
    for (const control of image.querySelectorAll("input, select")) control.disabled = value !== "image";
    external.enable(value !== "image");
    target.required = value !== "image";
    targetField.querySelector(".hint").textContent = TARGET[value];
  });
  external.enable(false);

  const form = h(
    "form",
    {},
    h("section", { class: "card" }, h("h2", {}, "Source and target"), kind, image, external.element, targetField),
    h("details", { class: "card" }, h("summary", {}, h("h2", {}, "Layout of the target")), h("p", { class: "hint" }, "Options left empty are those of the source."), layoutFields()),
    h("section", { class: "card" }, h("h2", {}, "Goal, rate and window"), policyFields()),
    h("section", { class: "card" }, h("h2", {}, "Preflight"), found, refusal, onto, asRaw, h("div", { class: "buttons" }, begin, look)),
  );
  fill(root, h("h1", {}, "New migration"), form);

  let typing = 0;
  let asked = 0;
  form.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => preflight(false), PAUSE);
  });
  look.addEventListener("click", () => preflight(true));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busily(begin, submit);
  });
  app.onLeave(() => clearTimeout(typing));

  async function submit() {
    try {
      fill(refusal, []);
      const report = await api.post("", { ...wish(), ...policy() });
      announce(`${report.target}: The migration has begun.`);
      location.hash = migrationLink(report.target);
    } catch (error) {
      fill(refusal, h("p", { class: "alert error" }, sentence(inTicks(error.message))));
    }
  }

  // The fields about source, target and layout, as the API expects them.
  function wish() {
    const given = values(form);
    const common = { target: given.target, layout: layoutOf(given) };
    if (given.kind !== "external") return { ...common, source: given.source, force: given.force, method: given.method };
    const spec = external.spec();
    const asIs = spec.type === "raw" ? given.as_raw : undefined;
    return { ...common, import_only: true, source_spec: spec, inline_secrets: given.inline_secrets, as_raw: asIs };
  }

  function policy() {
    const { goal, verify, rate, priority, window, soak, cutover, max_pause, name_changes } = values(form);
    return { goal, verify, rate, priority, window, soak, cutover, max_pause, name_changes };
  }

  // ``aloud``: the user pressed the button, so missing fields are reported.
  async function preflight(aloud) {
    clearTimeout(typing);
    if (!form.checkValidity()) {
      if (aloud) form.reportValidity();
      return;
    }
    asked += 1;
    const mine = asked;
    found.setAttribute("aria-busy", "true");
    try {
      const asks = wish();
      const answer = await api.post("/check", asks);
      if (mine === asked) {
        onto.hidden = !asks.force && !answer.findings.some(({ code }) => code === "NOTHING_CHANGES");
        asRaw.hidden = !answer.findings.some(({ code }) => code === "RAW_CONTAINER");
        fill(found, findings({ ...answer, findings: answer.findings.map((one) => ({ ...one, message: inTicks(one.message) })) }));
      }
    } catch (error) {
      if (mine === asked) fill(found, h("p", { class: "alert error" }, sentence(error.message)));
    } finally {
      if (mine === asked) found.removeAttribute("aria-busy");
    }
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
