// The states of migrations and plans, each with a colour and a glyph.

// Glyphs tell states apart without colours; screen readers skip them and read the word next to it.
export const STATES = {
  queued: { tone: "rest", glyph: "○" },
  preparing: { tone: "busy", glyph: "◌" },
  prepared: { tone: "rest", glyph: "◔" },
  executing: { tone: "busy", glyph: "▶" },
  executed: { tone: "wait", glyph: "◕" },
  "cutting-over": { tone: "busy", glyph: "◌" },
  "cut-over": { tone: "wait", glyph: "◑" },
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

// The phases of a plan's images, in the order in which they are listed.
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

// The filters of the table of migrations; each is a list of states.
export const GROUPS = [
  { name: "all", label: "All", states: [] },
  { name: "copying", label: "Copying", states: ["executing", "verifying"] },
  { name: "queued", label: "Queued", states: ["queued", "preparing"] },
  { name: "prepared", label: "Prepared", states: ["prepared"] },
  { name: "commit", label: "Awaiting commit", states: ["executed", "cut-over", "verified"] },
  { name: "ending", label: "Ending", states: ["cutting-over", "committing", "aborting"] },
  { name: "failed", label: "Failed", states: ["failed"] },
];

export const ENDED = ["committed", "aborted"];
const CUT_OVER = "cut-over"; // a goal of the method warm alone
const GOALS = ["prepared", "executed", CUT_OVER, "verified", "committed"];

// The goals that migrations by a method have.
export function goalsOf(method) {
  return GOALS.filter((goal) => goal !== CUT_OVER || method === "warm");
}

export const VERIFY = ["none", "sample", "full"];

// Whether a migration is copied or compared, so that its progress bar moves.
export function moves(report) {
  return report.state === "executing" || report.state === "verifying";
}
