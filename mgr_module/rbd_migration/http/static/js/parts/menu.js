// A button that opens a menu of actions, such as the one at the end of a table's row.

import { fill, h } from "../dom.js";

const KEYS = { ArrowDown: 1, ArrowUp: -1 };
const SPACE = 4; // pixels between the button and its menu, and to the window's edge

// ``name``: the button's label for screen readers. ``make()`` returns [{label, danger, act}] at the moment
// when the menu opens; ``act`` is called after it has closed and the button has the focus again.
export function menu(name, make) {
  const button = h("button", { type: "button", class: "menu-button", "aria-label": name, "aria-haspopup": "menu", "aria-expanded": "false" }, "⋮");
  const list = h("div", { class: "menu", role: "menu", "aria-label": name, hidden: true });
  const element = h("div", { class: "menu-place" }, button, list);
  const outside = (event) => {
    if (!element.contains(event.target)) close();
  };

  function open() {
    const items = make();
    fill(list, items.length ? items.map(item) : h("p", { class: "nothing" }, "Nothing can be done now."));
    list.hidden = false;
    button.setAttribute("aria-expanded", "true");
    place();
    document.addEventListener("pointerdown", outside);
    window.addEventListener("scroll", place, true);
    window.addEventListener("resize", place);
    list.querySelector("button")?.focus({ preventScroll: true });
  }

  function close() {
    list.hidden = true;
    button.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", outside);
    window.removeEventListener("scroll", place, true);
    window.removeEventListener("resize", place);
  }

  // Below the button, or above it where there is no space; fixed, so that no table cuts it off.
  function place() {
    const at = button.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = list;
    const below = at.bottom + SPACE + height <= window.innerHeight;
    list.style.top = `${Math.max(SPACE, below ? at.bottom + SPACE : at.top - SPACE - height)}px`;
    list.style.left = `${Math.max(SPACE, Math.min(at.right - width, window.innerWidth - width - SPACE))}px`;
  }

  function item({ label, danger, act }) {
    const chosen = () => {
      close();
      button.focus();
      act();
    };
    return h("button", { type: "button", role: "menuitem", tabindex: "-1", class: danger ? "menu-item bad-text" : "menu-item", onclick: chosen }, label);
  }

  function step(event) {
    if (event.key === "Escape" || event.key === "Tab") {
      close();
      button.focus();
      if (event.key === "Escape") event.stopPropagation();
    } else if (event.key in KEYS || event.key === "Home" || event.key === "End") {
      const items = [...list.querySelectorAll("button")];
      const now = items.indexOf(document.activeElement);
      const next = { Home: 0, End: items.length - 1 }[event.key] ?? (now + KEYS[event.key] + items.length) % items.length;
      items[next]?.focus();
      event.preventDefault();
    }
  }

  button.addEventListener("click", () => (list.hidden ? open() : close()));
  list.addEventListener("keydown", step);
  return { element, close };
}
