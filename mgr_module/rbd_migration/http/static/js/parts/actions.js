// The actions on a migration, and the questions before them.

import { at, post } from "../api.js";
import { h, say } from "../dom.js";
import { busily } from "./busy.js";
import { buttonGroup } from "./button_group.js";
import { confirm } from "./confirm.js";
import { cutoverFields } from "./cutover_fields.js";
import { announce } from "./notices.js";

const BEFORE_COPY = ["queued", "preparing", "prepared"];
const COPIED = ["executed", "cut-over", "verifying", "verified"];

// The actions that make sense for a report, the next step first.
export function possible(report) {
  const { state, goal } = report;
  const warm = report.method === "warm"; // clients change to the target at a cutover, and the commit follows that
  const used = !warm || report.clients === "target";
  if (report.ended) return [];
  const found = [];
  const back = state !== "committing" && state !== "aborting" && goal !== "aborted";
  if (state === "failed" || report.hold?.reason === "retry" || report.hold?.reason === "operator") found.push("retry");
  if (goal === "prepared" && ["prepared", "executing"].includes(state)) found.push("execute");
  if (warm && state === "executed" && back) found.push("cutover");
  if (used && COPIED.includes(state) && goal !== "committed") found.push("commit");
  else if (used && COPIED.includes(state) && report.hold?.reason === "operator") found.push("commit");
  else if (used && state === "failed" && report.executed) found.push("commit");
  if (warm && state === "executed" && back) found.push("refresh");
  if (warm && ["cut-over", "verified"].includes(state) && back) found.push("refreshSource");
  if (back && state !== "failed" && (report.paused || !rests(report))) found.push(report.paused ? "resume" : "pause");
  if (back && report.paused && report.copied_by) found.push("stop");
  if (used && ["executed", "cut-over", "verified"].includes(state) && back) found.push("verify");
  if (back) found.push("abort");
  return found;
}

// Whether it has reached its goal, so that nothing goes on that a pause could stop.
function rests({ method, state, goal, reverse_rounds }) {
  if (method === "warm" && state === "executed") return false; // rounds go on
  if (reverse_rounds?.every_seconds) return false; // so do those back
  if (state === "executed") return goal === "prepared" || goal === "executed";
  return ["prepared", "cut-over", "verified"].includes(state) && state === goal;
}

const ACTIONS = {
  execute: { label: "Execute", primary: true, done: "The data is copied in the background." },
  cutover: { label: "Cut over …", primary: true, ask: cutoverText, verb: "Cut over", harmless: true, more: (report) => cutoverFields({ chosen: report.cutover?.mode }) },
  refresh: { label: "Copy another round", done: "Another round is copied.", path: "execute" },
  refreshSource: { label: "Refresh the source", done: "What clients wrote is copied to the source.", path: "execute" },
  commit: { label: "Commit …", primary: true, ask: commitText, verb: "Commit", forceable: ["EPERM", "EBUSY"] },
  pause: { label: "Pause", done: "It is paused." },
  stop: {
    label: "Stop the client's copy …",
    danger: true,
    ask: stopText,
    verb: "Stop it",
    done: "The client's copy is stopped.",
    path: "pause",
    body: { force: true },
  },
  resume: { label: "Resume", primary: true, done: "It continues." },
  retry: { label: "Retry", primary: true, done: "It is tried again." },
  verify: { label: "Verify …", ask: verifyText, verb: "Verify", done: "Source and target are compared.", harmless: true, body: { mode: "full" } },
  abort: { label: "Abort …", danger: true, ask: abortText, verb: "Abort", forceable: ["EPERM"], more: wayBack },
};

// Buttons for a report. ``update(report)`` keeps existing ones; ``done`` is called with the new report.
export function actions(done) {
  let current = null;
  const group = buttonGroup((name, index) => button(name, index === 0, () => current, done));
  return {
    element: group.element,
    update(report) {
      current = report;
      group.update(possible(report));
      for (const one of group.element.children) say(one, labelOf(one.dataset.action, report));
    },
  };
}

// Only the ``first`` button may be the primary one.
function button(name, first, report, done) {
  const action = ACTIONS[name];
  const look = action.danger ? "danger-line" : action.primary && first ? "primary" : "";
  const element = h("button", { type: "button", class: look, "data-action": name }, action.label);
  element.addEventListener("click", () => busily(element, () => perform(name, report(), done)));
  return element;
}

// A cutover says how long it would take now.
function labelOf(name, report) {
  const estimate = name === "cutover" ? report.rounds?.pause_estimate_seconds : null;
  const { label } = ACTIONS[name];
  return estimate ? label.replace(" …", ` (about ${estimate.toFixed(1)} s) …`) : label;
}

// The possible actions as items of a row's menu.
export function menuItems(report, done) {
  return possible(report).map((name) => ({ label: labelOf(name, report), danger: ACTIONS[name].danger, act: () => perform(name, report, done) }));
}

// Ask if needed, do it, say what came of it; ``done`` is called with the new report.
async function perform(name, report, done) {
  try {
    const answer = await carryOut(name, report);
    if (!answer) return;
    announce(`${answer.target}: ${ACTIONS[name].done ?? `It is ${answer.state}.`}`);
    done(answer);
  } catch (error) {
    announce(error.message, "bad");
  }
}

function carryOut(name, report) {
  const action = ACTIONS[name];
  const act = (force, given = {}) => post(`${at(report.target)}/${action.path ?? name}`, { ...action.body, ...given, ...(force ? { force: true } : {}) });
  if (!action.ask) return act(false);
  return confirm({
    title: name === "stop" ? `Stop the copy of ${report.target}?` : `${action.verb} ${report.target}?`,
    text: action.ask(report),
    verb: action.verb,
    danger: !action.harmless,
    forceable: action.forceable,
    more: action.more?.(report) ?? null,
    act,
  });
}

function sourceAfter(report) {
  if (report.import_only) return `The source \`${report.source}\` stays as it is`;
  if (report.source_cluster) return `The source \`${report.source}\` stays in the trash of its cluster, where \`rbd trash restore\` brings it back`;
  return `The source \`${report.source}\` and all its snapshots are removed`;
}

// What a commit does to this migration, in sentences.
export function commitText(report) {
  const lines = [
    `${sourceAfter(report)}, and \`${report.target}\` becomes an independent image.`,
    "There is no way back after that: the migration can no longer be aborted.",
  ];
  const v = report.verification;
  if (v?.outcome === "passed") lines.push(`Contents were compared (${v.mode}): nothing differs.`);
  else if (v?.outcome === "failed") lines.push("Contents were compared and DIFFER. Check the verification before you continue.");
  else if (v?.outcome === "partial") lines.push("Not all of the contents could be compared. Check the verification before you continue.");
  else if (report.verify !== "none") lines.push(`Its contents are compared with its source first (${report.verify}); the commit follows automatically if nothing differs. Until then it can be cancelled.`);
  else lines.push("Contents of source and target were not compared.");
  return lines;
}

// What a cutover does to this migration, in sentences.
export function cutoverText(report) {
  const name =
    report.source === report.target
      ? `\`${report.target}\` becomes the new image, in one moment, and the old one is kept in the trash.`
      : `\`${report.target}\` gets its name, and \`${report.source}\` is kept in the trash.`;
  return [
    `Clients of \`${report.source}\` have to leave it. Either stop them first, or let it wait for them.`,
    `What was written since the last round is copied. Then ${name}`,
    "Clients that were stopped start on the target afterwards. Until the commit an abort goes back, and takes along what they wrote.",
  ];
}

// What an abort does to this migration, in sentences.
export function abortText(report) {
  if (report.prepared === null && BEFORE_COPY.includes(report.state)) {
    return [`The migration ends. The source \`${report.source}\` stays as it is; an incomplete target is removed.`];
  }
  if (report.method === "warm") return warmAbortText(report);
  const lines = [];
  if (report.state === "executing" || report.state === "verifying") lines.push("The running operation is stopped.");
  lines.push(
    report.import_only
      ? `The target \`${report.target}\` is removed with all that was copied and written to it. Its source \`${report.source}\` stays as it is.`
      : `The target \`${report.target}\` is removed and the source \`${report.source}\` is restored. The progress of the copy is lost.`,
    report.import_only
      ? "Clients of the target have to be stopped first."
      : "Clients have to be stopped first, and use the source again afterwards. Snapshots, resizes and discards that they made on the target are lost.",
  );
  return lines;
}

function warmAbortText(report) {
  if (report.clients === "source") {
    return [`The copy is removed. The source \`${report.source}\` and its clients go on as they are.`];
  }
  return [
    `Stop all clients of \`${report.target}\` first, or let the agent of its host pause the guest. If one still has it open, nothing is changed.`,
    `What they wrote is copied back, then \`${report.source}\` gets its name again and the target is removed. No write is lost.`,
    "Clients that were stopped start on the source afterwards.",
  ];
}

// The way back of a warm migration whose clients use the target: they have to leave it, too.
function wayBack(report) {
  return report.method === "warm" && report.clients === "target" ? cutoverFields({ back: true }) : null;
}

function stopText(report) {
  return [
    `${report.copied_by} copies the image itself, so the pause affects only the steps after the copy.`,
    "To stop this copy the exclusive lock is taken from the client for a moment. Writes of the client that copy an object at that moment fail, and a virtual machine sees I/O errors. A client that does not write is not harmed.",
  ];
}

function verifyText(report) {
  return [
    `All data of the source and of \`${report.target}\` is read and compared, in the background, within the throttle. Clients go on.`,
    "The result of an earlier verification is discarded.",
  ];
}
