// Buttons that store a file of the API. A plain link would lack the API key of the module's own server.

import * as api from "../api.js";
import { h } from "../dom.js";
import { busily } from "./busy.js";
import { announce } from "./notices.js";

// ``label``: what is stored; ``formats``: names of formats as ``export`` takes them; ``ask()`` returns the
// path of the file and the query.
export function downloads(label, formats, ask) {
  return h("p", { class: "buttons downloads" }, `${label}: `, formats.map((name) => button(label, name, ask)));
}

function button(label, name, ask) {
  const pressed = h("button", { type: "button", "aria-label": `${label} as ${name.toUpperCase()}` }, name.toUpperCase());
  pressed.addEventListener("click", () =>
    busily(pressed, async () => {
      const [path, query] = ask();
      try {
        store(await api.download(path, { ...query, export: name }));
      } catch (error) {
        announce(error.message, "bad");
      }
    }),
  );
  return pressed;
}

function store({ content, name }) {
  const address = URL.createObjectURL(content);
  const link = h("a", { href: address, download: name, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}
