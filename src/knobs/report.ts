/**
 * What an instance tells of itself, `knob-reports/<scope>/<service>/<instance>`, leased: whoever is gone is gone from the list, too.
 *
 * What the knobs are is written once for all instances of a service that agree on it, `knob-registries/<scope>/<service>/<hash>`. A report names those that
 * were checked, ran or are on.
 */
import { keySegment } from '../core/announcement.js';
import { EvenkeelError } from '../core/errors.js';
import type { KnobDefinition } from './definition.js';
import { isLevel, type KnobLevel, NORMAL_LEVEL } from './level.js';

export interface InstanceReport {
  readonly service: string;
  readonly instance: string;
  readonly registryHash: string;
  readonly epoch: string;
  /** Of the state that is in force there. */
  readonly revision: number;
  /** Milliseconds from the moment it was to the writing of this report. */
  readonly appliedAgoMs: number;
  /** Of the last proof; null: never. */
  readonly ageMs: number | null;
  readonly knobs: readonly KnobUse[];
}

/** Of one knob, since the start of the instance but for the rate. */
export interface KnobUse {
  readonly name: string;
  readonly dose: number;
  readonly checksPerSecond: number;
  readonly fullRuns: number;
  readonly reducedRuns: number;
  readonly failedRuns: number;
  /** Mean milliseconds of a run; null: none ended. */
  readonly fullMs: number | null;
  readonly reducedMs: number | null;
}

/** Of a definition, what an operator is told. */
export interface RegisteredKnob {
  readonly name: string;
  readonly level: KnobLevel;
  readonly oncall: string;
  readonly product: string;
  readonly feature: string;
  readonly description: string;
  readonly sheds: string;
  /** Null: nobody said. */
  readonly declaredImpact: number | null;
  readonly expires: string | null;
}

export function reportsPrefix(scope: string): string {
  return `knob-reports/${keySegment(scope)}/`;
}

export function reportKey(scope: string, service: string, instance: string): string {
  return `${reportsPrefix(scope)}${keySegment(service)}/${keySegment(instance)}`;
}

export function registriesPrefix(scope: string): string {
  return `knob-registries/${keySegment(scope)}/`;
}

export function registryKey(scope: string, service: string, hash: string): string {
  return `${registriesPrefix(scope)}${keySegment(service)}/${keySegment(hash)}`;
}

export function encodeReport(report: InstanceReport): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ v: 1, ...report }));
}

/** @throws {EvenkeelError} `data-loss` for what is none. */
export function decodeReport(bytes: Uint8Array): InstanceReport {
  const { ageMs, appliedAgoMs, epoch, instance, knobs, registryHash, revision, service } = documentOf('report', bytes);
  const isReport =
    typeof service === 'string' &&
    typeof instance === 'string' &&
    typeof registryHash === 'string' &&
    typeof epoch === 'string' &&
    typeof revision === 'number' &&
    typeof appliedAgoMs === 'number' &&
    Array.isArray(knobs);
  if (!isReport) throw new EvenkeelError('data-loss', 'this is no report of an instance');
  return {
    service,
    instance,
    registryHash,
    epoch,
    revision,
    appliedAgoMs,
    ageMs: typeof ageMs === 'number' ? ageMs : null,
    knobs: knobs as KnobUse[],
  };
}

export function encodeRegistry(definitions: readonly KnobDefinition[]): Uint8Array {
  const knobs = definitions.map((definition): RegisteredKnob => {
    const { declaredImpact, description, expires, feature, level, name, oncall, product, sheds } = definition;
    return {
      name,
      level,
      oncall,
      product,
      feature,
      description,
      sheds,
      declaredImpact: Number.isNaN(declaredImpact) ? null : declaredImpact,
      expires: expires ?? null,
    };
  });
  return new TextEncoder().encode(JSON.stringify({ v: 1, knobs }));
}

/** @throws {EvenkeelError} `data-loss` for what is none. */
export function decodeRegistry(bytes: Uint8Array): readonly RegisteredKnob[] {
  const { knobs } = documentOf('registry', bytes);
  const isRegistry =
    Array.isArray(knobs) &&
    knobs.every(({ level, name }) => typeof name === 'string' && isLevel(level) && level !== NORMAL_LEVEL);
  if (!isRegistry) throw new EvenkeelError('data-loss', 'this is no registry of knobs');
  return knobs as RegisteredKnob[];
}

function documentOf(what: string, bytes: Uint8Array): Record<string, unknown> {
  try {
    const document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (document?.v === 1) return document;
  } catch {
    // As for any other shape that is not ours.
  }
  throw new EvenkeelError('data-loss', `this is no ${what} of knobs`);
}
