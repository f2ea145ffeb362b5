import type { UploadOptions } from './index.js';

/** What the doctor can find; these names do not change. */
export type FindingCode =
  | 'offline'
  | 'csp-connect-src'
  | 'bad-endpoint'
  | 'backend-mixed-content'
  | 'backend-unreachable'
  | 'backend-cors'
  | 'backend-threw'
  | 'backend-not-found'
  | 'backend-unauthorized'
  | 'backend-login-page'
  | 'backend-redirect'
  | 'backend-not-json'
  | 'backend-wrong-shape'
  | 'backend-refused'
  | 'backend-error'
  | 'backend-clock'
  | 'store-refused-backend'
  | 'store-origin'
  | 'store-mixed-content'
  | 'store-unreachable'
  | 'store-cors'
  | 'store-cors-header'
  | 'grant-expired'
  | 'grant-clock'
  | 'wrong-region'
  | 'wrong-key'
  | 'signature-mismatch'
  | 'checksum-refused'
  | 'no-bucket'
  | 'upload-gone'
  | 'store-forbidden'
  | 'store-refused'
  | 'list-lacks-part'
  | 'etag-hidden'
  | 'clock-skew'
  | 'abort-failed'
  | 'not-tried';

/** One thing that is missing. It has no presigned URL, no query and no token in it. */
export interface Finding {
  code: FindingCode;
  /** What is the matter. */
  sentence: string;
  /** What to do. */
  fix?: string;
  /** What to paste where `fix` says. */
  paste?: string;
  /** Uploads work in spite of it. */
  note?: true;
}

/** The file that the doctor says it has, for a backend whose policy takes only some. 5 MiB and a byte unless set. */
export interface TestFile {
  name?: string;
  type?: string;
  size?: number;
}

/**
 * Tries backend and store with tiny real requests: an upload is started, its last part signed and sent, the parts
 * listed, and all of it given up; it is never completed. What is in the way comes first, notes last; nothing is well.
 */
export function diagnose(options: UploadOptions, file?: TestFile): Promise<Finding[]>;

/** A CORS rule to paste for a store: `headers` are those of the grants, beside `Content-Type`. */
export function corsRule(store: 's3' | 's3-xml' | 'r2' | 'gcs' | 'azure', origin: string, headers?: string[]): string;
