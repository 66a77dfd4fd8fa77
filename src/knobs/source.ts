/** Where knobs have their state from. A source tells all it learns, in whatever order; who follows decides what is newer. */
import type { Reading } from './head-order.js';
import type { KnobSnapshot } from './snapshot.js';

/** What was read. */
export interface SourceReading extends Reading {
  /** Undefined: as before, what the reading proves is that nothing has changed. */
  readonly snapshot: KnobSnapshot | undefined;
}

export interface SourceListener {
  onReading(reading: SourceReading): void;
  /** Something went wrong; the source goes on. */
  onError(error: unknown): void;
}

export interface SourceHandle {
  /** Asks now, whatever the interval. */
  poll(): void;
  close(): void;
}
