import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ATTRIBUTES, METRICS, type MetricDefinition } from '../../../src/core/metrics.js';

const page = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8');
const rows = page.split('\n').filter((line) => line.startsWith('| `'));
const cells = (row: string) => row.split('|').map((cell) => cell.trim());

describe('docs/metrics.md', () => {
  it.each(Object.entries<MetricDefinition>(METRICS))('explains %s, with its kind and unit', (name, { kind, unit }) => {
    const found = rows.filter((row) => row.startsWith(`| \`${name}\` |`));
    expect(found).toHaveLength(1);
    expect(cells(found[0] as string).slice(2, 4)).toEqual([kind, `\`${unit}\``]);
  });

  it.each(Object.values(ATTRIBUTES))('explains the attribute %s', (name) => {
    expect(rows.filter((row) => row.startsWith(`| \`${name}\` |`))).toHaveLength(1);
  });

  it('explains nothing that is not there', () => {
    const known = new Set<string>([...Object.keys(METRICS), ...Object.values(ATTRIBUTES)]);
    const named = rows.map((row) => /^\| `([^`]+)`/.exec(row)?.[1] ?? '');
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });
});
