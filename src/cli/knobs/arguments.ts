/** What was typed after `evenkeel knobs`, checked. */
import { parseArgs } from 'node:util';
import type { FlipOptions, KnobChange, LevelScope } from '../../knobs/index.js';

export type KnobsTask =
  | { readonly type: 'status' | 'watch' }
  | { readonly type: 'plan'; readonly change: KnobChange }
  | { readonly type: 'flip'; readonly change: KnobChange; readonly options: FlipOptions }
  | { readonly type: 'approve'; readonly id: string }
  | { readonly type: 'history'; readonly limit: number };

export interface KnobsArguments {
  readonly task: KnobsTask;
  readonly store: string;
  readonly bucket: string | undefined;
  readonly scope: string | undefined;
  readonly actor: string | undefined;
  /** How long to watch a flip arrive, ms; 0: not at all. */
  readonly waitMs: number;
  readonly asJson: boolean;
}

const OPTIONS = {
  store: { type: 'string' },
  bucket: { type: 'string' },
  scope: { type: 'string' },
  actor: { type: 'string' },
  reason: { type: 'string' },
  ttl: { type: 'string' },
  ramp: { type: 'string' },
  canary: { type: 'string' },
  'canary-for': { type: 'string' },
  requests: { type: 'string' },
  expect: { type: 'string' },
  force: { type: 'boolean' },
  'break-glass': { type: 'boolean' },
  wait: { type: 'string' },
  limit: { type: 'string' },
  json: { type: 'boolean' },
} as const;

const DEFAULT_WAIT = '30s';
const DEFAULT_CANARY_FOR = '30s';
const DEFAULT_LIMIT = 20;

type Values = ReturnType<typeof parsed>['values'];

/** @throws {Error} saying what is wrong. */
export function parseKnobsArguments(args: readonly string[]): KnobsArguments {
  const { positionals, values } = parsed(args);
  if (values.store === undefined) throw new Error('--store FOLDER or --store nats://HOST:PORT is missing');
  return {
    task: taskOf(positionals, values),
    store: values.store,
    bucket: values.bucket,
    scope: values.scope,
    actor: values.actor,
    waitMs: durationOf('--wait', values.wait ?? DEFAULT_WAIT),
    asJson: values.json === true,
  };
}

function parsed(args: readonly string[]) {
  return parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
}

function taskOf([verb, ...words]: readonly string[], values: Values): KnobsTask {
  switch (verb) {
    case 'status':
    case 'watch':
      return expectEnd(words, { type: verb });
    case 'plan':
      return { type: 'plan', change: changeOf(words, values) };
    case 'set':
      return { type: 'flip', change: changeOf(words, values), options: flipOptions(values) };
    case 'release':
      if (values.canary !== undefined) throw new Error('--canary is for set: a release goes by --ramp');
      return { type: 'flip', change: releaseOf(words), options: flipOptions(values) };
    case 'approve': {
      const [id, ...rest] = words;
      if (id === undefined) throw new Error("which proposal? 'approve ID'");
      return expectEnd(rest, { type: 'approve', id });
    }
    case 'history':
      return expectEnd(words, { type: 'history', limit: numberOf('--limit', values.limit ?? String(DEFAULT_LIMIT)) });
    default:
      throw new Error(`'${verb ?? ''}' is unknown; expected status, plan, set, release, approve, history or watch`);
  }
}

/** `SCOPE LEVEL`, or `KNOB on|off|DOSE`: names of knobs have a slash, and no colon. */
function changeOf([name, to, ...rest]: readonly string[], values: Values): KnobChange {
  if (name === undefined || to === undefined) throw new Error("expected 'SCOPE LEVEL' or 'KNOB on|off|0 to 255'");
  if (isScopeLike(name))
    return expectEnd(rest, { type: 'level', scope: name, level: numberOf('the level', to) as 1 | 2 | 3 | 4 });
  const dose = to === 'on' ? 255 : to === 'off' ? 0 : numberOf('the dose', to);
  const requests = values.requests === undefined ? undefined : shareOf('--requests', values.requests);
  return expectEnd(rest, { type: 'knob', knob: name, dose, ...(requests === undefined ? undefined : { requests }) });
}

function releaseOf([name, ...rest]: readonly string[]): KnobChange {
  if (name === undefined) throw new Error("expected 'release everything', a scope, or a knob");
  if (name === 'everything') return expectEnd(rest, { type: 'release-all' });
  if (isScopeLike(name)) return expectEnd(rest, { type: 'level', scope: name, level: 4 });
  return expectEnd(rest, { type: 'knob', knob: name, dose: undefined });
}

function isScopeLike(name: string): name is LevelScope {
  return name === 'all' || name.includes(':');
}

function flipOptions(values: Values): FlipOptions {
  const { canary, expect, force, ramp, reason, ttl } = values;
  if (reason === undefined) throw new Error('--reason TEXT is missing: whoever looks later wants to know');
  return {
    reason,
    ...(ttl === undefined ? undefined : { ttlMs: durationOf('--ttl', ttl) }),
    ...(ramp === undefined ? undefined : { rampMs: durationOf('--ramp', ramp) }),
    ...(expect === undefined ? undefined : { expect: numberOf('--expect', expect) }),
    ...(canary === undefined
      ? undefined
      : {
          canary: {
            instances: shareOf('--canary', canary),
            forMs: durationOf('--canary-for', values['canary-for'] ?? DEFAULT_CANARY_FOR),
          },
        }),
    force: force === true,
    breakGlass: values['break-glass'] === true,
  };
}

function expectEnd<T>(rest: readonly string[], task: T): T {
  if (rest.length === 0) return task;
  throw new Error(`'${rest.join(' ')}' is one word too many`);
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of `90s`, `10m`, `1.5h`; `0` is 0. */
export function durationOf(what: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  if (text === '0') return 0;
  if (match === null) throw new Error(`${what} is '${text}'; expected a time with its unit: 500ms, 90s, 10m, 2h, 1d`);
  return Number(match[1]) * (UNITS[match[2] as string] as number);
}

function shareOf(what: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)%$/.exec(text);
  if (match === null || Number(match[1]) > 100) throw new Error(`${what} is '${text}'; expected a percentage: 5%`);
  return Number(match[1]) / 100;
}

function numberOf(what: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new Error(`${what} is '${text}'; expected a whole number`);
  return Number(text);
}
