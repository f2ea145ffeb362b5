import type { Backend } from './backend.js';
import type { Finding, TestFile } from './doctor.js';
import type { CompletedFile, Diagnosis, FailedFile, Transform, Unfinished, UploadFile } from './index.js';

export type * from './backend.js';
export type { Finding, FindingCode, TestFile } from './doctor.js';
export type { CompletedFile, Diagnosis, ErrorCode, FailedFile, Stage, Transform, Unfinished, UploadFile } from './index.js';

/** The widget has no streams, of which nobody knows the size. */
type Sized<T> = T & { size: number };

export interface WindlassEventMap {
  'windlass-progress': CustomEvent<Sized<UploadFile>>;
  'windlass-complete': CustomEvent<CompletedFile>;
  'windlass-error': CustomEvent<Sized<FailedFile>>;
  'windlass-cancel': CustomEvent<Sized<UploadFile>>;
  'windlass-diagnosis': CustomEvent<Diagnosis>;
}

/** Loads the wasm once, from beside the module or from `url`; the element does it by itself. */
export function load(url?: string | URL | Response | BufferSource | WebAssembly.Module): Promise<unknown>;

/** `<windlass-upload endpoint="…">`: a drop zone and a row for each file. */
export class WindlassUpload extends HTMLElement {
  /** The address that the backend's five routes are under; reflects the attribute. */
  endpoint: string;
  /** Parts on their way at once, over all files; reflects `max-concurrent`. */
  maxConcurrent: number | undefined;
  /** The only origins that files may be sent to; reflects `store-origins`, which separates them by spaces. Empty: any. */
  storeOrigins: string[];
  /** What is proven by checksums; reflects the attribute. See `CommonOptions`. */
  proof: 'object' | 'part' | 'off';
  /** Whether uploads are remembered; the attribute `journal="off"` is no. See `CommonOptions`. */
  journal: boolean;
  /** Whether the browser asks before bytes would be lost; the attribute `leave-guard="off"` is no. See `CommonOptions`. */
  leaveGuard: boolean;
  /** Whether the screen stays on while files go up; the attribute `wake-lock="off"` is no. See `CommonOptions`. */
  wakeLock: boolean;
  /** Headers of every call to the backend. */
  headers: Record<string, string>;
  /** Whether cookies go to a backend on another origin. */
  withCredentials: boolean;
  /** Functions in place of an endpoint. */
  backend: Backend | undefined;
  /** What stands between the files and the store. See `CommonOptions`. */
  transform: Transform | undefined;
  /** Whether the doctor looks by itself, once, after the first failure that it may explain. */
  doctor: boolean;
  /** Tries backend and store with tiny real requests; what is in the way comes first. See `windlass/doctor`. */
  diagnose(file?: TestFile): Promise<Finding[]>;
  /** Uploads of before that go on once their file is chosen again. */
  unfinished(): Promise<Unfinished[]>;
  /** Remembers nothing of this backend's uploads any more, and has those freed that no page goes on with. */
  forget(): Promise<void>;
  /** Starts to upload files, as if the person had chosen them. */
  addFiles(files: Iterable<File> | ArrayLike<File>): void;
  addEventListener<K extends keyof WindlassEventMap>(
    type: K,
    listener: (this: WindlassUpload, event: WindlassEventMap[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

declare global {
  interface HTMLElementTagNameMap {
    'windlass-upload': WindlassUpload;
  }
  interface HTMLElementEventMap extends WindlassEventMap {}
}
