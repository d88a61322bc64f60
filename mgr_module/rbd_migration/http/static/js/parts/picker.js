// Fields for pools, images and plans that propose what there is. Anything else can be typed too.

import { places, plans } from "../api.js";
import { fill, freshId, h } from "../dom.js";
import { text } from "./field.js";

const TYPING = 250; // milliseconds after the last key before images are asked for
const FRESH = 30000; // milliseconds for which the list of pools is kept
let known = { at: -Infinity, pools: Promise.resolve([]) };

function pools() {
  if (performance.now() - known.at > FRESH) known = { at: performance.now(), pools: places.pools() };
  return known.pools;
}

// A field that proposes what ``propose(value)`` resolves to. An error leaves it without proposals: the manager says
// what is wrong when the form is sent.
function picker(name, options, propose) {
  const list = h("datalist", { id: freshId("choices") });
  const control = text(name, { list: list.id, ...options });
  let asked = 0;
  let timer = 0;
  async function renew() {
    asked += 1;
    const mine = asked;
    try {
      const found = await propose(control.value.trim());
      if (mine === asked) fill(list, found.map((value) => h("option", { value })));
    } catch (error) {
      console.debug("no proposals", error);
      known = { ...known, at: -Infinity };
    }
  }
  control.addEventListener("focus", renew);
  control.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(renew, TYPING);
  });
  control.proposals = list; // field() puts it next to the control
  return control;
}

// A pool.
export function poolPicker(name, options = {}) {
  return picker(name, options, async () => (await pools()).map((one) => one.pool));
}

// A plan.
export function planPicker(name, options = {}) {
  return picker(name, options, async () => (await plans.list()).map((one) => one.name));
}

// A namespace of the pool that ``pool()`` names.
export function namespacePicker(name, pool, options = {}) {
  return picker(name, options, async () => (await pools()).find((one) => one.pool === pool())?.namespaces.filter(Boolean) ?? []);
}

// An image spec: first pools and their namespaces, then the images in what was typed.
export function imagePicker(name, options = {}) {
  return picker(name, options, async (value) => {
    const there = placesOf(await pools());
    const place = there.filter((one) => value.startsWith(one)).sort((a, b) => b.length - a.length)[0];
    if (place === undefined) return there;
    const [pool, namespace] = place.split("/");
    const { images } = await places.images(pool, namespace, value.slice(place.length));
    return [...images.map((image) => place + image), ...there.filter((one) => one !== place && one.startsWith(place))];
  });
}

// An image to be: every pool and namespace, with the name of the image that ``source()`` names.
export function targetPicker(name, source, options = {}) {
  return picker(name, options, async () => {
    const image = source().split("@")[0].split("/").pop();
    const all = placesOf(await pools()).map((place) => place + image);
    return all.filter((spec) => spec !== source());
  });
}

// "hdd/", "hdd/tenant-a/"
function placesOf(found) {
  return found.flatMap(({ pool, namespaces }) => namespaces.map((namespace) => (namespace ? `${pool}/${namespace}/` : `${pool}/`)));
}
