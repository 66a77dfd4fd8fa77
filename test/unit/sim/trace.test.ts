import { expect, it } from 'vitest';
import { seededRandom } from '../../../src/core/random.js';
import { Trace } from '../../../src/sim/trace.js';

type Note = [kind: number, atMs: number, a: number, b: number];

function hashOf(notes: readonly Note[]): string {
  const trace = new Trace();
  for (const note of notes) trace.note(...note);
  return trace.hash;
}

const NOTES: readonly Note[] = Array.from({ length: 50 }, (_, i) => [i % 3, i * 1.5, i, i * 7]);

it('one history has one hash of 16 hex digits', () => {
  expect(hashOf(NOTES)).toBe(hashOf(NOTES));
  expect(hashOf(NOTES)).toMatch(/^[0-9a-f]{16}$/);
});

it('any field of any event changes the hash, the first as the last', () => {
  const seen = new Set([hashOf(NOTES)]);
  for (const at of [0, 25, 49]) {
    for (const field of [0, 1, 2, 3]) {
      const changed = NOTES.map((note) => [...note] as Note);
      (changed[at] as Note)[field as 0] += field === 1 ? 1e-6 : 1;
      seen.add(hashOf(changed));
    }
  }
  expect(seen.size).toBe(1 + 3 * 4);
});

it('the order of events counts, and so does an event that is missing', () => {
  expect(hashOf([...NOTES].reverse())).not.toBe(hashOf(NOTES));
  expect(hashOf(NOTES.slice(1))).not.toBe(hashOf(NOTES));
  expect(hashOf(NOTES.slice(0, -1))).not.toBe(hashOf(NOTES));
});

it('a difference in the last bit of a sum of milliseconds does not count', () => {
  expect(hashOf([[1, 0.1 + 0.2, 0, 0]])).toBe(hashOf([[1, 0.3, 0, 0]]));
});

it('times of more than 2^32 ns are told apart', () => {
  expect(hashOf([[1, 5000, 0, 0]])).not.toBe(hashOf([[1, 5000 + 2 ** 32 / 1e6, 0, 0]]));
});

it('texts are noted letter by letter', () => {
  const of = (text: string) => {
    const trace = new Trace();
    trace.noteText(1, 0, text);
    return trace.hash;
  };
  expect(of('unavailable')).toBe(of('unavailable'));
  expect(new Set(['unavailable', 'unavailablf', 'vnavailable', '', 'unavailable '].map(of)).size).toBe(5);
});

it('a hundred thousand histories of one random event have as many hashes', () => {
  const random = seededRandom(3);
  const hashes = new Set(
    Array.from({ length: 100_000 }, () => hashOf([[random.int(8), 1e6 * random.next(), random.int(2 ** 31), 0]])),
  );
  expect(hashes.size, 'seed 3').toBe(100_000);
});
