// Charts by plotly, in the colours of the page.

import { byId, el } from "./dom.js";

const CONFIG = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false };
const dark = matchMedia("(prefers-color-scheme: dark)");

// Charts that are on the page, so that they can follow its colours.
const drawn = new Map();

const plotly = new Promise((resolve, reject) => {
  const script = byId("plotly");
  if (window.Plotly) resolve(window.Plotly);
  script.addEventListener("load", () => resolve(window.Plotly));
  script.addEventListener("error", () => reject(new Error("plotly is missing")));
});
plotly.catch(() => {});

/** A place for a chart; what the chart shows is told in words to those who do not see it. */
export function chart(className) {
  return el("div", { class: `chart ${className}`, role: "img" });
}

/**
 * Draws a chart, or draws it anew.
 *
 * @param {HTMLElement} place What `chart` returned.
 * @param {string} words What it shows.
 * @param {(colours: object) => {traces: object[], layout: object}} figure
 * @param {(date: string) => void} [onDay] Hears of a day that is clicked.
 */
export async function draw(place, words, figure, onDay) {
  place.setAttribute("aria-label", words);
  drawn.set(place, figure);
  try {
    const Plotly = await plotly;
    if (!place.isConnected || drawn.get(place) !== figure) return;
    const { traces, layout } = figure(colours());
    await Plotly.react(place, traces, { ...base(place), ...layout }, CONFIG);
    if (onDay && !place.dataset.listens) {
      place.dataset.listens = "yes";
      place.on("plotly_click", ({ points }) => onDay(String(points[0].x).slice(0, 10)));
    }
  } catch (error) {
    console.warn(error);
    place.replaceChildren(el("p", { class: "quiet" }, "The chart cannot be drawn here."));
  }
}

/** Frees what plotly holds for charts that have left the page. */
export function forget() {
  for (const place of drawn.keys()) {
    if (place.isConnected) continue;
    drawn.delete(place);
    window.Plotly?.purge(place);
  }
}

dark.addEventListener("change", () => {
  for (const [place, figure] of drawn) draw(place, place.getAttribute("aria-label"), figure);
});

function colours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["text", "muted", "line", "surface", "plan", "scenario", "past", "band-80", "band-95"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

function base(place) {
  const { text, muted, line, surface } = colours();
  const axis = {
    gridcolor: line,
    linecolor: line,
    tickfont: { color: muted, size: 12 },
    zeroline: false,
    fixedrange: true,
    automargin: true,
  };
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", color: text, size: 13 },
    margin: { l: 8, r: 8, t: 24, b: 8 },
    showlegend: false,
    hovermode: "x unified",
    hoverlabel: { bgcolor: surface, bordercolor: line, font: { color: text, size: 13 } },
    dragmode: false,
    xaxis: {
      ...axis,
      type: "date",
      showgrid: false,
      tickformat: "%-d %b",
      hoverformat: "%A %-d %B",
      ticks: "outside",
      tickcolor: line,
      tickangle: 0,
      spikecolor: muted,
      spikethickness: 1,
      nticks: Math.max(3, Math.round(place.clientWidth / 100)),
    },
    yaxis: { ...axis, rangemode: "tozero", tickformat: "~s", nticks: 6 },
  };
}
