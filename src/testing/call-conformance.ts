/** What every CallTransport keeps to. */
import { callBodies } from './call-bodies.js';
import { callEndings } from './call-endings.js';
import type { CallHarness } from './call-harness.js';
import { callLifecycle } from './call-lifecycle.js';
import { callMessages } from './call-messages.js';
import { type ConformanceCase, toCases } from './conformance.js';

/** The suite for call transports. */
export function callConformance(harness: CallHarness): ConformanceCase[] {
  const { traits } = harness;
  return toCases(harness, [callMessages(traits), callBodies(traits), callEndings(), callLifecycle()]);
}
