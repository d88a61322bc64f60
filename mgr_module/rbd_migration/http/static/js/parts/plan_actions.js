// The actions on a plan, and the questions before them.

import { PLAN_RIGHTS, plans } from "../api.js";
import { h } from "../dom.js";
import { count } from "../format.js";
import { busily } from "./busy.js";
import { buttonGroup } from "./button_group.js";
import { confirm } from "./confirm.js";
import { announce } from "./notices.js";
import { commitAllResult, commitAllText, commitRefusals } from "./plan_commit.js";

const UNDER_WAY = ["starting", "running", "paused", "stopped"];

// The actions that make sense for a report, the next step first. ``waiting``: how many of its
// migrations wait for a commit.
export function possible({ state, counts }, waiting = 0) {
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
  if (waiting && state !== "cancelling") found.push("commit");
  if (UNDER_WAY.includes(state)) found.push("cancel");
  if (["draft", "done", "done-with-failures", "cancelled"].includes(state)) found.push("remove");
  return found;
}

const NEXT = ["start", "resume", "retry", "commit"]; // actions that continue the plan

const ACTIONS = {
  start: { label: "Start …", verb: "Start", ask: startText, harmless: (plan) => plan.goal !== "committed", right: PLAN_RIGHTS.start },
  resume: { label: "Resume" },
  skip: { label: "Resume without them", action: "resume" },
  retry: { label: "Retry failed images" },
  again: { label: "Retry waiting images now", action: "retry" },
  pause: { label: "Pause" },
  commit: { label: "Commit all …", verb: "Commit all", ask: commitAllText },
  cancel: { label: "Cancel …", danger: true, verb: "Cancel it", ask: cancelText },
  remove: { label: "Remove …", danger: true, verb: "Remove it", ask: removeText, right: PLAN_RIGHTS.remove },
};

// Whether the images of this plan can be skipped, as far as they have not begun.
export const skippable = ({ state }) => UNDER_WAY.includes(state);

// Buttons for the actions that the user may do. ``done(report)`` is called with the changed plan, or
// without one when it has to be asked for; ``gone()`` when it was removed.
export function planActions(app, done, gone) {
  let current = null;
  let waiting = 0;
  const group = buttonGroup(button);
  const refusals = commitRefusals();

  function button(name, index) {
    const { label, danger } = ACTIONS[name];
    const primary = index === 0 && NEXT.includes(name);
    const pressed = h("button", { type: "button", class: danger ? "danger-line" : primary ? "primary" : "", "data-action": name }, label);
    pressed.addEventListener("click", () => busily(pressed, () => press(name)));
    return pressed;
  }

  async function press(name) {
    try {
      const answer = await carryOut(name, current, waiting);
      if (!answer) return;
      refusals.clear();
      if (name === "remove") {
        announce(`${current.name}: The plan is removed.`);
        gone();
      } else if (name === "commit") {
        announce(`${current.name}: ${commitAllResult(answer)}`, answer.refused.length ? "bad" : "good");
        refusals.show(answer);
        done();
      } else {
        announce(`${answer.name}: It is ${answer.state.replaceAll("-", " ")}.`);
        done(answer);
      }
    } catch (error) {
      announce(error.message, "bad");
    }
  }

  return {
    element: h("div", {}, group.element, refusals.element),
    update(plan, toCommit) {
      current = plan;
      waiting = toCommit;
      const names = possible(plan, waiting).filter((name) => app.may(ACTIONS[name].right ?? PLAN_RIGHTS.act));
      group.element.hidden = !names.length;
      group.update(names);
    },
  };
}

function carryOut(name, plan, waiting) {
  const { ask, verb, harmless, action = name } = ACTIONS[name];
  const own = { remove: plans.remove, commit: plans.commit };
  const act = () => (own[name] ? own[name](plan.name) : plans.act(plan.name, action));
  if (!ask) return act();
  const title = name === "commit" ? `Commit all copied images of the plan ${plan.name}?` : `${verb.replace(" it", "")} the plan ${plan.name}?`;
  return confirm({ title, text: ask(plan, waiting), verb, danger: !harmless?.(plan), act });
}

const GOALS = {
  prepared: "Each image is prepared, and waits for you to execute and commit it.",
  executed: "Each image is copied, and waits for you to commit it. Until then it can be aborted.",
  "cut-over": "Each image is copied and cut over when nobody has it open, and waits for you to commit it. Until then it can be aborted.",
  verified: "Each image is copied and compared, and waits for you to commit it. Until then it can be aborted.",
  committed: "Each image is copied and committed automatically: the source and all its snapshots are removed, and there is no way back. A source of an import is left as it is.",
};

// What a start does, in sentences.
export function startText(plan) {
  return [
    `Its images are selected now, once and for all${plan.selects.length ? `: ${plan.selects.join("; ")}` : ""}. The first wave of up to ${count(plan.wave_size, "image")} begins.`,
    GOALS[plan.goal] ?? `The goal is ${plan.goal}.`,
    "An image that is in use waits until its clients are stopped.",
  ];
}

// What a cancel does to this plan, in sentences.
export function cancelText(plan) {
  const { running, waiting, queued, done } = plan.counts;
  const lines = ["No more of its images begin."];
  if (plan.total) {
    lines.push(
      running
        ? `The ${count(running, "migration")} under way ${running === 1 ? "is" : "are"} aborted: targets are removed and sources restored; the progress of the copies is lost. A target that clients have open waits until they are stopped. Where they may have written to it, that migration is paused instead, and you decide about it on its own view.`
        : "None of its migrations are under way.",
      [
        queued + waiting ? `${count(queued + waiting, "image")} will not be moved.` : "",
        done ? `${count(done, "image")} ${done === 1 ? "is" : "are"} done and ${done === 1 ? "stays" : "stay"} as ${done === 1 ? "it is" : "they are"}.` : "",
      ]
        .filter(Boolean)
        .join(" "),
    );
  }
  lines.push("A cancelled plan cannot be continued; to continue later, pause it instead.");
  return lines.filter(Boolean);
}

function removeText(plan) {
  if (plan.state === "draft") return ["The plan is removed. It has not begun."];
  return ["The plan is removed, with its list of images and their messages.", "Its migrations stay as they are, also in the history."];
}
