// One migration: its state, why it waits or failed, the possible actions, and its history.

import * as api from "../api.js";
import { fill, h, refill, say, sentence } from "../dom.js";
import { rate, seconds, size, time } from "../format.js";
import { asksForAction } from "../page_words.js";
import { planLink } from "../router.js";
import { actions } from "../parts/actions.js";
import { badge } from "../parts/badge.js";
import { bar } from "../parts/bar.js";
import { busily } from "../parts/busy.js";
import { clientWarnings } from "../parts/client_warnings.js";
import { findings } from "../parts/findings.js";
import { guestTable } from "../parts/guests.js";
import { names } from "../parts/names.js";
import { announce } from "../parts/notices.js";
import { past } from "../parts/past.js";
import { settings } from "../parts/settings.js";
import { timeline } from "../parts/timeline.js";
import { verification } from "../parts/verification.js";
import { HOLDS, moves } from "../states.js";

const GUESTS_EVERY = 5; // looks at the migration between two looks at its guests

export function detail(root, { app, segments }) {
  const target = segments.join("/");
  const state = badge();
  const heading = h("h1", {}, target);
  const progress = bar(`Progress of ${target}`);
  const speed = h("p", { class: "speed-line" });
  const spoken = h("p", { class: "unseen", role: "status" });
  const next = h("p", { class: "next" });
  const trouble = h("div", {});
  const warned = h("div", {});
  const buttons = actions(show);
  const facts = h("dl", { class: "facts" });
  const history = h("div", {});
  const compared = h("section", { class: "card", hidden: true }, h("h2", {}, "Verification"), h("div", {}));
  const drawing = past(app, { target });
  const guests = guestTable();
  const users = h("section", { class: "card", hidden: true }, h("h2", {}, "Guests that use it"), guests.element);
  const looked = h("section", { class: "card", hidden: true });
  const form = app.may("update") ? settings(show) : null;
  const body = h(
    "div",
    { hidden: true },
    h("div", { class: "headline" }, state.element, progress.element),
    speed,
    spoken,
    trouble,
    next,
    warned,
    app.may("update") ? buttons.element : null,
    looked,
    h(
      "div",
      { class: "columns" },
      h("section", { class: "card" }, h("h2", {}, "Details"), facts),
      h("section", { class: "card" }, h("h2", {}, "Timeline"), history),
    ),
    drawing.element,
    users,
    compared,
    form?.element ?? null,
  );
  fill(root, h("p", { class: "crumbs" }, h("a", { href: "#/migrations" }, "Migrations"), api.key.known() ? null : h("a", { href: "../#/block/rbd" }, "Images in the dashboard")), heading, body);

  let before = "";
  function show(report) {
    body.hidden = false;
    refill(heading, [report.source, report.target], () => names(report));
    state.update(report);
    progress.update(report);
    say(speed, speedOf(report));
    refill(trouble, [report.hold, report.failure, report.slowed, report.copied_by, report.source_changes], () => troubles(report));
    const said = nextStep(report, app.may("update"));
    next.hidden = !said;
    refill(next, said, () => sentence(said));
    refill(warned, report.warnings, () => clientWarnings(report.warnings));
    buttons.update(report);
    refill(facts, factsOf(report), () => factsOf(report).map(fact));
    refill(history, report.timeline, () => timeline(report));
    compared.hidden = report.verification === null;
    if (report.verification) refill(compared.lastElementChild, report.verification, () => verification(report.verification));
    checkOffer(report);
    form?.update(report);
    const now = `${report.state}${report.hold ? `, ${HOLDS[report.hold.reason]?.word ?? report.hold.reason}` : ""}`;
    if (before && before !== now) say(spoken, `It is ${now} now.`);
    before = now;
  }

  // Before a migration is prepared, preflight can find out what prevents that.
  function checkOffer(report) {
    const fits = report.prepared === null && ["queued", "failed"].includes(report.state) && !report.source_spec;
    looked.hidden = !fits;
    refill(looked, fits, () => (fits ? checker(report) : []));
  }

  // The agents of hosts know which guests have the image open that clients use.
  let looks = 0;
  async function showGuests(report) {
    const far = report.source_cluster && report.clients === "source"; // where no agent looks
    const wanted = report.method === "warm" && !report.ended && !far;
    const found = wanted ? await api.get("/clients", { image: report[report.clients] }) : [];
    users.hidden = !found.length;
    guests.update(found);
  }

  app.watch(2, async () => {
    try {
      const report = await api.get(api.at(target));
      show(report);
      if (looks % GUESTS_EVERY === 0) await showGuests(report);
      looks += 1;
    } catch (error) {
      if (error.status !== 404) throw error;
      body.hidden = false;
      fill(body, h("p", { class: "alert warning" }, sentence(error.message)));
    }
  });
  drawing.follow();
  return target;
}

function checker(report) {
  const found = h("div", { role: "status" });
  const look = h("button", { type: "button" }, "Run preflight");
  const work = async () => {
    try {
      fill(found, findings(await api.post("/check", { source: report.source, target: report.target, layout: layoutOf(report), method: report.method })));
    } catch (error) {
      announce(error.message, "bad");
    }
  };
  look.addEventListener("click", () => busily(look, work));
  return [h("h2", {}, "Preflight"), h("p", {}, "It is not prepared yet. Preflight changes nothing."), look, found];
}

// The layout of a Report in the names of a request.
function layoutOf({ layout }) {
  const { features, shared, ...same } = layout;
  return { ...same, ...(features ? { image_feature: features } : {}), ...(shared ? { image_shared: true } : {}) };
}

// What happens next. Readers are not told to act.
function nextStep({ next, hold }, may) {
  if (!next || next === hold?.message) return "";
  return asksForAction(next) && !may ? "It waits for somebody who may change migrations." : next;
}

function speedOf(report) {
  if (!moves(report) || report.rate === null) return "";
  const limit = report.rate_limit === null ? "" : ` of at most ${rate(report.rate_limit)}`;
  const left = report.eta_seconds === null ? "" : `, ${seconds(report.eta_seconds)} left`;
  const ends = report.copy_ends === null ? "" : ` (until ${time(report.copy_ends)})`;
  return `${rate(report.rate)}${limit}${left}${ends}`;
}

function troubles(report) {
  const { failure, hold } = report;
  return [
    failure
      ? h(
          "p",
          { class: `alert ${report.state === "failed" ? "error" : "warning"}` },
          h("strong", {}, report.state === "failed" ? "It failed. " : "The last attempt failed. "),
          sentence(failure.message),
          " ",
          h("span", { class: "alert-more" }, `${failure.code}, `, h("time", { datetime: failure.at }, time(failure.at)), report.attempts > 1 ? `, ${report.attempts} attempts` : ""),
        )
      : null,
    hold && hold.message !== failure?.message
      ? h(
          "p",
          { class: "alert warning" },
          h("strong", {}, `It waits (${HOLDS[hold.reason]?.word ?? hold.reason}). `),
          sentence(hold.message),
          // A message about a window names the time itself.
          hold.until && hold.reason !== "window" ? [" Until ", h("time", { datetime: hold.until }, time(hold.until)), "."] : null,
        )
      : null,
    report.source_went_on
      ? h("p", { class: "alert warning" }, h("strong", {}, "The source went on. "), sentence(`After that snapshot ${report.source_went_on}`))
      : null,
    (report.source_changes ?? []).map((text) => h("p", { class: "alert warning" }, h("strong", {}, "The source changed. "), sentence(text))),
    report.slowed.map((text) => h("p", { class: "alert info" }, h("strong", {}, "It is slowed down. "), sentence(text))),
    report.copied_by ? h("p", { class: "alert info" }, h("strong", {}, "A client copies. "), `Copied by ${report.copied_by}.`) : null,
  ];
}

// Names and texts, some with a link; empty texts are left out.
function factsOf(report) {
  return [
    ["Goes on to", report.later_snapshot ? `the snapshot ${report.later_snapshot}` : ""],
    ["Source", report.source_image_id ? `${report.source} (${report.source_image_id})` : report.source],
    ["Target", report.target_image_id ? `${report.target} (${report.target_image_id})` : report.target],
    ["Source-spec", report.source_spec ? JSON.stringify(report.source_spec) : ""],
    ["Plan", report.plan ?? "", report.plan && planLink(report.plan)],
    ["Goal", report.goal],
    ["Method", report.method_reason ? `${report.method}, chosen automatically: ${report.method_reason}` : report.method],
    ["Clients use", report.import_only ? "" : `the ${report.clients}`],
    ["Cutover", cutoverOf(report.cutover)],
    ["Rounds", roundsOf(report.rounds)],
    ["Cutover would take", report.rounds?.pause_estimate_seconds ? `about ${report.rounds.pause_estimate_seconds.toFixed(1)} s` : ""],
    ["Reverse rounds", reverseRoundsOf(report.reverse_rounds)],
    ["Source not refreshed", report.reverse_rounds?.problem ?? ""],
    ["An abort would copy back", wayBackOf(report.way_back)],
    ["Cutover took", report.cutover?.pause_seconds ? `${report.cutover.pause_seconds.toFixed(2)} s` : ""],
    ["Bytes", report.bytes_total ? `${size(report.bytes_copied)} of ${size(report.bytes_total)}` : ""],
    ["Objects", report.objects_total ? `${report.objects_done} of ${report.objects_total}` : ""],
    ["Own rate", report.own_rate === null ? "" : rate(report.own_rate)],
    ["Window", report.window ?? ""],
    ["Priority", report.priority ? String(report.priority) : ""],
    ["Verify", report.verify === "none" ? "" : report.verify],
    ["Soak", report.soak_seconds ? seconds(report.soak_seconds) : ""],
    ...Object.entries(report.layout).map(([name, value]) => [words(name), layoutText(name, value)]),
    ["Adopted", report.adopted ? "taken over from plain rbd migration" : ""],
    ["Requested", report.by ? `${time(report.created)} by ${report.by}` : time(report.created)],
    ["Prepared", report.prepared ? time(report.prepared) : ""],
    ["Executed", report.executed ? time(report.executed) : ""],
    ["Cut over", report.cut_over ? time(report.cut_over) : ""],
    ["Ended", report.ended ? time(report.ended) : ""],
    ["Id", report.id],
  ].filter(([, text]) => text !== "");
}

function cutoverOf(cutover) {
  if (!cutover) return "";
  const pause = cutover.mode === "agent" ? `, a pause of at most ${cutover.max_pause_seconds} s` : "";
  return `${cutover.mode}${pause}${cutover.name_changes ? ", clients find the new name" : ""}`;
}

function roundsOf(rounds) {
  if (!rounds) return "";
  const age = rounds.age_seconds === null ? "" : `; the target is as the source was ${seconds(rounds.age_seconds)} ago`;
  return `${rounds.count}, the last copied ${size(rounds.bytes)} in ${rounds.seconds.toFixed(1)} s${age}`;
}

function reverseRoundsOf(rounds) {
  if (!rounds) return "";
  const every = rounds.every_seconds ? `every ${seconds(rounds.every_seconds)}` : "on demand";
  const last = rounds.count ? `; ${rounds.count} so far, the last copied ${size(rounds.bytes)} in ${rounds.seconds.toFixed(1)} s` : "";
  const age = rounds.age_seconds === null ? "" : `; the source is as the target was ${seconds(rounds.age_seconds)} ago`;
  return every + last + age;
}

function wayBackOf(measured) {
  if (!measured) return "";
  if (measured.bytes === null) return "what clients wrote; how much is not known";
  return `about ${size(measured.bytes)}, in about ${measured.seconds.toFixed(1)} s`;
}

function fact([name, text, href]) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, href ? h("a", { href }, text) : text));
}

function words(name) {
  const text = name.replaceAll("_", " ");
  return text[0].toUpperCase() + text.slice(1);
}

function layoutText(name, value) {
  if (Array.isArray(value)) return value.join(", ");
  if (value === true) return "yes";
  return /size|unit/.test(name) && Number.isInteger(value) ? size(value) : String(value);
}
