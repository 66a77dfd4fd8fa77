import { describe, expect, it } from 'vitest';
import { CallLedger } from '../../../src/sim/chaos/call-ledger.js';
import { Pauses } from '../../../src/sim/chaos/pauses.js';
import { createSimulation } from '../../../src/sim/simulation.js';
import { runTo } from './world.js';

function open() {
  const simulation = createSimulation();
  const machine = simulation.machine('client');
  const pauses = new Pauses();
  return { clock: simulation.clock, machine, pauses, ledger: new CallLedger(1000, pauses), process: machine.process };
}

describe('the ledger of calls', () => {
  it('blames a call that is settled twice, late, or never', () => {
    const { ledger, process, clock } = open();
    const [twice, late] = [ledger.begin(process), ledger.begin(process), ledger.begin(process)];
    ledger.settle(twice as never, 1);
    ledger.settle(twice as never, 1);
    runTo(clock, 1100);
    ledger.settle(late as never, 1);
    ledger.close();
    expect(ledger.problems).toEqual([
      'call 0 settled twice',
      'call 1 settled 90.0 ms after its deadline',
      'call 2 was never settled',
    ]);
    expect(ledger.settled).toBe(2);
  });

  it('does not blame who stood still or is dead', () => {
    const { ledger, process, clock, machine, pauses } = open();
    const call = ledger.begin(process);
    pauses.pause(machine, 500);
    runTo(clock, 1400);
    ledger.settle(call, 2);
    ledger.begin(process);
    machine.crash();
    ledger.close();
    expect(ledger.problems).toEqual([]);
    expect(ledger.attempts).toBe(2);
  });

  it('blames what was done again without leave, and not what the network delivered twice', () => {
    const { ledger } = open();
    for (const isRepeatable of [true, true, false]) ledger.served(isRepeatable ? 1 : 2, isRepeatable);
    ledger.doubled(2);
    ledger.served(2, false);
    expect(ledger.problems).toEqual([]);
    ledger.served(2, false);
    expect(ledger.problems).toEqual(['call 2 may be done once and was done 3 times']);
  });
});
