// The layout options of a target, with the names of rbd create.

import { h } from "../dom.js";
import { check, field, number, select, text } from "./field.js";
import { poolPicker } from "./picker.js";

const FEATURES = ["layering", "striping", "exclusive-lock", "object-map", "fast-diff", "deep-flatten", "journaling"];
const SIZES = ["4K", "16K", "64K", "128K", "256K", "512K", "1M", "2M", "4M", "8M", "16M", "32M"];
const NEEDS = { "object-map": ["exclusive-lock"], "fast-diff": ["exclusive-lock", "object-map"], journaling: ["exclusive-lock"] };

// Controls whose names begin with "layout.".
export function layoutFields() {
  const choose = h("input", { type: "checkbox", id: "choose-features", name: "layout.choose" });
  const boxes = FEATURES.map((name) => check(name, `layout.feature.${name}`));
  const set = h("fieldset", { class: "features", disabled: true }, h("legend", {}, "Features"), boxes);
  choose.addEventListener("change", () => {
    set.disabled = !choose.checked;
  });
  set.addEventListener("change", (event) => tickNeeded(set, event.target));
  return h(
    "div",
    { class: "fields" },
    field("Object size", select("layout.object_size", [["", "as on the source"], ...SIZES])),
    field("Data pool", poolPicker("layout.data_pool"), "for the data; the header stays in the target's pool"),
    field("Stripe unit", text("layout.stripe_unit"), "such as 64K; together with the count"),
    field("Stripe count", number("layout.stripe_count", { min: 1 })),
    field("Journal pool", poolPicker("layout.journal_pool")),
    field("Journal object size", text("layout.journal_object_size"), "such as 16M"),
    field("Journal splay width", number("layout.journal_splay_width", { min: 1 })),
    h(
      "div",
      { class: "wide" },
      check("Flatten: copy the parent's data too, so that the target depends on no parent", "layout.flatten"),
      check("Shared: for several writing clients", "layout.image_shared"),
      h("div", { class: "check" }, choose, h("label", { for: "choose-features" }, "Choose the features; otherwise they are those of the source")),
      set,
    ),
  );
}

// Features require others: ticking one ticks those, unticking one unticks those that require it.
function tickNeeded(set, changed) {
  const name = changed.name.replace("layout.feature.", "");
  const box = (feature) => set.querySelector(`[name="layout.feature.${feature}"]`);
  if (changed.checked) for (const needed of NEEDS[name] ?? []) box(needed).checked = true;
  else for (const [feature, needed] of Object.entries(NEEDS)) if (needed.includes(name)) box(feature).checked = false;
}

// The layout of a request, from the values of a form.
export function layoutOf(given) {
  const layout = {};
  for (const [name, value] of Object.entries(given)) {
    const option = name.startsWith("layout.") ? name.slice(7) : "";
    if (option && option !== "choose" && !option.startsWith("feature.")) layout[option] = value;
  }
  const features = FEATURES.filter((name) => given[`layout.feature.${name}`]);
  if (features.length) layout.image_feature = features;
  return layout;
}
