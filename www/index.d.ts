import type { Backend } from './backend.js';
import type { Finding, TestFile } from './doctor.js';

export type * from './backend.js';
export type { Finding, FindingCode, TestFile } from './doctor.js';

/** Where a file is on its way. */
export type Stage = 'queued' | 'uploading' | 'paused' | 'completing' | 'done' | 'failed' | 'canceled';

/** Why a file failed; these names do not change. */
export type ErrorCode =
  | 'network'
  | 'endpoint-not-found'
  | 'bad-answer'
  | 'unauthorized'
  | 'forbidden'
  | 'id-refused'
  | 'too-large'
  | 'type-refused'
  | 'rejected'
  | 'rate-limited'
  | 'server'
  | 'store-refused'
  | 'store-full'
  | 'store-error'
  | 'store-silent'
  | 'file-unreadable'
  | 'stream-broken'
  | 'transform-failed'
  | 'upload-gone'
  | 'parts-refused'
  | 'size-mismatch'
  | 'checksum-mismatch';

/** Who presigns: a backend over HTTP, or functions of the page. */
export type BackendOptions =
  | {
      /** The address that the backend's five routes are under, absolute or relative to the page. */
      endpoint: string;
      /** Headers of every call to the backend, such as `Authorization`. They never go to the store. */
      headers?: Record<string, string>;
      /** Whether cookies go to a backend on another origin. */
      withCredentials?: boolean;
      backend?: undefined;
    }
  | {
      /** Functions in place of an endpoint. */
      backend: Backend;
      endpoint?: undefined;
      headers?: undefined;
      withCredentials?: undefined;
    };

export type UploadOptions = BackendOptions & CommonOptions;

export interface CommonOptions {
  /**
   * Whether the doctor looks by itself, once, after the first failure that it may explain: it sends tiny requests to
   * backend and store, and what it finds comes as the event `diagnosis` and as one warning in the console. Yes unless set.
   */
  doctor?: boolean;
  /**
   * Parts on their way at once at most, over all files: 1 to 64, 16 unless set. Below this the number that helps is
   * found while uploading: six on HTTP/1.1, more where the browser shares a connection.
   */
  maxConcurrent?: number;
  /**
   * The only origins that files may be sent to, as `https://bucket.s3.amazonaws.com`, whatever the backend signs for. Any
   * unless set. A Content-Security-Policy does the same for the whole page.
   */
  storeOrigins?: string[];
  /**
   * What is proven by checksums: `object`, the whole, and its parts where the store needs them for that; `part`, every request
   * with bytes, so that the store refuses what arrives wrong; `off`, nothing. `object` unless set.
   */
  proof?: 'object' | 'part' | 'off';
  /**
   * Whether uploads in parts are remembered (IndexedDB), so that a file that is added again after a reload, a crash or a
   * closed tab goes on where it was. Yes unless set. Neither URLs nor tokens are kept. See `unfinished` and `forget`.
   */
  journal?: boolean;
  /**
   * Whether the browser asks before the page is left while bytes would be lost by that: of files that go up and are not
   * remembered (see `journal`), as small ones are not. Yes unless set.
   */
  leaveGuard?: boolean;
  /** Whether the screen stays on while files go up, as far as the browser lets it. Yes unless set. */
  wakeLock?: boolean;
  /** Bytes per second over all files, as an average: parts leave whole. No limit unless set. */
  maxBytesPerSecond?: number;
  /** What stands between the file and the store, as an app's own encryption. Stays once there was a file. Nothing unless set. */
  transform?: Transform | undefined;
}

/** Makes other bytes of a part's, as many: what changes their number goes before, by `stream`. */
export interface Transform {
  /** Tells one from another: an upload goes on in the next page only with the transform that it was begun with. */
  name: string;
  /**
   * What is stored instead of `bytes`, which begin at `start` in the file. Called for a part each time that it is hashed or sent,
   * in no order, and has to make the same each time, within 20 seconds. If it throws, it is called again a little later; after
   * the fourth time the file fails with `transform-failed`.
   */
  apply(bytes: Blob, about: { file: Pick<File, 'name' | 'size' | 'type' | 'lastModified'>; start: number }): Promise<Blob> | Blob;
}

export interface ChangedOptions extends CommonOptions {
  endpoint?: string | undefined;
  backend?: Backend | undefined;
  headers?: Record<string, string> | undefined;
  withCredentials?: boolean | undefined;
}

/** A file as it stands. Sizes in bytes. */
export interface UploadFile {
  fileId: number;
  name: string;
  /** `null` for a stream that is still open. */
  size: number | null;
  stage: Stage;
  /** Stored or on their way; never falls while an upload goes on. */
  loaded: number;
  /** Confirmed by the store, and nothing else: what a closed tab would leave there. */
  stored: number;
  /** Bytes per second, once there is something to tell. */
  speed: number | null;
  secondsLeft: number | null;
  /** Where the object is or will be, once the backend has said so. */
  key: string | null;
  /** Whether it began anew by itself, since what the store had of it could not be used. */
  restarted: boolean;
}

export interface CompletedFile extends UploadFile {
  stage: 'done';
  size: number;
  key: string;
  etag: string | null;
  /** Where the app can have the object from, if the backend told. */
  url: string | null;
  /**
   * How the object is known to be the file: by the checksum of the whole, by one of each part, by its entity tag, or only by
   * as many bytes.
   */
  proof: 'full-object' | 'per-part' | 'etag-md5' | 'size-only';
  /** Who found that. */
  provenBy: 'store' | 'page';
}

/** An upload of a page of before. Sizes in bytes, times in milliseconds since the Unix epoch. */
export interface Unfinished {
  name: string;
  size: number;
  type: string;
  lastModified: number;
  /** The folders that the file was chosen with, or empty. */
  path: string;
  /** What the store held when it was last told, at least. */
  stored: number;
  /** When it was begun. */
  begun: number;
  /** Whether another page goes on with it just now. */
  elsewhere: boolean;
  /** Of another page's: whether it is held back there, and how to do that from here. */
  paused?: boolean;
  pause?(): void;
  resume?(): void;
  /**
   * Where the browser lets pages keep a file's handle: the file, which is to be added at once; nothing if it is not there
   * as it was, or the page may not read it. The person may be asked, which takes a click, unless `ask` is no.
   */
  open?(options?: { ask?: boolean }): Promise<File | undefined>;
}

/** What a stream is called. */
export interface StreamDescription {
  /** `stream` unless set. */
  name?: string;
  /** A MIME type. */
  type?: string;
  /** Milliseconds since the Unix epoch; now unless set. */
  lastModified?: number;
}

/** Chunks of bytes or text: what a `Blob` can be made of. */
export type StreamSource = ReadableStream<BlobPart> | AsyncIterable<BlobPart> | Response;

export interface FailedFile extends UploadFile {
  stage: 'failed';
  code: ErrorCode;
  /** What happened and what to do, in English. */
  message: string;
  /** Whether the cause may go away by itself. */
  retryable: boolean;
  /** The HTTP status, where there was an answer. */
  status: number | null;
  /** The part it happened to. */
  part: number | null;
}

/** What the doctor found by itself, the most important first. */
export interface Diagnosis {
  findings: Finding[];
}

export interface UploaderEventMap {
  progress: CustomEvent<UploadFile>;
  complete: CustomEvent<CompletedFile>;
  error: CustomEvent<FailedFile>;
  cancel: CustomEvent<UploadFile>;
  diagnosis: CustomEvent<Diagnosis>;
}

/** Loads the wasm once, from beside the module or from `url`. */
export function load(url?: string | URL | Response | BufferSource | WebAssembly.Module): Promise<unknown>;

export class Uploader extends EventTarget {
  /** Resolves once the wasm is loaded. Rejects with an error of `code` "bad-options" for options that cannot be. */
  static create(options: UploadOptions): Promise<Uploader>;
  /** Only after `load()`. */
  constructor(options: UploadOptions);
  /** Starts to upload; the ids in the same order. */
  add(files: Iterable<File> | ArrayLike<File>): number[];
  /**
   * Uploads what has no length yet, as a recording or the body of a download, while it comes. At most 64 MiB or two parts of it
   * are held in memory, and no more is taken from the source until the store has them. The id once there are more than 5 MiB
   * of it, or all: what is shorter goes up as a file. Rejects where the source fails before; if it fails later the upload does, with
   * `stream-broken`. It cannot go on in another page.
   */
  stream(source: StreamSource, about?: StreamDescription): Promise<number>;
  /** Gives a file up and has the store freed of it. */
  cancel(fileId: number): void;
  /** Tries a failed or canceled file again. */
  retry(fileId: number): void;
  /** Takes a file off the list, and gives it up first if it is not finished. */
  remove(fileId: number): void;
  /** Holds a file back, or without an id all of them, also those added later. Stored parts stay stored. */
  pause(fileId?: number): void;
  /** Lets a file go on, or without an id all that were not paused one by one. */
  resume(fileId?: number): void;
  /** Puts a file before those of a lower priority, a whole number; 0 is usual. */
  prioritize(fileId: number, priority: number): void;
  /** Puts files before the others of their priority, in this order. */
  order(fileIds: Iterable<number>): void;
  get(fileId: number): UploadFile | undefined;
  /**
   * A number for each part of a file, for a view of its parts: 0 waits, 1 is on its way, 2 waits to be sent again, 3
   * is stored. Empty before the file is cut and after it is over. Cheap enough for every frame.
   */
  parts(fileId: number): Uint8Array;
  readonly files: UploadFile[];
  /**
   * Changes options from now on; those not named stay, so that one who goes from an endpoint to a backend names both,
   * one of them as `undefined`.
   */
  configure(options: ChangedOptions): void;
  /** Uploads of before that go on once their file is added again, and that no other page goes on with. */
  unfinished(): Promise<Unfinished[]>;
  /** Remembers nothing of this backend's uploads any more, and has those freed that no page goes on with. */
  forget(): Promise<void>;
  /** Tries backend and store with tiny real requests; what is in the way comes first. See `windlass/doctor`. */
  diagnose(file?: TestFile): Promise<Finding[]>;
  addEventListener<K extends keyof UploaderEventMap>(
    type: K,
    listener: (event: UploaderEventMap[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}
