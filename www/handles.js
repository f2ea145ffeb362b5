// Files by their handles, where a browser has them (File System Access): after a reload the page can open such a file again
// by itself, or after one click.
/** Of so many at once: handles of a whole disk would only take time. */
const MOST = 100;
/** For a share that is slow. */
const WAIT_MS = 1_000;
const HOW = { mode: 'read' };

/** The handles of files that came by one. */
const known = new Map();
let working = Promise.resolve();

const traitsOf = ({ name, size, lastModified }) => JSON.stringify([name, size, lastModified]);

export const canPick = () => typeof globalThis.showOpenFilePicker === 'function';

/** The handle of the file with these traits, if there is one by now, or soon. */
export async function handleOf(file) {
  await Promise.race([working, new Promise((resolve) => setTimeout(resolve, WAIT_MS))]);
  return known.get(traitsOf(file));
}

/** Remembers the handles of files that are being dropped; to be called at once, while the drop is under way. */
export function dropped(items) {
  const files = [...items].filter(({ kind }) => kind === 'file');
  if (files.length <= MOST) {
    working = filesOf(files.map((item) => item.getAsFileSystemHandle?.())).catch(() => {});
  }
}

/** Has the person choose files; none where they choose none. Rejects where a page may not ask so. */
export async function pick() {
  let handles;
  try {
    handles = await showOpenFilePicker({ multiple: true });
  } catch (error) {
    if (error.name === 'AbortError') {
      return [];
    }
    throw error;
  }
  return filesOf(handles);
}

async function filesOf(handles) {
  const files = [];
  for (const handle of await Promise.all(handles)) {
    // One that is gone by now does not keep the others out.
    const file = handle?.kind === 'file' && (await handle.getFile().catch(() => undefined));
    if (file) {
      if (handles.length <= MOST) {
        known.set(traitsOf(file), handle);
      }
      files.push(file);
    }
  }
  return files;
}

/** The file behind a handle, if it is still the one and the page may read it. `ask` has the person asked, which takes a click. */
export async function reopen(handle, traits, ask) {
  const isAllowed = async (query) => (await handle[query](HOW)) === 'granted';
  try {
    if ((await isAllowed('queryPermission')) || (ask && (await isAllowed('requestPermission')))) {
      const [file] = await filesOf([handle]);
      return file && traitsOf(file) === traitsOf(traits) ? file : undefined;
    }
  } catch {
    // It is gone, or there was no click.
  }
  return undefined;
}
