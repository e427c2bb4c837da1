// Elements of the page, made without templates: text never becomes markup.

/**
 * Makes an element. Properties that start with "on" are listeners, the others attributes; those
 * that are null, undefined or false are left out.
 */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export function byId(id) {
  return document.getElementById(id);
}

let sections = 0;

/** A part of the page under a heading of its own, by which it can be found. */
export function section(title, hint, ...children) {
  sections += 1;
  const id = `section-${sections}`;
  const heading = el("h2", { id }, title);
  const head = el("div", { class: "head" }, heading, hint && el("p", { class: "quiet" }, hint));
  return el("section", { "aria-labelledby": id }, head, ...children);
}

/** A number with its name above and a remark below. */
export function figure(name, value, hint, className = "") {
  return el(
    "div",
    { class: `figure ${className}`, role: "group", "aria-label": name },
    el("p", { class: "name" }, name),
    el("p", { class: "amount" }, value),
    el("p", { class: "quiet" }, hint),
  );
}
