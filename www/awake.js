// Keeps the screen on while files go up, and has the browser ask before a page is left with bytes that would be lost.
const LOOK_MS = 1_000;

/** All who have files that go up: see `Layers` in options.js. */
const watched = new Set();
let timer;
let screen;

/** Looks after the files of `uploads` until none of them goes up any more. */
export function watch(uploads) {
  watched.add(uploads);
  timer ??= setInterval(look, LOOK_MS);
  look();
}

/** Every second: a file may go without a word, and a browser takes the lock away from a page that is not seen. */
function look() {
  watched.forEach((uploads) => uploads.isGoing() || watched.delete(uploads));
  const all = [...watched];
  hold(all.some(({ wakeLock }) => wakeLock));
  // Only while it is needed: some browsers keep no page for the way back that may ask.
  (all.some(({ isAtRisk }) => isAtRisk) ? addEventListener : removeEventListener)('beforeunload', ask);
  if (!all.length) {
    clearInterval(timer);
    timer = undefined;
  }
}

/** Says in the browser's own words that something would be lost, if that is still so. */
function ask(event) {
  if ([...watched].some(({ isAtRisk }) => isAtRisk)) {
    event.preventDefault();
  }
}

async function hold(isWanted) {
  if (!isWanted) {
    const held = screen;
    screen = undefined;
    (await held)?.release();
  } else if (!screen && !document.hidden) {
    // With little power left, or in a frame that may not, it is refused, and asked for again.
    screen = navigator.wakeLock?.request('screen').catch(() => {});
    const held = await screen;
    held?.addEventListener('release', () => (screen = undefined));
    screen &&= held;
  }
}
