/**
 * What happened in a run, as one number that any difference changes: two runs of one seed must agree in it.
 *
 * Every event is mixed in as it happens, so a trace costs no memory. Times go in as whole nanoseconds: sums of milliseconds in
 * another order would differ in their last bits, and that is a difference worth finding, but not the kind meant here.
 */
export class Trace {
  #low = 0x9e3779b9 | 0;
  #high = 0x85ebca6b | 0;
  #events = 0;

  /** Events noted. */
  get events(): number {
    return this.#events;
  }

  /** 16 hex digits. */
  get hash(): string {
    const word = (bits: number) => (bits >>> 0).toString(16).padStart(8, '0');
    return word(this.#high) + word(this.#low);
  }

  /** An event of kind `kind` (a small whole number) at `atMs`, and what it was about. */
  note(kind: number, atMs: number, a = 0, b = 0): void {
    this.#events++;
    const nanoseconds = Math.round(atMs * 1e6);
    this.#mix(kind);
    this.#mix(nanoseconds | 0);
    this.#mix((nanoseconds / 0x1_0000_0000) | 0);
    this.#mix(a | 0);
    this.#mix(b | 0);
  }

  /** Anything that is text: an error's code, a document. */
  noteText(kind: number, atMs: number, text: string): void {
    this.note(kind, atMs, text.length);
    for (let i = 0; i < text.length; i++) this.#mix(text.charCodeAt(i));
  }

  /** Two multiplying lanes that feed each other: one alone forgets high bits. */
  #mix(word: number): void {
    this.#low = Math.imul(this.#low ^ word, 0x01000193);
    this.#high = Math.imul((this.#high ^ this.#low) + (this.#low >>> 15), 0x2c1b3c6d);
    this.#low ^= this.#high >>> 13;
  }
}
