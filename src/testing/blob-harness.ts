/** What the blob suite needs to know of an engine, and how it opens one. */
import type { BlobTransport } from '../core/transport/blob.js';
import type { Harness, StoreSession } from './conformance.js';

export interface BlobTraits {
  /** Committed blobs outlive every client. */
  readonly durable: boolean;
  /** Buffers of one writer that are in use at once: what a writer that is behind holds back. */
  readonly maxBuffers: number;
  /** Stored bytes are checked when read; the session can damage them. */
  readonly checksums: boolean;
  /** The size of the suite's large blob; several times `maxBuffers` buffers. */
  readonly largeBytes: number;
}

export interface BlobSession extends StoreSession<BlobTransport> {
  /** Damages the stored bytes of a blob. Needs the trait `checksums`. */
  corrupt?(name: string): Promise<void>;
}

export type BlobHarness = Harness<BlobSession, BlobTraits>;
