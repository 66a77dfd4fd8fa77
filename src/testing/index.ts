/** For those who test with evenkeel, and for those who write transports for it. */
export { seededRandom } from '../core/random.js';
export type { VirtualClock, VirtualClockOptions } from '../core/virtual-clock.js';
export { virtualClock } from '../core/virtual-clock.js';
export { blobConformance } from './blob-conformance.js';
export type { BlobHarness, BlobSession, BlobTraits } from './blob-harness.js';
export { callConformance } from './call-conformance.js';
export type { CallHarness, CallSession, CallTraits } from './call-harness.js';
export type { ConformanceCase, Harness, Session, StoreSession } from './conformance.js';
export { queueConformance } from './queue-conformance.js';
export type { QueueHarness, QueueTraits } from './queue-harness.js';
export { stateConformance } from './state-conformance.js';
export type { StateHarness, StateTraits } from './state-harness.js';
