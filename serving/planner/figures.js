// What the charts show: a store's past and coming days, and the chain's.

import { addDays, eur, shortDay } from "./format.js";

const HALF_A_DAY = 0.36;
// In EUR: less cannot be seen.
const SMALLEST_DIFFERENCE = 50;

/** A store's last weeks and its forecast with both ranges; closed days are gaps. */
export function storeFigure({ model, history, predictions }, scenario) {
  return (colours) => ({
    traces: [
      band(predictions, "95", colours["band-95"]),
      band(predictions, "80", colours["band-80"]),
      line(history.map(past), colours.past, { width: 1.6 }),
      line(predictions.map(coming("Forecast")), colours.plan, { width: 2.2 }),
      ...(scenario
        ? [line(differing(scenario, predictions), colours.scenario, { width: 2.4, dash: "4px,3px" })]
        : []),
      closed([...history.map(past), ...(scenario ?? predictions).map(coming(""))], colours.muted),
    ],
    layout: cutoffMarked(model.cutoff, colours),
  });
}

/** The chain's forecast, a bar a day. */
export function chainFigure({ days }) {
  return (colours) => ({
    traces: [
      {
        type: "bar",
        x: days.map((day) => day.date),
        y: days.map((day) => day.forecast),
        marker: { color: colours.plan },
        customdata: days.map((day) => eur(day.forecast)),
        hovertemplate: "%{customdata}<extra></extra>",
      },
    ],
    layout: { bargap: 0.25, margin: { l: 8, r: 8, t: 8, b: 8 } },
  });
}

export function remarks({ is_promo, state_holiday, is_school_holiday }) {
  return [
    is_promo && "promotion",
    state_holiday && state_holiday !== "none" && HOLIDAYS[state_holiday].toLowerCase(),
    is_school_holiday && "school holidays",
  ].filter(Boolean);
}

export const HOLIDAYS = {
  none: "None",
  public: "Public holiday",
  easter: "Easter",
  christmas: "Christmas",
};

function past(day) {
  const isSold = day.is_open && day.sales !== null;
  return {
    date: day.date,
    isOpen: day.is_open,
    value: isSold ? day.sales : null,
    words: [`Sold ${isSold ? eur(day.sales) : "not known"}`, ...(day.is_promo ? ["promotion"] : [])],
  };
}

function coming(title) {
  return (day) => ({
    date: day.date,
    isOpen: day.plan.is_open,
    value: day.plan.is_open ? day.forecast : null,
    words: [
      `${title} ${eur(day.forecast)}`,
      `8 in 10 days: ${day.intervals["80"].map(eur).join(" to ")}`,
      ...remarks(day.plan),
    ],
  });
}

/** The other plan where it differs; elsewhere it would hide the forecast. */
function differing(scenario, predictions) {
  return scenario.map((day, number) => {
    const isSame = Math.abs(day.forecast - predictions[number].forecast) < SMALLEST_DIFFERENCE;
    return isSame ? { date: day.date, value: null, words: [] } : coming("Your plan")(day);
  });
}

function line(days, color, style) {
  return {
    type: "scatter",
    mode: "lines+markers",
    x: days.map((day) => day.date),
    y: days.map((day) => day.value),
    line: { color, ...style },
    // A day between two closed ones has no line.
    marker: { color, size: 3.5 },
    connectgaps: false,
    customdata: days.map((day) => day.words.join("<br>")),
    hovertemplate: "%{customdata}<extra></extra>",
  };
}

function closed(days, color) {
  const none = days.filter((day) => !day.isOpen);
  return {
    type: "scatter",
    mode: "markers",
    x: none.map((day) => day.date),
    y: none.map(() => 0),
    marker: { color, symbol: "line-ew-open", size: 5, line: { width: 1.5, color } },
    hovertemplate: "Closed<extra></extra>",
    cliponaxis: false,
  };
}

/** A range as one shape for each run of open days: plotly fills no gaps between two lines. */
function band(predictions, level, fillcolor) {
  const x = [];
  const y = [];
  for (const run of openRuns(predictions)) {
    const ends = run.length > 1 ? run.map((day) => [day.date, day]) : widened(run[0]);
    x.push(...ends.map(([at]) => at), ...ends.map(([at]) => at).reverse(), null);
    y.push(
      ...ends.map(([, day]) => day.intervals[level][0]),
      ...ends.map(([, day]) => day.intervals[level][1]).reverse(),
      null,
    );
  }
  return {
    type: "scatter",
    mode: "lines",
    x,
    y,
    line: { width: 0 },
    fill: "toself",
    fillcolor,
    hoverinfo: "skip",
  };
}

function openRuns(predictions) {
  const runs = [[]];
  for (const day of predictions) {
    if (day.plan.is_open) runs.at(-1).push(day);
    else if (runs.at(-1).length) runs.push([]);
  }
  return runs.filter((run) => run.length);
}

function widened(day) {
  const hours = Math.round(24 * HALF_A_DAY);
  return [
    [`${addDays(day.date, -1)} ${24 - hours}:00`, day],
    [`${day.date} ${String(hours).padStart(2, "0")}:00`, day],
  ];
}

function cutoffMarked(cutoff, { muted }) {
  const x = `${cutoff} 12:00`;
  return {
    shapes: [
      {
        type: "line",
        x0: x,
        x1: x,
        yref: "paper",
        y0: 0,
        y1: 1,
        line: { color: muted, width: 1, dash: "dot" },
      },
    ],
    annotations: [
      {
        x,
        y: 1,
        yref: "paper",
        yanchor: "bottom",
        xanchor: "center",
        text: `known until ${shortDay(cutoff)}`,
        showarrow: false,
        font: { color: muted, size: 12 },
      },
    ],
  };
}
