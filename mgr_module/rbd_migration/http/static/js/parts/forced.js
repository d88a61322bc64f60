// What the commands say about --force, in the words of a page that has a box to tick for it.

// "add --force to ..." and "or add --force": the box stands below the sentence.
export function inTicks(text) {
  return text.replace(/add `?(?:--force|"force": true)`?/g, "tick the box below");
}
