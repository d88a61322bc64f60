// What an action on several migrations does to each of them, as one short sentence.

import { seconds, size } from "../format.js";

const CUTOVER = {
  refuse: "its clients have to be stopped already",
  "when-closed": "it waits until the last client closes the image",
  agent: "the agent of the host pauses the guest for a moment",
  hook: "the hooks are asked to stop and start its clients",
};

// ``action`` is one of those in BULK of parts/bulk.js.
export function consequence(action, report) {
  return TEXTS[action](report);
}

const TEXTS = { execute, cutover, commit, abort, pause, resume, retry };

function execute() {
  return "Its data is copied in the background.";
}

function cutover(report) {
  const estimate = report.rounds?.pause_estimate_seconds;
  return `Its clients change to the target; ${CUTOVER[report.cutover?.mode ?? "refuse"]}${estimate ? ` (about ${estimate.toFixed(1)} s)` : ""}.`;
}

function commit(report) {
  const end = endOf(report);
  const outcome = report.verification?.outcome;
  if (outcome === "passed") return `${end}; it was compared, nothing differs.`;
  if (outcome) return `${end}. The comparison of its contents ${outcome === "failed" ? "found differences" : "is incomplete"}.`;
  return report.verify === "none" ? `${end}, without a comparison of contents.` : `${end}, after a comparison of contents (${report.verify}).`;
}

function endOf(report) {
  if (report.import_only) return "It is detached from its source, which stays as it is";
  if (report.source_cluster) return `The source ${report.source} stays in the trash of its cluster`;
  return `The source ${report.source} and its snapshots are removed`;
}

function abort(report) {
  if (report.prepared === null && ["queued", "preparing", "prepared"].includes(report.state)) return "It ends; the source stays as it is.";
  if (report.import_only) return "The target is removed with everything written to it; the source of the import stays.";
  if (report.method === "warm") {
    return report.clients === "source" ? "The copy is removed; the source and its clients are not affected." : "What clients wrote is copied back to the source, and the target is removed.";
  }
  return `The target is removed and the source restored; ${report.bytes_copied ? `${size(report.bytes_copied)} copied are lost` : "nothing was copied yet"}. Its clients have to be stopped.`;
}

function pause(report) {
  if (report.copied_by) return "A client copies it, and goes on with that; later steps wait.";
  return report.state === "executing" ? `Its copy stops at ${report.percent} %.` : "No further step begins.";
}

function resume(report) {
  return report.state === "executing" ? `Its copy continues at ${report.percent} %.` : "Its next step begins.";
}

function retry(report) {
  const soak = report.hold?.reason === "retry" && report.hold.until ? (new Date(report.hold.until) - Date.now()) / 1000 : 0;
  const now = soak > 0 ? `now instead of in ${seconds(soak)}` : "now";
  return `It is tried again ${now}${report.failure ? `. The last failure: ${report.failure.message}` : "."}`;
}
