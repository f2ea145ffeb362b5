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
  watched.forEach((uploads) => isGoing(uploads) || watched.delete(uploads));
  hold([...watched].some(({ wakeLock, going }) => wakeLock && [...going.values()].includes('uploading')));
  // Only while it may be needed: some browsers keep no page for the way back that may ask.
  (watched.size ? addEventListener : removeEventListener)('beforeunload', ask);
  if (!watched.size) {
    clearInterval(timer);
    timer = undefined;
  }
}

/** Whether a file goes up, or is held back. One that was removed says nothing of it. */
function isGoing({ going, has }) {
  going.forEach((_, id) => has(id) || going.delete(id));
  return going.size > 0;
}

/** Whether bytes would be lost with the page, or what a person has chosen. */
const isAtRisk = (uploads) => uploads.leaveGuard && ([...uploads.going.keys()].some((id) => !uploads.keeps(id)) || uploads.waits());

/** Says in the browser's own words that something would be lost, if that is so. */
function ask(event) {
  if ([...watched].some(isAtRisk)) {
    event.preventDefault();
    // Older ones go by this.
    event.returnValue = true;
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
