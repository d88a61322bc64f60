// Commands in messages as what the page has instead: the name of a button, or a link to a view.

const WORD = /`(ceph rbd migration [^`]*)`/;

// Buttons by command; those of plans begin with "plan ".
const BUTTONS = {
  execute: "Execute",
  cutover: "Cut over",
  commit: "Commit",
  abort: "Abort",
  cancel: "Abort",
  pause: "Pause",
  resume: "Resume",
  retry: "Retry",
  verify: "Verify",
  check: "Run preflight",
  "commit --plan": "Commit all",
  "retry --plan": "Retry what failed",
  "plan start": "Start",
  "plan check": "Check",
  "plan pause": "Pause",
  "plan resume": "Resume",
  "plan cancel": "Cancel",
  "plan rm": "Remove",
  "plan skip": "Skip",
};
const VIEWS = {
  ls: ["migrations", "the list of migrations"],
  "plan ls": ["plans", "the list of plans"],
  "plan apply": ["new-plan", "New plan"],
  history: ["history", "History"],
  clients: ["hosts", "Hosts"],
  "agent ls": ["hosts", "Hosts"],
  "hook ls": ["hooks", "Hooks"],
  "hook add": ["hooks", "Hooks"],
  "hook rm": ["hooks", "Hooks"],
  "hook test": ["hooks", "Hooks"],
  "hook done": ["hooks", "Hooks"],
  throttle: ["pace", "Throttle and windows"],
  window: ["pace", "Throttle and windows"],
  limit: ["pace", "Throttle and windows"],
};

// What stands for a command: {button}, {path, text} or null, where the page has nothing like it.
export function pageWord(command) {
  const given = command.split(/\s+/).slice(3);
  const [first, second = ""] = given;
  const names = [`${first} ${second}`, given.includes("--plan") ? `${first} --plan` : "", first];
  const name = names.find((one) => Object.hasOwn(BUTTONS, one));
  if (first === "set") return { button: `Change its settings${optionsOf(given)}` };
  if (first === "status" && second) return { path: `migrations/${encodeURIComponent(second)}`, text: second };
  if (first === "plan" && second === "show" && given[2]) return { path: `plans/${encodeURIComponent(given[2])}`, text: given[2] };
  if (name !== undefined) return { button: BUTTONS[name] + (given.includes("--force") ? " (forced)" : "") };
  const view = names.find((one) => Object.hasOwn(VIEWS, one));
  return view === undefined ? null : { path: VIEWS[view][0], text: VIEWS[view][1] };
}

// " (verify: none)", of "set nvme/vm1 --verify none"
function optionsOf(given) {
  const pairs = given.flatMap((word, index) => (word.startsWith("--") ? [`${word.slice(2).replaceAll("-", " ")}: ${given[index + 1] ?? "yes"}`] : []));
  return pairs.length ? ` (${pairs.join(", ")})` : "";
}

// Whether a message asks for an action of the page, which a reader cannot take.
export function asksForAction(text) {
  const [, command] = WORD.exec(text) ?? [];
  return command !== undefined && pageWord(command)?.button !== undefined;
}
