/**
 * Sessions of the conformance suites over a store on a simulated machine.
 *
 * The suites await answers without letting time pass, and here an answer takes some: while one is awaited, time goes on by itself, for a
 * few milliseconds at most, so that what the suites time is not disturbed.
 */
import type { SimMachine, SimProcess, Simulation } from 'evenkeel/sim';
import { createSimulation } from 'evenkeel/sim';
import type { StoreSession } from 'evenkeel/testing';

const STEP_MS = 0.1;
/** Longer than the slowest answer: two ways of at most 0.2 ms, several times. */
const MOST_MS = 3;

/** @param create - Makes the store, and gives what opens a client of it in a process. */
export async function simSession<T extends { close(): Promise<void> }>(
  create: (simulation: Simulation, machine: SimMachine) => (process: SimProcess) => T,
): Promise<StoreSession<T>> {
  const simulation = createSimulation({ seed: 1, link: { latencyMs: (random) => 0.02 + 0.18 * random.next() } });
  const { clock } = simulation;
  const store = simulation.machine('store');
  const open = create(simulation, store);
  let clients = 0;
  let turn: Promise<unknown> = Promise.resolve();
  /** One at a time: two that advance one clock would set it back. */
  const advance = (ms: number): Promise<void> => {
    const next = turn.then(() => clock.advance(ms));
    turn = next.catch(() => {});
    return next;
  };
  const pumped = async <R>(answer: Promise<R>): Promise<R> => {
    let isSettled = false;
    const settle = () => {
      isSettled = true;
    };
    answer.then(settle, settle);
    for (let ms = 0; ms < MOST_MS && !isSettled; ms += STEP_MS) await advance(STEP_MS);
    return wrap(await answer);
  };
  /** The same, with every promise of its methods pumped, and of the deliveries and writers that they give. */
  const wrap = <V>(value: V): V => {
    if (Array.isArray(value)) return value.map(wrap) as V;
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
    if (Object.getPrototypeOf(value) === Object.prototype) return value;
    return new Proxy(value, {
      get(target, key) {
        const member: unknown = Reflect.get(target, key, target);
        if (typeof member !== 'function') return member;
        return (...args: unknown[]) => {
          const result: unknown = member.apply(target, args);
          return result instanceof Promise ? pumped(result) : wrap(result);
        };
      },
    });
  };
  const client = () => wrap(open(simulation.machine(`client-${clients++}`).process));
  const transport = client();
  const transports = [transport];
  const another = async () => {
    const next = client();
    transports.push(next);
    return next;
  };
  const close = async () => {
    await Promise.all(transports.splice(0).map((each) => each.close()));
  };
  return {
    transport,
    another,
    clock,
    advance,
    close,
    async restart() {
      await close();
      store.crash();
      await advance(100);
      store.boot();
      return another();
    },
    jumpWallTime: (ms) => clock.jumpWallTime(ms),
  };
}
