/** A world of a server that echoes and clients that call it, for tests of what goes wrong between them. */

import type { CallRequest } from '../../../src/core/transport/call.js';
import type { VirtualClock } from '../../../src/core/virtual-clock.js';
import type { ArrivedCall } from '../../../src/sim/arrived-call.js';
import type { SimMachine } from '../../../src/sim/machine.js';
import { createSimulation, type Simulation, type SimulationOptions } from '../../../src/sim/simulation.js';

/** How a call stands for its caller: `status at-ms`, `code at-ms`, or undefined while it goes on. */
export interface Ended {
  text: string | undefined;
}

export function call(simulation: Simulation, from: SimMachine, to: string, request: Partial<CallRequest> = {}): Ended {
  const ended: Ended = { text: undefined };
  let status = 0;
  const tell = (what: string | number) => {
    if (ended.text !== undefined) throw new Error(`told twice: ${ended.text}, ${what}`);
    ended.text = `${what} ${Math.round(simulation.clock.now() * 1e6) / 1e6}`;
  };
  simulation.calls(from.process).start(
    { id: to, address: `sim://${to}` } as never,
    { path: '/', ...request },
    {
      onResponse: (given) => {
        status = given;
      },
      onData() {},
      onEnd: () => tell(status),
      onError: ({ code }) => tell(code),
    },
  );
  return ended;
}

/** Answers 200 after `workMs`; keeps the calls that came. */
export function echo(simulation: Simulation, machine: SimMachine, workMs = 0): ArrivedCall[] {
  const arrived: ArrivedCall[] = [];
  machine.onBoot((process) => {
    simulation.calls(process).listen(`sim://${machine.name}`, (call) => {
      arrived.push(call);
      if (workMs === 0) call.answer(200, []);
      else process.runtime.clock.timer(workMs, () => call.answer(200, []));
    });
  });
  // The first process starts here, and not by its being mentioned later.
  void machine.process;
  return arrived;
}

export function pair(options: SimulationOptions & { workMs?: number } = {}) {
  const simulation = createSimulation({ seed: 1, link: { latencyMs: 1 }, ...options });
  const client = simulation.machine('client');
  const server = simulation.machine('server');
  const arrived = echo(simulation, server, options.workMs);
  return { simulation, client, server, arrived, clock: simulation.clock };
}

/** Lets time pass until `atMs`, and stand there. */
export function runTo(clock: VirtualClock, atMs: number): void {
  clock.timer(atMs - clock.now(), () => {});
  clock.runSync(atMs);
}
