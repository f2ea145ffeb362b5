import type { Backend } from './backend.js';

export interface CompanionOptions {
  /** The address of your Companion, as Uppy has it. */
  url: string;
  /** Headers of every call to it. Companion's CORS rule allows `Authorization` and `Uppy-Auth-Token`. */
  headers?: Record<string, string>;
  /** Whether cookies go to a Companion on another origin. */
  withCredentials?: boolean;
}

/** A backend that asks Uppy Companion, unmodified, for S3 uploads. Throws "bad-options" without a `url`. */
export function companion(options: CompanionOptions): Backend;
