// Names in addresses. A byte of a name that is no UTF-8 comes from the manager as a lone surrogate, from
// U+DC80 to U+DCFF, as Python does it; in an address it is that byte again.

// A name as a part of an address.
export function encoded(name) {
  return Array.from(name, (letter) => {
    const code = letter.codePointAt(0);
    if (code >= 0xdc80 && code <= 0xdcff) return `%${(code - 0xdc00).toString(16).toUpperCase()}`;
    return code >= 0xd800 && code <= 0xdfff ? "%EF%BF%BD" : encodeURIComponent(letter);
  }).join("");
}

// The name that a part of an address stands for.
export function decoded(text) {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => {
    const bytes = run.match(/%../g);
    let name = "";
    while (bytes.length) name += letter(bytes);
    return name;
  });
}

// Take the first letter off percent-encoded bytes.
function letter(bytes) {
  for (let length = 1; length <= 4; length += 1) {
    try {
      const found = decodeURIComponent(bytes.slice(0, length).join(""));
      bytes.splice(0, length);
      return found;
    } catch {
      // not a whole letter yet
    }
  }
  return String.fromCharCode(0xdc00 + Number.parseInt(bytes.shift().slice(1), 16));
}
