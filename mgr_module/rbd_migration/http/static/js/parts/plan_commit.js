// The commit of all images of a plan that wait for one: the question before, and which were refused.

import { fill, h, sentence } from "../dom.js";
import { count } from "../format.js";
import { migrationLink } from "../router.js";
import { onItsOwnView } from "./forced.js";

const SHOWN = 20; // refusals

// What a commit of ``waiting`` images of this plan does, in sentences.
export function commitAllText(plan, waiting) {
  const one = waiting === 1;
  return [
    `${count(waiting, "image")} of the plan ${one ? "is" : "are"} copied and ${one ? "waits" : "wait"} for a commit. ${one ? "Its source" : "Their sources"} and all snapshots of ${one ? "it" : "them"} are removed. A source of an import is left as it is.`,
    "There is no way back after that: a committed migration can no longer be aborted.",
    plan.verify === "none"
      ? "The plan compares no contents of sources and targets."
      : `What has to be compared (${plan.verify}) and was not yet is compared first; the commit of such an image follows automatically if nothing differs.`,
    "Images that are copied later are not part of this. If some commits are refused, the others begin nevertheless, and the page lists the refused ones.",
  ];
}

// A sentence about the ``answer`` of such a commit.
export function commitAllResult({ done, refused, left }) {
  const parts = [
    done.length ? `${count(done.length, "commit")} begun` : "No commit begun",
    refused.length ? `${refused.length} refused` : "",
    left ? `${left} left` : "",
  ];
  return `${parts.filter(Boolean).join(", ")}.`;
}

// An element that lists the refused ones of the last answer. ``show(answer)``; ``clear()`` empties it.
export function commitRefusals() {
  const element = h("div", { role: "alert" });
  return {
    element,
    clear: () => fill(element),
    show({ refused, left }) {
      const more = left ? h("p", {}, `There was no time for ${count(left, "commit")}; press the button again.`) : null;
      fill(element, refused.length || left ? h("div", { class: "alert error" }, refused.length ? listOf(refused) : null, more) : null);
    },
  };
}

function listOf(refused) {
  const line = ({ target, message }) => {
    const rest = message.startsWith(`${target} `) ? message.slice(target.length) : `: ${message}`;
    return h("li", {}, h("a", { href: migrationLink(target) }, target), sentence(onItsOwnView(rest)));
  };
  const others = refused.slice(SHOWN);
  return [
    h("p", {}, `${count(refused.length, "commit")} ${refused.length === 1 ? "was" : "were"} refused. Decide about each on its own view:`),
    h("ul", { class: "problems" }, refused.slice(0, SHOWN).map(line)),
    others.length ? h("details", {}, h("summary", {}, count(others.length, "more", "more")), h("ul", { class: "problems" }, others.map(line))) : null,
  ];
}
