/**
 * What builders before left: their tables, to go on from, and everything under `rib/`, to be tidied up. Read once, at the beginning
 * of a term.
 */
import type { StateTransport } from '../../core/transport/state.js';
import { headKey, RIB_PREFIX, ribPrefix } from './rib-keys.js';
import type { RoutingTable } from './routing-table.js';
import { TableAssembler } from './table-assembler.js';
import { WatchedDocuments } from './watched-documents.js';

export interface LastTable {
  /** Highest version published; 0: none. */
  readonly version: number;
  /** Undefined when it cannot be put together any more. */
  readonly table: RoutingTable | undefined;
  /** Of all its pieces. */
  readonly keys: readonly string[];
}

class Leftover {
  readonly keys: string[] = [];
  readonly assembler: TableAssembler;

  constructor(segment: string) {
    this.assembler = new TableAssembler(segment, ribPrefix(segment));
  }
}

/** By the service's segment. Rejects when `signal` aborts first. */
export function readLastTables(
  state: StateTransport,
  signal: AbortSignal,
  onMalformed: (key: string, error: unknown) => void,
): Promise<Map<string, LastTable>> {
  return new Promise((resolve, reject) => {
    const leftovers = new Map<string, Leftover>();
    const onAbort = () => {
      watch.close();
      reject(signal.reason);
    };
    const watch = new WatchedDocuments(state, RIB_PREFIX, {
      onPut: ({ key, value }) => {
        const segment = key.slice(RIB_PREFIX.length).split('/', 1)[0] ?? '';
        const leftover = leftovers.get(segment) ?? new Leftover(segment);
        leftovers.set(segment, leftover);
        if (key !== headKey(ribPrefix(segment))) leftover.keys.push(key);
        attempt(key, () => leftover.assembler.put(key, value));
      },
      onGone: () => {},
      onSynced: () => {
        signal.removeEventListener('abort', onAbort);
        watch.close();
        resolve(new Map([...leftovers].map(([segment, leftover]) => [segment, read(segment, leftover)])));
      },
    });
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });

    function read(segment: string, { assembler, keys }: Leftover): LastTable {
      attempt(segment, () => assembler.advance());
      return { version: assembler.head?.version ?? 0, table: assembler.table, keys };
    }
    function attempt(key: string, act: () => void): void {
      try {
        act();
      } catch (error) {
        onMalformed(key, error);
      }
    }
  });
}
