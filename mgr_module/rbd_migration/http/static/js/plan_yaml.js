// A plan as YAML. Only what a plan file has: objects, lists and texts.

const PLAIN = /^[A-Za-z0-9_./][A-Za-z0-9_./ +-]*$/; // texts that need no quotes
const SPECIAL = /^(true|false|yes|no|on|off|null|~|[0-9.]+(:[0-9]+)*)$/i;
const ORDER = ["plan", "select", "images", "map", "waves", "policy", "limits", "window"];

export function planYaml(definition) {
  const names = [...ORDER.filter((name) => name in definition), ...Object.keys(definition).filter((name) => !ORDER.includes(name))];
  return names.map((name) => entry(name, definition[name], "")).join("");
}

function entry(name, value, indent) {
  const key = `${indent}${scalar(name)}:`;
  if (Array.isArray(value)) return value.length ? `${key}\n${value.map((one) => item(one, `${indent}  `)).join("")}` : `${key} []\n`;
  if (value !== null && typeof value === "object") {
    const inner = Object.entries(value);
    return inner.length ? `${key}\n${inner.map(([part, one]) => entry(part, one, `${indent}  `)).join("")}` : `${key} {}\n`;
  }
  return `${key} ${scalar(value)}\n`;
}

function item(value, indent) {
  if (value === null || typeof value !== "object") return `${indent}- ${scalar(value)}\n`;
  if (Array.isArray(value)) return `${indent}- ${JSON.stringify(value)}\n`;
  const lines = Object.entries(value).map(([name, one]) => entry(name, one, `${indent}  `)).join("");
  return lines ? `${indent}- ${lines.slice(indent.length + 2)}` : `${indent}- {}\n`;
}

function scalar(value) {
  const text = String(value ?? "");
  if (/^[0-9]+$/.test(text)) return text;
  return PLAIN.test(text) && !SPECIAL.test(text) && text === text.trim() ? text : JSON.stringify(text);
}
