// A dialog before actions that cannot be undone easily.

import { h, fill, sentence, freshId } from "../dom.js";
import { NotLoggedIn } from "../api.js";
import { values } from "./field.js";
import { inTicks } from "./forced.js";

// Show what will happen; ``act(force)`` does it and throws the API's refusal.
// ``forceable``: codes of refusals that the user may override by ticking a box after reading them.
// ``more``: an element with form fields, whose values are the second argument of ``act``.
// Resolves to the result of ``act``, or to undefined when the user cancelled.
export function confirm({ title, text, verb, danger = true, forceable = [], more = null, act }) {
  return new Promise((resolve) => {
    const heading = freshId("dialog");
    const refusal = h("div", { role: "alert" });
    const forced = h("input", { type: "checkbox", id: freshId("force") });
    const force = h("p", { class: "force", hidden: true }, forced, h("label", { for: forced.id }, "I have read this; do it anyway (force)."));
    const go = h("button", { type: "submit", class: danger ? "danger" : "primary" }, verb);
    const cancel = h("button", { type: "button" }, "Leave it as it is");
    const dialog = h(
      "dialog",
      { "aria-labelledby": heading },
      h(
        "form",
        { method: "dialog" },
        h("h2", { id: heading }, title),
        h("div", { class: "dialog-text" }, text.map((line) => h("p", {}, sentence(line)))),
        more,
        refusal,
        force,
        h("div", { class: "buttons" }, go, cancel),
      ),
    );
    let done;

    forced.addEventListener("change", () => {
      go.textContent = forced.checked ? `${verb} by force` : verb;
      go.disabled = !forced.checked;
    });
    cancel.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(done);
    });
    dialog.querySelector("form").addEventListener("submit", async (event) => {
      event.preventDefault();
      go.disabled = true;
      dialog.setAttribute("aria-busy", "true");
      try {
        done = await act(forced.checked, more ? values(event.target) : {});
        dialog.close();
      } catch (error) {
        const mayForce = forceable.includes(error.code);
        const said = error instanceof NotLoggedIn ? "You are no longer logged in." : error.message;
        fill(refusal, h("p", { class: "alert error" }, sentence(mayForce ? inTicks(said) : said)));
        force.hidden = !mayForce;
        forced.checked = false;
        go.textContent = verb;
        go.disabled = mayForce;
        (mayForce ? forced : cancel).focus();
      } finally {
        dialog.removeAttribute("aria-busy");
      }
    });
    document.body.append(dialog);
    dialog.showModal();
    cancel.focus();
  });
}
