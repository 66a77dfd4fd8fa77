/** Nanoseconds and bytes of one operation. Run with `--expose-gc --max-semi-space-size=128`, so that no collection hides an allocation. */

export interface OperationCost {
  readonly ns: number;
  /** Heap bytes an operation; below 1 it allocates nothing: what is left is the measuring. */
  readonly bytes: number;
}

const BATCH = 100_000;
const BATCHES = 21;

/** Median over batches, after warm-up. `operation` gets a running number. */
export function costOf(operation: (i: number) => unknown): OperationCost {
  let sink: unknown;
  const batch = () => {
    for (let i = 0; i < BATCH; i++) sink = operation(i);
  };
  for (let i = 0; i < 10; i++) batch();
  const ns: number[] = [];
  const bytes: number[] = [];
  for (let i = 0; i < BATCHES; i++) {
    globalThis.gc?.();
    const heap = process.memoryUsage().heapUsed;
    const { user, system } = process.cpuUsage();
    batch();
    const after = process.cpuUsage();
    bytes.push((process.memoryUsage().heapUsed - heap) / BATCH);
    ns.push(((after.user + after.system - user - system) * 1000) / BATCH);
  }
  keep = sink;
  return { ns: middle(ns), bytes: Math.max(0, middle(bytes)) };
}

/** What was computed last; read by nobody, so that the work is not optimised away. */
export let keep: unknown;

function middle(values: number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number;
}
