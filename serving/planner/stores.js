// The list of stores beside the forecast: search by number, filter by type.

import { byId, el } from "./dom.js";
import { number } from "./format.js";

// From here on the list stands beside the forecast, where it is always open.
const wide = matchMedia("(min-width: 62rem)");

/** Shows the stores that can be chosen. */
export function chooser({ stores }) {
  const [list, input, type, found] = ["stores", "number", "type", "found"].map(byId);
  const links = stores.map((store) => ({ ...store, node: link(store) }));
  list.replaceChildren(...links.map(({ node }) => node));
  const types = [...new Set(stores.map((store) => store.store_type))].sort();
  const chosen = types.includes(type.value) ? type.value : "";
  type.replaceChildren(
    el("option", { value: "" }, "all"),
    ...types.map((value) => el("option", { value }, value)),
  );
  type.value = chosen;

  function matching() {
    const text = input.value.replace(/\D/g, "");
    return links.filter(
      (store) =>
        String(store.store_id).startsWith(text) && (!type.value || store.store_type === type.value),
    );
  }

  function filter() {
    const shown = new Set(matching());
    for (const store of links) store.node.hidden = !shown.has(store);
    found.textContent = shown.size === 1 ? "1 store" : `${number(shown.size)} stores`;
  }

  // Replacing those of the list before, if there was one.
  input.oninput = type.onchange = filter;
  input.onkeydown = (event) => {
    // The number as typed comes first, also where others start with it.
    const first = matching()[0]?.node.querySelector("a");
    if (event.key === "Enter") first?.click();
    if (event.key === "ArrowDown" && first) {
      event.preventDefault();
      first.focus();
    }
  };
  list.onkeydown = (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    const shown = links.filter(({ node }) => !node.hidden).map(({ node }) => node.firstChild);
    const to = shown.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
    (to < 0 ? input : shown[Math.min(to, shown.length - 1)]).focus();
  };
  filter();
}

/** Marks the store that is shown; null for none. */
export function mark(storeId) {
  const details = byId("chooser");
  details.querySelector("summary").textContent =
    storeId === null ? "Choose a store" : `Store ${storeId} – choose another`;
  for (const link of byId("stores").querySelectorAll("a")) {
    const isShown = link.hash === `#/store/${storeId}`;
    if (isShown) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    if (isShown && wide.matches) scrollTo(link);
  }
  const chain = document.querySelector(".chain");
  if (storeId === null) chain.setAttribute("aria-current", "page");
  else chain.removeAttribute("aria-current");
}

/** Makes way for the forecast, where the list is not beside it. */
export function fold() {
  byId("chooser").open = wide.matches;
}

wide.addEventListener("change", fold);

/** Scrolls the list alone; the page stays where it is. */
function scrollTo(link) {
  const list = byId("stores");
  const top = link.offsetTop - list.offsetTop;
  if (top < list.scrollTop || top > list.scrollTop + list.clientHeight - link.offsetHeight) {
    list.scrollTop = top - list.clientHeight / 2;
  }
}

function link({ store_id: id, store_type: type, assortment }) {
  return el(
    "li",
    {},
    el("a", { href: `#/store/${id}` }, el("span", {}, `Store ${id}`),
      el("span", { class: "quiet" }, `${type} · ${assortment}`)),
  );
}
