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

// A time of the API (ISO 8601, UTC) in the browser's time zone: "2026-11-23 07:22:26".
export function time(iso) {
  const at = new Date(iso);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock(at)}`;
}

// "07:22:26"
export function clock(at) {
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
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
