// Short messages about results. The region is live, so screen readers read them aloud.

import { h } from "../dom.js";

const SHOWN = 8000;

export function announce(text, tone = "good") {
  const region = document.getElementById("notices");
  const notice = h("p", { class: `notice ${tone}` }, text);
  region.append(notice);
  while (region.children.length > 3) region.firstChild.remove();
  setTimeout(() => notice.remove(), SHOWN);
}
