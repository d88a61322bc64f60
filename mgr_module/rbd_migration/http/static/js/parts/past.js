// The throughput of the last hour of one migration or plan, as a card that is there when there is something to show.

import { get } from "../api.js";
import { h } from "../dom.js";
import { chart } from "./chart.js";

const EVERY = 10; // seconds

// ``query``: {target} or {plan} of the request /throughput.
export function past(app, query) {
  const drawing = chart();
  const element = h("section", { class: "card", hidden: true }, h("h2", {}, "Throughput"), drawing.element);
  app.onLeave(drawing.stop);
  return {
    element,
    // Ask now and again every few seconds; after the view is in the page.
    follow: () =>
      app.watch(EVERY, async () => {
        drawing.update(await get("/throughput", query));
        element.hidden = drawing.empty();
      }),
  };
}
