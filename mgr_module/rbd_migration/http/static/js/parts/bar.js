// A progress bar with the percentage next to it.

import { h, say } from "../dom.js";
import { size } from "../format.js";

// ``update(report)``; ``name`` is the label for screen readers, ``of`` is appended to the bytes.
export function bar(name, of = "") {
  const meter = h("progress", { max: "100", value: 0, "aria-label": name });
  const number = h("span", { class: "bar-number" });
  const bytes = h("span", { class: "bar-bytes" });
  return {
    element: h("div", { class: "bar" }, meter, number, bytes),
    update(report) {
      if (meter.value !== report.percent) meter.value = report.percent;
      meter.className = report.state === "failed" ? "bad" : report.percent === 100 ? "full" : report.hold ? "held" : "";
      say(number, `${report.percent}%`);
      if (report.state === "verifying") say(bytes, "compared");
      else say(bytes, report.bytes_total ? `${size(report.bytes_copied)} of ${size(report.bytes_total)}${of}` : "");
    },
  };
}
