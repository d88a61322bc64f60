// One plan: its state, problems, waves and images, and the possible actions.

import * as api from "../api.js";
import { fill, h, refill, say, sentence } from "../dom.js";
import { count, rate, seconds, time } from "../format.js";
import { link, planLink } from "../router.js";
import { PHASES, PLAN_STATES } from "../states.js";
import { badge } from "../parts/badge.js";
import { bar } from "../parts/bar.js";
import { busily } from "../parts/busy.js";
import { clientWarnings } from "../parts/client_warnings.js";
import { downloads } from "../parts/downloads.js";
import { items } from "../parts/items.js";
import { past } from "../parts/past.js";
import { planActions, skippable } from "../parts/plan_actions.js";
import { planChecker } from "../parts/plan_checker.js";
import { OF_BEGUN, barOf, imagesText, isBad, leftText, phasesText, rateText, waveText } from "../parts/plan_text.js";
import { waves } from "../parts/waves.js";

const EVERY = 2;
const MANY = 500; // images; plans with more are refreshed less often
const PATIENCE = 5; // how many times less often

export function plan(root, { app, segments, query }) {
  const name = segments.join("/");
  const asked = {
    phase: query.get("phase") in PHASES ? query.get("phase") : "",
    wave: Math.max(0, Number(query.get("wave")) || 0),
    search: query.get("search") ?? "",
    order: query.get("order") ?? "",
    page: Math.max(1, Number(query.get("page")) || 1),
    size: 25,
  };
  const state = badge(PLAN_STATES);
  const progress = bar(`Progress of the plan ${name}`, OF_BEGUN);
  const speed = h("p", { class: "speed-line" });
  const spoken = h("p", { class: "unseen", role: "status" });
  const trouble = h("div", {});
  const warned = h("div", {});
  const next = h("p", { class: "next" });
  const rest = h("p", {});
  const buttons = planActions(app, renew, () => {
    location.hash = "#/plans";
  });
  const facts = h("dl", { class: "facts" });
  const pace = past(app, { plan: name });
  const files = downloads("Report", ["html", "csv", "json"], () => [api.plans.report(name), {}]);
  const drawing = waves((wave) => table.choose(wave));
  const mayAct = app.may(api.PLAN_RIGHTS.act);
  const table = items(asked, chosen, (report) => mayAct && skippable(report), renew);
  function chosen() {
    window.history.replaceState(null, "", planLink(name, { phase: asked.phase, wave: asked.wave || "", search: asked.search, order: asked.order, page: asked.page === 1 ? "" : asked.page }));
    if (current) drawing.update(current, asked.wave);
  }
  const checker = planChecker();
  const look = h("button", { type: "button" }, "Check");
  const looked = h(
    "section",
    { class: "card" },
    h("h2", {}, "Check"),
    h("p", {}, "Runs preflight for each image that has not begun, and adds up the space needed in each pool. It changes nothing."),
    app.may(api.PLAN_RIGHTS.check) ? h("div", { class: "buttons" }, look) : h("p", { class: "hint" }, "Your login does not allow you to check plans; that needs the permission create."),
    checker.element,
  );
  const [early, late] = [h("div", {}), h("div", {})]; // two positions of the check: before and after the start
  const images = h("section", { class: "card" }, h("h2", {}, "Images"), table.element);
  const body = h(
    "div",
    { hidden: true },
    h("div", { class: "headline" }, state.element, progress.element),
    speed,
    spoken,
    trouble,
    next,
    warned,
    rest,
    buttons.element,
    early,
    h(
      "div",
      { class: "columns" },
      h("section", { class: "card" }, h("h2", {}, "Waves"), drawing.element),
      h("section", { class: "card" }, h("h2", {}, "Details"), facts, files),
    ),
    pace.element,
    images,
    late,
  );
  fill(root, h("p", { class: "crumbs" }, h("a", { href: "#/plans" }, "Plans")), h("h1", {}, name), body);
  look.addEventListener("click", () => busily(look, () => checker.run(name)));
  checker.recall(name);
  app.onLeave(() => {
    checker.stop();
    table.stop();
  });

  let current = null;
  let waiting = 0; // migrations that wait for a commit
  let before = "";
  function show(report) {
    current = report;
    body.hidden = false;
    state.update(report);
    progress.element.hidden = !report.total;
    progress.update(barOf(report));
    say(speed, [waveText(report), report.total ? `${count(report.total, "image")}: ${phasesText(report.counts)}` : "", rateText(report), leftText(report)].filter(Boolean).join(" · "));
    refill(trouble, [report.problems, isBad(report)], () => problems(report));
    next.hidden = !report.next;
    refill(next, report.next, () => sentence(report.next));
    refill(warned, report.warnings, () => clientWarnings(report.warnings));
    refill(rest, [report.name, report.goal, report.counts.done], () => toDecide(report));
    rest.hidden = !rest.hasChildNodes();
    buttons.update(report, waiting);
    looked.hidden = report.ended !== null || report.state === "cancelling" || (report.total > 0 && report.counts.queued + report.counts.waiting === 0);
    const place = report.total ? late : early;
    if (looked.parentNode !== place) place.append(looked);
    drawing.update(report, asked.wave);
    refill(facts, factsOf(report), () => factsOf(report).map(fact));
    images.hidden = !report.total;
    table.update(report);
    const now = [report.state, waveText(report).toLowerCase()].filter(Boolean).join(", ");
    if (before && before !== now) say(spoken, `It is ${now.replaceAll("-", " ")} now.`);
    before = now;
  }

  let skipped = 0; // number of refreshes of a large plan to skip
  const loop = app.watch(EVERY, async () => {
    if (skipped > 0) {
      skipped -= 1;
      return;
    }
    try {
      const report = await api.plans.get(name);
      waiting = mayAct && report.total && report.goal !== "committed" ? await api.plans.toCommit(name) : 0;
      show(report);
      skipped = current.total > MANY ? PATIENCE - 1 : 0;
    } catch (error) {
      if (error.status !== 404) throw error;
      body.hidden = false;
      fill(body, h("p", { class: "alert warning" }, sentence(error.message)));
    }
  });

  pace.follow();

  // Show the plan that an action answered with, and ask for it again.
  function renew(report) {
    if (report) show(report);
    skipped = 0;
    loop.now();
  }
  return name;
}

const WAITING_FOR = { prepared: ["prepared", "execute and commit"], executed: ["commit", "commit"], verified: ["commit", "commit"] };

// The decision that a plan leaves to the user about images that have reached its goal.
function toDecide({ name, goal, counts }) {
  if (!counts.done || !WAITING_FOR[goal]) return [];
  const [group, verb] = WAITING_FOR[goal];
  return [
    `${count(counts.done, "image")} reached the goal ${goal}. Decide whether to ${verb} or to abort them: `,
    h("a", { href: link(["migrations"], { group, plan: name }) }, group === "commit" ? "those that await a commit" : "those that are prepared"),
    ".",
  ];
}

function problems(report) {
  if (!report.problems.length) return [];
  const [first, ...more] = report.problems;
  const tone = isBad(report) ? "error" : "warning";
  if (!more.length) return h("p", { class: `alert ${tone}` }, sentence(first));
  return h(
    "div",
    { class: `alert ${tone}` },
    h("ul", { class: "problems" }, report.problems.slice(0, 3).map((text) => h("li", {}, sentence(text)))),
    more.length > 2 ? h("details", {}, h("summary", {}, `${count(more.length - 2, "more", "more")}`), h("ul", { class: "problems" }, report.problems.slice(3).map((text) => h("li", {}, sentence(text))))) : null,
  );
}

// Pairs of a name and a text; empty texts are left out.
function factsOf(report) {
  return [
    ["Selects", report.selects.join("; ")],
    ["Images", imagesText(report)],
    ["Pools", report.pools.join(", ")],
    ["Goal", report.goal],
    ["Verify", report.verify],
    ["Rate of all its copies", report.rate_limit === null ? "" : rate(report.rate_limit)],
    ["Copies at once", report.max_copies ? `at most ${report.max_copies}` : ""],
    ["Images in a wave", String(report.wave_size)],
    ["Stops after", report.stop_after_failures ? count(report.stop_after_failures, "failure") : "never"],
    ["Window", report.window ?? ""],
    ["Priority", report.priority ? String(report.priority) : ""],
    ["Created", time(report.created)],
    ["Started", report.started ? time(report.started) : ""],
    ["Ended", report.ended ? time(report.ended) : ""],
    ["Took", report.ended && report.seconds !== null ? seconds(report.seconds) : ""],
    ["A wave waits", report.wait_seconds === null ? "" : `at most ${seconds(report.wait_seconds)} for an image that cannot begin`],
  ].filter(([, text]) => text !== "");
}

function fact([name, text]) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, text));
}
