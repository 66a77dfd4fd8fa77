import { expect, it } from 'vitest';
import { Diagnostics } from '../../../src/core/diagnostics.js';
import { virtualClock } from '../../../src/core/virtual-clock.js';

it('tells of the first error of a source, then at most once a minute with the number held back', async () => {
  const clock = virtualClock();
  const lines: string[] = [];
  const diagnostics = new Diagnostics(clock, (line) => lines.push(line));
  for (let i = 0; i < 90; i++) {
    diagnostics.report('poll', new Error('no route'));
    await clock.advance(1000);
  }
  diagnostics.report('other', 'just text');
  expect(lines).toEqual([
    'evenkeel poll: no route',
    'evenkeel poll: no route (and 59 more since the last line)',
    'evenkeel other: just text',
  ]);
  expect(diagnostics.snapshot()).toEqual({ poll: 90, other: 1 });
  expect(diagnostics.total).toBe(91);
});

it('counts all, and remembers a bounded number of sources', () => {
  const diagnostics = new Diagnostics(virtualClock(), () => {});
  for (let i = 0; i < 1000; i++) diagnostics.report(`source ${i}`, 'x');
  expect(diagnostics.total).toBe(1000);
  expect(Object.keys(diagnostics.snapshot())).toHaveLength(256);
});

it("outlives a broken operator's channel", () => {
  const diagnostics = new Diagnostics(virtualClock(), () => {
    throw new Error('closed');
  });
  diagnostics.report('a', new Error('x'));
  expect(diagnostics.total).toBe(1);
});
