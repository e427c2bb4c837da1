// The page: which view its address asks for, and the key where one is needed.

import { ask, onKeyNeeded } from "./api.js";
import { forget } from "./charts.js";
import { byId } from "./dom.js";
import { period } from "./format.js";
import { loadOverview, showOverview } from "./overview.js";
import { failure, fill } from "./states.js";
import { loadStore, showStore } from "./store.js";
import { chooser, fold, mark } from "./stores.js";

const main = byId("main");
let view = new AbortController();
// The forecast that the list of stores and the period are of.
let listed = null;

function shownStore() {
  const [, id] = location.hash.match(/^#\/store\/(\d{1,9})$/) ?? [];
  return id === undefined ? null : Number(id);
}

async function show(isFirst) {
  view.abort();
  view = new AbortController();
  const { signal } = view;
  const id = shownStore();
  document.title = id === null ? "Whole chain – Sales forecast" : `Store ${id} – Sales forecast`;
  mark(id);
  fold();
  if (!isFirst) scrollTo(0, 0);
  const [load, shown] =
    id === null
      ? [(onWait) => loadOverview(signal, onWait), showOverview]
      : [(onWait) => loadStore(id, signal, onWait), (data) => showStore(data, signal)];
  await fill(main, signal, async (onWait) => keptUp(await load(onWait)), shown);
  if (signal.aborted) return;
  forget();
  // A reader of a new view starts at its heading.
  if (!isFirst) (main.querySelector("h1") ?? main).focus({ preventScroll: true });
}

/** Loads the list anew where a newer forecast answers than it is of. */
function keptUp(data) {
  const { version, data: days } = data.model;
  if (listed && (listed.version !== version || listed.data !== days)) loadStores();
  return data;
}

async function loadStores() {
  const found = byId("found");
  const hadFocus = found.contains(document.activeElement);
  found.textContent = "Loading…";
  // What had it was the button to try again.
  if (hadFocus) found.focus();
  try {
    const stores = await ask("/v1/stores");
    listed = stores.model;
    byId("period").textContent = period(stores.first_day, stores.last_day);
    chooser(stores);
    mark(shownStore());
  } catch (error) {
    found.replaceChildren(failure(error, loadStores));
  }
}

/** Asks for a key; resolves to null where the user would rather not. */
function askForKey(wasRefused) {
  const [dialog, text, why] = ["key", "key-text", "key-why"].map(byId);
  why.textContent = wasRefused
    ? "That key is not known. Check it, or ask for another."
    : "Ask whoever runs the forecasts for one. It is kept until this tab is closed.";
  text.value = "";
  text.removeAttribute("aria-invalid");
  return new Promise((resolve) => {
    const form = dialog.querySelector("form");
    const close = (key) => {
      form.onsubmit = dialog.oncancel = byId("key-cancel").onclick = null;
      dialog.close();
      resolve(key);
    };
    form.onsubmit = (event) => {
      event.preventDefault();
      const key = text.value.trim();
      // Nothing else can be sent as one.
      if (/^[\x21-\x7e]+$/.test(key)) {
        close(key);
        return;
      }
      why.textContent = "That is no key: it has letters, digits, dashes and underscores.";
      text.setAttribute("aria-invalid", "true");
    };
    dialog.oncancel = byId("key-cancel").onclick = () => close(null);
    dialog.showModal();
  });
}

onKeyNeeded(askForKey);
addEventListener("hashchange", () => show(false));
document.querySelector(".skip").addEventListener("click", (event) => {
  // Its address would be taken for that of a view.
  event.preventDefault();
  main.focus();
});
show(true);
loadStores();
