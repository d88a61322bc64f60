// The buttons of the actions that are possible now. They are redrawn only when the actions change, and
// the one that has the focus keeps it.

import { fill, h } from "../dom.js";

// ``make(name, index)`` gives the button for a name, whose ``data-action`` is the name.
export function buttonGroup(make) {
  const element = h("div", { class: "buttons", role: "group", "aria-label": "Actions" });
  let shown = "";
  return {
    element,
    update(names) {
      if (names.join() === shown) return;
      const focused = document.activeElement?.dataset?.action;
      shown = names.join();
      fill(element, names.map(make));
      if (focused) element.querySelector(`[data-action="${focused}"]`)?.focus();
    },
  };
}
