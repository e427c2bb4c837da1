// What stands where an answer will be, or where none came.

import { AskError } from "./api.js";
import { el } from "./dom.js";
import { listed } from "./format.js";

const MEMBERS = {
  lstm: "the LSTM",
  lightgbm: "the boosted trees",
  random_forest: "the random forest",
  statistical: "the statistical model",
  baseline: "the baseline",
};

/**
 * Loads what a part of the page shows, and shows it; or says why not, with a way to try again.
 *
 * @param {HTMLElement} place Can have the focus, and has it while what had it there is replaced.
 * @param {AbortSignal} signal Once aborted, the place belongs to others.
 * @param {(onWait: (seconds: number) => void) => Promise<any>} load
 * @param {(answer: any) => Node[]} show
 */
export async function fill(place, signal, load, show) {
  const hadFocus = place.contains(document.activeElement);
  place.setAttribute("aria-busy", "true");
  const wait = el("p", { class: "quiet", role: "status" }, "Loading…");
  place.replaceChildren(skeleton(wait));
  // What had it is gone, such as the button to try again.
  if (hadFocus) place.focus({ preventScroll: true });
  try {
    const answer = await load((seconds) => {
      wait.textContent = busy(seconds);
    });
    if (!signal.aborted) place.replaceChildren(...show(answer));
  } catch (error) {
    if (signal.aborted) return;
    place.replaceChildren(failure(error, () => fill(place, signal, load, show)));
  }
  if (signal.aborted) return;
  place.removeAttribute("aria-busy");
  if (document.activeElement !== place) return;
  (place.querySelector("h1") ?? place.querySelector(".failure button"))?.focus({ preventScroll: true });
}

export function busy(seconds) {
  return `The service is busy; asking again in ${seconds} s.`;
}

export function failure(error, again) {
  if (!(error instanceof AskError)) console.error(error);
  const [title, detail] =
    error instanceof AskError
      ? [error.title, error.message]
      : ["Something went wrong", "This page could not show the answer."];
  return el(
    "div",
    { class: "notice failure", role: "alert" },
    el("p", {}, el("strong", {}, title), ` – ${detail}`),
    el("button", { type: "button", onclick: again }, "Try again"),
  );
}

/** Says which members gave no answer; nothing where all did. */
export function degraded(names) {
  if (!names.length) return null;
  const members = listed(names.map((name) => MEMBERS[name] ?? name));
  return el(
    "p",
    { class: "notice", role: "status" },
    `The answer is without ${members}; its range is wider.`,
  );
}

function skeleton(wait) {
  const bars = ["title", "line", "chart", "line"].map((kind) =>
    el("div", { class: `bone ${kind}`, "aria-hidden": "true" }),
  );
  return el("div", { class: "skeleton" }, wait, ...bars);
}
