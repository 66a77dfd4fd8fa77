/**
 * A region is lost and comes back: builder, resolvers and rings as they are, servers and calls as rates. What calls do to a server is
 * seen by its callers at the next look, and by the builder when the server renews its announcement.
 */
import { afterAll, describe, expect, it } from 'vitest';
import type { Endpoint } from '../../../../src/core/endpoint.js';
import { reportDemand } from '../../../../src/router/rib/demand.js';
import { RingSelector } from '../../../../src/router/rib/rings.js';
import { ribRig, SERVICE } from '../../../support/rib-rig.js';

const REGIONS = ['eu/w', 'eu/n', 'us/e', 'us/w'];
const SERVERS = 8;
/** Calls a second that fill a server. */
const CAPACITY = 100;
const STEP_MS = 100;
/** Callers take a dead server out after this. */
const EJECTION_MS = 500;
const RTTS = [
  ['eu/w', 'eu/n', 25],
  ['us/e', 'us/w', 60],
  ['eu/w', 'us/e', 80],
  ['eu/n', 'us/e', 90],
  ['eu/w', 'us/w', 140],
  ['eu/n', 'us/w', 150],
] as const;

interface Member {
  readonly endpoint: Endpoint;
  readonly weight: number;
}

const problems: string[] = [];

async function fleet(seed: number, load: number) {
  const rig = ribRig(seed);
  const { clock, state, runtime } = rig;
  for (const [from, to, rttMs] of RTTS) {
    const document = { v: 1, token: 1, value: { from, to, rttMs } };
    const key = `rtt/${encodeURIComponent(from)}/${encodeURIComponent(to)}`;
    await state.put(key, new TextEncoder().encode(JSON.stringify(document)));
  }
  const utilization = new Map<string, number>();
  const deadSince = new Map<string, number>();
  const all = REGIONS.flatMap((region) =>
    Array.from({ length: SERVERS }, (_, i) => ({ region, id: `${region.replace('/', '-')}-${i}` })),
  );
  const start = ({ region, id }: { region: string; id: string }) =>
    rig.server(id, {
      locality: `${region}/a`,
      leaseMs: 3000,
      load: () => ({ applicationUtilization: utilization.get(id) ?? 0, rps: (utilization.get(id) ?? 0) * CAPACITY, eps: 0 }),
    });
  const running = new Map(all.map((one) => [one.id, start(one)]));
  rig.builder();
  const callers = REGIONS.map((region) => {
    const selector = new RingSelector<Member>({
      locality: `${region}/b`,
      loadOf: ({ endpoint }) => utilization.get(endpoint.id),
    });
    const { log, resolution } = rig.reader();
    const rate = load * SERVERS * CAPACITY;
    reportDemand({ state, service: SERVICE, locality: `${region}/b`, ratePerSecond: () => rate, runtime });
    return { selector, log, resolution, rate };
  });
  /** One step of calls; resolves with the utilisation of each region that lives. */
  const step = async () => {
    const now = clock.now();
    const rates = new Map<string, number>();
    for (const { selector, log, rate } of callers) {
      const known = log.endpoints.map((endpoint) => ({ endpoint, weight: endpoint.weight ?? 1 }));
      selector.update(
        known.filter(({ endpoint }) => now - (deadSince.get(endpoint.id) ?? now) < EJECTION_MS),
        known,
      );
      selector.setRouting(log.tables.at(-1));
      selector.refresh(now);
      for (const [i, chance] of selector.chances().entries()) {
        const candidates = selector.sets[i]?.candidates ?? [];
        for (const { endpoint } of candidates) {
          rates.set(endpoint.id, (rates.get(endpoint.id) ?? 0) + (rate * chance) / candidates.length);
        }
      }
    }
    for (const { id } of all) utilization.set(id, deadSince.has(id) ? 0 : (rates.get(id) ?? 0) / CAPACITY);
    await clock.advance(STEP_MS);
    return new Map(
      REGIONS.filter((region) => all.some((one) => one.region === region && !deadSince.has(one.id))).map((region) => {
        const servers = all.filter((one) => one.region === region);
        return [region, servers.reduce((sum, { id }) => sum + (utilization.get(id) ?? 0), 0) / SERVERS];
      }),
    );
  };
  return {
    ...rig,
    step,
    async run(seconds: number) {
      const steps: Map<string, number>[] = [];
      for (let i = 0; i < (seconds * 1000) / STEP_MS; i++) steps.push(await step());
      for (const { log } of callers) problems.push(...log.disorders);
      return steps;
    },
    lose(region: string) {
      for (const one of all.filter((server) => server.region === region)) {
        deadSince.set(one.id, clock.now());
        const server = running.get(one.id);
        if (server !== undefined) server.state.fault = 'hang';
      }
    },
    async restore(region: string) {
      for (const one of all.filter((server) => server.region === region)) {
        deadSince.delete(one.id);
        const server = running.get(one.id);
        if (server !== undefined) server.state.fault = undefined;
      }
    },
  };
}

/** How often a region's utilisation turns by more than noise. */
function turns(values: readonly number[]): number {
  let extreme = values[0] ?? 0;
  let direction = 0;
  let count = 0;
  for (const value of values) {
    if (Math.abs(value - extreme) < 0.03) continue;
    const next = Math.sign(value - extreme);
    if (direction !== 0 && next !== direction) count++;
    direction = next;
    extreme = value;
  }
  return count;
}

describe('a region that is lost and comes back', () => {
  it.each([1, 2, 3])('leaves no other above 0.80 five seconds later, and nothing swings (seed %i)', async (seed) => {
    const { run, lose, restore } = await fleet(seed, 0.5);
    const before = await run(20);
    for (const one of before.slice(-50)) for (const value of one.values()) expect(value).toBeCloseTo(0.5, 2);
    lose('eu/w');
    const lost = await run(40);
    const settled = lost.slice(50);
    for (const [i, one] of settled.entries()) {
      for (const [region, value] of one) expect(value, `${region} ${5 + i / 10} s after the loss`).toBeLessThanOrEqual(0.8);
    }
    await restore('eu/w');
    const back = await run(40);
    for (const one of back) for (const value of one.values()) expect(value).toBeLessThanOrEqual(0.8);
    for (const one of back.slice(60)) for (const value of one.values()) expect(value).toBeCloseTo(0.5, 1);
    for (const region of REGIONS.slice(1)) {
      expect(turns(settled.map((one) => one.get(region) ?? 0)), `${region} after the loss`).toBeLessThanOrEqual(1);
      expect(turns(back.map((one) => one.get(region) ?? 0)), `${region} after the return`).toBeLessThanOrEqual(1);
    }
  });

  afterAll(() => {
    expect(problems).toEqual([]);
  });
});
