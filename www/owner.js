// Which page goes on with an upload: one at a time, and whoever waits for it gets it as soon as that page is gone. By Web
// Locks; where pages have none, as without https, by asking the others. Not by leases with a time: the clock of a hidden
// page stands still for a minute, and its lease would run out while it uploads.
const NAME = 'windlass';
/** How long others have to say that it is theirs. */
const ANSWER_MS = 300;

const me = crypto.getRandomValues(new Uint32Array(2)).join('-');
/** Without locks: what is this page's, and what it asks for. */
const mine = new Set();
const asking = new Set();
/** Who is waiting for an answer, by upload. */
const answers = new Map();
const listeners = new Set();
let channel;

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const lockOf = (id) => `${NAME} ${id}`;

/** Where pages talk; nothing where they cannot. It closes with the page, which else could not be kept for the way back. */
function open() {
  if (!channel && globalThis.BroadcastChannel) {
    channel = new BroadcastChannel(NAME);
    channel.onmessage = ({ data }) => heard(data);
  }
  return channel;
}

addEventListener('pagehide', () => {
  channel?.close();
  channel = undefined;
});
addEventListener('pageshow', () => listeners.size && open());

function heard({ ask, from, held, ...news }) {
  if (ask !== undefined) {
    // Of two that ask at once the smaller one has it.
    if (mine.has(ask) || (asking.has(ask) && me < from)) {
      open()?.postMessage({ held: ask });
    }
  } else if (held !== undefined) {
    answers.get(held)?.();
  } else {
    listeners.forEach((listen) => listen(news));
  }
}

/** Has `to` called with what other pages say, and other uploaders of this one, until `signal` ends that. */
export function listen(to, signal) {
  if (!signal?.aborted) {
    listeners.add(to);
    signal?.addEventListener('abort', () => listeners.delete(to));
    open();
  }
}

/** Tells all. */
export function say(news) {
  open()?.postMessage(news);
  listeners.forEach((listen) => listen(news));
}

/** As `AbortSignal.timeout`, which came to browsers late. */
export function after(ms) {
  const controller = new AbortController();
  setTimeout(() => controller.abort(), ms);
  return controller.signal;
}

/** Makes the upload this page's for as long as it is open; the function that ends that, or nothing if it stays another's. */
export function hold(id, ms) {
  return navigator.locks ? lock(id, ms) : claim(id, ms);
}

function lock(id, ms) {
  return new Promise((got) => {
    const refused = ({ name }) => got(name === 'AbortError' ? undefined : () => {});
    navigator.locks.request(lockOf(id), { signal: after(ms) }, () => new Promise(got)).catch(refused);
  });
}

async function claim(id, ms) {
  const until = performance.now() + ms;
  asking.add(id);
  try {
    while (mine.has(id) || (await isTaken(id))) {
      if (performance.now() > until) {
        return undefined;
      }
      await pause(ANSWER_MS);
    }
    mine.add(id);
    return () => mine.delete(id);
  } finally {
    asking.delete(id);
  }
}

async function isTaken(id) {
  const answered = new Promise((resolve) => answers.set(id, () => resolve(true)));
  open()?.postMessage({ ask: id, from: me });
  const isTaken = await Promise.race([answered, pause(ANSWER_MS)]);
  answers.delete(id);
  return isTaken === true;
}

/** Those of the uploads that another page goes on with, or this one. */
export async function held(ids) {
  if (navigator.locks) {
    const { held = [] } = (await navigator.locks.query().catch(() => undefined)) ?? {};
    const names = new Set(held.map(({ name }) => name));
    return new Set(ids.filter((id) => names.has(lockOf(id))));
  }
  const taken = await Promise.all(ids.map(async (id) => mine.has(id) || isTaken(id)));
  return new Set(ids.filter((_, at) => taken[at]));
}
