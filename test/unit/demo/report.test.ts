import { expect, it } from 'vitest';
import { incidentsOf } from '../../../demo/incidents.js';
import { roleOf, SERVERS, scenarioOf } from '../../../demo/parameters.js';
import { html } from '../../../demo/report/html.js';
import { renderReport } from '../../../demo/report/report.js';
import { logScale, rootScale } from '../../../demo/report/scale.js';
import type { ContenderResult, DemoResult } from '../../../demo/result.js';
import { contenderResult } from './fixtures.js';

function resultWith(contenders: ContenderResult[], source = 'generated'): DemoResult {
  const scenario = scenarioOf({ seed: 3, rate: 100, durationS: 5, timeScale: 50 });
  const roles = Array.from({ length: SERVERS }, (_, server) => roleOf(server));
  const incidents = incidentsOf(scenario.durationMs);
  return { scenario, source, requests: 500, roles, incidents, versions: { node: '20.19.0' }, contenders };
}

const PEERS = [contenderResult('peer', 1500, SERVERS), contenderResult('evenkeel', 500, SERVERS)];
const report = renderReport(resultWith(PEERS), 'evenkeel');

const VOID = new Set(['meta', 'br', '!doctype']);

/** Names of the elements left open, or closed without having been opened. */
function unbalanced(text: string): string[] {
  const open: string[] = [];
  for (const [, slash, name = '', selfClosing] of text
    .replace(/<style>[\s\S]*?<\/style>/, '')
    .matchAll(/<(\/?)([!a-z0-9]+)(?:[^<>"]|"[^"]*")*?(\/?)>/g)) {
    if (VOID.has(name) || selfClosing === '/') continue;
    if (slash === '') open.push(name);
    else if (open.at(-1) === name) open.pop();
    else return [...open, `/${name}`];
  }
  return open;
}

it('is one well-formed page without a script and without anything from elsewhere', () => {
  expect(report.startsWith('<!doctype html>')).toBe(true);
  expect(unbalanced(report)).toEqual([]);
  expect(report).not.toMatch(/https?:|url\(|@import|<link|<script|<img|\bsrc=|\bhref=/);
  expect(report).not.toMatch(/NaN|undefined|Infinity|\[object/);
});

it('tells what was run and what came out', () => {
  for (const words of [
    '<dd>3</dd>',
    '3.0x lower',
    '1500 ms',
    'node 20.19.0',
    'degrades',
    'returns',
    '1 x status 503',
    'prefers-color-scheme: dark',
  ]) {
    expect(report).toContain(words);
  }
});

it('draws eight servers for each contender and marks what happened to them', () => {
  expect(report.match(/class="spark"/g)).toHaveLength(PEERS.length * SERVERS);
  expect(report.match(/class="mark"/g)).toHaveLength(PEERS.length * 4);
});

it('draws no line across the time a server was down', () => {
  // The fixture's samples have one gap.
  expect(report.match(/class="area/g)).toHaveLength(PEERS.length * SERVERS * 2);
});

it('escapes what comes from outside', () => {
  const text = renderReport(resultWith(PEERS, '<b>"x" & \'y\'</b>.csv'), 'evenkeel');
  expect(text).not.toContain('<b>"x"');
  expect(unbalanced(text)).toEqual([]);
  expect(html`<p>${'<'}${html`<i></i>`}</p>`.text).toBe('<p>&#60;<i></i></p>');
});

it('can be made of a run in which nothing was answered, and of a single contender', () => {
  const nothing = {
    ...contenderResult('evenkeel', 1, SERVERS),
    curve: [],
    p50Ms: null,
    p99Ms: null,
    p999Ms: null,
    load: Array.from({ length: SERVERS }, () => []),
  };
  const text = renderReport(resultWith([nothing]), 'evenkeel');
  expect(unbalanced(text)).toEqual([]);
  expect(text).not.toMatch(/NaN|undefined|Infinity/);
});

it('marks axes at round numbers around the values', () => {
  expect(logScale(7, 2600).ticks).toEqual([5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]);
  expect(logScale(1, 1).ticks).toEqual([1, 2, 5, 10]);
  expect(logScale(10, 1000).place(100)).toBeCloseTo(0.5);
  expect(rootScale(37).ticks).toEqual([0, 50]);
  expect(rootScale(100).place(25)).toBe(0.5);
  expect(rootScale(100).place(1000)).toBe(1);
});
