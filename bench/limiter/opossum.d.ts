/** As far as the benchmark goes: the package brings no types. */
declare module 'opossum' {
  export default class CircuitBreaker<T> {
    constructor(action: () => Promise<T>, options?: { timeout?: number | false; capacity?: number });
    fire(): Promise<T>;
    shutdown(): void;
  }
}
