// Checksums of blobs, a few at a time, in workers. Loaded only where an upload is proven.

/** A worker that says nothing at all for so long will not. */
const START_MS = 10_000;
const IDLE_MS = 30_000;
/** What a function has to promise its bytes within: it keeps others waiting. */
const MADE_MS = 20_000;
/** What a page hashes in far less than a frame. */
const PAGE_STEP = 1 << 18;
// A core is left to the page.
const MOST = Math.max(1, Math.min(4, (navigator.hardwareConcurrency ?? 2) - 1));

/** Who hashes: each with the `job` it has, if any, and `begin`, `leave` and `end`. */
const hands = new Set();
let waiting = [];
let noWorkers = false;
let ids = 0;

/**
 * The checksum of a blob, or of what a function promises once it is its turn, in base64. `algorithm` is one of the contract's. `size` is what it had when it was chosen,
 * since Chromium says 0 of a file that was deleted. One that is for later lets the others go first. Rejects with the
 * signal's reason, or with an error whose `code` is `file-unreadable`, `bad-algorithm`, `hash-failed` or, by a function, `transform-failed`.
 */
export function hash(blob, algorithm, { signal, size = blob.size, isForLater = false } = {}) {
  const job = { id: ++ids, blob, algorithm, size, isForLater };
  const promise = new Promise((resolve, reject) => Object.assign(job, { resolve, reject }));
  const cancel = () => giveUp(job, signal.reason);
  if (signal?.aborted) {
    cancel();
    return promise;
  }
  signal?.addEventListener('abort', cancel);
  waiting.push(job);
  handOut();
  return promise.finally(() => signal?.removeEventListener('abort', cancel));
}

/** The checksum of the whole, from those of its parts and their sizes, if it can be told from them. */
export async function whole(algorithm, sums, sizes) {
  return sums.length === 1 ? sums[0] : (await import('./hash-blob.js')).joined(algorithm, sums, sizes);
}

const failure = (code, message) => Object.assign(new Error(message), { code });

function giveUp(job, reason) {
  job.reject(reason);
  waiting = waiting.filter((other) => other !== job);
  const hand = [...hands].find((hand) => hand.job === job);
  if (hand) {
    hand.leave();
    release(hand);
  }
}

/** Gives whoever is free the next job, in the order in which they came. */
function handOut() {
  while (waiting.length) {
    const hand = [...hands].find((hand) => !hand.job) ?? hire();
    if (!hand) {
      return;
    }
    clearTimeout(hand.idle);
    const next = waiting.findIndex(({ isForLater }) => !isForLater);
    [hand.job] = waiting.splice(Math.max(next, 0), 1);
    start(hand, hand.job);
  }
}

async function start(hand, job) {
  try {
    if (typeof job.blob === 'function') {
      const late = new Promise((_, reject) => setTimeout(reject, MADE_MS));
      job.blob = await Promise.race([job.blob(), late]);
    }
    // Nobody may want it any more.
    if (hand.job === job) {
      hand.begin(job);
    }
  } catch (error) {
    settle(hand, { id: job.id, code: 'transform-failed', message: error?.message });
  }
}

/** One more to hash, where there may be one. */
function hire() {
  if (hands.size >= (noWorkers ? 1 : MOST)) {
    return undefined;
  }
  const hand = (!noWorkers && workerHand()) || pageHand();
  hands.add(hand);
  return hand;
}

function release(hand) {
  hand.job = undefined;
  handOut();
  if (!hand.job) {
    hand.idle = setTimeout(() => dismiss(hand), IDLE_MS);
  }
}

function dismiss(hand) {
  clearTimeout(hand.idle);
  clearTimeout(hand.start);
  hands.delete(hand);
  hand.end();
}

/** Takes what `hand` found out. What it was told to leave may have been on its way already. */
function settle(hand, { id, hash, code, message }) {
  const { job } = hand;
  if (job?.id !== id) {
    return;
  }
  if (code) {
    job.reject(failure(code, message));
  } else {
    job.resolve(hash);
  }
  release(hand);
}

/** A worker; nothing where the browser refuses one at once, as it does a script of another origin. */
function workerHand() {
  let worker;
  try {
    worker = new Worker(new URL('./hash-worker.js', import.meta.url), { type: 'module' });
  } catch {
    noWorkers = true;
    return undefined;
  }
  const hand = {
    begin: ({ id, blob, algorithm, size }) => worker.postMessage({ id, blob, algorithm, size }),
    leave: () => worker.postMessage(undefined),
    end: () => worker.terminate(),
    start: setTimeout(() => lose(hand), START_MS),
  };
  worker.onmessage = ({ data }) => {
    clearTimeout(hand.start);
    hand.ready = true;
    if (data.id) {
      settle(hand, data);
    }
  };
  worker.onerror = (event) => {
    // Told here, not in the console of somebody else's page.
    event.preventDefault();
    lose(hand);
  };
  return hand;
}

/** Goes on without a worker. Where it never began, a policy is against it, and the page itself has to do. */
function lose(hand) {
  const { job } = hand;
  dismiss(hand);
  if (hand.ready) {
    job?.reject(failure('hash-failed', 'windlass: a worker broke'));
  } else {
    noWorkers = true;
    waiting.unshift(...(job ? [job] : []));
  }
  handOut();
}

/** The page itself, in small steps between which it does its other work. */
function pageHand() {
  // It may have been the line: after a while workers are tried again.
  const hand = { begin, leave() {}, end: () => (noWorkers = false) };
  async function begin(job) {
    try {
      const { answer } = await import('./hash-blob.js');
      settle(hand, await answer(job, PAGE_STEP, () => hand.job === job));
    } catch ({ message }) {
      settle(hand, { id: job.id, code: 'hash-failed', message });
    }
  }
  return hand;
}
