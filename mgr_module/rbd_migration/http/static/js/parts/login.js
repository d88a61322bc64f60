// The login, shown while the user is not logged in.

import { key } from "../api.js";
import { h } from "../dom.js";
import { field, text } from "./field.js";

// ``again`` asks the API again.
export function login(wantsKey, again) {
  return wantsKey ? askKey(again) : askDashboard();
}

function askDashboard() {
  return h(
    "section",
    { class: "card narrow" },
    h("h1", {}, "Log in"),
    h("p", {}, "This page uses the login of the Ceph dashboard, and you are not logged in there."),
    h("p", {}, h("a", { class: "button primary", href: "../#/login" }, "Log in to the dashboard")),
    h("p", { class: "hint" }, "Then come back to this page. It continues by itself if you log in in another tab."),
  );
}

function askKey(again) {
  const refused = key.known();
  const input = text("key", { type: "password", required: true, autocomplete: "off" });
  return h(
    "section",
    { class: "card narrow" },
    h("h1", {}, "API key"),
    refused ? h("p", { class: "alert error", role: "alert" }, "The API key was not accepted; enter one that exists and is not revoked.") : null,
    h("p", {}, "This server requires an API key. It is kept for this tab only, until the tab is closed."),
    h(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          key.keep(input.value.trim());
          again();
        },
      },
      field("API key", input),
      h("div", { class: "buttons" }, h("button", { type: "submit", class: "primary" }, "Continue")),
    ),
  );
}
