// Checksums of bytes in memory, ours and those of npm packages, in a worker. `cargo xtask bench` bundles this with them; it
// is in no package.
import { Crc32 } from '@aws-crypto/crc32';
import { AwsCrc32c } from '@aws-crypto/crc32c';
import { Crc64Nvme } from '@aws-sdk/crc64-nvme';
import { sha256 } from '@noble/hashes/sha2.js';
import { buf } from 'crc-32';
import { createCRC32, createCRC64, createMD5, createSHA256 } from 'hash-wasm';
import SparkMD5 from 'spark-md5';
// The one that is shipped, beside which this is served.
import init, { Hash } from './wasm/windlass_hash.js';

/** More than a cache holds. */
const BYTES = 64 << 20;
/** Bytes at once, as our workers read them. */
const STEP = 1 << 19;
/** How long one measurement takes at least. */
const WHILE_MS = 400;

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
const hex32 = (value) => (value >>> 0).toString(16).padStart(8, '0');
const ours = (algorithm) => () => {
  const made = Hash.of(algorithm);
  return [(bytes) => made.update(bytes), () => hex(Uint8Array.from(atob(made.finish()), (char) => char.charCodeAt(0)))];
};
const wasm = (create, polynomial) => async () => {
  const made = (await create(polynomial)).init();
  return [(bytes) => made.update(bytes), () => made.digest()];
};
const aws = (Class) => () => {
  const made = new Class();
  return [(bytes) => made.update(bytes), () => made.digest()];
};

/** Who makes each: a function that gives one that takes bytes and one that tells the checksum in hex. */
const MAKERS = {
  crc64nvme: {
    windlass: ours('crc64nvme'),
    '@aws-sdk/crc64-nvme': aws(Crc64Nvme),
    'hash-wasm': wasm(createCRC64, '9a6c9329ac4bc9b5'),
  },
  crc32c: {
    windlass: ours('crc32c'),
    '@aws-crypto/crc32c': aws(AwsCrc32c),
    'hash-wasm': wasm(createCRC32, 0x82f63b78),
  },
  crc32: {
    windlass: ours('crc32'),
    '@aws-crypto/crc32': aws(Crc32),
    'crc-32': () => {
      let value = 0;
      return [(bytes) => (value = buf(bytes, value)), () => value];
    },
    'hash-wasm': wasm(createCRC32),
  },
  sha256: {
    windlass: ours('sha256'),
    '@noble/hashes': () => {
      const made = sha256.create();
      return [(bytes) => made.update(bytes), () => made.digest()];
    },
    'hash-wasm': wasm(createSHA256),
  },
  md5: {
    windlass: ours('md5'),
    'spark-md5': () => {
      const made = new SparkMD5.ArrayBuffer();
      // It takes whole buffers, and to cut one out is part of what it costs.
      return [(bytes) => made.append(bytes.slice().buffer), () => made.end()];
    },
    'hash-wasm': wasm(createMD5),
  },
};

let memory;

/** Bytes that differ, the same ones for all. */
function noise() {
  const bytes = new Uint8Array(BYTES);
  for (let at = 0; at < bytes.length; at += 1 << 16) {
    crypto.getRandomValues(bytes.subarray(at, at + (1 << 16)));
  }
  return bytes;
}

const told = async (digest) => {
  const value = await digest();
  return typeof value === 'string' ? value : typeof value === 'number' ? hex32(value) : hex(value);
};

/** Bytes a millisecond, and the checksum of the first few. */
async function measure(make) {
  const [first, digest] = await make();
  first(memory.subarray(0, STEP));
  first(memory.subarray(STEP, STEP + 77));
  const sum = await told(digest);
  const [update] = await make();
  const began = performance.now();
  let [bytes, took] = [0, 0];
  for (let at = 0; took < WHILE_MS; at = (at + STEP) % BYTES) {
    update(memory.subarray(at, at + STEP));
    bytes += STEP;
    took = performance.now() - began;
  }
  return { rate: bytes / took, sum };
}

onmessage = async ({ data: { algorithm, rounds } }) => {
  await init();
  memory ??= noise();
  const makers = Object.entries(MAKERS[algorithm]);
  const rates = makers.map(() => []);
  const sums = new Set();
  // In turns, so that what else the machine does falls on all of them.
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, [, make]] of makers.entries()) {
      const { rate, sum } = await measure(make);
      rates[index].push(rate / 1000);
      sums.add(sum);
    }
  }
  const makersRates = makers.map(([name], index) => [name, rates[index]]);
  postMessage(sums.size === 1 ? makersRates : `they do not agree: ${[...sums]}`);
};
