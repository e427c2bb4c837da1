// Numbers and days as a planner reads them.

const MINUS = "\u2212";
const SPACE = "\u00a0";

const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat("en-GB", {
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});

function dayFormat(options) {
  const format = new Intl.DateTimeFormat("en-GB", { ...options, timeZone: "UTC" });
  return (day) => format.format(asDate(day));
}

/** A day such as "2015-08-03", whatever the time zone of the reader. */
function asDate(day) {
  return new Date(`${day}T00:00:00Z`);
}

export function addDays(day, days) {
  const date = asDate(day);
  date.setUTCDate(date.getUTCDate() + days);
  return date.toISOString().slice(0, 10);
}

/** 0 for a Monday, 6 for a Sunday. */
export function weekday(day) {
  return (asDate(day).getUTCDay() + 6) % 7;
}

export const dayOfMonth = dayFormat({ day: "numeric" });
const dayAndMonth = dayFormat({ day: "numeric", month: "short" });
/** September has four letters in British short form, and no room for them here. */
export const shortDay = (day) => dayAndMonth(day).replace("Sept", "Sep");
export const longDay = dayFormat({ weekday: "long", day: "numeric", month: "long" });
const fullDay = dayFormat({ day: "numeric", month: "long", year: "numeric" });

export function period(first, last) {
  return `${dayFormat({ day: "numeric", month: "long" })(first)} to ${fullDay(last)}`;
}

/** 3 – 9 Aug, or 31 Aug – 6 Sep. */
export function span(first, last) {
  if (first === last) return shortDay(first);
  const isOneMonth = first.slice(0, 7) === last.slice(0, 7);
  return `${isOneMonth ? dayOfMonth(first) : shortDay(first)} – ${shortDay(last)}`;
}

export function number(value) {
  return whole.format(value);
}

export function eur(value) {
  const rounded = Math.round(value);
  return `${rounded < 0 ? MINUS : ""}EUR${SPACE}${whole.format(Math.abs(rounded))}`;
}

export function signedEur(value) {
  return `${Math.round(value) > 0 ? "+" : ""}${eur(value)}`;
}

/** 5.1k: thousands of EUR, for where there is little room. */
export function thousands(value) {
  const size = Math.abs(value);
  if (size < 10) return "0";
  const text = size < 99_950 ? oneDigit.format(size / 1000) : whole.format(size / 1000);
  return `${value < 0 ? MINUS : ""}${text}k`;
}

export function signedThousands(value) {
  return `${value >= 10 ? "+" : ""}${thousands(value)}`;
}

/** The share 0.08 as "8 %", or with one digit as "8.0 %". */
export function share(value, digits = 0) {
  return `${(digits ? oneDigit : whole).format(100 * value)}${SPACE}%`;
}

/** The percentage 8 as "+8.0 %". */
export function signedPercent(value, digits = 1) {
  const text = (digits ? oneDigit : whole).format(Math.abs(value));
  const sign = Number(text.replace(",", "")) === 0 ? "" : value > 0 ? "+" : MINUS;
  return `${sign}${text}${SPACE}%`;
}

export function listed(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}
