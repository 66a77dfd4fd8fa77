/** Telemetry that is read at once, and tells what is still registered. */
import type { Observe, Telemetry } from 'evenkeel/core';

type MetricName = Parameters<Telemetry['observable']>[0];

export class FakeTelemetry implements Telemetry {
  readonly #reads = new Map<object, readonly [MetricName, (observe: Observe) => void]>();

  observe(): void {}

  observable(name: MetricName, read: (observe: Observe) => void): Disposable {
    const registration = { [Symbol.dispose]: () => void this.#reads.delete(registration) };
    this.#reads.set(registration, [name, read]);
    return registration;
  }

  histogram(): undefined {}

  traces(): boolean {
    return false;
  }

  startSpan(): undefined {}

  /** Every value of the metrics below `prefix`, by the rest of the name and the attributes' values; `owner`, the name of whose they are, left out. */
  read(prefix: string, owner: string): Record<string, number> {
    const values: Record<string, number> = {};
    for (const [name, read] of this.#reads.values()) {
      if (!name.startsWith(prefix)) continue;
      read((value, attributes = {}) => {
        const told = Object.values(attributes);
        if (!told.includes(owner)) throw new Error(`${name} does not tell whose it is`);
        values[[name.slice(prefix.length), ...told.filter((one) => one !== owner)].join(' ')] = value;
      });
    }
    return values;
  }
}
