import { expect, it } from 'vitest';
import { formatCount, formatMs } from '../../../demo/format.js';
import { Progress } from '../../../demo/progress.js';
import type { ContenderResult } from '../../../demo/result.js';
import { renderShares, renderTable } from '../../../demo/table.js';
import { compare } from '../../../demo/verdict.js';
import { contenderResult } from './fixtures.js';

const ours = contenderResult('evenkeel', 500);
const verdictOf = (peer: ContenderResult) => compare([peer, ours], 'evenkeel')[0]?.sentence;

it('writes figures for people', () => {
  expect([0, 12.4, 999.6, 12_345].map(formatMs)).toEqual(['0 ms', '12 ms', '1000 ms', '12.3 s']);
  expect(formatMs(null)).toBe('–');
  expect([0, 999, 1000, 1234567].map(formatCount)).toEqual(['0', '999', '1,000', '1,234,567']);
});

it('aligns the columns of the table', () => {
  const lines = renderTable([contenderResult('a', 5), contenderResult('much-longer', 12_345)]).split('\n');
  expect(lines).toHaveLength(3);
  expect(new Set(lines.map((line) => line.length)).size).toBe(1);
  expect(renderShares([ours], ['slow', 'steady']).split('\n')[0]).toMatch(/^answered by +0 slow +1$/);
});

it('says how p99 compares, also when evenkeel does not win', () => {
  expect(verdictOf(contenderResult('peer', 1500))).toBe('p99 3.0x lower than Peer (500 ms against 1500 ms; 3 against 3 failed)');
  expect(verdictOf(contenderResult('peer', 250))).toContain('p99 2.0x higher than Peer');
  expect(verdictOf(contenderResult('peer', 510))).toContain('p99 as with Peer');
  expect(verdictOf({ ...contenderResult('peer', 1), p99Ms: null })).toContain('too few answers');
  expect(compare([contenderResult('peer', 1)], 'evenkeel')).toEqual([]);
});

function record(isTTY: boolean, columns = 80) {
  const written: string[] = [];
  return { written, progress: new Progress({ isTTY, columns, write: (text) => written.push(text) }, 2, 10_000) };
}

it('writes a plain line now and then where there is no terminal', () => {
  const { written, progress } = record(false);
  progress.begin('first');
  for (let ms = 0; ms <= 12_000; ms += 100) progress.update(ms, ms);
  progress.end('done');
  expect(written).toEqual([
    '[1/2] first: starting eight servers\n',
    '[1/2] first: 25 %, 2500 answered, 18 s left\n',
    '[1/2] first: 50 %, 5000 answered, 15 s left\n',
    '[1/2] first: 75 %, 7500 answered, 13 s left\n',
    '[1/2] first: 100 %, 10000 answered, finishing\n',
    '[1/2] first: done\n',
  ]);
});

it('draws over one line on a terminal, and never a longer one than fits', () => {
  const { written, progress } = record(true, 40);
  progress.begin('first');
  progress.update(5000, 100);
  expect(written).toHaveLength(2);
  for (const text of written) {
    expect(text.startsWith('\r\x1b[2K')).toBe(true);
    expect(text.length).toBeLessThan(40 + 5);
    expect(text).not.toContain('\n');
  }
});
