// Sizes, rates, durations and times as the commands print them (model/units.py).

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

// 1536 -> "1.5 KiB"
export function size(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(1).replace(/\.0$/, "")} ${UNITS[unit]}`;
}

// Bytes per second; null is no limit.
export function rate(bytes) {
  return bytes === null || bytes === undefined ? "no limit" : `${size(bytes)}/s`;
}

// 125 -> "2m 05s"
export function seconds(count) {
  const whole = Math.max(0, Math.floor(count));
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h ${two(Math.floor((whole % 3600) / 60))}m`;
}

// The time zone of the page: that of the browser, UTC, or that of the cluster, as the user chooses.
const ZONE_KEY = "rbd-migration-zone";
export const BROWSER_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
let zone = keptZone();
let formats = formatsOf(zone);

function keptZone() {
  const kept = localStorage.getItem(ZONE_KEY);
  return kept !== null && knows(kept) ? kept : BROWSER_ZONE;
}

function knows(name) {
  try {
    return Boolean(new Intl.DateTimeFormat("en-GB", { timeZone: name }));
  } catch {
    return false;
  }
}

function formatsOf(timeZone) {
  const clockParts = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  return {
    day: new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" }),
    clock: new Intl.DateTimeFormat("en-GB", { timeZone, ...clockParts }),
    name: new Intl.DateTimeFormat("en-GB", { timeZone, timeZoneName: "short" }),
  };
}

export const timeZone = () => zone;

// Show times in another zone from now on, also after the page is opened again. False: the browser does not know it.
export function useTimeZone(name) {
  if (!knows(name)) return false;
  zone = name;
  formats = formatsOf(name);
  localStorage.setItem(ZONE_KEY, name);
  return true;
}

// The short name of the zone at a time, such as "CET" or "GMT+1".
export function zoneName(at = new Date()) {
  return formats.name.formatToParts(at).find((part) => part.type === "timeZoneName")?.value ?? zone;
}

// A time of the API (ISO 8601, UTC) in the zone of the page: "2026-11-23 07:22:26".
export function time(iso) {
  const at = new Date(iso);
  return `${formats.day.format(at)} ${clock(at)}`;
}

// "07:22:26"
export function clock(at) {
  return formats.clock.format(at);
}

// A message with its times, such as "2026-11-27 23:00 UTC", in the zone of the page.
export function withTimes(text) {
  return text.replace(/\b(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d)(:\d\d)?(?: UTC|Z)/g, (found, day, minutes, rest = "") => {
    const at = new Date(`${day}T${minutes}${rest || ":00"}Z`);
    if (Number.isNaN(at.getTime())) return found;
    const shown = rest ? clock(at) : clock(at).slice(0, 5);
    return `${formats.day.format(at)} ${shown} ${zoneName(at)}`;
  });
}

// A rate for a form field: exact, in the largest unit that divides it. Null is off.
export function exactRate(bytes) {
  if (bytes === null) return "off";
  let value = bytes;
  let power = 0;
  while (value && value % 1024 === 0 && power < 6) {
    value /= 1024;
    power += 1;
  }
  return `${value}${["", "K", "M", "G", "T", "P", "E"][power]}`;
}

// 1 migration, 2 migrations
export function count(number, word, plural = `${word}s`) {
  return `${number} ${number === 1 ? word : plural}`;
}

export function two(number) {
  return String(number).padStart(2, "0");
}
