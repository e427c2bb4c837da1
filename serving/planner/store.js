// A store: its forecast, its plan, and what another plan would come to.

import { ask } from "./api.js";
import { calendar, calendarLegend } from "./calendar.js";
import { chart, draw } from "./charts.js";
import { el, figure, section } from "./dom.js";
import { csv, save } from "./download.js";
import { storeFigure } from "./figures.js";
import { eur, number, period, share, signedEur, signedPercent } from "./format.js";
import { Plan } from "./plan.js";
import { busy, degraded, failure } from "./states.js";

const PAUSE_MS = 300;

// What the user changed stays, while other stores are looked at.
const plans = new Map();

export function loadStore(storeId, signal, onWait) {
  // As many days as there are: a scenario is answered for all of them.
  return ask(`/v1/stores/${storeId}/forecast?days=366&explain=true`, { signal, onWait });
}

/** @returns {Node[]} The view of the store that was loaded. */
export function showStore(data, signal) {
  const { store, predictions } = data;
  const id = store.store_id;
  const plan = plans.get(id) ?? new Plan();
  plans.set(id, plan);
  plan.hold(predictions);

  const dates = predictions.map((day) => day.date);
  const days = calendar(plan, dates, changed);
  const place = chart("store-chart");
  const legend = el("ul", { class: "legend", "aria-label": "Lines in the chart" });
  const figures = el("div", { class: "figures" });
  const told = el("div", { class: "told" });
  const care = el("div", { class: "told" });
  const back = el("button", { type: "button", onclick: reset }, "Back to the plan");
  const status = el("p", { role: "status", tabindex: "-1" });
  const outcome = el("div", {}, status, back);
  let scenario = null;
  let isAwaited = plan.isChanged();
  let timer;
  let request = new AbortController();

  function changed() {
    request.abort();
    clearTimeout(timer);
    if (plan.isChanged()) {
      timer = setTimeout(compare, PAUSE_MS);
      wait();
    } else {
      scenario = null;
      isAwaited = false;
      paint();
      // For those who hear the page: there is nothing to be seen now.
      status.textContent = "As planned.";
    }
  }

  async function compare() {
    if (signal.aborted) return;
    request = new AbortController();
    const mine = request;
    const stop = () => mine.abort();
    signal.addEventListener("abort", stop);
    if (!isAwaited) wait();
    else working("Working it out…");
    try {
      const answer = await ask(`/v1/stores/${id}/scenario`, {
        body: { changes: plan.changes, explain: true },
        signal: mine.signal,
        onWait: (seconds) => working(busy(seconds)),
      });
      if (mine.signal.aborted) return;
      if (answer.model.version !== data.model.version || answer.model.data !== data.model.data) {
        // A newer forecast answers by now, and a view is of one alone.
        dispatchEvent(new HashChangeEvent("hashchange"));
        return;
      }
      scenario = answer;
      isAwaited = false;
      paint();
    } catch (error) {
      if (mine.signal.aborted) return;
      scenario = null;
      isAwaited = false;
      paint();
      fail(error);
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  function reset() {
    const hadFocus = outcome.contains(document.activeElement);
    plan.reset();
    changed();
    // The button is gone with the changes.
    if (hadFocus) days.focus();
  }

  function wait() {
    isAwaited = true;
    paintFigures();
    paintPlan();
    working("Working it out…");
  }

  function working(words) {
    figures.setAttribute("aria-busy", "true");
    tell(words);
    download.disabled = true;
  }

  /** Says how it stands, in the one place that is heard whenever its words change. */
  function tell(...words) {
    const failed = outcome.querySelector(".failure");
    const hadFocus = failed?.contains(document.activeElement);
    failed?.remove();
    status.replaceChildren(...words);
    if (hadFocus) status.focus({ preventScroll: true });
  }

  function fail(error) {
    const failed = failure(error, compare);
    status.after(failed);
    // It was tried again from the keyboard, and may be once more.
    if (document.activeElement === status) failed.querySelector("button").focus();
  }

  function paintPlan() {
    days.show(scenario?.predictions ?? predictions, scenario?.days, isAwaited);
    // Words in what is not shown at all are not heard when they come.
    outcome.className = plan.isChanged() ? "outcome" : "hidden";
    back.hidden = !plan.isChanged();
  }

  function paintFigures() {
    figures.replaceChildren(...totals(data, scenario, hint()));
  }

  function hint() {
    if (scenario) return "with your changes";
    if (!plan.isChanged()) return "Change the plan below to compare";
    return isAwaited ? "Being worked out" : "Not known";
  }

  function paint() {
    figures.removeAttribute("aria-busy");
    download.disabled = plan.isChanged() && !scenario;
    paintFigures();
    told.replaceChildren(...[degraded(scenario?.degraded ?? data.degraded)].filter(Boolean));
    care.replaceChildren(...(scenario?.warnings.length ? [warnings(scenario.warnings)] : []));
    tell(...(scenario ? inBrief(scenario) : []));
    legend.replaceChildren(...lines(scenario !== null));
    paintPlan();
    draw(place, inWords(data, scenario), storeFigure(data, scenario?.predictions), (date) => {
      if (dates.includes(date)) days.select(date);
    });
  }

  const download = el(
    "button",
    { type: "button",
      onclick: () => save(csv(predictions, scenario?.predictions), `store-${id}-forecast.csv`) },
    "Download as CSV",
  );
  const view = [
    el(
      "div",
      { class: "title" },
      el("div", {},
        el("h1", { tabindex: "-1" }, `Store ${id}`),
        el("p", { class: "quiet" }, `Type ${store.store_type}, ${store.assortment} assortment`)),
      download,
    ),
    figures,
    told,
    section("Sales and forecast", "EUR a day: the last 8 weeks, and the days to come", legend, place),
    section("The plan", "Choose a day to see why, or to change it", days.node,
      calendarLegend(), care, outcome),
    section("How good the forecasts were", null, ...accuracy(data.accuracy)),
  ];
  // The chart is drawn once its place is on the page and has a size.
  queueMicrotask(() => {
    paint();
    if (plan.isChanged()) compare();
  });
  return view;
}

function totals({ predictions }, scenario, hint) {
  const planned = scenario?.planned_total ?? predictions.reduce((sum, day) => sum + day.forecast, 0);
  const open = predictions.filter((day) => day.plan.is_open).length;
  const span = period(predictions[0].date, predictions.at(-1).date);
  return [
    figure("As planned", eur(planned), `${span}, ${open} open days`),
    figure("Your plan", scenario ? eur(scenario.scenario_total) : "–", hint),
    figure("Difference", scenario ? signedEur(scenario.difference) : "–",
      scenario ? `${signedPercent(inPercent(scenario))} of the planned total` : "", "apart"),
  ];
}

/** The difference once more, where it can be seen while the plan is changed. */
function inBrief(scenario) {
  return ["Your plan: ", el("strong", {}, signedEur(scenario.difference)),
    ` (${signedPercent(inPercent(scenario))})`];
}

function inPercent({ difference, planned_total: planned }) {
  return planned ? (100 * difference) / planned : 0;
}

function warnings(texts) {
  return el("div", { class: "notice warning", role: "status" },
    el("p", {}, "Take the comparison with care:"),
    el("ul", {}, ...texts.map((text) => el("li", {}, text))));
}

function lines(hasScenario) {
  const kinds = [["past", "sold"], ["plan", "forecast"], ...(hasScenario ? [["scenario", "your plan"]] : []),
    ["band-80", "8 in 10 days"], ["band-95", "19 in 20 days"], ["shut", "closed"]];
  return kinds.map(([kind, words]) => el("li", {}, el("span", { class: `key ${kind}` }), words));
}

function inWords({ history, predictions, store }, scenario) {
  const sold = history.reduce((sum, day) => sum + (day.sales ?? 0), 0);
  const planned = predictions.reduce((sum, day) => sum + day.forecast, 0);
  const other = scenario ? `; with your changes ${eur(scenario.scenario_total)}` : "";
  return `Daily sales of store ${store.store_id}: ${eur(sold)} in the last ${history.length} days, `
    + `${eur(planned)} forecast for the next ${predictions.length}${other}.`;
}

function accuracy(scores) {
  if (!scores) return [el("p", {}, "Nothing is known yet of this store's past forecasts.")];
  const told = (value, digits) => (value === null ? "–" : share(value, digits));
  const gain = 1 - scores.rmspe / (scores.baseline_rmspe || scores.rmspe);
  return [
    el("div", { class: "figures" },
      figure("Typically off by", told(scores.wape), `Errors come to ${told(scores.wape, 1)} of sales`),
      figure("The 80 % range held on", told(scores.coverage_80), "of days; 80 % are promised"),
      figure("Against a simple rule", gain >= 0 ? `${share(gain)} closer` : `${share(-gain)} farther off`,
        `Error ${told(scores.rmspe, 1)}, the rule's ${told(scores.baseline_rmspe, 1)} (RMSPE)`)),
    el("p", { class: "quiet method" },
      `Tried on ${number(scores.windows)} past periods, ${number(scores.days)} open days, that the forecasts `
      + "had not seen. The simple rule is the middle of past sales on such a weekday, with or "
      + "without a promotion."),
  ];
}
