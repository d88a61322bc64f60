// The fields of an external source: its format, its stream, and for raw the snapshots.

import { fill, h } from "../dom.js";
import { FORMATS, STREAMS, sourceSpec } from "../source_spec.js";
import { check, field, number, select, text } from "./field.js";
import { poolPicker } from "./picker.js";

// ``more``: another field, next to the format. ``spec()`` returns the JSON source-spec; ``enable(yes)`` enables or disables the fields.
export function sourceFields(more) {
  const format = select("format", FORMATS.map((one) => [one.name, one.label]));
  const stream = select("stream", STREAMS.map((one) => [one.name, one.label]));
  const streamChoice = field("Stream", stream);
  const own = h("div", { class: "fields" });
  const rare = h("div", { class: "fields" });
  const summary = h("summary", {});
  const details = h("details", {}, summary, rare);
  const snapshots = h("div", {});
  const inline = check("Store the keys in the image's header, where all clients that can read the image can see them", "inline_secrets");
  const list = h("ol", { class: "snapshots" });
  const element = h("div", { class: "external" }, h("div", { class: "fields" }, field("Format", format), streamChoice, more), own, details, inline, snapshots);
  let controls = new Map();
  let extra = [];
  let enabled = true;

  function formatNow() {
    return FORMATS.find((one) => one.name === format.value);
  }

  function streamNow() {
    return STREAMS.find((one) => one.name === stream.value);
  }

  // Replace the fields for another format or stream; those of the same name keep their text.
  function renew() {
    const before = values(controls);
    streamChoice.hidden = !formatNow().streams;
    inline.hidden = !formatNow().streams || !streamNow().fields.some((known) => known.secret);
    controls = make(formatNow().streams ? [...formatNow().fields, ...streamNow().fields.map(ofStream)] : formatNow().fields, before);
    fill(own, labelled(controls, false));
    fill(rare, labelled(controls, true));
    details.hidden = !rare.children.length;
    summary.textContent = formatNow().streams ? "Packed files, checksum, logins" : "Another cluster";
    extra = extra.map((one) => snapshot(values(one.controls), one.name.value));
    showSnapshots();
    enable(enabled);
  }

  function showSnapshots() {
    const raw = format.value === "raw";
    const add = h("button", { type: "button" }, "Add a snapshot");
    add.addEventListener("click", () => {
      extra.push(snapshot({}, ""));
      showSnapshots();
      extra[extra.length - 1].name.focus();
    });
    fill(list, extra.map((one) => one.element));
    fill(snapshots, raw ? [extra.length ? h("p", { class: "hint" }, "Snapshots, oldest first:") : null, list, add] : []);
  }

  function snapshot(given, called) {
    const fields = make(streamNow().fields.filter((known) => !known.more).map(ofStream), given);
    const name = text("", { required: true, value: called });
    const drop = h("button", { type: "button" }, "Remove it");
    const one = {
      name,
      controls: fields,
      element: h("li", { class: "fields" }, field("Snapshot's name", name), labelled(fields, false), drop),
    };
    drop.addEventListener("click", () => {
      extra = extra.filter((other) => other !== one);
      showSnapshots();
    });
    return one;
  }

  function enable(yes) {
    enabled = yes;
    for (const control of element.querySelectorAll("input, select")) control.disabled = !yes;
  }

  format.addEventListener("change", renew);
  stream.addEventListener("change", renew);
  renew();
  return {
    element,
    enable,
    spec: () =>
      sourceSpec(
        format.value,
        stream.value,
        values(controls),
        extra.map((one) => ({ name: one.name.value.trim(), given: values(one.controls) })),
      ),
  };
}

function ofStream(known) {
  return { ...known, name: `stream.${known.name}` };
}

// The fields that are always shown, or those that are rarely needed.
function labelled(controls, more) {
  const shown = [...controls.values()].filter(({ known }) => (known.more ?? false) === more);
  return shown.map(({ known, control }) => field(known.label, control, known.hint));
}

function make(fields, given) {
  return new Map(fields.map((known) => [known.name, { known, control: controlOf(known, given[known.name] ?? "") }]));
}

function controlOf(known, value) {
  if (known.choices) return select("", known.choices, value);
  const look = known.secret || known.login ? { type: "password", autocomplete: "off" } : {};
  const input = known.pool ? poolPicker : known.number ? number : text;
  return input("", { ...look, required: known.required ?? false, value });
}

function values(controls) {
  return Object.fromEntries([...controls].map(([name, { control }]) => [name, control.value.trim()]));
}
