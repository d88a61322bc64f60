// The states of a migration and how they are told apart without colours.

// The glyph is for the eye; the word beside it is what counts.
export const STATES = {
  queued: { tone: "rest", glyph: "○" },
  preparing: { tone: "busy", glyph: "◌" },
  prepared: { tone: "rest", glyph: "◔" },
  executing: { tone: "busy", glyph: "▶" },
  executed: { tone: "wait", glyph: "◕" },
  verifying: { tone: "busy", glyph: "▶" },
  verified: { tone: "wait", glyph: "✓" },
  committing: { tone: "busy", glyph: "◌" },
  committed: { tone: "good", glyph: "✔" },
  aborting: { tone: "busy", glyph: "◌" },
  aborted: { tone: "rest", glyph: "↶" },
  failed: { tone: "bad", glyph: "✖" },
};

export const PLAN_STATES = {
  draft: { tone: "rest", glyph: "○" },
  starting: { tone: "busy", glyph: "◌" },
  running: { tone: "busy", glyph: "▶" },
  paused: { tone: "held", glyph: "‖" },
  stopped: { tone: "bad", glyph: "■" },
  cancelling: { tone: "busy", glyph: "◌" },
  done: { tone: "good", glyph: "✔" },
  "done-with-failures": { tone: "held", glyph: "!", word: "done with failures" },
  cancelled: { tone: "rest", glyph: "↶" },
};

// Where an image of a plan is, in the order in which they are told.
export const PHASES = {
  done: { tone: "good", glyph: "✔" },
  running: { tone: "busy", glyph: "▶" },
  paused: { tone: "held", glyph: "‖" },
  waiting: { tone: "held", glyph: "◷" },
  failed: { tone: "bad", glyph: "✖" },
  cancelled: { tone: "rest", glyph: "↶" },
  skipped: { tone: "rest", glyph: "↷" },
  queued: { tone: "rest", glyph: "○" },
};

// What the table can be narrowed to; a group is a list of states.
export const GROUPS = [
  { name: "all", label: "All", states: [] },
  { name: "copying", label: "Copying", states: ["executing", "verifying"] },
  { name: "queued", label: "Queued", states: ["queued", "preparing"] },
  { name: "prepared", label: "Prepared", states: ["prepared"] },
  { name: "commit", label: "Awaiting commit", states: ["executed", "verified"] },
  { name: "ending", label: "Ending", states: ["committing", "aborting"] },
  { name: "failed", label: "Failed", states: ["failed"] },
];

export const ENDED = ["committed", "aborted"];
export const GOALS = ["prepared", "executed", "verified", "committed"];
export const VERIFY = ["none", "sample", "full"];

// Whether its bar moves: what is copied or compared.
export function moves(report) {
  return report.state === "executing" || report.state === "verifying";
}
