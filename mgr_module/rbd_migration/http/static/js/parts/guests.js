// Tables of the guests that have images open, and of the agents that report them.

import { h } from "../dom.js";
import { time } from "../format.js";
import { rows } from "./rows.js";

// ``update(clients)`` shows what the route /clients answers.
export function guestTable() {
  return rows("Guests that have images open", ["Image", "Guest", "Host", "Status", "Device", "Note"], (one) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, one.image),
      h("td", { "data-label": "Guest", title: one.guest_id }, one.guest),
      h("td", { "data-label": "Host" }, one.host),
      h("td", { "data-label": "Status" }, one.status),
      h("td", { "data-label": "Device" }, one.device),
      h("td", { class: one.lost || one.obstacle ? "note held-text" : "note" }, one.lost ? "The agent of this host does not report." : (one.obstacle ?? "")),
    ),
  );
}

// ``update(agents)`` shows what the route /agents answers.
export function agentTable() {
  return rows("Agents on hosts of guests", ["Host", "Last seen", "Version", "Guests", "Note"], (agent) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, agent.host),
      h("td", { "data-label": "Last seen" }, h("time", { datetime: agent.seen }, time(agent.seen))),
      h("td", { "data-label": "Version" }, agent.version),
      h("td", { "data-label": "Guests" }, String(agent.guests)),
      h("td", { class: agent.lost ? "note bad-text" : "note" }, [...(agent.lost ? ["It does not report any more."] : []), ...agent.problems].join(" ")),
    ),
  );
}
