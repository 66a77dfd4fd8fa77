import { expect, it } from 'vitest';
import { cohortOf } from '../../../../src/core/cohort.js';
import type { HeaderList } from '../../../../src/core/headers.js';
import { createRuntime } from '../../../../src/core/runtime.js';
import { virtualClock } from '../../../../src/core/virtual-clock.js';
import { type DoorOptions, resolveDoorOptions } from '../../../../src/limiter/doors/door-options.js';
import { RequestClaims } from '../../../../src/limiter/doors/request-claim.js';
import { createLimiter } from '../../../../src/limiter/gated-limiter.js';
import { coreOf } from '../../../../src/limiter/limiter-core.js';
import { FakeHost } from '../../../support/fake-host.js';

const NOW = 500;

function claims(options: DoorOptions<string> = {}) {
  const clock = virtualClock();
  const host = new FakeHost();
  const runtime = createRuntime({ clock, host });
  const core = coreOf(createLimiter({ runtime, partitions: { gold: 0.5 } }));
  const reader = new RequestClaims(core, resolveDoorOptions(options));
  const read = (headers: HeaderList = [], address = '10.0.0.1', latest?: number) =>
    reader.read('request', headers, address, NOW, latest);
  return { clock, reader, read, warnings: host.warnings };
}

const baggage = (text: string) => ['Baggage', text];

it('claims one call of default priority without a deadline for a bare request', () => {
  const { read, reader } = claims();
  expect(read()).toEqual({ criticality: 'critical' });
  expect(reader.claim).toEqual({ weight: 1, rank: 1, cohort: undefined, partition: 0, deadline: Number.POSITIVE_INFINITY });
});

it('forgets what the request before claimed', () => {
  const { read, reader } = claims({ trusted: () => true });
  read([...baggage('evenkeel.criticality=sheddable,evenkeel.cohort=9'), 'evenkeel-timeout-ms', '10']);
  expect(reader.claim).toEqual({ weight: 1, rank: 3, cohort: 9, partition: 0, deadline: NOW + 10 });
  read();
  expect(reader.claim).toMatchObject({ rank: 1, cohort: undefined, deadline: Number.POSITIVE_INFINITY });
});

it.each([
  ['10.0.0.1', 'critical'],
  ['10.0.0.7', 'critical-plus'],
  ['::ffff:10.0.0.7', 'critical-plus'],
  ['::ffff:10.0.0.77', 'critical'],
])('lets %s claim no more than %s when 10.0.0.7 is trusted', (address, criticality) => {
  const { read } = claims({ trusted: ['10.0.0.7'] });
  expect(read(baggage('evenkeel.criticality=critical-plus'), address)).toMatchObject({ criticality });
});

it('lets anybody claim less than the cap', () => {
  const { read } = claims({ untrustedCriticality: 'sheddable-plus' });
  expect(read(baggage('evenkeel.criticality=sheddable'))).toMatchObject({ criticality: 'sheddable' });
  expect(read()).toMatchObject({ criticality: 'sheddable-plus' });
});

it('caps the deadline of everybody, trusted or not', () => {
  const { read } = claims({ trusted: () => true, maxTimeoutMs: 100 });
  expect(read(['evenkeel-timeout-ms', '5000'])).toMatchObject({ deadline: NOW + 100 });
});

it('takes the sooner of the framework’s deadline and the one of the headers', () => {
  const { read } = claims({ maxTimeoutMs: 100 });
  expect(read(['evenkeel-timeout-ms', '50'], '', NOW + 30)).toMatchObject({ deadline: NOW + 30 });
  expect(read(['evenkeel-timeout-ms', '20'], '', NOW + 30)).toMatchObject({ deadline: NOW + 20 });
  expect(read([], '', NOW + 5000)).toMatchObject({ deadline: NOW + 100 });
});

it('draws the cohort of the user, and believes one that is brought from trusted callers only', () => {
  const { clock, read } = claims({ userOf: () => 'alice', trusted: ['10.0.0.7'] });
  const drawn = cohortOf('alice', clock.wallTime());
  const brought = baggage(`evenkeel.cohort=${(drawn + 1) % 128}`);
  expect(read()).toMatchObject({ cohort: drawn });
  expect(read(brought)).toMatchObject({ cohort: drawn });
  expect(read(brought, '10.0.0.7')).toMatchObject({ cohort: (drawn + 1) % 128 });
  expect(read([], '10.0.0.7')).toMatchObject({ cohort: drawn });
});

it.each([{ userOf: () => undefined }, {}])('where no user is named, keeps the cohort that a trusted caller brings', (options) => {
  const { read } = claims({ ...options, trusted: ['10.0.0.7'] });
  expect(read(baggage('evenkeel.cohort=7'), '10.0.0.7')).toMatchObject({ cohort: 7 });
  expect(read(baggage('evenkeel.cohort=0'))).toEqual({ criticality: 'critical' });
});

it('skips a request whatever its headers say', () => {
  const { read, reader } = claims({ skip: () => true });
  expect(read(['evenkeel-timeout-ms', 'soon'])).toEqual({ criticality: 'critical' });
  expect(reader.isSkipped).toBe(true);
});

it('weighs and assigns by what the options say', () => {
  const { read, reader } = claims({ weightOf: (request) => request.length, partitionOf: () => 'gold' });
  read();
  expect(reader.claim).toMatchObject({ weight: 'request'.length, partition: 1 });
});

it.each([
  ['evenkeel-timeout-ms', 'soon'],
  ['evenkeel-timeout-ms', '-1'],
  ['grpc-timeout', '5'],
])('returns what is wrong with %s: %s', (name, value) => {
  expect(claims().read([name, value])).toMatchObject({ code: 'invalid-argument' });
});

it.each([
  ['weightOf', { weightOf: () => 0 }],
  ['weightOf', { weightOf: () => JSON.parse('x') }],
  ['partitionOf', { partitionOf: () => JSON.parse('x') }],
  ['userOf', { userOf: () => JSON.parse('x') }],
  ['trusted', { trusted: () => JSON.parse('x') }],
  ['skip', { skip: () => JSON.parse('x') }],
])('goes on without %s that fails, and tells the operator', (name, options) => {
  const { read, reader, warnings } = claims(options);
  expect(read()).toEqual({ criticality: 'critical' });
  expect(reader.isSkipped).toBe(false);
  expect(reader.claim).toMatchObject({ weight: 1, partition: 0, cohort: undefined });
  expect(warnings).toEqual([expect.stringContaining(`limiter default: ${name}`)]);
});
