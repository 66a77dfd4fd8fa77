/**
 * The subjects of a queue: `r` for items that are ready, `d` for those whose start time has not come.
 *
 * What keeps two items from having one key? The key is the last token of the subject, in hex so that any key is one token, and an item
 * is stored only where its subject has no message. Items without a key share one subject when ready; delayed ones have a token of
 * their own, so that a subject names one message.
 */

export interface DelayedSubject {
  readonly subject: string;
  /** Wall-clock milliseconds. */
  readonly dueMs: number;
  /** `k` and the key in hex, or `u` and what makes it unique. */
  readonly token: string;
}

export class QueueSubjects {
  readonly #base: string;

  constructor(name: string) {
    this.#base = `$EKQ.${name}`;
  }

  get all(): string {
    return `${this.#base}.>`;
  }

  get allReady(): string {
    return `${this.#base}.r.>`;
  }

  get allDelayed(): string {
    return `${this.#base}.d.>`;
  }

  ready(token: string): string {
    return `${this.#base}.r.${token}`;
  }

  isReady(subject: string): boolean {
    return subject.startsWith(`${this.#base}.r.`);
  }

  delayed(dueMs: number, token: string): string {
    return `${this.#base}.d.${Math.min(Math.ceil(dueMs), Number.MAX_SAFE_INTEGER)}.${token}`;
  }

  /** Every start time of one key. */
  delayedOf(token: string): string {
    return `${this.#base}.d.*.${token}`;
  }

  /** Undefined for a subject that {@link delayed} would not have made. */
  parseDelayed(subject: string): DelayedSubject | undefined {
    const start = `${this.#base}.d.`;
    if (!subject.startsWith(start)) return undefined;
    const match = /^(\d{1,16})\.([ku][0-9a-z]*)$/.exec(subject.slice(start.length));
    return match === null ? undefined : { subject, dueMs: Number(match[1]), token: match[2] as string };
  }
}

export const KEYLESS = 'u';

/** The token of a key. */
export function keyToken(key: string): string {
  return `k${Buffer.from(key).toString('hex')}`;
}

export function isKeyToken(token: string): boolean {
  return token.startsWith('k');
}
