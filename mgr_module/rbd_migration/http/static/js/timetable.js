// Parses timetables and windows, to draw them while they are typed. The manager parses them again
// (control/pace/timetable.py, control/pace/window.py), and its result is the one that counts.

const NAMES = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const POWERS = "BKMGTPE";
export const DAY = 24 * 60;
export const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const ALL = [0, 1, 2, 3, 4, 5, 6];

// A syntax error, as a sentence.
export class Unreadable extends Error {}

// Bytes per second of "50M", "50MiB/s", "off" (null: no limit), "0".
export function parseRate(text) {
  const plain = text.trim().toLowerCase();
  if (plain === "off") return null;
  const match = /^\s*([0-9]{1,20})\s*(?:([bkmgtpe])(?:i?b)?)?\s*$/.exec(plain.replace(/\/s$/, ""));
  if (!match) throw new Unreadable(`"${text}" is not a rate; give bytes per second such as 50M, off for no limit, or 0 for no copies.`);
  return Number(match[1]) * 1024 ** POWERS.indexOf((match[2] ?? "b").toUpperCase());
}

// Entries {day, minute, rate} in the order of the week.
export function parseTimetable(text) {
  const pieces = text.split(/\s+/).filter(Boolean);
  if (!pieces.length) throw new Unreadable("It is empty.");
  if (pieces.length === 1 && !text.includes(",") && parseDays(pieces[0]) === null) {
    const rate = parseRate(pieces[0]);
    return ALL.map((day) => ({ day, minute: 0, rate }));
  }
  const { general, special } = collect(pieces);
  const merged = new Map([...general, ...special]);
  if (!merged.size) throw new Unreadable("It names days but no rate.");
  return [...merged.values()].sort((a, b) => a.day - b.day || a.minute - b.minute);
}

function collect(pieces) {
  const general = new Map();
  const special = new Map();
  let named = null;
  let unused = "";
  for (const piece of pieces) {
    const comma = piece.indexOf(",");
    if (comma < 0) {
      if (unused) break;
      named = days(piece, piece);
      unused = piece;
      continue;
    }
    unused = "";
    const when = moment(piece.slice(0, comma), piece);
    let { minute } = when;
    if (minute === null) {
      named = when.days;
      minute = 0;
    }
    const those = when.days ?? named;
    const rate = parseRate(piece.slice(comma + 1));
    for (const day of those ?? ALL) put(those === null ? general : special, { day, minute, rate }, piece);
  }
  if (unused) throw new Unreadable(`No entry follows the days "${unused}".`);
  return { general, special };
}

function put(into, entry, piece) {
  const key = `${entry.day} ${entry.minute}`;
  if (into.has(key) && into.get(key).rate !== entry.rate) throw new Unreadable(`"${piece}" gives a second rate for the same time; leave one.`);
  into.set(key, entry);
}

function moment(text, piece) {
  if (!text.includes(":")) return { days: days(text, piece), minute: null };
  const dash = text.lastIndexOf("-");
  const minute = parseClock(text.slice(dash + 1));
  if (minute === null || minute >= DAY) throw new Unreadable(`"${piece}" has no time from 00:00 to 23:59.`);
  return { days: dash < 0 ? null : days(text.slice(0, dash), piece), minute };
}

function days(text, piece) {
  const found = parseDays(text);
  if (found === null) throw new Unreadable(`"${piece}" is neither days nor an entry for a time.`);
  return found;
}

// "Mon-Fri" -> [0, 1, 2, 3, 4]; null for anything else.
export function parseDays(text) {
  const ends = text.split("-").map((part) => {
    const name = part.toLowerCase();
    return NAMES.findIndex((full) => name === full || name === full.slice(0, 3));
  });
  if (ends.length > 2 || ends.includes(-1)) return null;
  const [first, last = first] = ends;
  return Array.from({ length: ((last - first + 7) % 7) + 1 }, (_, n) => (first + n) % 7);
}

// "08:30" -> 510, up to 24:00; null for anything else.
export function parseClock(text) {
  const match = /^([0-9]{1,2}):([0-9]{2})$/.exec(text);
  if (!match) return null;
  const total = Number(match[1]) * 60 + Number(match[2]);
  return Number(match[2]) < 60 && total <= DAY ? total : null;
}

// Stretches {day, from, to, rate}, in minutes of the day, that cover the whole week.
export function stretches(entries) {
  const found = [];
  let rate = entries[entries.length - 1].rate; // what Sunday ends with, Monday begins with
  for (const day of ALL) {
    let from = 0;
    for (const entry of entries.filter((one) => one.day === day)) {
      if (entry.minute > from) found.push({ day, from, to: entry.minute, rate });
      from = entry.minute;
      rate = entry.rate;
    }
    found.push({ day, from, to: DAY, rate });
  }
  return found;
}

// Spans {days, start, end} of a window; ``end`` is past midnight when it ends on the day after.
export function parseWindow(text) {
  const pieces = text.split(/[,;]/).map((piece) => piece.trim()).filter(Boolean);
  if (!pieces.length) throw new Unreadable("It is empty.");
  return pieces.map(span);
}

function span(piece) {
  const words = piece.replace(/\s*-\s*/g, "-").split(/\s+/);
  const named = parseDays(words[0]);
  const times = named ? words.slice(1) : words;
  if (times.length > 1) throw new Unreadable(`"${piece}" is not one span; separate spans by commas.`);
  if (!times.length) return { days: named, start: 0, end: DAY };
  const [first, last] = split(times[0]);
  const [start, end] = [parseClock(first), parseClock(last)];
  if (start === null || end === null || start === DAY) throw new Unreadable(`"${piece}" is not made of days and times of day.`);
  if (start === end) throw new Unreadable(`"${piece}" ends when it begins; for whole days give the days alone.`);
  return { days: named ?? ALL, start, end: end > start ? end : end + DAY };
}

function split(text) {
  const dash = text.indexOf("-");
  return dash < 0 ? [text, ""] : [text.slice(0, dash), text.slice(dash + 1)];
}

// When a window is closed: {day, from, to}, in minutes of the day.
export function closed(spans) {
  const open = ALL.map(() => []);
  for (const { days: those, start, end } of spans) {
    for (const day of those) {
      open[day].push([start, Math.min(end, DAY)]);
      if (end > DAY) open[(day + 1) % 7].push([0, end - DAY]);
    }
  }
  return open.flatMap((parts, day) => {
    const gaps = [];
    let from = 0;
    for (const [start, end] of parts.sort((a, b) => a[0] - b[0])) {
      if (start > from) gaps.push({ day, from, to: start });
      from = Math.max(from, end);
    }
    if (from < DAY) gaps.push({ day, from, to: DAY });
    return gaps;
  });
}
