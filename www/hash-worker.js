// A worker of hash.js. It makes one checksum at a time: what comes next, even nothing, takes the place of the one before.
import { answer } from './hash-blob.js';

/** Twice as many are in memory. */
const STEP = 1 << 19;

let newest;

onmessage = async ({ data: job }) => {
  newest = job;
  if (job) {
    postMessage(await answer(job, STEP, () => job === newest));
  }
};

postMessage('ready');
