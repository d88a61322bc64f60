// The form that adds a hook.

import { hooks } from "../api.js";
import { fill, h, sentence } from "../dom.js";
import { HOOK_EVENTS } from "../states.js";
import { busily } from "./busy.js";
import { check, field, text, values } from "./field.js";
import { clearErrors, showAt, showRefusal } from "./field_errors.js";
import { announce } from "./notices.js";
import { poolPicker } from "./picker.js";

// Refusals that do not begin with the name of their field.
const ABOUT = [
  [/^(The name|There is a hook)/, "hook"],
  [/^The pool/, "pool"],
  [/(secret|config-key)/, "secret"],
  [/certificate/, "ca"],
];

// ``done()`` is called after a hook was added.
export function hookForm(done) {
  const events = HOOK_EVENTS.map((name) => ({ name, box: check(name, `event ${name}`, { checked: true }) }));
  const refusal = h("div", { role: "alert" });
  const add = h("button", { type: "submit", class: "primary" }, "Add the hook");
  const form = h(
    "form",
    { class: "fields" },
    field("Name", text("hook", { required: true })),
    field("URL", text("url", { required: true, placeholder: "https://hooks.example.com/rbd" }), "where messages are sent"),
    field("Secret", text("secret", { type: "password", required: true, autocomplete: "new-password" }), "at least 16 characters, which sign its messages; or config://rbd/migration-hook-secret/NAME, a config-key that has them"),
    field("Pool", poolPicker("pool", { placeholder: "all" }), "only images from or to this pool"),
    field("Timeout", text("timeout", { placeholder: "10s" }), "for one message and its answer, 1s to 60s"),
    h("fieldset", { class: "wide features" }, h("legend", {}, "Messages"), events.map(({ box }) => box)),
    h("div", { class: "wide" }, field("Certificates", h("textarea", { name: "ca", rows: "3", spellcheck: "false" }), "in PEM, instead of those that the managers' hosts trust")),
    h("div", { class: "wide" }, refusal, h("div", { class: "buttons" }, add)),
  );
  const element = h("details", { class: "card" }, h("summary", {}, h("h2", {}, "Add a hook")), form);

  function given() {
    const { hook, url, secret, pool, timeout, ca, ...rest } = values(form);
    const chosen = HOOK_EVENTS.filter((name) => rest[`event ${name}`]);
    return { hook, url, secret, pool, timeout, ca, events: chosen.length === HOOK_EVENTS.length ? undefined : chosen.join() };
  }

  function refuse(message) {
    const [, name] = ABOUT.find(([pattern]) => pattern.test(message)) ?? ["", "url"];
    if (!showRefusal(form, message) && !showAt(form, name, message)) fill(refusal, h("p", { class: "alert error" }, sentence(message)));
  }

  form.addEventListener("input", () => clearErrors(form));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busily(add, async () => {
      try {
        fill(refusal, []);
        clearErrors(form);
        const wanted = given();
        if (wanted.events === "") {
          fill(refusal, h("p", { class: "alert error" }, "Choose at least one message."));
          return;
        }
        const hook = await hooks.add(wanted);
        announce(`The hook ${hook.name} is added.`);
        form.reset();
        element.open = false;
        done();
      } catch (error) {
        refuse(error.message);
      }
    });
  });
  return { element };
}
