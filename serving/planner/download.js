// The forecasts as a file that spreadsheets open.

// By it Excel knows UTF-8.
const BYTE_ORDER_MARK = "\ufeff";

/**
 * A spreadsheet splits lines and reads numbers as its own region writes them, which is taken to be
 * the browser's: where decimals have a comma, semicolons stand between the cells.
 *
 * @returns {string} A row a day, with the columns of the other plan where there is one.
 */
export function csv(planned, scenario) {
  const point = decimalPoint();
  const separator = point === "," ? ";" : ",";
  const eur = (value) => value.toFixed(2).replace(".", point);
  const columns = [
    ["date", (day) => day.date],
    ...ofPlan("", eur, (day) => day),
    ...(scenario ? ofPlan("scenario_", eur, (_, number) => scenario[number]) : []),
  ];
  const rows = planned.map((day, number) => columns.map(([, value]) => value(day, number)));
  const lines = [columns.map(([name]) => name), ...rows].map((cells) => cells.join(separator));
  return `${lines.join("\r\n")}\r\n`;
}

/** A comma, or the point wherever something else than a comma is usual. */
function decimalPoint() {
  const parts = new Intl.NumberFormat().formatToParts(0.5);
  return parts.some(({ type, value }) => type === "decimal" && value === ",") ? "," : ".";
}

function ofPlan(prefix, eur, of) {
  const columns = {
    is_open: (day) => day.plan.is_open,
    is_promo: (day) => day.plan.is_promo,
    state_holiday: (day) => day.plan.state_holiday,
    is_school_holiday: (day) => day.plan.is_school_holiday,
    forecast: (day) => eur(day.forecast),
    lo_80: (day) => eur(day.intervals["80"][0]),
    hi_80: (day) => eur(day.intervals["80"][1]),
    lo_95: (day) => eur(day.intervals["95"][0]),
    hi_95: (day) => eur(day.intervals["95"][1]),
  };
  return Object.entries(columns).map(([name, value]) => [
    `${prefix}${name}`,
    (day, number) => value(of(day, number)),
  ]);
}

export function save(text, name) {
  const url = URL.createObjectURL(new Blob([BYTE_ORDER_MARK, text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // Some browsers read it only after the click has ended.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
