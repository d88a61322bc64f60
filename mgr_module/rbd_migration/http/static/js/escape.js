// Names in URLs. The manager sends a byte of a name that is not valid UTF-8 as a lone surrogate, U+DC80 to
// U+DCFF (Python's "surrogateescape"); in a URL it is that byte again.

// A name as a part of a URL.
export function encoded(name) {
  return Array.from(name, (letter) => {
    const code = letter.codePointAt(0);
    if (code >= 0xdc80 && code <= 0xdcff) return `%${(code - 0xdc00).toString(16).toUpperCase()}`;
    return code >= 0xd800 && code <= 0xdfff ? "%EF%BF%BD" : encodeURIComponent(letter);
  }).join("");
}

// The name of a part of a URL.
export function decoded(text) {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => {
    const bytes = run.match(/%../g);
    let name = "";
    while (bytes.length) name += letter(bytes);
    return name;
  });
}

// Remove the first letter from percent-encoded bytes and return it.
function letter(bytes) {
  for (let length = 1; length <= 4; length += 1) {
    try {
      const found = decodeURIComponent(bytes.slice(0, length).join(""));
      bytes.splice(0, length);
      return found;
    } catch {
      // not a complete letter yet
    }
  }
  return String.fromCharCode(0xdc00 + Number.parseInt(bytes.shift().slice(1), 16));
}
