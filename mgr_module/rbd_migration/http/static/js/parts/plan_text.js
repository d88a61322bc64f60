// What several views say about a plan.

import { count, rate, seconds } from "../format.js";
import { PHASES } from "../states.js";

// "12 done, 3 running, 1 failed", of numbers by phase.
export function phasesText(counts) {
  return Object.keys(PHASES)
    .filter((phase) => counts[phase])
    .map((phase) => `${counts[phase]} ${phase}`)
    .join(", ");
}

// What the bytes of a plan are of: of images that have not begun nothing is known.
export const OF_BEGUN = " in what has begun";

// "Wave 2 of 10"; "" before the images are chosen, and at the end.
export function waveText(plan) {
  return plan.waves && plan.ended === null ? `Wave ${plan.wave} of ${plan.waves}` : "";
}

// What its copies make now; "" when nothing is copied.
export function rateText(plan) {
  return plan.rate ? `${rate(plan.rate)}${plan.rate_limit === null ? "" : ` of at most ${rate(plan.rate_limit)}`}` : "";
}

// How long the rest of the plan takes; "" where that is not known.
export function leftText(plan) {
  return plan.rate && plan.eta_total_seconds !== null ? `about ${seconds(plan.eta_total_seconds)} left` : "";
}

// "3 images", "no images yet".
export function imagesText(plan) {
  return plan.total ? count(plan.total, "image") : "chosen when it starts";
}

// A plan as a progress bar takes it: red is what stands still because of failures.
export function barOf(plan) {
  return { ...plan, state: plan.state === "stopped" ? "failed" : plan.state, hold: plan.state === "paused" };
}

// Whether something of it should be looked at.
export function isBad(plan) {
  return plan.state === "stopped" || plan.counts.failed > 0;
}
