import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

it('the lock file names no download address, so that any registry serves', () => {
  const { packages } = JSON.parse(readFileSync(new URL('../../../package-lock.json', import.meta.url), 'utf8'));
  const addressed = Object.entries(packages as Record<string, { resolved?: string }>).filter(
    ([, { resolved }]) => resolved !== undefined,
  );
  expect(addressed).toEqual([]);
  expect(Object.keys(packages).length).toBeGreaterThan(10);
});
