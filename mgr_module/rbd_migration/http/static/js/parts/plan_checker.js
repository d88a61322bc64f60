// Polls the check of a plan, which runs in the manager, until it is complete.

import { plans } from "../api.js";
import { fill, h, sentence } from "../dom.js";
import { planFindings } from "./plan_check.js";

const PAUSE = 1000;
let latest = null; // {name, answer}: the last result, for the next view

// ``element`` shows the result. ``run(name)`` starts a check; ``recall(name)`` shows the last result if it
// is that plan's and ``forget()`` was not called; ``stop()`` ends the polling.
export function planChecker() {
  const result = planFindings();
  const refusal = h("div", { role: "alert" });
  const element = h("div", { hidden: true }, refusal, result.element);
  let run = 0;

  function show(answer) {
    element.hidden = false;
    result.element.hidden = false;
    result.update(answer);
  }

  return {
    element,
    async run(name) {
      run += 1;
      const mine = run;
      fill(refusal, []);
      try {
        for (;;) {
          const answer = await plans.check(name);
          if (mine !== run) return;
          show(answer);
          if (answer.done) {
            latest = { name, answer };
            return;
          }
          await new Promise((resolve) => setTimeout(resolve, PAUSE));
          if (mine !== run) return;
        }
      } catch (error) {
        if (mine !== run) return;
        element.hidden = false;
        result.element.hidden = true;
        fill(refusal, h("p", { class: "alert error" }, sentence(error.message)));
      }
    },
    recall(name) {
      if (latest?.name === name) show(latest.answer);
    },
    forget() {
      latest = null;
    },
    stop() {
      run += 1;
    },
  };
}
