// Which migrations of a table are selected. The selection stays when the table shows another page.

import { h } from "../dom.js";

export const MOST = 1000; // that one request may name

// ``changed()`` is called after each change.
export function selection(changed) {
  const chosen = new Map(); // target -> the last report
  const all = h("input", { type: "checkbox", "aria-label": "Select all on this page" });
  let page = [];

  function mark() {
    const some = page.filter((report) => chosen.has(report.target)).length;
    all.checked = page.length > 0 && some === page.length;
    all.indeterminate = some > 0 && some < page.length;
    all.disabled = !page.length;
  }

  function set(reports, yes) {
    for (const report of reports) {
      if (!yes) chosen.delete(report.target);
      else if (chosen.size < MOST || chosen.has(report.target)) chosen.set(report.target, report);
    }
    mark();
    changed();
  }

  all.addEventListener("change", () => set(page, all.checked));
  mark(); // with no rows yet there is nothing to select
  return {
    all,
    // A box for a row, which ``box.show(report)`` keeps in agreement with the selection.
    box() {
      const element = h("input", { type: "checkbox" });
      let current = null;
      element.addEventListener("change", () => set([current], element.checked));
      return {
        element,
        show(report) {
          current = report;
          element.setAttribute("aria-label", `Select ${report.target}`);
          element.checked = chosen.has(report.target);
          element.disabled = report.ended !== null;
        },
      };
    },
    // The reports of the page that is shown, those that have not ended: they renew selected ones.
    showPage(reports) {
      page = reports.filter((report) => report.ended === null);
      for (const report of reports) {
        if (!chosen.has(report.target)) continue;
        if (report.ended === null) chosen.set(report.target, report);
        else chosen.delete(report.target);
      }
      mark();
      changed();
    },
    add: (reports) => set(reports, true),
    remove: (reports) => set(reports, false),
    clear: () => set([...chosen.values()], false),
    reports: () => [...chosen.values()],
    pageIsSelected: () => all.checked,
  };
}
