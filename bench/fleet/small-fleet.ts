/** F7: four CPU-bound servers in a closed loop, where probing once lost a fifth of the throughput. The default must not. */
import { staticResolver } from 'evenkeel/core';
import { auto, type PickerFactory, probePool, roundRobin } from 'evenkeel/router';
import { callbackRouter, createSimulation, logNormal, ProcessorSharing, SimServer, workPath } from 'evenkeel/sim';
import type { Claim, SuiteOptions } from '../support/claim.js';
import { median } from '../support/paired.js';

const SERVERS = 4;
const SLOTS = 2;
const IN_FLIGHT = 16;
const WORK_MS = 10;
const SIGMA = 0.5;
const NETWORK_MS = 0.2;
const WARM_UP_MS = 2000;
const MEASURED_MS = 20_000;
const SEEDS = 5;

export async function smallFleet(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  const seeds = Array.from({ length: SEEDS }, (_, i) => options.seed + i);
  const rates = async (picker: () => PickerFactory) => {
    const results: number[] = [];
    for (const seed of seeds) results.push(await throughput(seed, picker()));
    return results;
  };
  const ours = await rates(() => auto());
  const turns = await rates(() => roundRobin());
  const pool = await rates(() => probePool());
  const ratios = ours.map((rate, i) => rate / (turns[i] as number));
  onClaim({
    id: 'F7',
    claim: `throughput of ${SERVERS} CPU-bound servers, closed loop with ${IN_FLIGHT} in flight, default router against round robin`,
    bar: '>= 0.98x',
    measured: median(ratios),
    unit: 'x',
    low: Math.min(...ratios),
    high: Math.max(...ratios),
    samples: seeds.length,
    holds: Math.min(...ratios) >= 0.98,
    seed: options.seed,
    peers: [
      { name: 'round robin', version: 'simulated', settings: 'same work', measured: `${median(turns).toFixed(0)} requests/s` },
      { name: 'auto()', version: 'simulated', settings: 'default', measured: `${median(ours).toFixed(0)} requests/s` },
      { name: 'probePool()', version: 'simulated', settings: 'default', measured: `${median(pool).toFixed(0)} requests/s` },
    ],
  });
}

/** Requests per second. */
async function throughput(seed: number, picker: PickerFactory): Promise<number> {
  const simulation = createSimulation({ seed, link: { latencyMs: NETWORK_MS } });
  const { clock } = simulation;
  const endpoints = Array.from({ length: SERVERS }, (_, index) => {
    const machine = simulation.machine(`server-${index}`, { processors: SLOTS });
    const { address } = new SimServer(simulation, machine, { processor: new ProcessorSharing(clock, { slots: SLOTS }) });
    return { id: machine.name, address };
  });
  const router = callbackRouter(simulation, simulation.machine('client').process, {
    service: 'cpu-bound',
    resolver: staticResolver(endpoints),
    picker,
    retry: false,
  });
  await clock.settle();
  const work = logNormal(WORK_MS, SIGMA);
  const random = simulation.random.fork('work');
  let served = 0;
  const next = () => {
    if (clock.now() >= WARM_UP_MS + MEASURED_MS) return;
    const onEnd = () => {
      if (clock.now() >= WARM_UP_MS) served++;
      next();
    };
    router.call({ path: workPath(work(random)) }, onEnd, onEnd);
  };
  for (let i = 0; i < IN_FLIGHT; i++) next();
  clock.runSync(WARM_UP_MS + MEASURED_MS);
  return (served * 1000) / MEASURED_MS;
}
