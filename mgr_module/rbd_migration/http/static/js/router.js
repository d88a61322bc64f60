// URLs within the page: #/migrations?state=failed is the path "migrations" with a query.

import { decoded, encoded } from "./escape.js";

// The parts of a URL's hash: decoded path segments, and the query.
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  return { segments: path.split("/").filter(Boolean).map(decoded), query: new URLSearchParams(query) };
}

// The hash for path segments and a query; empty values are left out.
export function link(segments, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== undefined && value !== null);
  const text = new URLSearchParams(given).toString();
  return `#/${segments.map(encoded).join("/")}${text ? `?${text}` : ""}`;
}

// The hash of one migration.
export function migrationLink(target) {
  return link(["migrations", target]);
}

// The hash of one plan.
export function planLink(name, query) {
  return link(["plans", name], query);
}
