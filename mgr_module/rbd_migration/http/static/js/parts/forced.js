// Messages about --force, adapted to a page that has a checkbox for it.

// Replaces "add --force"; the box is below the message.
export function inTicks(text) {
  return text.replace(/add `?(?:--force|"force": true)`?/g, "tick the box below");
}
