/** Knobs and their actuator on stores of real engines, each on a connection of its own. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as nats from '@nats-io/transport-node';
import type { StateTransport } from 'evenkeel/core';
import { createActuator, createKnobs, type KnobsOptions } from 'evenkeel/knobs';
import { createNatsClient, createNatsState } from 'evenkeel/nats';
import { describe, expect, it } from 'vitest';
import { durableStore } from '../support/durable-store.js';
import { eventually as eventuallyWithin } from '../support/http-servers.js';
import { natsMissing, natsServer } from '../support/nats-server.js';
import { storePlaces } from '../support/store-places.js';

const eventually = (what: string, check: () => boolean) => eventuallyWithin(what, check, 20_000);
const REASON = { reason: 'INC-7', rampMs: 0 };

function searching(state: StateTransport, instance: string, options: Partial<KnobsOptions> = {}) {
  const knobs = createKnobs({ state, service: 'search', instance, reportEveryMs: 1000, ...options });
  return { knobs, rerank: knobs.define({ name: 'Search/SkipRerank', level: 3, oncall: 'search' }) };
}

describe.each(storePlaces)('knobs on $name', ({ isMissing, open }) => {
  it.skipIf(isMissing)('are turned everywhere by one who is elsewhere, who sees it arrive', async () => {
    await using place = await open();
    const states = Array.from({ length: 3 }, () => durableStore(place.address).state());
    const [first, second, third] = states as [StateTransport, StateTransport, StateTransport];
    const [one, two] = [searching(first, 'search-1'), searching(second, 'search-2')];
    expect(await Promise.all([one.knobs.ready({ timeoutMs: 20_000 }), two.knobs.ready({ timeoutMs: 20_000 })])).toEqual([
      true,
      true,
    ]);
    const actuator = createActuator({ state: third, actor: 'ada' });
    while ((await actuator.status()).instances < 2) await new Promise((resolve) => setTimeout(resolve, 50));
    const { revision } = await actuator.setLevel('all', 3, REASON);
    await eventually('both are on', () => one.rerank.on && two.rerank.on);
    const so = await actuator.propagation(revision, { withinMs: 20_000 });
    expect(so).toMatchObject({ applied: 2, total: 2, laggards: [] });
    await actuator.release('all', REASON);
    await eventually('both are off', () => !one.rerank.on && !two.rerank.on);
    expect((await actuator.history()).map(({ change }) => change.type)).toEqual(['release-all', 'level']);
    await Promise.all([one.knobs.close(), two.knobs.close()]);
    while ((await actuator.status()).instances > 0) await new Promise((resolve) => setTimeout(resolve, 50));
    for (const state of states) await state.close();
  });
});

describe.skipIf(natsMissing !== undefined)('knobs on a NATS server that is killed', () => {
  it('stay as they were, say that they are stale, start from their copy, and follow again when it is back', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'evenkeel-knobs-'));
    const cacheFile = join(folder, 'knobs.json');
    await using server = await natsServer();
    const clients = Array.from({ length: 3 }, () =>
      createNatsClient({ nats, connect: { servers: server.servers }, timeoutMs: 500 }),
    );
    const [own, later, operators] = clients.map((client) => createNatsState({ client, bucket: 'knobs' })) as [
      StateTransport,
      StateTransport,
      StateTransport,
    ];
    const one = searching(own, 'search-1', { cacheFile });
    await one.knobs.ready({ timeoutMs: 20_000 });
    const actuator = createActuator({ state: operators, actor: 'ada' });
    await actuator.setLevel('all', 3, REASON);
    await eventually('it is on', () => one.rerank.on);
    await server.kill();
    await eventually('it is stale', () => one.knobs.snapshot().isStale);
    expect(one.rerank.on).toBe(true);
    const cold = searching(later, 'search-2', { cacheFile });
    expect([await cold.knobs.ready(), cold.rerank.on]).toEqual([false, true]);
    await server.restart();
    await eventually('both are fresh', () => one.knobs.ageMs < 3000 && cold.knobs.ageMs < 3000);
    await actuator.release('all', { ...REASON, force: true });
    await eventually('both are off', () => !one.rerank.on && !cold.rerank.on);
    await Promise.all([one.knobs.close(), cold.knobs.close()]);
    for (const state of [own, later, operators]) await state.close();
    for (const client of clients) await client.close();
    await rm(folder, { recursive: true });
  });
});
