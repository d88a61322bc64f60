// Hooks: web servers that are told of migrations, what came of their messages, and questions that wait for an answer.

import * as api from "../api.js";
import { fill, h, refill, say, sentence } from "../dom.js";
import { time } from "../format.js";
import { migrationLink, planLink } from "../router.js";
import { tag } from "../parts/badge.js";
import { busily } from "../parts/busy.js";
import { confirm } from "../parts/confirm.js";
import { hookAnswer } from "../parts/hook_answer.js";
import { hookForm } from "../parts/hook_form.js";
import { kept } from "../parts/kept.js";
import { announce } from "../parts/notices.js";
import { rows } from "../parts/rows.js";

const OUTCOMES = {
  taken: { tone: "good", glyph: "✔" },
  veto: { tone: "held", glyph: "■" },
  later: { tone: "wait", glyph: "◷" },
  failed: { tone: "bad", glyph: "✖" },
};
const COLUMNS = ["Name", "URL", "Messages", "Pool", "Waiting", "Last message", "Note"];

export function hooks(root, { app }) {
  const none = h("p", { class: "nothing", hidden: true }, "There are no hooks. A hook is a web server of yours that is told what migrations do, and can be asked to stop clients before a cutover.");
  const acts = app.may("update") || app.may("delete");
  const body = h("tbody", {});
  const show = kept(body, (hook) => hook.name, (first) => row(first, app, () => loop.now()));
  const columns = acts ? [...COLUMNS, h("span", { class: "unseen" }, "Actions")] : COLUMNS;
  const table = h(
    "div",
    { class: "scroll" },
    h("table", { class: "migrations" }, h("caption", { class: "unseen" }, "Hooks"), h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col" }, name)))), body),
  );
  const questions = rows("Questions that wait for an answer", app.may("update") ? ["Migration", "Hook", "Answer"] : ["Migration", "Hook"], (one) => question(one, app, () => loop.now()));
  const recent = rows("Recent messages", ["Sent", "Hook", "Message", "About", "Outcome", "Reason"], message);
  const asked = h("section", { class: "card", hidden: true }, h("h2", {}, "Questions that wait for an answer"), questions.element);
  const sent = h("section", { class: "card", hidden: true }, h("h2", {}, "Recent messages"), h("p", { class: "hint" }, "Up to ten of each hook, since this manager is active."), recent.element);
  const form = app.may("create") ? hookForm(() => loop.now()) : null;

  fill(root, h("h1", {}, "Hooks"), none, table, asked, sent, form?.element ?? null);

  const loop = app.watch(5, async () => {
    const found = await api.hooks.list();
    none.hidden = found.length > 0;
    table.hidden = !found.length;
    show(found);
    const open = found.flatMap((hook) => hook.questions.map((target) => ({ hook: hook.name, target })));
    asked.hidden = !open.length;
    questions.update(open);
    const messages = found.flatMap((hook) => hook.recent.map((one) => ({ ...one, hook: hook.name })));
    messages.sort((one, other) => (one.at < other.at ? 1 : -1));
    sent.hidden = !messages.length;
    recent.update(messages);
  });
  return "Hooks";
}

function row(first, app, done) {
  const cells = Object.fromEntries(COLUMNS.map((name) => [name, h("td", { "data-label": name })]));
  const test = h("button", { type: "button", "aria-label": `Test ${first.name}` }, "Test");
  test.addEventListener("click", () =>
    busily(test, async () => {
      try {
        await api.hooks.test(first.name);
        announce(`The hook ${first.name} took the message.`);
      } catch (error) {
        announce(error.message, "bad");
      }
      done();
    }),
  );
  const remove = h("button", { type: "button", class: "danger-line", "aria-label": `Remove ${first.name} …` }, "Remove …");
  remove.addEventListener("click", async () => {
    if (await confirm({ title: `Remove the hook ${first.name}?`, text: removal(first.name), verb: "Remove it", act: () => api.hooks.remove(first.name) })) done();
  });
  const buttons = [app.may("update") ? test : null, app.may("delete") ? remove : null].filter(Boolean);
  return {
    element: h("tr", {}, h("th", { scope: "row" }, first.name), Object.values(cells).slice(1), buttons.length ? h("td", { class: "buttons" }, buttons) : null),
    update(hook) {
      const [last] = hook.recent;
      say(cells.URL, hook.url);
      say(cells.Messages, hook.events.join(", "));
      say(cells.Pool, hook.pool ?? "all");
      say(cells.Waiting, String(hook.waiting));
      refill(cells["Last message"], last ?? null, () => (last ? [outcome(last), ` ${last.event}, `, h("time", { datetime: last.at }, time(last.at))] : "–"));
      cells.Note.className = hook.failing ? "note bad-text" : "note";
      const lost = hook.lost ? `${hook.lost} messages were given up. ` : "";
      refill(cells.Note, [hook.lost, hook.last_failure], () => sentence(lost + (hook.last_failure ?? "")));
    },
  };
}

function removal(name) {
  return [`Messages that wait for ${name} are discarded, and it is told nothing more.`, "Migrations that wait for its answer do not wait for it any longer; a cutover that no other hook takes is put off."];
}

function outcome({ outcome: word }) {
  const look = OUTCOMES[word] ?? { tone: "rest", glyph: "?" };
  return tag(word, look.tone, look.glyph);
}

function message(one) {
  const href = one.about && (one.event === "plan_done" ? planLink(one.about) : migrationLink(one.about));
  return h(
    "tr",
    {},
    h("td", { "data-label": "Sent" }, h("time", { datetime: one.at }, time(one.at))),
    h("td", { "data-label": "Hook" }, one.hook),
    h("td", { "data-label": "Message" }, one.event),
    h("td", { "data-label": "About" }, href ? h("a", { href }, one.about) : "–"),
    h("td", { "data-label": "Outcome" }, outcome(one)),
    h("td", { class: "note" }, sentence(one.reason ?? "")),
  );
}

function question(one, app, done) {
  const answer = h("button", { type: "button", "aria-label": `Answer for ${one.hook} about ${one.target} …` }, "Answer …");
  answer.addEventListener("click", async () => {
    if (await hookAnswer(one)) done();
  });
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, h("a", { href: migrationLink(one.target) }, one.target)),
    h("td", { "data-label": "Hook" }, one.hook),
    app.may("update") ? h("td", { class: "buttons" }, answer) : null,
  );
}
