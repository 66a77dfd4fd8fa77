/** What every BlobTransport keeps to. */

import type { BlobHarness } from './blob-harness.js';
import { blobReading } from './blob-reading.js';
import { blobWriting } from './blob-writing.js';
import { type ConformanceCase, toCases } from './conformance.js';

/**
 * The suite for blob transports.
 *
 * @param harness - Opens a fresh, empty store for every case.
 */
export function blobConformance(harness: BlobHarness): ConformanceCase[] {
  return toCases(harness, [blobWriting(harness.traits), blobReading(harness.traits)]);
}
