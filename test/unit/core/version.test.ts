import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { VERSION, versionNumber } from '../../../src/core/version.js';

describe('the version', () => {
  it('is that of the package', () => {
    const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
    expect(VERSION).toBe(version);
  });

  it('is a number that rises with it', () => {
    const numbers = ['0.1.0', '0.1.12', '0.2.0', '1.0.0', '1.12.345', '2.0.0-rc.1'].map((version) => versionNumber(version));
    expect(numbers).toEqual([1000, 1012, 2000, 1_000_000, 1_012_345, 2_000_000]);
  });
});
