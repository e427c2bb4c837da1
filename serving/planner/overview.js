// The chain: what all stores come to, and which of them to look at.

import { ask } from "./api.js";
import { chart, draw } from "./charts.js";
import { el, figure, section } from "./dom.js";
import { chainFigure } from "./figures.js";
import { eur, number, period, share, signedPercent } from "./format.js";
import { degraded } from "./states.js";

const MOST = 10;

export function loadOverview(signal, onWait) {
  return ask("/v1/overview", { signal, onWait });
}

/** @returns {Node[]} The view of the chain that was loaded. */
export function showOverview(data) {
  const { days, stores } = data;
  const place = chart("chain-chart");
  const span = period(days[0].date, days.at(-1).date);
  queueMicrotask(() => draw(place, inWords(data, span), chainFigure(data)));

  const changing = stores.filter((store) => store.change_percent !== null);
  const rising = changing.filter((store) => store.change_percent > 0)
    .sort((first, second) => second.change_percent - first.change_percent);
  const falling = changing.filter((store) => store.change_percent < 0)
    .sort((first, second) => first.change_percent - second.change_percent);
  const scored = stores.filter((store) => store.wape !== null)
    .sort((first, second) => second.wape - first.wape);
  return [
    el("div", { class: "title" },
      el("div", {}, el("h1", { tabindex: "-1" }, "Whole chain"),
        el("p", { class: "quiet" }, `${number(stores.length)} stores, ${span}`))),
    ...[degraded(data.degraded)].filter(Boolean),
    el("div", { class: "figures" },
      figure(`Next ${days.length} days`, eur(data.forecast_total), "forecast, all stores"),
      figure(`Last ${days.length} days`, eur(data.recent_total), "sold, all stores"),
      figure("Change", change(data), "forecast against sold", "apart")),
    section("Day by day", "EUR a day, all stores together", place),
    el("div", { class: "tables" },
      section("Largest rise", "Sales an open day, against the last weeks",
        changes("Stores that rise most", rising)),
      section("Largest fall", "Sales an open day, against the last weeks",
        changes("Stores that fall most", falling))),
    section("Hardest to forecast", "Where the forecasts were off most, on past days that they had not seen",
      table("Stores whose forecasts were off most",
        [["Typically off by", (store) => share(store.wape, 1)],
          ["80 % range held on", (store) => (store.coverage_80 === null ? "–" : share(store.coverage_80))]],
        scored.slice(0, MOST), "No store has been tried yet.")),
  ];
}

function change({ forecast_total: coming, recent_total: recent }) {
  return recent ? signedPercent(100 * (coming / recent - 1)) : "–";
}

function changes(caption, stores) {
  return table(caption,
    [["Forecast", (store) => eur(store.forecast_total)],
      ["Change", ({ change_percent: percent }) => `${percent > 0 ? "▲" : "▼"} ${signedPercent(percent)}`]],
    stores.slice(0, MOST), "There is none.");
}

function table(caption, columns, stores, none) {
  if (!stores.length) return el("p", { class: "quiet" }, none);
  const head = ["Store", "Type", ...columns.map(([name]) => name)];
  return el("div", { class: "scroll" }, el(
    "table",
    {},
    el("caption", { class: "hidden" }, caption),
    el("thead", {}, el("tr", {}, ...head.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, ...stores.map((store) =>
      el("tr", {},
        el("th", { scope: "row" }, el("a", { href: `#/store/${store.store_id}` }, `Store ${store.store_id}`)),
        el("td", {}, store.store_type),
        ...columns.map(([, value]) => el("td", { class: "number" }, value(store)))))),
  ));
}

function inWords({ days, forecast_total: total }, span) {
  const best = days.reduce((first, second) => (second.forecast > first.forecast ? second : first));
  return `Forecast of all stores by day, ${span}: ${eur(total)} in all, at most ${eur(best.forecast)} a day.`;
}
