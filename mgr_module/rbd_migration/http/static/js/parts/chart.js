// A chart over time: of a throughput, with the throttle as a dashed line, or of the latency of clients.

import { fill, h, svg } from "../dom.js";
import { clock, rate, size } from "../format.js";

const HEIGHT = 170;
const LEFT = 74;
const BOTTOM = 20;
const TOP = 8;
const MINUTES = 10;
const GAP = 30000; // milliseconds without a sample after which the line is broken

// What a chart shows: the values of the API's points, texts for them, and the smallest scale, so that an idle cluster
// looks idle.
const RATES = {
  name: "Throughput",
  least: 1 << 20,
  of: (point) => ({ at: new Date(point.at).getTime(), value: point.rate, limit: point.limit }),
  text: rate,
  tick: (value) => `${size(value)}/s`,
  limits: true,
};
export const LATENCY = {
  name: "Latency of clients",
  least: 1,
  of: (point) => ({ at: new Date(point.at).getTime(), value: point.latency_ms, limit: null }),
  text: (value) => `${value.toFixed(2)} ms`,
  tick: (value) => `${value} ms`,
  limits: false,
};

// ``update(points)``: the API's answer; ``now(value, limit)``: a newer point, measured now. ``empty()``: whether there is
// nothing to show.
export function chart(kind = RATES) {
  const canvas = h("div", { class: "chart-canvas" });
  const caption = h("figcaption", { class: "chart-legend" });
  const element = h("figure", { class: "chart" }, canvas, caption);
  let past = [];
  let latest = null;
  const observer = new ResizeObserver(() => draw());
  observer.observe(canvas);

  function draw() {
    const width = Math.max(260, canvas.clientWidth);
    const points = latest === null ? past : [...past, latest];
    const now = Math.max(Date.now(), ...points.slice(-1).map((point) => point.at));
    const span = minutes(points, now) * 60000;
    const shown = points.filter((point) => point.at >= now - span);
    const top = ceiling(Math.max(kind.least, ...shown.map((point) => point.value)));
    const x = (at) => LEFT + ((at - (now - span)) / span) * (width - LEFT - 4);
    const y = (value) => TOP + (1 - Math.min(value, top) / top) * (HEIGHT - TOP - BOTTOM);
    fill(
      canvas,
      svg(
        "svg",
        { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": spoken(kind, shown, span) },
        grid(kind, top, y, width),
        times(now, span, x),
        runs(shown).map((run) => area(run, x, y)),
        limits(shown, top).map((run) => svg("polyline", { class: "chart-limit", points: run.map((p) => `${x(p.at)},${y(p.limit)}`).join(" ") })),
      ),
    );
    const last = points[points.length - 1];
    fill(
      caption,
      h("span", { class: "key-rate" }, `${kind.name.toLowerCase()} ${last ? kind.text(last.value) : "not known yet"}`),
      kind.limits ? (last && last.limit !== null ? h("span", { class: "key-limit" }, `throttle ${rate(last.limit)}`) : h("span", {}, "no throttle")) : null,
    );
  }

  return {
    element,
    update(points) {
      past = points.map(kind.of).filter((point) => point.value !== null);
      draw();
    },
    now(value, limit) {
      latest = { at: Math.max(Date.now(), ...past.slice(-1).map((point) => point.at)), value, limit };
      draw();
    },
    empty: () => !past.length,
    stop: () => observer.disconnect(),
  };
}

// Ten minutes, or the hour when there is more to show.
function minutes(points, now) {
  return points.length && points[0].at < now - MINUTES * 60000 ? 60 : MINUTES;
}

// A round number of bytes at or above ``value``: the axis's end.
export function ceiling(value) {
  const power = 2 ** (10 * Math.floor(Math.log2(value) / 10));
  for (const step of [1, 2, 4, 8, 10, 20, 40, 80, 100, 200, 400, 800, 1024]) if (step * power >= value) return step * power;
  return value;
}

// Parts of the line without gaps.
function runs(points) {
  const found = [];
  let before = null;
  for (const point of points) {
    if (before === null || point.at - before.at > GAP) found.push([]);
    found[found.length - 1].push(point);
    before = point;
  }
  return found;
}

function limits(points, top) {
  return runs(points.filter((point) => point.limit !== null && point.limit <= top));
}

function area(run, x, y) {
  const line = run.map((point) => `${x(point.at)},${y(point.value)}`).join(" ");
  const [first, last] = [run[0], run[run.length - 1]];
  if (first === last) return svg("circle", { class: "chart-dot", cx: x(first.at), cy: y(first.value), r: 2.5 });
  return svg(
    "g",
    {},
    svg("polygon", { class: "chart-area", points: `${x(first.at)},${y(0)} ${line} ${x(last.at)},${y(0)}` }),
    svg("polyline", { class: "chart-line", points: line }),
  );
}

function grid(kind, top, y, width) {
  return [0, 0.5, 1].map((part) =>
    svg(
      "g",
      { "aria-hidden": "true" },
      svg("line", { class: "chart-grid", x1: LEFT, x2: width - 4, y1: y(top * part), y2: y(top * part) }),
      svg("text", { class: "chart-text", x: LEFT - 6, y: y(top * part) + 4, "text-anchor": "end" }, part ? kind.tick(top * part) : "0"),
    ),
  );
}

function times(now, span, x) {
  return [0, 0.5, 1].map((part) => {
    const at = now - span * (1 - part);
    const anchor = part === 0 ? "start" : part === 1 ? "end" : "middle";
    return svg("text", { class: "chart-text", x: x(at), y: HEIGHT - 4, "text-anchor": anchor, "aria-hidden": "true" }, clock(new Date(at)).slice(0, 5));
  });
}

function spoken(kind, points, span) {
  if (!points.length) return `${kind.name}: no data yet`;
  const most = Math.max(...points.map((point) => point.value));
  return `${kind.name} of the last ${span / 60000} minutes: now ${kind.text(points[points.length - 1].value)}, at most ${kind.text(most)}`;
}
