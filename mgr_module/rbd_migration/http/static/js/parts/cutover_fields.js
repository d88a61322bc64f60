// The fields about a cutover: how clients are made to leave the image that they use.

import { h } from "../dom.js";
import { check, field, select, text } from "./field.js";

const MODES = [
  ["refuse", "refuse – you stop the clients; nothing changes while one has the image open"],
  ["when-closed", "when-closed – at the moment when the last client closes the image"],
  ["hook", "hook – an orchestrator stops and starts the clients when its hook is asked"],
  ["agent", "agent – the agent of the host pauses the guest for a moment"],
];

// ``back``: for the way back, which cannot wait until clients close the image by themselves.
// ``chosen``: the mode to begin with. A pause and new names are asked for only where they count.
// ``asked``: for a new migration, which may have a window for its cutover, too, and reverse rounds.
// ``elsewhere``: for an image of another cluster, whose guests no agent moves.
export function cutoverFields({ chosen = "refuse", back = false, asked = false, elsewhere = false } = {}) {
  const left = [back ? "when-closed" : "", elsewhere ? "agent" : ""];
  const modes = MODES.filter(([mode]) => !left.includes(mode));
  const mode = select("cutover", modes, chosen);
  const pause = field("Longest pause", text("max_pause"), "how long a guest may be paused, such as 3s; empty: 3s");
  const names = check("Clients are known to find the image under its new name", "name_changes");
  const look = () => {
    pause.hidden = mode.value !== "agent";
    names.hidden = mode.value === "refuse";
  };
  mode.addEventListener("change", look);
  look();
  return h("div", { class: "fields" }, h("div", { class: "wide" }, field("Clients at the cutover", mode)), pause, asked ? field("Cutover window", text("cutover_window"), "such as Sun 02:00-04:00; empty: always") : null, asked ? field("Refresh the source", text("refresh_source"), "after the cutover, such as every 6h; empty: not by itself") : null, names);
}
