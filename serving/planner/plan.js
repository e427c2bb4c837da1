// A store's plan and what the user changes of it; only what differs is a change.

import { weekday } from "./format.js";

const SUNDAY = 6;
const FIELDS = ["is_open", "is_promo", "state_holiday", "is_school_holiday"];

export class Plan {
  #planned = new Map();
  #changes = new Map();

  /** Takes the plan that holds; changes of days that are over are forgotten. */
  hold(predictions) {
    this.#planned = new Map(predictions.map((day) => [day.date, day.plan]));
    const changes = [...this.#changes];
    this.#changes.clear();
    for (const [date, change] of changes) {
      if (!this.#planned.has(date)) continue;
      for (const [name, value] of Object.entries(change)) this.set(date, name, value);
    }
  }

  /** The day as it is to be. */
  day(date) {
    return { ...this.#planned.get(date), ...this.#changes.get(date) };
  }

  /** Whether a day is to be as another plan has it. */
  agrees(date, other) {
    const day = this.day(date);
    return other !== undefined && FIELDS.every((name) => day[name] === other[name]);
  }

  set(date, name, value) {
    const change = { ...this.#changes.get(date) };
    if (this.#planned.get(date)[name] === value) delete change[name];
    else change[name] = value;
    if (Object.keys(change).length) this.#changes.set(date, change);
    else this.#changes.delete(date);
  }

  /** Promotes on the open days from Monday to Saturday, or on none. */
  promote(dates, isPromo) {
    for (const date of promotable(dates)) {
      if (this.day(date).is_open || !isPromo) this.set(date, "is_promo", isPromo);
    }
  }

  /** Whether all open days from Monday to Saturday are promoted, none, or some. */
  promoted(dates) {
    const open = promotable(dates).filter((date) => this.day(date).is_open);
    const many = open.filter((date) => this.day(date).is_promo).length;
    return many === 0 ? "none" : many === open.length ? "all" : "some";
  }

  reset(date) {
    if (date === undefined) this.#changes.clear();
    else this.#changes.delete(date);
  }

  isChanged(date) {
    return date === undefined ? this.#changes.size > 0 : this.#changes.has(date);
  }

  /** What the service is to be asked. */
  get changes() {
    return [...this.#changes]
      .sort(([first], [second]) => (first < second ? -1 : 1))
      .map(([date, change]) => ({ date, ...change }));
  }
}

function promotable(dates) {
  return dates.filter((date) => weekday(date) !== SUNDAY);
}
