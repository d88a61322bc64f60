// The state that all views share: the summary of migrations, the user's permissions, errors of the API.

import * as api from "./api.js";
import { fill, h, refill, say, sentence } from "./dom.js";
import { BROWSER_ZONE, timeZone, useTimeZone } from "./format.js";
import { parse } from "./router.js";
import { repeat } from "./repeat.js";
import { login } from "./parts/login.js";
import { create } from "./views/create.js";
import { detail } from "./views/detail.js";
import { history } from "./views/history.js";
import { hooks } from "./views/hooks.js";
import { hosts } from "./views/hosts.js";
import { migrations } from "./views/migrations.js";
import { newPlan } from "./views/new_plan.js";
import { overview } from "./views/overview.js";
import { pace } from "./views/pace.js";
import { plan } from "./views/plan.js";
import { plans } from "./views/plans.js";

const SUMMARY_EVERY = 3;
const TABS = [
  { path: "", label: "Overview" },
  { path: "migrations", label: "Migrations" },
  { path: "new", label: "New migration", right: "create" },
  { path: "plans", label: "Plans", also: "new-plan" },
  { path: "pace", label: "Throttle and windows" },
  { path: "hosts", label: "Hosts" },
  { path: "hooks", label: "Hooks" },
  { path: "history", label: "History" },
];
const NOBODY = { create: false, update: false, delete: false };

export class App {
  constructor() {
    this.summary = null;
    this.listeners = new Set();
    this.stops = [];
    this.asking = false; // whether the login is shown
    this.tried = false; // whether the user has tried to log in since
    this.troubles = new Map();
    this.parts = Object.fromEntries(
      ["trouble", "view", "tabs", "release", "content", "dashboard", "skip", "zone"].map((id) => [id, document.getElementById(id)]),
    );
  }

  start() {
    this.parts.skip.addEventListener("click", (event) => {
      event.preventDefault();
      this.parts.content.focus();
    });
    document.getElementById("forget-key").addEventListener("click", () => {
      api.key.forget();
      location.reload();
    });
    window.addEventListener("hashchange", () => this.show());
    this.zones = [BROWSER_ZONE, "UTC"];
    this.showZones();
    this.parts.zone.addEventListener("change", () => {
      if (useTimeZone(this.parts.zone.value)) this.show();
    });
    const read = () => this.readSummary();
    this.loop = repeat(SUMMARY_EVERY, () => this.guarded(read));
  }

  // -- for views -----------------------------------------------------------------------------

  // Whether the user has a permission: "create", "update" or "delete". The API checks it again.
  may(right) {
    return (this.summary?.permissions ?? NOBODY)[right] === true;
  }

  // Do ``work`` now and every few seconds while the view is shown; the page shows its errors.
  watch(seconds, work) {
    const { view } = this.parts;
    const root = view.firstChild;
    view.setAttribute("aria-busy", "true");
    const loop = repeat(seconds, async () => {
      await this.guarded(work);
      if (view.firstChild === root) view.removeAttribute("aria-busy");
    });
    this.stops.push(() => {
      loop.stop();
      if (this.troubles.delete(work)) this.showTroubles();
    });
    return loop;
  }

  // Call ``listener`` with the last summary now, and with each new one.
  onSummary(listener) {
    this.listeners.add(listener);
    this.stops.push(() => this.listeners.delete(listener));
    if (this.summary) listener(this.summary);
  }

  // Call ``stop`` when the user leaves the view.
  onLeave(stop) {
    this.stops.push(stop);
  }

  // -- the summary ---------------------------------------------------------------------------

  async readSummary() {
    const first = this.summary === null;
    const before = JSON.stringify(this.summary?.permissions);
    this.summary = await api.get("/summary");
    say(this.parts.release, `${this.summary.version} on Ceph ${this.summary.ceph_release}`);
    this.parts.dashboard.hidden = api.key.known();
    document.getElementById("forget-key").hidden = !api.key.known();
    if (first || this.asking) {
      this.asking = false;
      await this.readZone();
      this.show();
    } else if (before !== JSON.stringify(this.summary.permissions)) {
      this.show();
    }
    for (const listener of [...this.listeners]) listener(this.summary);
  }

  // The cluster's time zone is one in which times can be shown.
  async readZone() {
    const { timezone } = await api.get("/throttle");
    this.zones = [BROWSER_ZONE, "UTC", timezone];
    this.showZones();
  }

  showZones() {
    const names = { [BROWSER_ZONE]: `${BROWSER_ZONE} (this browser)` };
    const known = new Set([...this.zones, timeZone()]);
    fill(this.parts.zone, [...known].map((zone) => h("option", { value: zone, selected: zone === timeZone() }, names[zone] ?? zone)));
  }

  // -- views ---------------------------------------------------------------------------------

  show() {
    if (this.summary === null || this.asking) return;
    for (const stop of this.stops.splice(0)) stop();
    const { segments, query } = parse(location.hash);
    const [name = "", ...rest] = segments;
    this.showTabs(name);
    const root = fill(this.parts.view, []);
    root.removeAttribute("aria-busy");
    const title = this.view(name)(root, { app: this, segments: rest, query });
    document.title = `${title} – RBD live migration`;
    if (this.shown !== undefined && this.shown !== name + rest.join()) this.moveFocus();
    this.shown = name + rest.join();
  }

  view(name) {
    const views = { "": overview, migrations, new: create, plans, "new-plan": newPlan, pace, hosts, hooks, history };
    const single = { migrations: detail, plans: plan };
    return (root, context) => ((context.segments.length && single[name]) || (views[name] ?? missing))(root, context);
  }

  moveFocus() {
    window.scrollTo(0, 0);
    const heading = this.parts.view.querySelector("h1");
    heading?.setAttribute("tabindex", "-1");
    heading?.focus({ preventScroll: true });
  }

  showTabs(name) {
    fill(
      this.parts.tabs,
      TABS.filter((tab) => !tab.right || this.may(tab.right)).map((tab) =>
        h("a", { href: `#/${tab.path}`, "aria-current": [tab.path, tab.also].includes(name) ? "page" : null }, tab.label),
      ),
    );
  }

  // -- errors --------------------------------------------------------------------------------

  // Run ``work``; show its error above the view, until it succeeds again.
  async guarded(work) {
    try {
      await work();
      if (this.troubles.delete(work)) this.showTroubles();
    } catch (error) {
      if (error instanceof api.NotLoggedIn) {
        this.askLogin(error.wantsKey);
        return;
      }
      if (!(error instanceof api.Refusal) && !(error instanceof api.Unreachable)) console.error(error);
      this.troubles.set(work, error);
      this.showTroubles();
    }
  }

  showTroubles() {
    const errors = [...this.troubles.values()];
    const stale = errors.some((error) => error instanceof api.Unreachable || error.status === 503);
    const texts = new Set(errors.map((error) => error.message));
    if (stale) texts.add("The page tries again every few seconds; what it shows may be out of date.");
    refill(this.parts.trouble, [...texts], () => (texts.size ? h("p", { class: "alert error" }, sentence([...texts].join(" "))) : []));
    this.parts.view.classList.toggle("stale", stale);
  }

  tryAgain() {
    this.tried = true;
    this.loop.now();
  }

  askLogin(wantsKey) {
    if (this.asking && !this.tried) return;
    this.asking = true;
    this.tried = false;
    for (const stop of this.stops.splice(0)) stop();
    fill(this.parts.tabs, []);
    document.title = "Log in – RBD live migration";
    this.parts.dashboard.hidden = wantsKey;
    this.parts.view.removeAttribute("aria-busy");
    fill(this.parts.view, login(wantsKey, () => this.tryAgain()));
  }
}

function missing(root) {
  fill(root, h("h1", {}, "This view does not exist"), h("p", {}, h("a", { href: "#/" }, "Go to the overview")));
  return "This view does not exist";
}
