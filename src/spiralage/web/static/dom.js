// Small helpers that make elements. Text is always text, never markup; styles are classes.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes ("on…" are listeners; false and null leave one out) and children. */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

let last = 0;
/** An id that no other element of the page has. */
export function newId(stem) {
  last += 1;
  return `${stem}-${last}`;
}

/** Tell those who can't see the page what has changed, and everyone else too. */
export function say(text) {
  document.getElementById("status").textContent = text;
}
