// Messages about --force and --as-raw, adapted to a page that has checkboxes for them.

const ADD = /add `?(?:--force|"force": true)`?/g;

// Replaces "add --force"; the box is below the message.
export function inTicks(text) {
  return text.replace(ADD, "tick the box below").replace("with --as-raw", "with the box below ticked");
}

// The same where the box is on another view.
export function onItsOwnView(text) {
  return text.replace(ADD, "force it on its own view");
}
