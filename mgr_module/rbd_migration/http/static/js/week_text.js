// Changes to a week's rates and openings, and the texts of timetables and windows for them. The reverse of
// timetable.js: what is written here means the same there and in the manager.

import { exactRate, two } from "./format.js";
import { DAY, DAYS } from "./timetable.js";

// Put ``change`` into a stretch of some days: {day, from, to, ...} of the whole week, in minutes of the day. What is
// outside of the stretch stays.
export function paint(week, days, from, to, change) {
  const found = week.flatMap((one) => {
    if (!days.includes(one.day) || one.to <= from || one.from >= to) return [one];
    return [
      ...(one.from < from ? [{ ...one, to: from }] : []),
      { ...one, from: Math.max(one.from, from), to: Math.min(one.to, to), ...change },
      ...(one.to > to ? [{ ...one, from: to }] : []),
    ];
  });
  return joined(found);
}

// Neighbours of a day that say the same are one.
function joined(week) {
  const found = [];
  for (const one of week) {
    const before = found.at(-1);
    const { day, from, to, ...rest } = one;
    const { day: itsDay, from: itsFrom, to: itsTo, ...its } = before ?? {};
    if (before && itsDay === day && itsTo === from && JSON.stringify(rest) === JSON.stringify(its)) found[found.length - 1] = { ...before, to };
    else found.push(one);
  }
  return found;
}

// The timetable for {day, from, to, rate} that cover the whole week.
export function timetableText(week) {
  const rates = new Set(week.map((one) => one.rate));
  if (rates.size === 1) return exactRate(week[0].rate);
  const lines = DAYS.map((_, day) => week.filter((one) => one.day === day).map((one) => `${clock(one.from)},${exactRate(one.rate)}`).join(" "));
  return grouped(lines).map(([name, line]) => `${name} ${line}`).join(" ");
}

// {day, from, to, open} of the whole week, for times in which a window is closed.
export function openings(closed) {
  const week = DAYS.map((_, day) => ({ day, from: 0, to: DAY, open: true }));
  return closed.reduce((found, { day, from, to }) => paint(found, [day], from, to, { open: false }), week);
}

// The window for them; "" if it is always open. Null: it is never open, which no window can say.
export function windowText(week) {
  const open = week.filter((one) => one.open);
  if (!open.length) return null;
  if (open.length === week.length) return "";
  const spans = [...new Set(open.map((one) => `${one.from} ${one.to}`))];
  return spans
    .flatMap((span) => {
      const [from, to] = span.split(" ").map(Number);
      const marks = DAYS.map((_, day) => (open.some((one) => one.day === day && one.from === from && one.to === to) ? "x" : ""));
      const times = from === 0 && to === DAY ? "" : ` ${clock(from)}-${clock(to)}`;
      return grouped(marks).filter(([, mark]) => mark).map(([name]) => `${name}${times}`);
    })
    .join(", ");
}

// Runs of days with the same text: [["Mon-Fri", text], ["Sat", text]].
function grouped(lines) {
  const found = [];
  lines.forEach((line, day) => {
    const last = found.at(-1);
    if (last && last.line === line) last.to = day;
    else found.push({ from: day, to: day, line });
  });
  return found.map(({ from, to, line }) => [from === to ? DAYS[from] : `${DAYS[from]}-${DAYS[to]}`, line]);
}

export function clock(minute) {
  return `${two(Math.floor(minute / 60))}:${two(minute % 60)}`;
}
