/** In the order they run; the one that is measured against the others comes last. */
import { balancedPool } from './balanced-pool.js';
import type { ContenderKind } from './contender.js';
import { evenkeel } from './evenkeel.js';
import { handWrittenP2c } from './hand-written-p2c.js';
import { roundRobinPool } from './round-robin-pool.js';

export const CONTENDERS: readonly ContenderKind[] = [roundRobinPool, balancedPool, handWrittenP2c, evenkeel];
export const OURS = evenkeel.name;
