// The findings of preflight, the most severe first, each with its remedy.

import { h, sentence } from "../dom.js";
import { count, size } from "../format.js";
import { tag } from "./badge.js";

const LOOK = {
  error: { tone: "bad", glyph: "✖" },
  warning: { tone: "held", glyph: "!" },
  info: { tone: "rest", glyph: "i" },
};

// The answer of a check as elements. ``chooses``: the method is chosen, so that what speaks for and against each is shown.
export function findings(answer, chooses = false) {
  return [
    h("p", { class: `verdict ${answer.ok ? "good" : "bad"}` }, summary(answer)),
    chooses && answer.methods.length > 1 ? h("ul", { class: "methods" }, answer.methods.map(method)) : null,
    answer.findings.length ? h("ul", { class: "findings" }, answer.findings.map(finding)) : null,
  ];
}

// One sentence, the same as in the output of the command check.
export function summary(answer) {
  const errors = answer.findings.filter((found) => found.severity === "error").length;
  let text = answer.ok ? "It can be prepared" : `It cannot be prepared (${count(errors, "error")})`;
  if (answer.bytes_to_copy !== null) text += `; up to ${size(answer.bytes_to_copy)} to copy`;
  if (answer.bytes_free !== null) text += `, ${size(answer.bytes_free)} free`;
  return `${text}.`;
}

// What speaks for or against a method.
function method(judged) {
  const able = judged.recommended ? ["recommended", "good", "✔"] : judged.ok ? ["possible", "rest", "○"] : ["not possible", "held", "✖"];
  return h("li", {}, h("strong", {}, judged.method), " ", tag(...able), " ", sentence(judged.reason));
}

// One finding as an item of a list.
export function finding(found) {
  const look = LOOK[found.severity] ?? LOOK.info;
  return h(
    "li",
    { class: `finding ${found.severity}` },
    h("div", { class: "finding-head" }, tag(found.severity, look.tone, look.glyph), h("code", {}, found.code), h("span", { class: "finding-object" }, found.object)),
    h("p", {}, sentence(found.message)),
    found.remedy ? h("p", { class: "remedy" }, h("span", { class: "remedy-word" }, "Remedy: "), remedy(found.remedy)) : null,
  );
}

// A remedy is a command or a sentence; commands begin with a tool's name.
function remedy(text) {
  return /^(ceph|rbd|rados|radosgw-admin) /.test(text) ? h("code", {}, text) : sentence(text);
}
