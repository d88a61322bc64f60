// Children of an element, one for each item. A child stays the same element while its item is
// shown, so that focus and selection survive updates.

// ``key(item)`` identifies an item; ``make(item)`` returns {element, update}. Returns update(items).
export function kept(parent, key, make) {
  const lines = new Map();
  return (items) => {
    const wanted = new Set(items.map(key));
    for (const [name, line] of lines) {
      if (!wanted.has(name)) {
        line.element.remove();
        lines.delete(name);
      }
    }
    items.forEach((item, index) => {
      const name = key(item);
      if (!lines.has(name)) lines.set(name, make(item));
      const line = lines.get(name);
      line.update(item);
      if (parent.children[index] !== line.element) parent.insertBefore(line.element, parent.children[index] ?? null);
    });
  };
}
