// The backend contract, as functions of the page have it. Times are milliseconds since the Unix epoch by the backend's
// clock, sizes are bytes, part numbers start at 1. What each call means is in docs/openapi.json of the project.

/** The dialect of the store. */
export type Provider = 's3' | 'azure' | 'gcs';

/** What a refused call, or one entry of a batch, says. Codes are those of the contract, or the backend's own. */
export interface Problem {
  /** The HTTP status that it has, or would have outside a batch. */
  status: number;
  code?: string;
  title?: string;
  /** A sentence for the person. */
  detail?: string;
}

/** A presigned request for one part. Its URL is a secret. */
export interface Grant {
  number: number;
  /** `POST` is a form, for an upload in a single request only. */
  method: 'PUT' | 'POST';
  url: string;
  /** Exactly the headers that were signed and that the page has to send. */
  headers?: Record<string, string>;
  /** The form's fields in front of the file, for `POST`. */
  fields?: Record<string, string>;
  expiresAt: number;
}

/** What a store takes, where that differs from the usual of its dialect. */
export interface Limits {
  minPartSize: number;
  maxPartSize: number;
  maxParts: number;
  maxSize: number;
}

export interface NewFile {
  /** The page's name for this entry; the answer has one entry with the same. */
  ref: string;
  name: string;
  size: number | null;
  type: string;
  lastModified: number | null;
  path: string;
  metadata: Record<string, string>;
  /** What the page will send checksums for, if it will. */
  checksum?: 'object' | 'part';
}

/** How checksums are made: their bytes, the highest first, in base64. */
export interface Checksums {
  algorithm: 'crc64nvme' | 'crc32c' | 'crc32' | 'sha256' | 'md5';
  /** Whether `sign` is to be told that of each part. */
  parts: boolean;
}

export interface StartedUpload {
  ref: string;
  id: string;
  provider: Provider;
  key: string;
  method: 'single' | 'multipart' | 'resumable';
  /** Bytes of every part but the last; without it the page chooses. */
  partSize?: number;
  /** Whether this goes on with an upload of before: what the store holds of it is listed first. Needs its `partSize`. */
  begun?: boolean;
  limits?: Limits;
  /** Where the file has `checksum`, and the store can make use of some. */
  checksum?: Checksums;
  /** Grants of the first parts; of `single` and `resumable` the one there is. */
  parts?: Grant[];
  expiresAt?: number;
}

export interface CreateRequest {
  files: NewFile[];
}
export interface CreateAnswer {
  uploads: (StartedUpload | { ref: string; problem: Problem })[];
  serverTime: number;
}

export interface SignRequest {
  uploads: { id: string; parts: { number: number; size: number; checksum?: string }[] }[];
}
export interface SignAnswer {
  uploads: ({ id: string; parts: Grant[] } | { id: string; problem: Problem })[];
  serverTime: number;
}

export interface ListRequest {
  id: string;
  /** Where the page before ended: its `next`. */
  after?: number;
}
export interface ListAnswer {
  parts: { number: number; size: number; etag?: string; checksum?: string }[];
  next?: number;
}

export interface CompleteRequest {
  uploads: {
    id: string;
    size: number;
    /** Of the whole file. */
    checksum?: string;
    /** Every part, in order; `etag` where the browser was allowed to read it. */
    parts: { number: number; etag?: string; checksum?: string }[];
  }[];
}
export interface CompleteAnswer {
  objects: (
    | { id: string; key: string; size: number; etag?: string; checksum?: string; url?: string }
    | { id: string; problem: Problem }
  )[];
}

export interface AbortRequest {
  ids: string[];
}

/** What each function gets beside the request. */
export interface CallContext {
  /** Aborted when the answer is not waited for any more. */
  signal: AbortSignal;
}

/**
 * An app's own way to presign. An error that is thrown with a `status` from 400 to 599 is a refusal; it may have a
 * `code`, a sentence as `detail` or `message`, and `retryAfter` in seconds. Any other means that there was no answer, and
 * the call is made again. `complete` and `abort` must bear to be asked again, since an answer can be lost.
 */
export interface Backend {
  /** What tells it from others of this origin, for the journal. Without it nothing is remembered: see `CommonOptions`. */
  place?: string;
  create(request: CreateRequest, context: CallContext): Promise<CreateAnswer>;
  sign(request: SignRequest, context: CallContext): Promise<SignAnswer>;
  list(request: ListRequest, context: CallContext): Promise<ListAnswer>;
  complete(request: CompleteRequest, context: CallContext): Promise<CompleteAnswer>;
  abort(request: AbortRequest, context: CallContext): Promise<object | void>;
}

/** A refusal as the functions of a backend throw it. */
export interface RefusalError extends Error {
  status: number;
  code?: string;
  detail?: string;
  /** Seconds. */
  retryAfter?: number;
}
