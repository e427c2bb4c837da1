// Why a day's forecast is what it is: what moves it away from a usual day of the store.

import { el } from "./dom.js";
import { eur, signedPercent } from "./format.js";

const PARTS = {
  promotion: "Promotion",
  weekday: "Day of the week",
  holidays: "Public holidays",
  school_holidays: "School holidays",
  day_of_month: "Day of the month",
  season: "Season",
  opening_days: "Opening days around it",
  competition: "Competition",
  store: "The store itself",
  recent_weeks: "Last weeks",
  level_and_trend: "Level and trend",
};
const SMALLEST_TOLD = 1.5;

/** @returns {Node[]} The day's forecast, its range, and a bar for each part that moves it. */
export function reasons(day) {
  if (!day.plan.is_open) {
    return [el("p", { class: "amount" }, "Closed: 0"), quiet("A closed day sells nothing.")];
  }
  const [low, high] = day.intervals["80"].map(eur);
  const [lowest, highest] = day.intervals["95"].map(eur);
  return [
    el("p", { class: "amount" }, eur(day.forecast)),
    quiet(`8 in 10 such days end between ${low} and ${high}, 19 in 20 between ${lowest} and ${highest}.`),
    el("h4", {}, "Why"),
    ...(day.contributions ? bars(day.contributions) : [quiet("No reasons are known for this day.")]),
  ];
}

function bars(contributions) {
  const told = toldParts(contributions);
  const largest = Math.max(...told.map(([, percent]) => Math.abs(percent)), 5);
  return [
    quiet("Against a usual day of this store; the parts multiply."),
    el("ul", { class: "reasons" }, ...told.map(([words, percent]) => bar(words, percent, largest))),
  ];
}

/** The parts, the largest first, and the small ones together. */
function toldParts(contributions) {
  const parts = Object.entries(contributions).map(([part, percent]) => [PARTS[part] ?? part, percent]);
  const large = parts.filter(([, percent]) => Math.abs(percent) >= SMALLEST_TOLD);
  const small = parts.filter(([, percent]) => Math.abs(percent) < SMALLEST_TOLD);
  const rest = small.reduce((product, [, percent]) => product * (1 + percent / 100), 1);
  large.sort(([, first], [, second]) => Math.abs(second) - Math.abs(first));
  return small.length ? [...large, ["Everything else", 100 * (rest - 1)]] : large;
}

function bar(words, percent, largest) {
  const width = (50 * Math.abs(percent)) / largest;
  const side = percent < 0 ? "right" : "left";
  return el(
    "li",
    {},
    el("span", {}, words),
    el(
      "span",
      { class: "track", "aria-hidden": "true" },
      el("span", { class: percent < 0 ? "less" : "more", style: `${side}: 50%; width: ${width}%` }),
    ),
    el("span", { class: "value" }, signedPercent(percent)),
  );
}

function quiet(text) {
  return el("p", { class: "quiet" }, text);
}
