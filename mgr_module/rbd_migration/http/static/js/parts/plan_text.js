// Texts about a plan that several views use.

import { count, rate, seconds } from "../format.js";
import { PHASES } from "../states.js";

// "12 done, 3 running, 1 failed", of numbers by phase.
export function phasesText(counts) {
  return Object.keys(PHASES)
    .filter((phase) => counts[phase])
    .map((phase) => `${counts[phase]} ${phase}`)
    .join(", ");
}

// Appended to the bytes of a plan: the size of images that have not begun is not known.
export const OF_BEGUN = " of the images that have begun";

// "Wave 2 of 10"; "" before the images are selected, and after the end.
export function waveText(plan) {
  return plan.waves && plan.ended === null ? `Wave ${plan.wave} of ${plan.waves}` : "";
}

// The throughput of its copies now; "" without running copies.
export function rateText(plan) {
  return plan.rate ? `${rate(plan.rate)}${plan.rate_limit === null ? "" : ` of at most ${rate(plan.rate_limit)}`}` : "";
}

// The time that the rest of the plan takes; "" if that is not known.
export function leftText(plan) {
  return plan.rate && plan.eta_total_seconds !== null ? `about ${seconds(plan.eta_total_seconds)} left` : "";
}

// "3 images"; a remark before the plan starts.
export function imagesText(plan) {
  return plan.total ? count(plan.total, "image") : "selected when it starts";
}

// A plan as input of a progress bar, which is red if the plan has stopped because of failures.
export function barOf(plan) {
  return { ...plan, state: plan.state === "stopped" ? "failed" : plan.state, hold: plan.state === "paused" };
}

// Whether the plan needs attention.
export function isBad(plan) {
  return plan.state === "stopped" || plan.counts.failed > 0;
}
