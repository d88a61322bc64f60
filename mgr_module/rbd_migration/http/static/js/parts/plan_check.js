// The result of a plan's check: whether it can begin, the space needed in pools, and each image.

import { h, fill, refill, sentence } from "../dom.js";
import { count, seconds, size, time } from "../format.js";
import { tag } from "./badge.js";
import { finding } from "./findings.js";
import { names } from "./names.js";
import { pager } from "./pager.js";

const LINES = 20; // images at once

const KINDS = [
  { name: "blocked", label: "Cannot begin", fits: (item) => !item.ok },
  { name: "warned", label: "With warnings", fits: (item) => item.ok && item.findings.some((found) => found.severity === "warning") },
  { name: "all", label: "All", fits: () => true },
];

// ``update(answer)``: the API's answer, also while the check is running.
export function planFindings() {
  const verdict = h("p", { class: "verdict", role: "status" });
  const meter = h("progress", { max: "100", value: 0, "aria-label": "Images that were checked" });
  const sums = h("div", {});
  const list = h("ul", { class: "checked" });
  const chips = h("div", { class: "chips", role: "group", "aria-label": "Which images" });
  const pages = pager("Pages of findings", (to) => {
    page = to;
    draw();
  });
  let kind = "";
  let page = 1;
  let answer = null;

  function choose(name) {
    kind = name;
    page = 1;
    draw();
  }

  function draw() {
    const groups = KINDS.map((one) => ({ ...one, items: answer.items.filter(one.fits) }));
    const chosen = groups.find((one) => one.name === kind && one.items.length) ?? groups.find((one) => one.items.length) ?? groups.at(-1);
    const shown = groups.filter((one) => one.items.length);
    refill(chips, shown.map((one) => [one.name, one.items.length, one === chosen]), () =>
      shown.map((one) =>
        h(
          "button",
          { type: "button", class: "chip", "data-kind": one.name, "aria-pressed": String(one === chosen), onclick: () => choose(one.name) },
          one.label,
          " ",
          h("span", { class: "chip-number" }, String(one.items.length)),
        ),
      ),
    );
    const last = Math.max(1, Math.ceil(chosen.items.length / LINES));
    page = Math.min(page, last);
    const items = chosen.items.slice((page - 1) * LINES, page * LINES);
    refill(list, items, () => items.map(image));
    pages.update(page, last);
  }

  return {
    element: h("div", {}, verdict, meter, sums, chips, list, pages.element),
    update(found) {
      answer = found;
      const bad = found.problem || found.blocked || found.pools.some((pool) => !pool.fits);
      verdict.className = `verdict ${bad ? "bad" : found.done ? "good" : ""}`;
      refill(verdict, summary(found), () => sentence(summary(found)));
      meter.hidden = found.done;
      meter.value = found.total ? Math.floor((100 * found.checked) / found.total) : 0;
      refill(sums, [found.pools, found.seconds, found.done, found.ended], () => (found.items.length ? capacity(found) : []));
      draw();
    },
  };
}

// One sentence or two, similar to the output of the command plan check.
export function summary(found) {
  if (found.problem) return found.problem;
  if (!found.done) return found.total === null ? "Its images are being selected …" : `${found.checked} of ${count(found.total, "image")} were checked …`;
  if (!found.total) return "No image matches the plan's selection.";
  const short = found.pools.filter((pool) => !pool.fits).map((pool) => pool.pool);
  const parts = [
    found.blocked
      ? `${found.blocked} of ${count(found.total, "image")} cannot begin as things are.`
      : `${found.total === 1 ? "The image" : `All ${found.total} images`} can begin.`,
    short.length ? `There is not enough space in ${short.join(", ")}.` : "",
    found.bytes_to_copy ? `At most ${size(found.bytes_to_copy)} have to be copied.` : "",
  ];
  return parts.filter(Boolean).join(" ");
}

function capacity(found) {
  const estimate = found.seconds === null ? "No rate is configured, so the duration cannot be estimated." : `It takes at least ${seconds(found.seconds)} at the configured rate.`;
  return [
    found.done ? h("p", {}, estimate, found.ended ? [" Checked at ", h("time", { datetime: found.ended }, time(found.ended)), "."] : null) : null,
    found.pools.length
      ? h(
          "div",
          { class: "scroll", role: "region", "aria-label": "Space in the target pools", tabindex: "0" },
          h(
            "table",
            { class: "pools" },
            h("thead", {}, h("tr", {}, ["Target pool", "Space", "Needed at the peak", "Free", "Written in all"].map((name) => h("th", { scope: "col" }, name)))),
            h("tbody", {}, found.pools.map(pool)),
          ),
        )
      : null,
  ];
}

function pool(one) {
  const fits = one.bytes_free === null ? tag("not known", "rest", "?") : one.fits ? tag("fits", "good", "✔") : tag("does not fit", "bad", "✖");
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, h("span", { class: "name" }, one.pool)),
    h("td", {}, fits),
    h("td", {}, size(one.bytes_needed)),
    h("td", {}, one.bytes_free === null ? "not known" : size(one.bytes_free)),
    h("td", {}, size(one.bytes_in_all)),
  );
}

function image(item) {
  const verdict = item.ok ? tag("can begin", "good", "✔") : tag("cannot begin", "bad", "✖");
  return fill(
    h("li", {}),
    h("div", { class: "card-head" }, h("span", {}, names(item)), h("span", { class: "checked-end" }, item.bytes_to_copy === null ? "" : `up to ${size(item.bytes_to_copy)} `, verdict)),
    item.findings.length ? h("ul", { class: "findings" }, item.findings.map(finding)) : null,
  );
}
