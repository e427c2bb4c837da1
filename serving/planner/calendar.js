// The plan as a calendar: a row a week, a button a day, and an editor for the chosen day.

import { el } from "./dom.js";
import { HOLIDAYS, remarks } from "./figures.js";
import {
  addDays, dayOfMonth, eur, longDay, shortDay, signedEur, signedThousands, span, thousands, weekday,
} from "./format.js";
import { reasons } from "./reasons.js";

const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
// Less would be told as 0.0k.
const SHOWN_EUR = 50;
const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 };
const TOGGLES = { is_promo: "Promotion", is_open: "Open", is_school_holiday: "School holidays" };

/**
 * @param {import("./plan.js").Plan} plan
 * @param {string[]} dates The coming days, in order.
 * @param {() => void} onChange Hears that the plan was changed.
 */
export function calendar(plan, dates, onChange) {
  const weeks = byWeek(dates);
  const days = new Map(dates.map((date) => [date, dayButton(date)]));
  const rows = weeks.map((week) => weekRow(week));
  const editor = el("div", { class: "editor" });
  const node = el("div", { class: "calendar" }, weekdays(), ...rows.map((row) => row.node), editor);
  let selected = dates.find((date) => plan.day(date).is_open) ?? dates[0];
  let answer = { shown: new Map(), differences: new Map(), isAwaited: false };

  function dayButton(date) {
    return el("button", { type: "button", onclick: () => select(date), onkeydown: step });
  }

  function step(event) {
    const to = event.key in STEPS && addDays(selected, STEPS[event.key]);
    if (!to) return;
    event.preventDefault();
    if (!days.has(to)) return;
    select(to);
    days.get(to).focus();
  }

  function weekRow(week) {
    const label = `Week of ${shortDay(week[0])}`;
    const button = (words, isPromo) =>
      el(
        "button",
        { type: "button", "aria-label": `Promotion Monday to Saturday ${words}, ${label}`,
          onclick: () => { plan.promote(week, isPromo); onChange(); } },
        words,
      );
    const on = button("on", true);
    const off = button("off", false);
    const cells = WEEKDAYS.map((_, number) => week.find((date) => weekday(date) === number));
    const row = el(
      "div",
      { class: "week", role: "group", "aria-label": label },
      el("span", { class: "span" }, span(week[0], week.at(-1))),
      el("div", { class: "days" }, ...cells.map((date) => (date ? days.get(date) : el("span")))),
      el("div", { class: "promote" }, el("span", { class: "quiet" }, "Promotion Mon–Sat"),
        el("span", { class: "pair" }, on, off)),
    );
    return { week, on, off, node: row };
  }

  function select(date) {
    selected = date;
    paint();
  }

  /** Shows the plan, with what an answer says of its days, and whether another is to come. */
  function show(predictions, differences, isAwaited) {
    answer = {
      shown: new Map(predictions.map((day) => [day.date, day])),
      differences: new Map((differences ?? []).map((day) => [day.date, day.difference])),
      isAwaited,
    };
    paint();
  }

  function paint() {
    for (const [date, button] of days) paintDay(date, button);
    for (const { week, on, off, node: row } of rows) {
      const promoted = plan.promoted(week);
      on.setAttribute("aria-pressed", String(promoted === "all"));
      off.setAttribute("aria-pressed", String(promoted === "none"));
      // The editor follows its week, where there is no room for it at the side.
      if (week.includes(selected) && row.nextSibling !== editor) row.after(editor);
    }
    paintEditor();
  }

  /** Whether the answer at hand is of the day as it is to be. */
  function isAnswered(date) {
    return plan.agrees(date, answer.shown.get(date)?.plan);
  }

  function paintDay(date, button) {
    const day = plan.day(date);
    const isSelected = date === selected;
    const isKnown = isAnswered(date);
    const forecast = isKnown
      ? `forecast ${eur(answer.shown.get(date).forecast)}`
      : answer.isAwaited ? "forecast being worked out" : "forecast not known";
    const difference = (isKnown && answer.differences.get(date)) || 0;
    const isChanged = plan.isChanged(date);
    const words = [
      day.is_open ? forecast : "closed",
      ...remarks(day),
      ...(isChanged ? ["changed"] : []),
      ...(Math.abs(difference) >= 1 ? [`${signedEur(difference)} against the plan`] : []),
    ];
    button.className = ["day", !day.is_open && "closed", day.is_promo && "promo", isChanged && "changed",
      !isKnown && "unknown"].filter(Boolean).join(" ");
    button.setAttribute("aria-pressed", String(isSelected));
    button.setAttribute("tabindex", isSelected ? "0" : "-1");
    button.setAttribute("aria-label", `${longDay(date)}: ${words.join(", ")}`);
    const brief = isKnown ? thousands(answer.shown.get(date).forecast) : answer.isAwaited ? "…" : "–";
    const isNamed = date === dates[0] || dayOfMonth(date) === "1";
    button.replaceChildren(
      el("span", { class: "number" }, isNamed ? shortDay(date) : dayOfMonth(date)),
      el("span", { class: "forecast" }, day.is_open ? brief : "closed"),
      el("span", { class: "marks" }, ...marks(day)),
      el("span", { class: "difference" },
        Math.abs(difference) >= SHOWN_EUR ? signedThousands(difference) : ""),
    );
  }

  function paintEditor() {
    // Painting must not take the focus from the switch that caused it.
    const hadFocus = editor.contains(document.activeElement);
    const focused = hadFocus && document.activeElement.id;
    const day = plan.day(selected);
    const set = (name, value) => { plan.set(selected, name, value); onChange(); };
    const switches = Object.entries(TOGGLES).map(([name, words]) =>
      el(
        "button",
        { type: "button", class: "switch", id: `edit-${name}`, "aria-pressed": String(day[name]),
          onclick: () => set(name, !day[name]) },
        words,
      ),
    );
    const holiday = el(
      "select",
      { id: "edit-holiday", onchange: (event) => set("state_holiday", event.target.value) },
      ...Object.entries(HOLIDAYS).map(([value, words]) =>
        el("option", { value, selected: value === day.state_holiday }, words)),
    );
    const back = plan.isChanged(selected)
      ? el("button", { type: "button", class: "link", onclick: () => { plan.reset(selected); onChange(); } },
          "Back to the plan for this day")
      : null;
    // What stands below it on a narrow screen is to stay there while an answer is awaited.
    const isAwaited = day.is_open && !isAnswered(selected) && answer.isAwaited;
    editor.style.minHeight = isAwaited ? `${editor.offsetHeight}px` : "";
    editor.replaceChildren(
      el("h3", {}, longDay(selected)),
      el("div", { class: "switches" }, ...switches),
      el("div", { class: "field inline" }, el("label", { for: "edit-holiday" }, "Holiday"), holiday),
      ...(back ? [back] : []),
      ...told(selected, day),
    );
    // What had it may be gone by now, such as the way back from a change.
    if (hadFocus) ((focused && editor.querySelector(`#${focused}`)) || days.get(selected)).focus();
  }

  /** What a day comes to and why; that a closed one sells nothing needs no answer. */
  function told(date, day) {
    if (!day.is_open) return reasons({ plan: day });
    if (isAnswered(date)) return reasons(answer.shown.get(date));
    const [brief, words] = answer.isAwaited ? ["…", "is being worked out"] : ["–", "is not known"];
    return [el("p", { class: "amount", "aria-hidden": "true" }, brief),
      el("p", { class: "quiet" }, `The forecast of this change ${words}.`)];
  }

  return { node, show, select, focus: () => days.get(selected).focus() };
}

/** What the marks in the days mean. */
export function calendarLegend() {
  const kinds = [
    ["P", "promo", "promotion"],
    ["H", "holiday", "public holiday"],
    ["S", "school", "school holidays"],
  ];
  return el(
    "ul",
    { class: "legend", "aria-label": "Marks in the calendar" },
    ...kinds.map(([letter, kind, words]) =>
      el("li", {}, el("span", { class: `mark ${kind}` }, letter), words)),
    el("li", {}, el("span", { class: "swatch closed" }), "closed"),
    el("li", {}, el("span", { class: "swatch changed" }), "changed by you"),
  );
}

function weekdays() {
  return el(
    "div",
    { class: "week names", "aria-hidden": "true" },
    el("span", { class: "span" }),
    el("div", { class: "days" }, ...WEEKDAYS.map((name) => el("span", {}, name))),
    el("span", { class: "promote quiet" }, "Promotion Mon–Sat"),
  );
}

function marks(day) {
  return [
    day.is_promo && el("span", { class: "mark promo" }, "P"),
    day.state_holiday !== "none" && el("span", { class: "mark holiday" }, "H"),
    day.is_school_holiday && el("span", { class: "mark school" }, "S"),
  ].filter(Boolean);
}

function byWeek(dates) {
  const weeks = [];
  for (const date of dates) {
    if (!weeks.length || weekday(date) === 0) weeks.push([]);
    weeks.at(-1).push(date);
  }
  return weeks;
}

