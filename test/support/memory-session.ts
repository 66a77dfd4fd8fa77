/** Sessions of the conformance suites over a memory store, under virtual time. */
import assert from 'node:assert/strict';
import type { VirtualClock } from 'evenkeel/testing';
import { type StoreSession, virtualClock } from 'evenkeel/testing';

/** @param create - Opens one more client of the session's store. */
export function memorySession<T extends { close(): Promise<void> }>(
  create: (clock: VirtualClock) => () => T,
): StoreSession<T> & { readonly clock: VirtualClock } {
  const clock = virtualClock();
  const open = create(clock);
  const transport = open();
  const transports = [transport];
  const another = async () => {
    const next = open();
    transports.push(next);
    return next;
  };
  const close = async () => {
    await Promise.all(transports.map((each) => each.close()));
    assert.equal(clock.pending, 0, 'timers are left after close');
  };
  const restart = async () => {
    await close();
    return another();
  };
  const advance = (ms: number) => clock.advance(ms);
  const jumpWallTime = (ms: number) => clock.jumpWallTime(ms);
  return { transport, another, restart, clock, advance, jumpWallTime, close };
}
