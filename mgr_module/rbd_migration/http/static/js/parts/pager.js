// Buttons to the pages of a table.

import { fill, h } from "../dom.js";

// ``go(page)`` is called with the chosen number; ``update(page, last)``.
export function pager(label, go) {
  const element = h("nav", { class: "pages", "aria-label": label });
  let shown = "";
  return {
    element,
    update(page, last) {
      if (shown === `${page}/${last}`) return;
      shown = `${page}/${last}`;
      element.hidden = last === 1;
      const step = (name, to, text) => h("button", { type: "button", "aria-label": name, disabled: to < 1 || to > last || to === page, onclick: () => go(to) }, text);
      const focused = element.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
      fill(
        element,
        step("First page", 1, "«"),
        step("Previous page", page - 1, "‹"),
        h("span", { class: "page-number" }, `Page ${page} of ${last}`),
        step("Next page", page + 1, "›"),
        step("Last page", last, "»"),
      );
      if (focused) element.querySelector(`[aria-label="${focused}"]`)?.focus();
    },
  };
}
