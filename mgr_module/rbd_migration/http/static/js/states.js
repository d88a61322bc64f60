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

// Why migrations wait: a word for badges and filters, and a sentence.
export const HOLDS = {
  paused: { word: "paused", text: "paused by a user" },
  window: { word: "outside its window", text: "the window is closed" },
  limit: { word: "in line", text: "all places for copies are taken, or a throttle is 0" },
  health: { word: "cluster health", text: "the cluster's health does not allow copies" },
  source: { word: "source unreachable", text: "the external source does not answer" },
  retry: { word: "retry pending", text: "an attempt failed; the next follows soon" },
  soak: { word: "soak time", text: "the soak time before the commit" },
  operator: { word: "needs a decision", text: "an administrator has to decide" },
  plan: { word: "held by its plan", text: "the plan is paused, or others of its images go first" },
  clients: { word: "waits for clients", text: "clients have to leave the source" },
  hook: { word: "waits for a hook", text: "a hook was asked and has not answered" },
};

// The filters of the table of migrations: each a list of states, or those that await a commit or a cutover.
export const GROUPS = [
  { name: "all", label: "All", states: [] },
  { name: "copying", label: "Copying", states: ["executing", "verifying"] },
  { name: "queued", label: "Queued", states: ["queued", "preparing"] },
  { name: "prepared", label: "Prepared", states: ["prepared"] },
  { name: "commit", label: "Awaiting commit", states: [], awaiting: true },
  { name: "ending", label: "Ending", states: ["cutting-over", "committing", "aborting"] },
  { name: "failed", label: "Failed", states: ["failed"] },
];

export const ENDED = ["committed", "aborted"];
const CUT_OVER = "cut-over"; // a goal of the method warm alone
export const GOALS = ["prepared", "executed", CUT_OVER, "verified", "committed"];

// The goals that migrations by a method have.
export function goalsOf(method) {
  return GOALS.filter((goal) => goal !== CUT_OVER || method === "warm");
}

// What hooks can be told.
export const HOOK_EVENTS = ["before_cutover", "after_cutover", "cutover_failed", "executed", "before_commit", "committed", "aborted", "failed", "plan_done"];

export const VERIFY = ["none", "sample", "full"];

// Whether a migration is copied or compared, so that its progress bar moves.
export function moves(report) {
  return report.state === "executing" || report.state === "verifying";
}
