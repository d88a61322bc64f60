// The agents on hypervisor hosts, and which guest has which image open.

import * as api from "../api.js";
import { fill, h, say } from "../dom.js";
import { count } from "../format.js";
import { field, text } from "../parts/field.js";
import { agentTable, guestTable } from "../parts/guests.js";

const MOST = 500; // lines of the table of guests

export function hosts(root, { app }) {
  const agents = agentTable();
  const guests = guestTable();
  const none = h("p", { class: "nothing", hidden: true }, "No agent has reported to this manager. Agents move running guests to the target of a migration by the method warm.");
  const search = text("search", { type: "search", placeholder: "part of an image, a guest or a host" });
  const found = h("p", { class: "found", role: "status" });
  let clients = [];

  function draw() {
    const wanted = search.value.trim().toLowerCase();
    const those = clients.filter((one) => [one.image, one.guest, one.host].some((part) => part.toLowerCase().includes(wanted)));
    say(found, those.length > MOST ? `The first ${MOST} of ${those.length}.` : `${count(those.length, "disk")}.`);
    guests.update(those.slice(0, MOST));
  }

  fill(
    root,
    h("h1", {}, "Hosts and guests"),
    none,
    h("section", { class: "card" }, h("h2", {}, "Agents"), agents.element),
    h(
      "section",
      { class: "card" },
      h("h2", {}, "Guests with images open"),
      h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() }, field("Search", search)),
      found,
      guests.element,
    ),
  );
  search.addEventListener("input", draw);
  app.watch(10, async () => {
    const known = await api.get("/agents");
    clients = await api.get("/clients");
    none.hidden = known.length > 0;
    agents.update(known);
    draw();
  });
  return "Hosts and guests";
}
