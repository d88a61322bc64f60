// One sentence about a migration: why it failed, why it waits, which client copies.

// Chooses the same sentence as the commands' tables. ``tone`` is the text's colour, "" is none.
export function note(report) {
  if (report.failure && report.state === "failed") return { tone: "bad", text: report.failure.message };
  if (report.hold) return { tone: "held", text: report.hold.message };
  if (report.failure) return { tone: "held", text: report.failure.message };
  if (report.copied_by) return { tone: "", text: `copied by ${report.copied_by}` };
  if (report.slowed.length) return { tone: "", text: report.slowed[0] };
  return { tone: "", text: "" };
}
