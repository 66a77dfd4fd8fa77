/** Services that announce themselves, as documents: what announce() writes, without ninety thousand processes that renew it. */
import { type Endpoint, type StateEvent, type StateTransport, seededRandom, type Watch } from 'evenkeel/core';

const REGIONS = [
  'eu/west',
  'eu/north',
  'eu/central',
  'us/east',
  'us/west',
  'us/central',
  'ap/south',
  'ap/east',
  'sa/east',
  'af/south',
];
const ZONES = ['a', 'b', 'c'];

/** Names, addresses and attributes as a cluster manager gives them: ids of random letters, addresses all over the network. */
export function endpointsOf(count: number, seed: number): Endpoint[] {
  const random = seededRandom(`endpoints ${seed}`);
  const letters = 'bcdfghjklmnpqrstvwxz2456789';
  const name = (length: number) => Array.from({ length }, () => letters[random.int(letters.length)]).join('');
  const endpoints = new Map<string, Endpoint>();
  while (endpoints.size < count) {
    const id = `ranker-${name(3)}-${name(5)}`;
    const region = REGIONS[random.int(REGIONS.length)];
    endpoints.set(id, {
      id,
      address: `http://10.${random.int(256)}.${random.int(256)}.${random.int(256)}:8000`,
      weight: 1 + random.int(3),
      locality: `${region}/${ZONES[random.int(ZONES.length)]}`,
      attributes: { version: `v${1 + random.int(3)}`, hardware: random.int(2) === 0 ? 'h100' : 'l40s' },
    });
  }
  return [...endpoints.values()];
}

export async function announceAs(state: StateTransport, service: string, endpoint: Endpoint): Promise<void> {
  const key = `services/${encodeURIComponent(service)}/endpoints/${encodeURIComponent(endpoint.id)}`;
  await state.put(key, new TextEncoder().encode(JSON.stringify({ v: 1, endpoint, holder: 'bench' })));
}

/** A store that counts what its watches bring. */
export class CountedState implements StateTransport {
  bytes = 0;
  events = 0;
  readonly #inner: StateTransport;

  constructor(inner: StateTransport) {
    this.#inner = inner;
  }

  get: StateTransport['get'] = (key, options) => this.#inner.get(key, options);
  put: StateTransport['put'] = (key, value, options) => this.#inner.put(key, value, options);
  delete: StateTransport['delete'] = (key, options) => this.#inner.delete(key, options);

  watch(prefix: string, on: (event: StateEvent) => void): Watch {
    return this.#inner.watch(prefix, (event) => {
      this.events++;
      if (event.entry !== undefined) this.bytes += event.entry.key.length + event.entry.value.length;
      on(event);
    });
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}

/** A store of which only one thing is known: what it told under one prefix. It tells it again, step by step. */
export class ReplayedState implements StateTransport {
  readonly #list: readonly StateEvent[];
  readonly #prefix: string;
  #on: ((event: StateEvent) => void) | undefined;

  constructor(prefix: string, list: readonly StateEvent[]) {
    this.#prefix = prefix;
    this.#list = list;
  }

  tell(events: readonly StateEvent[]): void {
    for (const event of events) this.#on?.(event);
  }

  watch(prefix: string, on: (event: StateEvent) => void): Watch {
    const isTable = prefix === this.#prefix;
    if (isTable) this.#on = on;
    queueMicrotask(() => {
      if (isTable) for (const event of this.#list) on(event);
      on({ type: 'synced', revision: this.#list.at(-1)?.revision ?? 1, epoch: this.#list.at(-1)?.epoch ?? 'e' });
    });
    return { ageMs: 0, close() {} };
  }

  async get() {
    return undefined;
  }

  async put() {
    return 1;
  }

  async delete() {
    return 0;
  }

  async close() {}
}
