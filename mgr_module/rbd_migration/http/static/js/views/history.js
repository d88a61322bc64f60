// Migrations that have ended, newest first.

import * as api from "../api.js";
import { fill, h, refill, say } from "../dom.js";
import { count, seconds, size, time } from "../format.js";
import { migrationLink } from "../router.js";
import { badge } from "../parts/badge.js";
import { downloads } from "../parts/downloads.js";
import { field, select, text } from "../parts/field.js";
import { names } from "../parts/names.js";

const MOST = 500;

export function history(root, { app }) {
  const since = select("since", [["1d", "a day"], ["7d", "a week"], ["30d", "30 days"], ["", "all that is kept"]], "7d");
  const target = text("target", { type: "search", placeholder: "pool/image" });
  const found = h("p", { class: "found", role: "status" });
  const body = h("tbody", {});
  let typing = 0;

  fill(
    root,
    h("h1", {}, "History"),
    h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() }, field("Since", since), field("Target", target)),
    found,
    downloads("Export", ["csv", "json"], () => ["/history/export", { since: since.value, target: target.value.trim() }]),
    h(
      "div",
      { class: "scroll" },
      h(
        "table",
        { class: "migrations" },
        h("caption", { class: "unseen" }, "Ended migrations"),
        h("thead", {}, h("tr", {}, ["Source → target", "State", "Ended", "Took", "Data", "Verified", "Plan", "By"].map((name) => h("th", { scope: "col" }, name)))),
        body,
      ),
    ),
  );
  since.addEventListener("change", () => loop.now());
  target.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => loop.now(), 300);
  });

  const loop = app.watch(15, async () => {
    const asked = [since.value, target.value.trim()];
    const ended = await api.get("/history", { since: asked[0], target: asked[1], limit: MOST });
    say(found, ended.length === MOST ? `The latest ${MOST}.` : `${count(ended.length, "migration")}.`);
    refill(body, ended.map((report) => report.id), () => ended.map(row));
  });
  app.onLeave(() => clearTimeout(typing));
  return "History";
}

function row(report) {
  const state = badge();
  state.update(report);
  const took = (new Date(report.ended) - new Date(report.created)) / 1000;
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, h("a", { href: migrationLink(report.target) }, names(report))),
    h("td", { class: "state" }, state.element),
    h("td", { "data-label": "Ended" }, h("time", { datetime: report.ended }, time(report.ended))),
    h("td", { "data-label": "Took" }, seconds(took)),
    h("td", { "data-label": "Data" }, report.bytes_total ? size(report.bytes_total) : "–"),
    h("td", { "data-label": "Verified" }, report.verification?.outcome ? `${report.verification.mode}: ${report.verification.outcome}` : "–"),
    h("td", { "data-label": "Plan" }, report.plan ?? "–"),
    h("td", { "data-label": "By" }, report.by ?? "–"),
  );
}
