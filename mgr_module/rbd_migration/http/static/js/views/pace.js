// The throttle with its timetable over the week, the window, throttles of pools, limits.

import * as api from "../api.js";
import { fill, h, refill, say, sentence } from "../dom.js";
import { rate } from "../format.js";
import { closed, parseTimetable, parseWindow, stretches } from "../timetable.js";
import { busily } from "../parts/busy.js";
import { field, number, text } from "../parts/field.js";
import { announce } from "../parts/notices.js";
import { poolPicker } from "../parts/picker.js";
import { clockIn, week } from "../parts/week.js";
import { weekEditor } from "../parts/week_editor.js";
import { openings, paint, timetableText, windowText } from "../week_text.js";

const LIMITS = [
  ["max_copies", "Copies at once", ""],
  ["per_source_pool", "… from one source pool", "0: no limit"],
  ["per_target_pool", "… to one target pool", "0: no limit"],
  ["per_source_host", "… from one external host", "0: no limit; for imports"],
  ["max_steps", "Other steps at once", "prepares, commits and aborts"],
  ["max_verifies", "Verifications at once", ""],
];

export function pace(root, { app }) {
  const may = app.may("update");
  const now = h("p", { class: "figure" });
  const gates = h("div", {});
  const drawing = week("The throttle and the window over the week", may ? (part) => parts.choose(part) : null);
  const parts = may ? weekEditor(change, drawing.select) : null;
  const where = h("p", { class: "hint" });
  const problem = h("p", { class: "bad-text", role: "status" });
  const throttle = text("timetable", { readonly: !may, value: "" });
  const zone = text("timezone", { readonly: !may, value: "" });
  const windows = text("window", { readonly: !may, value: "" });
  const pools = h("div", {});
  const guard = h("div", {});
  const limits = h("div", {});
  app.onLeave(drawing.stop);
  const editor = form(
    [
      wide("Throttle", throttle, "a rate such as 200M, or rates over the week: Mon-Fri 08:00,50M 18:00,off Sat-Sun,off; off: no limit; 0: no copies"),
      wide("Window", windows, "when copies may run: Mon-Fri 20:00-06:00, Sat-Sun; empty: always"),
      field("Time zone", zone, "such as Europe/Berlin"),
    ],
    may && "Set throttle and window",
    save,
  );
  // Until the settings are loaded, input would be overwritten, and saving would set empty fields.
  lock(true);

  fill(
    root,
    h("h1", {}, "Throttle and windows"),
    gates,
    h(
      "section",
      { class: "card" },
      h("h2", {}, "The week"),
      now,
      where,
      drawing.element,
      problem,
      parts?.element ?? null,
      editor,
    ),
    h(
      "div",
      { class: "columns" },
      h("section", { class: "card" }, h("h2", {}, "Throttles of pools"), pools),
      h("section", { class: "card" }, h("h2", {}, "Limits"), limits, h("h2", {}, "Latency guard"), guard),
    ),
  );
  for (const control of [throttle, windows, zone]) control.addEventListener("input", draw);

  function lock(locked) {
    for (const control of editor.querySelectorAll("input, button")) control.disabled = locked;
  }

  // Draw what is typed. A syntax error leaves the drawing as it was.
  function draw() {
    try {
      const rates = stretches(parseTimetable(throttle.value.trim() || "off"));
      const shut = windows.value.trim() ? closed(parseWindow(windows.value)) : [];
      problem.textContent = "";
      const there = clockIn(zone.value.trim());
      say(where, there ? `The week in the time zone ${zone.value.trim()} of the cluster, where it is ${there} now.` : "The browser does not know this time zone.");
      drawing.update({ rates, shut, zone: zone.value.trim() });
    } catch (error) {
      problem.textContent = error.message;
    }
  }

  // Put a change of a part of the week into the fields. Returns a sentence when that is not possible.
  function change({ days, from, to, ...changes }) {
    if ("rate" in changes) {
      throttle.value = timetableText(paint(stretches(parseTimetable(throttle.value.trim() || "off")), days, from, to, changes));
    } else {
      const shut = windows.value.trim() ? closed(parseWindow(windows.value)) : [];
      const written = windowText(paint(openings(shut), days, from, to, changes));
      if (written === null) return "A window has to be open at some time; to stop all copies, set the rate 0.";
      windows.value = written;
    }
    draw();
    return "";
  }

  async function save() {
    const timezone = zone.value.trim();
    await api.put("/throttle", { timetable: throttle.value.trim() || "off", timezone });
    if (windows.value.trim()) await api.put("/window", { window: windows.value.trim(), timezone });
    else await api.remove("/window");
    announce("Throttle and window are set.");
    await readAll();
  }

  async function readAll() {
    const [set, open] = await Promise.all([api.get("/throttle"), api.get("/window"), read()]);
    throttle.value = set.timetable;
    zone.value = set.timezone;
    windows.value = open.window;
    draw();
    lock(false);
  }

  // Reads all settings but those in the form, where the user may be typing.
  async function read() {
    const [set, most] = await Promise.all([api.get("/throttle"), api.get("/limit")]);
    show(set);
    refill(pools, set.pools, () => poolForms(set.pools, may, read));
    refill(guard, set.guard?.factor ?? null, () => guardForm(set.guard, may, read));
    refill(limits, most, () => limitForm(most, may, read));
  }

  function show(set) {
    refill(now, set.rate_now, () => ["Throttle in force now: ", rate(set.rate_now)]);
    refill(gates, [set.gates, set.guard?.message], () => [
      ...set.gates.map((gate) => h("p", { class: "alert warning" }, h("strong", {}, `Health gate ${gate.gate}${gate.pool ? ` (${gate.pool})` : ""}: ${gate.level}. `), sentence(gate.message))),
      set.guard ? h("p", { class: "alert info" }, h("strong", {}, "Latency guard. "), sentence(set.guard.message)) : null,
    ]);
  }

  let first = true;
  app.watch(5, async () => {
    if (first) await readAll();
    else show(await api.get("/throttle"));
    first = false;
  });
  return "Throttle and windows";
}

function wide(...given) {
  return h("div", { class: "wide" }, field(...given));
}

// A form that shows the API's refusal; without a label for its button it is read-only.
function form(fields, label, submit) {
  const refusal = h("div", { role: "alert" });
  const button = label ? h("button", { type: "submit", class: "primary" }, label) : null;
  const work = async () => {
    try {
      fill(refusal, []);
      await submit();
    } catch (error) {
      fill(refusal, h("p", { class: "alert error" }, sentence(error.message)));
    }
  };
  return h(
    "form",
    {
      class: "fields",
      onsubmit: (event) => {
        event.preventDefault();
        if (button) busily(button, work);
      },
    },
    fields,
    h("div", { class: "wide" }, refusal, button ? h("div", { class: "buttons" }, button) : null),
  );
}

function poolForms(pools, may, read) {
  const names = Object.keys(pools).sort();
  const name = poolPicker("pool", { required: true });
  const limit = text("rate", { required: true });
  return [
    names.length ? h("ul", { class: "pool-rates" }, names.map((pool) => poolLine(pool, pools[pool], may, read))) : h("p", { class: "nothing" }, "No pool has a throttle of its own."),
    may
      ? form([field("Pool", name), field("Rate", limit, "bytes per second, such as 100M; 0: no copies")], "Set the pool's throttle", async () => {
          await api.put("/throttle", { pool: name.value.trim(), rate: limit.value.trim() });
          announce("The pool's throttle is set.");
          await read();
        })
      : null,
  ];
}

function poolLine(pool, value, may, read) {
  const clear = h("button", { type: "button" }, "Remove it", h("span", { class: "unseen" }, ` from ${pool}`));
  clear.addEventListener("click", async () => {
    try {
      await api.remove("/throttle", { pool });
      announce(`The throttle of ${pool} is removed.`);
      await read();
    } catch (error) {
      announce(error.message, "bad");
    }
  });
  return h("li", {}, h("strong", {}, pool), " ", value === 0 ? "0: its copies do not run" : rate(value), may ? clear : null);
}

function guardForm(guard, may, read) {
  const factor = text("guard", { value: guard ? String(guard.factor) : "off", readonly: !may });
  return form(
    [field("Factor", factor, "maximum client latency during copies, as a multiple of that without: 1.05 to 100, or off")],
    may && "Set the guard",
    async () => {
      await api.put("/throttle", { guard: factor.value.trim() || "off" });
      announce("The guard is set.");
      await read();
    },
  );
}

function limitForm(limits, may, read) {
  const controls = LIMITS.map(([name, label, hint]) => [name, label, hint, number(name, { min: 0, value: limits[name], readonly: !may })]);
  return form(
    controls.map(([, label, hint, control]) => field(label, control, hint)),
    may && "Set the limits",
    async () => {
      await api.put("/limit", Object.fromEntries(controls.map(([name, , , control]) => [name, Number(control.value)])));
      announce("The limits are set.");
      await read();
    },
  );
}
