// The answer to a question that a hook was asked and has not answered yet.

import { hooks } from "../api.js";
import { h } from "../dom.js";
import { announce } from "./notices.js";
import { confirm } from "./confirm.js";
import { field, radios, text } from "./field.js";

// Ask for the answer and give it; resolves to undefined when the user cancelled. A no without a reason would be a yes.
export async function hookAnswer({ hook, target }) {
  const reason = text("veto");
  const why = field("Reason", reason, "it is shown with the migration");
  const choose = (value) => {
    why.hidden = value !== "no";
    reason.required = value === "no";
  };
  choose("yes");
  const choices = [["yes", "yes: it may go on"], ["no", "no"]];
  const done = await confirm({
    title: `Answer for ${hook}?`,
    text: [`The hook ${hook} was asked about \`${target}\` and has not answered. Before a cutover, yes means that all clients of the image are stopped.`],
    verb: "Answer",
    danger: false,
    more: h("div", {}, radios("Answer", "answer", choices, choose), why),
    act: (force, given) => hooks.done(target, hook, given.answer === "no" ? given.veto : undefined),
  });
  if (done) announce(`${target}: the answer for ${hook} is ${done.veto === null ? "yes" : "no"}.`);
  return done;
}
