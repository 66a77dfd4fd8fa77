/** All documents below a prefix, once: for those who look now and then and have nothing to follow. */
import type { Clock } from '../core/clock.js';
import { within } from '../core/internal/within.js';
import type { StateEntry, StateTransport } from '../core/transport/state.js';

/** @throws {EvenkeelError} `deadline-exceeded` when the list is not complete within `timeoutMs`; what `state` throws. */
export function listEntries(state: StateTransport, prefix: string, clock: Clock, timeoutMs: number): Promise<StateEntry[]> {
  const entries = new Map<string, StateEntry>();
  let close = () => {};
  const listed = within(
    clock,
    timeoutMs,
    () =>
      new Promise<StateEntry[]>((resolve) => {
        const watch = state.watch(prefix, ({ entry, type }) => {
          if (type === 'reset') entries.clear();
          else if (type === 'put' && entry !== undefined) entries.set(entry.key, entry);
          else if ((type === 'delete' || type === 'expired') && entry !== undefined) entries.delete(entry.key);
          else if (type === 'synced') resolve([...entries.values()]);
        });
        close = () => watch.close();
      }),
  );
  return listed.finally(() => close());
}
