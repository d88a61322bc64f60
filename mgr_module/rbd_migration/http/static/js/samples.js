// The throughput over time, as this page saw it; kept for the tab, so that a reload goes on.

const KEPT = 60 * 60 * 1000;
const STORE = "rbd-migration-throughput";

export class Samples {
  constructor() {
    this.points = read();
  }

  // ``at`` in milliseconds; rates in bytes per second, ``limit`` null where there is none.
  add(at, rate, limit) {
    this.points = [...this.points.filter((point) => point.at > at - KEPT && point.at < at), { at, rate, limit }];
    try {
      sessionStorage.setItem(STORE, JSON.stringify(this.points));
    } catch {
      this.points = this.points.slice(-this.points.length / 2); // no room: half as much will do
    }
  }
}

function read() {
  try {
    const found = JSON.parse(sessionStorage.getItem(STORE) ?? "[]");
    return found.filter((point) => Number.isFinite(point.at) && Number.isFinite(point.rate));
  } catch {
    return [];
  }
}
