// What is remembered of uploads, in IndexedDB: a record each, and the checksums of its parts.
const DATABASE = 'windlass';
/** How the records look. A page of an older version cannot read a newer one's, and goes without. */
const VERSION = 1;
const UPLOADS = 'uploads';
/** Checksums of parts, so many in a record: each call for signatures writes one or two, whatever the file's size. */
const SUMS = 'sums';
/** Storage that does not answer is none: some browsers have left pages waiting for ever. */
const ANSWER_MS = 2_000;
/** Of uploads whose backend does not tell when they end. */
const WEEK_MS = 7 * 24 * 3_600_000;

const settled = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const ofUpload = (id) => IDBKeyRange.bound([id, 0], [id, Infinity]);

let database;

/** The database; nothing where a page may not have one. */
function open() {
  database ??= new Promise((resolve) => {
    setTimeout(resolve, ANSWER_MS);
    const request = indexedDB.open(DATABASE, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(UPLOADS, { keyPath: 'id' });
      request.result.createObjectStore(SUMS);
    };
    request.onsuccess = () => {
      // A newer version shall not wait for this one, nor somebody who clears the site's data.
      request.result.onversionchange = () => close(request.result);
      request.result.onclose = () => (database = undefined);
      // A page that is kept for the way back shall hold nothing that the next one may need.
      addEventListener('pagehide', () => close(request.result), { once: true });
      // What could not be written is not remembered; it is no fault of the page.
      request.result.onerror = (event) => event.preventDefault();
      // Also where it comes late.
      database = Promise.resolve(request.result);
      resolve(request.result);
    };
    request.onerror = (event) => {
      event.preventDefault();
      resolve();
    };
  }).catch(() => undefined);
  return database;
}

function close(db) {
  database = undefined;
  db.close();
}

/** Does something with the two stores; nothing where that cannot be. */
async function within(mode, action) {
  try {
    const db = await open();
    const transaction = db?.transaction([UPLOADS, SUMS], mode);
    const result = transaction && action(transaction.objectStore(UPLOADS), transaction.objectStore(SUMS));
    if (mode === 'readwrite') {
      // At once: WebKit leaves it open for ever where its page is put aside just then, and whoever comes next waits.
      transaction?.commit?.();
    }
    return await Promise.race([result, new Promise((resolve) => setTimeout(resolve, ANSWER_MS))]);
  } catch {
    // Full, closed or taken away: uploads go on, and are not remembered.
    return undefined;
  }
}

/** A page that goes is no witness: WebKit takes its files away before it tells, and all uploads fail as unreadable. */
let goes = false;
let leaves = 0;
addEventListener('pageshow', () => (goes = false));
addEventListener('pagehide', () => {
  goes = true;
  leaves += 1;
});

/** How often the page was left. */
export const left = () => leaves;

const write = async (action) => !goes && within('readwrite', action);

/** What is remembered and not over, oldest first. What is over goes. */
export async function records() {
  const all = (await within('readonly', (uploads) => settled(uploads.getAll()))) ?? [];
  const isOver = ({ expiresAt, begun }) => (expiresAt ?? begun + WEEK_MS) < Date.now();
  all.filter(isOver).forEach(({ id }) => erase(id));
  return all.filter((record) => !isOver(record)).sort((a, b) => a.begun - b.begun);
}

export const recordOf = (id) => within('readonly', (uploads) => settled(uploads.get(id)));

/** Whether it could be written. */
export const put = async (record) => (await write((uploads) => settled(uploads.put(record)))) === record.id;

/** Writes a record with those chunks of its checksums that have changed. */
export const putSums = (record, chunks, changed) =>
  write((uploads, sums) => {
    changed.forEach((at) => sums.put(chunks[at], [record.id, at]));
    return settled(uploads.put(record));
  });

export const erase = (id) =>
  write((uploads, sums) => {
    uploads.delete(id);
    sums.delete(ofUpload(id));
  });

/** The checksums of an upload's parts, in their chunks. */
export async function chunksOf(id) {
  const chunks = [];
  await within('readonly', async (_, sums) => {
    const [keys, values] = await Promise.all([settled(sums.getAllKeys(ofUpload(id))), settled(sums.getAll(ofUpload(id)))]);
    keys.forEach(([, at], index) => (chunks[at] = values[index]));
  });
  return chunks;
}
