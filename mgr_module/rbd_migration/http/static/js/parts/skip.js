// The button that skips an image of a plan, and the question before.

import { plans } from "../api.js";
import { h } from "../dom.js";
import { busily } from "./busy.js";
import { confirm } from "./confirm.js";
import { announce } from "./notices.js";

// ``done(report)`` is called with the changed plan. A refusal is shown in the question.
export function skipButton(plan, { source }, done) {
  const button = h("button", { type: "button", "aria-label": `Skip ${source} …` }, "Skip …");
  const ask = async () => {
    const report = await confirm({
      title: `Skip ${source}?`,
      text: [
        `The plan ${plan} goes on without this image. It stays where it is, and its clients can go on.`,
        "A skipped image cannot be taken back into this plan.",
      ],
      verb: "Skip it",
      act: () => plans.skip(plan, source),
    });
    if (!report) return;
    announce(`${source}: It is skipped.`);
    done(report);
  };
  button.addEventListener("click", () => busily(button, ask));
  return button;
}
