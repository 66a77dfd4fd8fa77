/** How long a call may wait for its permit. Waits grow with what a call takes: for an answer of ten seconds nobody minds to wait for five. */
import type { QueueSettings } from './options.js';
import type { WindowMeter } from './window-meter.js';

const CALM_CALLS = 2;
const OVERLOAD_CALLS = 0.5;
/** Where calls end seldom, the queue has to last until the next ones do. */
const OVERLOAD_GAPS = 5;

/** A queue that empties within this time is none to worry about, and as long may a call wait in it. */
export function calmWaitMs(settings: QueueSettings, { typicalMs }: WindowMeter): number {
  return Math.max(settings.calmWaitMs, CALM_CALLS * typicalMs);
}

/** Never longer than a calm queue lets a call wait: after idleness the gap between ends is no measure of anything. */
export function overloadWaitMs(settings: QueueSettings, meter: WindowMeter): number {
  const { gapMs, typicalMs } = meter;
  const wantedMs = Math.max(settings.overloadWaitMs, OVERLOAD_CALLS * typicalMs, OVERLOAD_GAPS * gapMs);
  return Math.min(wantedMs, calmWaitMs(settings, meter));
}
