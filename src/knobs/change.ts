/** What an operator asks for, and what the state is after it: pure, so that whoever loses a race asks again of the newer state. */
import { EvenkeelError } from '../core/errors.js';
import { type Level, NORMAL_LEVEL } from './level.js';
import { checkSnapshot, type Flip, type KnobFlip, type KnobSnapshot, type LevelFlip, type LevelScope } from './snapshot.js';

export type KnobChange =
  | { readonly type: 'level'; readonly scope: LevelScope; readonly level: Level }
  | {
      readonly type: 'knob';
      readonly knob: string;
      /** 0 holds it off; undefined: as the level says, which releases it. */
      readonly dose: number | undefined;
      readonly requests?: number;
      readonly cohorts?: readonly number[];
    }
  /** All levels to 4, and all knobs as the level says. */
  | { readonly type: 'release-all' };

/** What was released stays for so long: until every instance has seen that it was. */
const KEPT_MS = 600_000;

/**
 * @param flip - Who, when, why and for how long. One of several that a change makes has the number added to its id.
 * @throws {EvenkeelError} `invalid-argument` for a change that names what cannot be; `failed-precondition` when there is nothing to release.
 */
export function applyChange(before: KnobSnapshot, change: KnobChange, flip: Flip): KnobSnapshot {
  const snapshot = withoutOver(before, flip.atMs);
  switch (change.type) {
    case 'level':
      return checkSnapshot({
        ...snapshot,
        levels: [
          ...snapshot.levels.filter(({ scope }) => scope !== change.scope),
          levelFlip(snapshot, change.scope, change.level, flip),
        ],
      });
    case 'knob': {
      const { cohorts = [], dose, knob, requests = 1 } = change;
      const present = snapshot.knobs.find((one) => one.knob === knob);
      if (dose === undefined && present === undefined)
        throw new EvenkeelError('failed-precondition', `nothing holds the knob ${knob}: there is nothing to release`);
      const next: KnobFlip = { ...flip, knob, dose, from: processDose(present), requests, cohorts };
      return checkSnapshot({ ...snapshot, knobs: [...snapshot.knobs.filter((one) => one.knob !== knob), next] });
    }
    case 'release-all':
      return checkSnapshot({
        levels: snapshot.levels.map(({ scope }, i) =>
          levelFlip(snapshot, scope, NORMAL_LEVEL, { ...flip, id: `${flip.id}.${i}` }),
        ),
        knobs: snapshot.knobs.map((one, i) => ({
          ...flip,
          id: `${flip.id}.k${i}`,
          knob: one.knob,
          dose: undefined,
          from: processDose(one),
          requests: 1,
          cohorts: [],
        })),
      });
  }
}

function levelFlip({ levels }: KnobSnapshot, scope: LevelScope, level: Level, flip: Flip): LevelFlip {
  const present = levels.find((one) => one.scope === scope);
  return { ...flip, scope, level, from: present?.level ?? NORMAL_LEVEL };
}

/** What a flip is to those who hold no key. */
function processDose(flip: KnobFlip | undefined): number | undefined {
  return flip === undefined || flip.requests < 1 || flip.cohorts.length > 0 ? undefined : flip.dose;
}

/**
 * Without what was released long ago. What ends by itself stays until it is released: whether its time is over each instance says by its own clock, and a
 * writer whose calendar is ahead must not end what others count on.
 */
function withoutOver({ knobs, levels }: KnobSnapshot, nowMs: number): KnobSnapshot {
  const isOld = ({ atMs, rampMs }: Flip) => atMs + rampMs + KEPT_MS < nowMs;
  return {
    levels: levels.filter((flip) => flip.level < NORMAL_LEVEL || !isOld(flip)),
    knobs: knobs.filter((flip) => flip.dose !== undefined || !isOld(flip)),
  };
}
