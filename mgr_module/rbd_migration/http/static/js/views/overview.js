// Numbers of copying, waiting, failed and executed migrations; bytes, throughput, time left.

import * as api from "../api.js";
import { fill, h, say, refill, sentence } from "../dom.js";
import { count, rate, seconds, size } from "../format.js";
import { link } from "../router.js";
import { cards } from "../parts/cards.js";
import { LATENCY, chart } from "../parts/chart.js";
import { HOLDS } from "../states.js";

const SHOWN = 8;
export function overview(root, { app }) {
  const copying = tile("Copying", link(["migrations"], { group: "copying" }));
  const waiting = tile("Waiting", link(["migrations"], { hold: "any" }));
  const failed = tile("Failed", link(["migrations"], { group: "failed" }));
  const commit = tile("Awaiting commit", link(["migrations"], { group: "commit" }));
  const bytes = h("p", { class: "figure" });
  const overall = h("progress", { max: "100", value: 0, "aria-label": "All bytes of the migrations under way" });
  const pace = h("dl", { class: "facts compact" });
  const conditions = h("div", {});
  const drawing = chart();
  const latency = chart(LATENCY);
  const clients = h("section", { class: "card", hidden: true }, h("h2", {}, "Latency of clients"), latency.element);
  const attention = cards("Nothing needs attention.");
  const more = h("p", {});
  const running = cards("No copies are running.");
  const holds = h("div", {});
  app.onLeave(drawing.stop);
  app.onLeave(latency.stop);

  fill(
    root,
    h("div", { class: "title" }, h("h1", {}, "Overview"), app.may("create") ? h("a", { href: "#/new", class: "button primary" }, "New migration") : null),
    conditions,
    h("section", { class: "tiles", "aria-label": "Numbers of migrations" }, copying.element, waiting.element, failed.element, commit.element),
    h(
      "div",
      { class: "columns" },
      h("section", { class: "card" }, h("h2", {}, "Throughput"), drawing.element),
      h("section", { class: "card" }, h("h2", {}, "Under way"), bytes, overall, pace, holds),
    ),
    clients,
    h("section", { class: "card" }, h("h2", {}, "Needs attention"), attention.element, more),
    h("section", { class: "card" }, h("h2", {}, "Copying now"), running.element),
  );

  app.onSummary((summary) => {
    const { counts } = summary;
    copying.update(summary.copying, `of ${counts.executing} executing, ${counts.verifying} verifying`);
    const held = Object.values(summary.holds).reduce((sum, one) => sum + one, 0);
    waiting.update(held, reasons(summary.holds));
    failed.update(counts.failed, counts.failed ? "retry or abort them" : "", "bad");
    commit.update(summary.awaiting_commit, summary.awaiting_commit ? "all data is on the target" : "");
    const share = summary.bytes_total ? Math.floor((100 * summary.bytes_copied) / summary.bytes_total) : 0;
    overall.value = share;
    say(
      bytes,
      summary.total
        ? `${count(summary.total, "migration")}, ${summary.bytes_total ? `${size(summary.bytes_copied)} of ${size(summary.bytes_total)} copied` : "no data to copy"}`
        : "There are no migrations under way.",
    );
    overall.hidden = !summary.bytes_total;
    refill(pace, [summary.rate, summary.eta_seconds, summary.cluster_rate, summary.limits], () => facts(summary));
    refill(holds, summary.holds, () => holdList(summary.holds));
    refill(conditions, [summary.gates, summary.guard?.message], () => conditionList(summary));
    attention.update(summary.attention);
    const rest = summary.attention_total - summary.attention.length;
    refill(more, [rest, summary.counts.failed, summary.awaiting_commit], () => (rest > 0 ? othersOf(rest, summary) : []));
    drawing.now(summary.rate, summary.cluster_rate);
  });
  app.watch(10, async () => {
    const points = await api.get("/throughput");
    drawing.update(points);
    latency.update(points);
    clients.hidden = latency.empty();
  });
  app.watch(2, async () => {
    const { items } = await api.list({ state: "executing,verifying", sort: "-rate", limit: SHOWN });
    running.update(items.filter((report) => report.acting));
  });
  return "Overview";
}

// How many more need attention, with links to the lists in which they are.
function othersOf(rest, summary) {
  const groups = [
    ["failed", summary.counts.failed, `${summary.counts.failed} failed`],
    ["commit", summary.awaiting_commit, `${summary.awaiting_commit} awaiting commit`],
  ].filter(([, number]) => number);
  const decide = summary.holds.operator ? [h("a", { href: link(["migrations"], { hold: "operator" }) }, `${summary.holds.operator} that need a decision`)] : [];
  const links = [...groups.map(([group, , text]) => h("a", { href: link(["migrations"], { group }) }, text)), ...decide];
  return [`and ${rest} more. Lists: `, links.map((one, index) => [index ? ", " : "", one]), "."];
}

function tile(label, href) {
  const number = h("span", { class: "tile-number" }, "–");
  const detail = h("span", { class: "tile-detail" });
  const element = h("a", { class: "tile", href }, h("span", { class: "tile-label" }, label), number, detail);
  return {
    element,
    update(value, text, tone = "") {
      say(number, String(value));
      say(detail, text);
      element.className = `tile ${value ? tone : ""}`;
    },
  };
}

function reasons(holds) {
  return Object.entries(holds)
    .map(([reason, number]) => `${number} ${HOLDS[reason]?.word ?? reason}`)
    .join(", ");
}

function facts(summary) {
  const pairs = [
    ["Throughput", rate(summary.rate)],
    ["Time left", summary.eta_seconds === null ? "not known" : `${seconds(summary.eta_seconds)} for the running copies`],
    ["Throttle now", rate(summary.cluster_rate)],
    ["Copies at once", `at most ${summary.limits.max_copies}`],
  ];
  return pairs.map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text)));
}

function holdList(holds) {
  const entries = Object.entries(holds);
  if (!entries.length) return [];
  return [
    h("h3", {}, "Why some wait"),
    h("ul", { class: "holds" }, entries.map(([reason, number]) => h("li", {}, h("a", { href: link(["migrations"], { hold: reason }) }, `${number} ${HOLDS[reason]?.word ?? reason}`), `: ${HOLDS[reason]?.text ?? ""}`))),
  ];
}

function conditionList(summary) {
  return [
    ...summary.gates.map((gate) =>
      h("p", { class: `alert ${gate.level === "wait" ? "error" : "warning"}` }, h("strong", {}, gate.level === "wait" ? "Copies wait. " : "Copies are slowed down. "), sentence(gate.message)),
    ),
    summary.guard ? h("p", { class: "alert info" }, h("strong", {}, "Latency guard. "), sentence(summary.guard.message)) : null,
  ];
}
