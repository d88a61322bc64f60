// What can be done to a plan now, and what is said before it is done.

import { PLAN_RIGHTS, plans } from "../api.js";
import { h } from "../dom.js";
import { count } from "../format.js";
import { busily } from "./busy.js";
import { buttonGroup } from "./button_group.js";
import { confirm } from "./confirm.js";
import { announce } from "./notices.js";

const UNDER_WAY = ["starting", "running", "paused", "stopped"];

// The actions that make sense for a report, the next step first.
export function possible({ state, counts }) {
  const found = [];
  if (state === "draft") found.push("start");
  if (state === "stopped") found.push("retry", "skip");
  if (state === "paused") found.push("resume");
  if (state === "starting" || state === "running") found.push("pause");
  if (["running", "paused"].includes(state)) {
    if (counts.failed) found.push("retry");
    else if (counts.waiting) found.push("again");
  }
  if (state === "done-with-failures") found.push("retry");
  if (UNDER_WAY.includes(state)) found.push("cancel");
  if (["draft", "done", "done-with-failures", "cancelled"].includes(state)) found.push("remove");
  return found;
}

const NEXT = ["start", "resume", "retry"]; // what lets it go on

const ACTIONS = {
  start: { label: "Start …", verb: "Start", ask: startText, harmless: (plan) => plan.goal !== "committed", right: PLAN_RIGHTS.start },
  resume: { label: "Resume" },
  skip: { label: "Resume without them", action: "resume" },
  retry: { label: "Retry what failed" },
  again: { label: "Try what waits now", action: "retry" },
  pause: { label: "Pause" },
  cancel: { label: "Cancel …", danger: true, verb: "Cancel it", ask: cancelText },
  remove: { label: "Remove …", danger: true, verb: "Remove it", ask: removeText, right: PLAN_RIGHTS.remove },
};

// Buttons for a report, of those the user may press. ``done(report)`` is told the plan as it is then,
// ``gone()`` that it was removed.
export function planActions(app, done, gone) {
  let current = null;
  const group = buttonGroup(button);

  function button(name, index) {
    const { label, danger } = ACTIONS[name];
    const primary = index === 0 && NEXT.includes(name);
    const pressed = h("button", { type: "button", class: danger ? "danger-line" : primary ? "primary" : "", "data-action": name }, label);
    pressed.addEventListener("click", () => busily(pressed, () => press(name)));
    return pressed;
  }

  async function press(name) {
    try {
      const answer = await carryOut(name, current);
      if (!answer) return;
      if (name === "remove") {
        announce(`${current.name}: The plan is removed.`);
        gone();
      } else {
        announce(`${answer.name}: It is ${answer.state.replaceAll("-", " ")}.`);
        done(answer);
      }
    } catch (error) {
      announce(error.message, "bad");
    }
  }

  return {
    element: group.element,
    update(plan) {
      current = plan;
      const names = possible(plan).filter((name) => app.may(ACTIONS[name].right ?? PLAN_RIGHTS.act));
      group.element.hidden = !names.length;
      group.update(names);
    },
  };
}

function carryOut(name, plan) {
  const { ask, verb, harmless, action = name } = ACTIONS[name];
  const act = () => (name === "remove" ? plans.remove(plan.name) : plans.act(plan.name, action));
  if (!ask) return act();
  return confirm({ title: `${verb.replace(" it", "")} the plan ${plan.name}?`, text: ask(plan), verb, danger: !harmless?.(plan), act });
}

const GOALS = {
  prepared: "Each image is prepared, and waits for you to execute and commit it.",
  executed: "Each image is copied, and waits for you to commit it. Until then it can be taken back.",
  verified: "Each image is copied and compared, and waits for you to commit it. Until then it can be taken back.",
  committed: "Each image goes the whole way by itself: at its end the source and all its snapshots are removed, and there is no way back. A source of an import is left as it is.",
};

// What a start does, in sentences.
export function startText(plan) {
  return [
    `Its images are chosen now and stay chosen${plan.selects.length ? `: ${plan.selects.join("; ")}` : ""}. The first wave of up to ${count(plan.wave_size, "image")} begins.`,
    GOALS[plan.goal] ?? `The goal is ${plan.goal}.`,
    "An image that is in use waits until its clients are stopped.",
  ];
}

// What a cancel does to this plan, in sentences.
export function cancelText(plan) {
  const { running, waiting, queued, done } = plan.counts;
  const lines = ["Nothing more of it is begun."];
  if (plan.total) {
    lines.push(
      running
        ? `The ${count(running, "migration")} under way ${running === 1 ? "is" : "are"} aborted: targets are removed and sources given back; what was copied is copied in vain. A target that clients have open waits until they are stopped. Where they may have written to it, that migration is paused instead, and you decide about it on its own view.`
        : "No migration of it is under way.",
      [
        queued + waiting ? `${count(queued + waiting, "image")} will not be moved.` : "",
        done ? `${count(done, "image")} ${done === 1 ? "is" : "are"} done and ${done === 1 ? "stays" : "stay"} as ${done === 1 ? "it is" : "they are"}.` : "",
      ]
        .filter(Boolean)
        .join(" "),
    );
  }
  lines.push("A plan that was cancelled does not go on; to go on later, pause it.");
  return lines.filter(Boolean);
}

function removeText(plan) {
  if (plan.state === "draft") return ["The plan is forgotten. Nothing of it has begun."];
  return ["The plan is forgotten, with its list of images and what is said there.", "The migrations that it made stay as they are, and in the history."];
}
