// Warnings about what clients must not do with a target, and about what they have done.

import { h, sentence } from "../dom.js";

const DONE = new Set(["TARGET_IN_TRASH", "SNAPSHOT_REMOVED", "TARGET_SHRUNK", "TARGET_GROWN_AGAIN"]);

// The warnings of a report as elements: first what has happened, then a list of what must not.
export function clientWarnings(warnings) {
  const happened = warnings.filter((warning) => DONE.has(warning.code));
  const ahead = warnings.filter((warning) => !DONE.has(warning.code));
  return [
    ...happened.map((warning) => h("p", { class: "alert error" }, sentence(warning.message))),
    ahead.length
      ? h(
          "div",
          { class: "alert warning" },
          h("strong", {}, "For its clients"),
          h("ul", {}, ahead.map((warning) => h("li", {}, sentence(warning.message)))),
        )
      : null,
  ];
}
