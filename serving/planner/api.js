// The service's answers: every question ends within a known time, in an answer or a told error.

const TIME_OUT_MS = 20_000;
const TRIES = 3;
const LONGEST_WAIT_S = 15;
const BUSY = [429, 503];
const KEY = "sales-forecast-key";

/** What went wrong, in words that can be shown. */
export class AskError extends Error {
  constructor(title, detail) {
    super(detail);
    this.title = title;
  }
}

let askForKey = async () => null;
let asking = null;

/** Names what asks the user for a key; it resolves to null where the user would rather not. */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

/**
 * Asks the service.
 *
 * @param {string} path
 * @param {{body?: object, signal?: AbortSignal, onWait?: (seconds: number) => void}} options
 *   body: makes it a POST. onWait: hears of the wait when the service is busy.
 * @throws {AskError}
 */
export async function ask(path, { body, signal, onWait } = {}) {
  for (let tried = 1; ; tried += 1) {
    const key = sessionStorage.getItem(KEY);
    const { response, content } = await send(path, body, key, signal);
    if (response.ok) return content;
    if (response.status === 401) {
      await anotherKey(key);
      tried -= 1;
    } else if (BUSY.includes(response.status) && tried < TRIES) {
      const seconds = waitOf(response);
      onWait?.(seconds);
      await pause(seconds * 1000, signal);
    } else {
      throw problem(response, content);
    }
  }
}

async function send(path, body, key, signal) {
  const controller = new AbortController();
  const forward = () => controller.abort();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    controller.abort();
  }, TIME_OUT_MS);
  signal?.addEventListener("abort", forward);
  try {
    signal?.throwIfAborted();
    const response = await fetch(path, {
      method: body ? "POST" : "GET",
      body: body && JSON.stringify(body),
      headers: {
        Accept: "application/json",
        ...(body && { "Content-Type": "application/json" }),
        ...(key && { Authorization: `Bearer ${key}` }),
      },
      signal: controller.signal,
    });
    const text = await response.text();
    return { response, content: parsed(text, response.ok) };
  } catch (error) {
    if (signal?.aborted || error instanceof AskError) throw error;
    if (late) throw new AskError("No answer", "The service took longer than 20 seconds.");
    throw new AskError("No connection", "The service cannot be reached from here.");
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", forward);
  }
}

function parsed(text, isNeeded) {
  try {
    return JSON.parse(text);
  } catch {
    // What stands between page and service may answer in words of its own.
    if (isNeeded) throw new AskError("No forecast", "The answer cannot be read.");
    return {};
  }
}

/** Asks once, however many requests wait for the key. */
async function anotherKey(refused) {
  if (sessionStorage.getItem(KEY) !== refused) return;
  asking ??= askForKey(refused !== null).finally(() => {
    asking = null;
  });
  const key = await asking;
  if (!key) throw new AskError("A key is needed", "Without one the service gives no forecasts.");
  sessionStorage.setItem(KEY, key);
}

function waitOf(response) {
  const seconds = Number(response.headers.get("Retry-After"));
  return Math.min(Math.max(Number.isFinite(seconds) ? seconds : 1, 1), LONGEST_WAIT_S);
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

function problem(response, content) {
  const title = BUSY.includes(response.status)
    ? "The service is busy"
    : response.status === 404
      ? "Not found"
      : "No forecast";
  return new AskError(title, content.detail ?? `The service answered ${response.status}.`);
}
