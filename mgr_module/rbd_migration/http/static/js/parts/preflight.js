// Preflight of what a form says: on a button and after a pause in typing. Its errors stand at their fields.

import * as api from "../api.js";
import { fill, h, sentence } from "../dom.js";
import { checkFields, clearErrors, fieldOfFinding, showAt, showRefusal } from "./field_errors.js";
import { findings } from "./findings.js";
import { inTicks } from "./forced.js";

const PAUSE = 900;

// ``request()``: the request. ``checked(answer, asks)`` is called with each answer. ``ready(yes)``: whether nothing is known
// that prevents the migration.
export function preflight(form, request, checked, ready) {
  const found = h("div", { class: "preflight", role: "status" }, h("p", { class: "nothing" }, "Fill in source and target; preflight runs when you stop typing."));
  let typing = 0;
  let asked = 0;

  form.addEventListener("input", () => {
    clearTimeout(typing);
    asked += 1; // an answer about what was typed before does not count
    found.removeAttribute("aria-busy");
    clearErrors(form);
    ready(checkFields(form));
    typing = setTimeout(() => run(false), PAUSE);
  });

  // ``aloud``: the user pressed the button, so missing fields are reported.
  async function run(aloud) {
    clearTimeout(typing);
    if (!form.checkValidity()) {
      if (aloud) form.reportValidity();
      return;
    }
    const right = checkFields(form);
    asked += 1;
    const mine = asked;
    found.setAttribute("aria-busy", "true");
    try {
      const asks = request();
      const answer = await api.post("/check", asks);
      if (mine !== asked) return;
      show(answer, asks.method === "auto");
      checked(answer, asks);
      ready(right && answer.ok);
    } catch (error) {
      if (mine === asked) refuse(error);
    } finally {
      if (mine === asked) found.removeAttribute("aria-busy");
    }
  }

  function show(answer, chooses) {
    clearErrors(form);
    checkFields(form);
    const taken = new Set();
    // The first error about a field stands at that field, and not in the list, too.
    function atField(one) {
      const message = inTicks(one.message);
      const name = one.severity === "error" ? fieldOfFinding(one, answer) : "";
      if (!name || taken.has(name) || !showAt(form, name, message)) return { ...one, message };
      taken.add(name);
      return { ...one, message: "See the field that is marked above." };
    }
    fill(found, findings({ ...answer, findings: answer.findings.map(atField) }, chooses));
  }

  function refuse(error) {
    const there = showRefusal(form, error.message);
    fill(found, h("p", { class: "bad-text" }, there ? "Correct the field that is marked above." : sentence(error.message)));
  }

  return { element: found, run, stop: () => clearTimeout(typing) };
}
