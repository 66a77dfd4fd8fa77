/**
 * What is known of a knob before it is ever turned: who answers for it, what it sheds, and what that costs.
 *
 * A knob is inverted: on means "do less". Its name says what is lost (`Search/SkipRerank`), is used once, and never again: whoever turned on an
 * old name would turn on something else (Knight Capital, 2012).
 * @see Meza et al., "Defcon", OSDI'23, section 3 (knob definition)
 */
import { checkInteger, checkNumber, invalidArgument } from '../core/errors.js';
import { checkKnobLevel, type KnobLevel } from './level.js';

/** What a knob does when nothing has proven its state for longer than is allowed: stay as it is, go off, or go on. */
export type StalePolicy = 'hold' | 'release' | 'degrade';

export interface KnobOptions<Name extends string = string> {
  /** `Product/Feature`: two to eight segments of letters, digits, `-`, `_` and `.`; at most 200 characters. Says what is lost. */
  name: Name;
  /** From which level on it is on: 3 costs users least, 1 most. */
  level: KnobLevel;
  /** The rotation that answers for it. 1 to 200 characters. */
  oncall: string;
  /** Default: the name's first segment. */
  product?: string;
  /** Default: the whole name. Several knobs may share one. */
  feature?: string;
  /** What happens instead, for people. At most 1,000 characters. */
  description?: string;
  /** What it saves: `rerank GPU`, `feed store reads`. At most 200 characters. */
  sheds?: string;
  /** Expected loss of what users do, as a share: 0.01 is 1 %. Used, and marked as declared, until it has been measured. 0 to 1. */
  declaredImpact?: number;
  /** How much less, 1 to 255, when a level turns it on: what a byte can say of tokens, candidates, a model's tier. One for all levels, or for each. Default 255. */
  dose?: number | Readonly<Partial<Record<KnobLevel, number>>>;
  /** Default `hold`. */
  onStale?: StalePolicy;
  /** When `onStale` begins, ms without proof. Default: `maxStalenessMs` of the knobs; 100 and up. */
  maxStalenessMs?: number;
  /** By when the code of it should be gone, `2027-06-30`. After that it is told as stale; it works on. */
  expires?: string;
}

export interface KnobDefinition<Name extends string = string> {
  readonly name: Name;
  readonly level: KnobLevel;
  readonly oncall: string;
  readonly product: string;
  readonly feature: string;
  readonly service: string;
  readonly description: string;
  readonly sheds: string;
  /** NaN: nobody said. */
  readonly declaredImpact: number;
  /** At levels 1, 2 and 3; at the levels above its own it is not used. */
  readonly doses: readonly [number, number, number];
  readonly onStale: StalePolicy;
  /** Undefined: as the knobs'. */
  readonly maxStalenessMs: number | undefined;
  readonly expires: string | undefined;
}

export const MAX_DOSE = 255;
export const MAX_NAME_LENGTH = 200;
const MAX_DESCRIPTION_LENGTH = 1000;
const NAME = /^[A-Za-z0-9][\w.-]*(\/[A-Za-z0-9][\w.-]*){1,7}$/;
const DATE = /^\d{4}-\d{2}-\d{2}$/;
const STALE_POLICIES: readonly unknown[] = ['hold', 'release', 'degrade'];

export function isKnobName(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_NAME_LENGTH && NAME.test(value);
}

/** @throws {EvenkeelError} `invalid-argument` naming the field. */
export function resolveDefinition<Name extends string>(options: KnobOptions<Name>, service: string): KnobDefinition<Name> {
  const { declaredImpact, expires, maxStalenessMs, name, onStale = 'hold' } = options;
  if (!isKnobName(name)) throw invalidArgument('name', name, "'Product/Feature', letters, digits, '-', '_' and '.'");
  const of = (field: string) => `${field} of ${name}`;
  if (!STALE_POLICIES.includes(onStale)) throw invalidArgument(of('onStale'), onStale, "'hold', 'release' or 'degrade'");
  if (expires !== undefined && !(DATE.test(expires) && Number.isFinite(Date.parse(expires))))
    throw invalidArgument(of('expires'), expires, 'a date, 2027-06-30');
  const level = checkKnobLevel(of('level'), options.level);
  return Object.freeze({
    name,
    level,
    oncall: checkText(of('oncall'), options.oncall, 1, MAX_NAME_LENGTH),
    product: checkText(of('product'), options.product ?? name.slice(0, name.indexOf('/')), 1, MAX_NAME_LENGTH),
    feature: checkText(of('feature'), options.feature ?? name, 1, MAX_NAME_LENGTH),
    service,
    description: checkText(of('description'), options.description ?? '', 0, MAX_DESCRIPTION_LENGTH),
    sheds: checkText(of('sheds'), options.sheds ?? '', 0, MAX_NAME_LENGTH),
    declaredImpact: declaredImpact === undefined ? Number.NaN : checkNumber(of('declaredImpact'), declaredImpact, 0, 1),
    doses: dosesOf(of('dose'), level, options.dose ?? MAX_DOSE),
    onStale,
    maxStalenessMs:
      maxStalenessMs === undefined ? undefined : checkNumber(of('maxStalenessMs'), maxStalenessMs, 100, Number.MAX_VALUE),
    expires,
  });
}

/** A level that is not named has the dose of the next milder one, and the mildest that of the next named. */
function dosesOf(what: string, level: KnobLevel, dose: number | Readonly<Partial<Record<KnobLevel, number>>>) {
  if (typeof dose === 'number') {
    const one = checkInteger(what, dose, 1, MAX_DOSE);
    return [one, one, one] as const;
  }
  if (typeof dose !== 'object' || dose === null) throw invalidArgument(what, dose, '1 to 255, or that by level');
  for (const [key, value] of Object.entries(dose)) {
    if (checkKnobLevel(`${what}: level`, Number(key)) > level) throw invalidArgument(`${what}: level`, key, `1 to ${level}`);
    checkInteger(`${what} at level ${key}`, value as number, 1, MAX_DOSE);
  }
  const milder = dose[3] ?? dose[2] ?? dose[1];
  if (milder === undefined) throw invalidArgument(what, dose, 'a dose for one level at least');
  const medium = dose[2] ?? milder;
  return [dose[1] ?? medium, medium, milder] as const;
}

/** @throws {EvenkeelError} `invalid-argument`. */
export function checkText(what: string, value: unknown, least: number, most: number): string {
  if (typeof value === 'string' && value.length >= least && value.length <= most) return value;
  throw invalidArgument(what, value, `${least} to ${most} characters`);
}
