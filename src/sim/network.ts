/**
 * The wires between machines: how long a message takes, and whether it arrives.
 *
 * Faults are of one direction: `cut(a, b)` loses what a sends to b, and lets through what b sends to a. A message that is lost is lost in
 * silence, as on a black-holed connection: its sender finds out by its own timeouts.
 */
import { checkNumber, invalidArgument } from '../core/errors.js';
import type { Random } from '../core/random.js';
import { constant, type Distribution } from './distributions.js';
import type { SimMachine } from './machine.js';

export interface LinkOptions {
  /** One way, milliseconds: a number or a distribution. Default 0.2. A wide one reorders messages of different calls. */
  readonly latencyMs?: number | Distribution;
  /** Share of messages that are lost. Default 0. */
  readonly loss?: number;
  /** Share of calls that arrive twice; the second answer is thrown away. Default 0. */
  readonly duplicate?: number;
}

export const DEFAULT_LATENCY_MS = 0.2;

interface Link {
  readonly latency: Distribution;
  readonly loss: number;
  readonly duplicate: number;
}

/** From a machine to itself; that way is never cut. */
const LOOPBACK_MS = 0.02;

/** The time of a message that never arrives. */
export const LOST = Number.POSITIVE_INFINITY;

export class SimNetwork {
  /** Calls that were sent twice. */
  duplicated = 0;
  /** Told the path of each call that arrives twice: for those who count what servers did. */
  onDuplicate: ((path: string) => void) | undefined = undefined;
  readonly #random: Random;
  readonly #machines = new Map<string, SimMachine>();
  #default: Link;
  /** By `from>to`, where each is the name of a machine or a locality. */
  readonly #links = new Map<string, Link>();
  readonly #cuts = new Set<string>();
  /** What was worked out for two machines; emptied by every change. */
  readonly #resolved = new Map<number, Link | undefined>();

  constructor(random: Random, options: LinkOptions = {}) {
    this.#random = random;
    this.#default = toLink(options, { latency: constant(DEFAULT_LATENCY_MS), loss: 0, duplicate: 0 });
  }

  /** @throws {EvenkeelError} `invalid-argument` for a name that is taken. */
  add(machine: SimMachine): void {
    if (this.#machines.has(machine.name)) throw invalidArgument('name', machine.name, 'a name that no other machine has');
    this.#machines.set(machine.name, machine);
  }

  /** The machine of `sim://name` or `sim://name:port`. */
  machineAt(address: string): SimMachine | undefined {
    const [name = ''] = address.slice(SCHEME.length).split(':', 1);
    return this.#machines.get(name);
  }

  machines(): Iterable<SimMachine> {
    return this.#machines.values();
  }

  /** Changes all links that have no setting of their own. */
  setDefault(options: LinkOptions): void {
    this.#default = toLink(options, this.#default);
    this.#resolved.clear();
  }

  /** Sets the link from `from` to `to`, each the name of a machine or a locality; the more exact one holds. One direction. */
  setLink(from: string, to: string, options: LinkOptions): void {
    this.#links.set(pair(from, to), toLink(options, this.#links.get(pair(from, to)) ?? this.#default));
    this.#resolved.clear();
  }

  /** Loses all that `from` sends to `to`, from now on. Machines or localities; `*` is any. */
  cut(from: string, to: string): void {
    this.#cuts.add(pair(from, to));
    this.#resolved.clear();
  }

  heal(from: string, to: string): void {
    this.#cuts.delete(pair(from, to));
    this.#resolved.clear();
  }

  /** Milliseconds that a message sent now takes; {@link LOST}: it never arrives. */
  transit(from: SimMachine, to: SimMachine): number {
    if (from === to) return LOOPBACK_MS;
    const link = this.#linkOf(from, to);
    if (link === undefined) return LOST;
    if (link.loss > 0 && this.#random.next() < link.loss) return LOST;
    return link.latency(this.#random);
  }

  /** Sends something that stands alone: `arrive` runs on the machine `to`, or never. */
  send(from: SimMachine, to: SimMachine, arrive: () => void): void {
    const ms = this.transit(from, to);
    if (ms !== LOST) to.world.timer(ms, () => to.enter(arrive));
  }

  /** Whether a call of `path` sent now arrives twice. */
  isDuplicated(from: SimMachine, to: SimMachine, path: string): boolean {
    const share = this.#linkOf(from, to)?.duplicate ?? 0;
    const isTwice = share > 0 && this.#random.next() < share;
    if (isTwice) {
      this.duplicated++;
      this.onDuplicate?.(path);
    }
    return isTwice;
  }

  /** Undefined: cut. */
  #linkOf(from: SimMachine, to: SimMachine): Link | undefined {
    if (this.#links.size === 0 && this.#cuts.size === 0) return this.#default;
    const key = from.index * 0x10_0000 + to.index;
    if (this.#resolved.has(key)) return this.#resolved.get(key);
    const link = this.#resolve(from, to);
    this.#resolved.set(key, link);
    return link;
  }

  #resolve(from: SimMachine, to: SimMachine): Link | undefined {
    const sources = namesOf(from);
    const targets = namesOf(to);
    let found: Link | undefined;
    for (const source of sources) {
      for (const target of targets) {
        if (this.#cuts.has(pair(source, target))) return undefined;
        found ??= this.#links.get(pair(source, target));
      }
    }
    return found ?? this.#default;
  }
}

const SCHEME = 'sim://';

/** Of a machine, the most exact first. */
function namesOf({ name, locality }: SimMachine): string[] {
  const names = [name];
  for (let label = locality ?? ''; label !== ''; label = label.slice(0, Math.max(0, label.lastIndexOf('/')))) names.push(label);
  names.push('*');
  return names;
}

function pair(from: string, to: string): string {
  return `${from}>${to}`;
}

function toLink(options: LinkOptions, base: Link): Link {
  const { latencyMs, loss, duplicate } = options;
  return {
    latency:
      typeof latencyMs === 'function'
        ? latencyMs
        : latencyMs === undefined
          ? base.latency
          : constant(checkNumber('latencyMs', latencyMs, 0)),
    loss: checkNumber('loss', loss ?? base.loss, 0, 1),
    duplicate: checkNumber('duplicate', duplicate ?? base.duplicate, 0, 1),
  };
}
