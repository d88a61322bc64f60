// A chart of the week: the throttle's rates as heights with their numbers, hatched where no copy runs.

import { fill, h, svg, freshId } from "../dom.js";
import { rate, two } from "../format.js";
import { DAY, DAYS } from "../timetable.js";
import { clock } from "../week_text.js";

const ROW = 30;
const LEFT = 38;
const TOP = 18;
const STEP = 30; // minutes that the mouse selects at least

// ``update({rates, shut, zone})``: periods with their rates, and periods in which the window is closed.
// ``select(part)`` marks {days, from, to}, or nothing with null; ``dragged(part)`` is called with what the user has dragged
// the mouse over.
export function week(name, dragged) {
  const canvas = h("div", { class: "week-canvas" });
  const words = h("ul", { class: "unseen" });
  const legend = h(
    "figcaption",
    { class: "week-legend" },
    h("span", { class: "key-free" }, "no limit"),
    h("span", { class: "key-some" }, "limited"),
    h("span", { class: "key-shut" }, "no copies"),
    h("span", { class: "key-now" }, "now"),
  );
  const pattern = freshId("hatch");
  let shown = null;
  let marked = null;
  let start = null; // where the mouse was pressed
  canvas.addEventListener("pointerdown", (event) => {
    if (!dragged || event.pointerType === "touch" || event.button !== 0) return;
    start = placeOf(event);
    canvas.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (start) mark(part(start, placeOf(event)));
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!start) return;
    const found = part(start, placeOf(event));
    start = null;
    dragged(found);
  });

  function placeOf(event) {
    const at = canvas.getBoundingClientRect();
    const width = Math.max(240, canvas.clientWidth);
    const minute = ((event.clientX - at.left - LEFT) / (width - LEFT - 2)) * DAY;
    const day = Math.floor((event.clientY - at.top - TOP) / ROW);
    return { day: Math.max(0, Math.min(6, day)), minute: Math.max(0, Math.min(DAY, minute)) };
  }

  function mark(selection) {
    marked = selection;
    draw();
  }

  const observer = new ResizeObserver(() => draw());
  observer.observe(canvas);

  function draw() {
    if (!shown) return;
    const width = Math.max(240, canvas.clientWidth);
    const x = (minute) => LEFT + (minute / DAY) * (width - LEFT - 2);
    const most = Math.max(1, ...shown.rates.map((one) => one.rate ?? 0));
    fill(
      canvas,
      svg(
        "svg",
        { viewBox: `0 0 ${width} ${TOP + 7 * ROW}`, width, height: TOP + 7 * ROW, role: "img", "aria-label": name },
        svg("defs", {}, svg("pattern", { id: pattern, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, svg("rect", { width: 2, height: 6, class: "week-hatch" }))),
        hours(x, width),
        DAYS.map((day, index) => svg("text", { class: "week-text", x: 0, y: TOP + index * ROW + 19 }, day)),
        shown.rates.map((one) => bar(one, most, x)),
        shown.shut.map((one) => svg("rect", { class: "week-shut", fill: `url(#${pattern})`, ...box(one, x) })),
        shown.rates.filter((one) => one.rate === 0).map((one) => svg("rect", { class: "week-shut", fill: `url(#${pattern})`, ...box(one, x) })),
        shown.rates.map((one) => label(one, x)),
        (marked?.days ?? []).map((day) => svg("rect", { class: "week-marked", ...box({ day, from: marked.from, to: marked.to }, x) })),
        now(shown.zone, x),
      ),
    );
  }

  return {
    element: h("figure", { class: "week" }, canvas, legend, words),
    update(found) {
      shown = found;
      draw();
      fill(words, sentences(found).map((text) => h("li", {}, text)));
    },
    select: mark,
    stop: () => observer.disconnect(),
  };
}

// The part of the week between two places, in whole steps.
function part(one, other) {
  const days = [one.day, other.day].sort((a, b) => a - b);
  const minutes = [one.minute, other.minute].sort((a, b) => a - b);
  const from = Math.min(DAY - STEP, Math.floor(minutes[0] / STEP) * STEP);
  return { days: DAYS.map((_, day) => day).filter((day) => day >= days[0] && day <= days[1]), from, to: Math.max(from + STEP, Math.min(DAY, Math.ceil(minutes[1] / STEP) * STEP)) };
}

function box({ day, from, to }, x) {
  return { x: x(from), y: TOP + day * ROW + 1, width: Math.max(0, x(to) - x(from)), height: ROW - 2 };
}

function bar(one, most, x) {
  const { x: left, y, width, height } = box(one, x);
  const part = one.rate === null ? 1 : one.rate ? 0.6 + 0.4 * (one.rate / most) : 0;
  return svg("rect", { class: one.rate === null ? "week-free" : "week-some", x: left, y: y + height * (1 - part), width, height: height * part });
}

// The rate of a period, if there is space for the text.
function label(one, x) {
  const text = one.rate === null ? "no limit" : one.rate === 0 ? "no copies" : rate(one.rate);
  const { x: left, y, width, height } = box(one, x);
  return width > text.length * 6.4 + 6 ? svg("text", { class: "week-label", x: left + 5, y: y + height - 7 }, text) : null;
}

function hours(x, width) {
  const step = width < 480 ? 6 : 3;
  return Array.from({ length: 24 / step + 1 }, (_, n) => n * step).map((hour) =>
    svg(
      "g",
      {},
      svg("line", { class: "week-grid", x1: x(hour * 60), x2: x(hour * 60), y1: TOP - 3, y2: TOP + 7 * ROW }),
      svg("text", { class: "week-text", x: x(hour * 60), y: 11, "text-anchor": hour === 24 ? "end" : hour === 0 ? "start" : "middle" }, `${two(hour)}:00`),
    ),
  );
}

// A line at the current time of a zone; null if the browser does not know the zone.
function now(zone, x) {
  const at = wall(zone);
  if (at === null) return null;
  return svg("line", { class: "week-now", x1: x(at.minute), x2: x(at.minute), y1: TOP + at.day * ROW, y2: TOP + (at.day + 1) * ROW });
}

function wall(zone) {
  try {
    const parts = new Intl.DateTimeFormat("en-GB", { timeZone: zone, weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).formatToParts(new Date());
    const get = (type) => parts.find((part) => part.type === type).value;
    return { day: DAYS.indexOf(get("weekday")), minute: Number(get("hour")) * 60 + Number(get("minute")) };
  } catch {
    return null;
  }
}

// The chart as text, for screen readers.
function sentences({ rates, shut }) {
  const when = (one) => `${DAYS[one.day]} ${clock(one.from)} to ${clock(one.to)}`;
  return [
    ...rates.map((one) => `${when(one)}: ${one.rate === null ? "no limit" : one.rate ? rate(one.rate) : "no copies"}`),
    ...shut.map((one) => `${when(one)}: the window is closed, no copies`),
  ];
}

// The time of the clock in a zone now, such as "Tue 14:03"; "" if the browser does not know the zone.
export function clockIn(zone) {
  const at = wall(zone);
  return at === null ? "" : `${DAYS[at.day]} ${clock(at.minute)}`;
}
