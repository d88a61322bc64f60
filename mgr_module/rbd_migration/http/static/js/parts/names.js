// Source and target of a migration, as in the output of commands: hdd/vm1 -> nvme/vm1.

import { h } from "../dom.js";

export function names(report) {
  if (report.source === report.target) return [h("span", { class: "name" }, report.target), h("span", { class: "in-place" }, " in place")];
  return [
    h("span", { class: "name" }, report.source),
    h("span", { class: "arrow", "aria-hidden": "true" }, " → "),
    h("span", { class: "unseen" }, " to "),
    h("span", { class: "name" }, report.target),
  ];
}
