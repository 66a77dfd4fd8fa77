/** A request that has its time and no more, also one that does not listen to its signal. */
import { type Clock, deadlineSignal } from '../clock.js';

/** @throws {EvenkeelError} `deadline-exceeded` when `send` has not settled after `ms`; what `send` threw. */
export async function within<T>(clock: Clock, ms: number, send: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const signal = deadlineSignal(clock, ms);
  const timeout = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  try {
    return await Promise.race([send(signal), timeout]);
  } finally {
    signal[Symbol.dispose]();
  }
}
