import { sep } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkKey, compareKeys } from '../../../../src/core/internal/keys.js';
import { walkBlobs } from '../../../../src/transports/files/blob-listing.js';
import { blobPath } from '../../../../src/transports/files/blob-names.js';
import type { FileSystem } from '../../../../src/transports/files/file-system.js';
import { systemError } from '../../../support/faulty-file-system.js';
import { rounds } from '../../../support/rounds.js';

const ROOT = `${sep}store`;

/** Folders and nothing else, as these files would need them. */
function treeOf(paths: readonly string[]): Pick<FileSystem, 'readdir'> {
  const folders = new Map<string, Map<string, boolean>>();
  for (const path of paths) {
    const steps = path.split(sep);
    for (let i = 1; i < steps.length; i++) {
      const folder = steps.slice(0, i).join(sep);
      const entries = folders.get(folder) ?? new Map<string, boolean>();
      folders.set(folder, entries.set(steps[i] ?? '', i < steps.length - 1));
    }
  }
  return {
    async readdir(path) {
      const entries = folders.get(path);
      if (entries === undefined) throw systemError('ENOENT');
      return [...entries].map(([name, isFolder]) => ({ name, isFolder }));
    },
  };
}

async function listed(paths: readonly string[], prefix = '', after?: string): Promise<{ name: string; path: string }[]> {
  const found: { name: string; path: string }[] = [];
  for await (const blob of walkBlobs(treeOf(paths) as FileSystem, ROOT, prefix, after)) found.push(blob);
  return found;
}

function isKey(name: string): boolean {
  try {
    return checkKey('name', name) === name;
  } catch {
    return false;
  }
}

const unit = fc.constantFrom(...'aaabA09.-_%+~/ ', 'é', '\u{1f40b}', '\ufffd', 'x'.repeat(70), 'É'.repeat(40));
const key = fc.string({ unit, minLength: 1, maxLength: 12 }).filter(isKey);
const keys = fc.uniqueArray(key, { maxLength: 20 });

describe('the path of a blob', () => {
  it.each([
    ['a', 'a.blob'],
    ['a/b', 'a/b.blob'],
    ['Step 1/weights.bin', '%53tep%201/weights%2ebin.blob'],
    ['é', '%c3%a9.blob'],
    ['%61', '%2561.blob'],
    ['.hidden', '%2ehidden.blob'],
    ['a/..b', 'a/%2e%2eb.blob'],
    ['x'.repeat(200), `${'x'.repeat(200)}.blob`],
    ['x'.repeat(201), `${'x'.repeat(200)}+/x.blob`],
    [`${'x'.repeat(450)}/y`, `${'x'.repeat(200)}+/${'x'.repeat(200)}+/${'x'.repeat(50)}/y.blob`],
  ])('of %s is %s', async (name, path) => {
    const full = [ROOT, ...path.split('/')].join(sep);
    expect(blobPath(ROOT, name)).toBe(full);
    expect(await listed([full])).toEqual([{ name, path: full }]);
  });

  it('stays below the folder, within what file systems take, and never meets another, be case told apart or not', () => {
    fc.assert(
      fc.property(keys, (names) => {
        const files = new Set<string>();
        const folders = new Set<string>();
        for (const name of names) {
          const path = blobPath(ROOT, name);
          const steps = path.split(sep);
          expect(steps.slice(0, 2)).toEqual(['', 'store']);
          for (const step of steps.slice(2)) {
            expect(step).toMatch(/^[^.]/);
            expect(Buffer.byteLength(step)).toBeLessThan(210);
          }
          files.add(path.toLowerCase());
          for (let i = 3; i < steps.length; i++) folders.add(steps.slice(0, i).join(sep).toLowerCase());
        }
        expect(files.size).toBe(names.length);
        for (const file of files) expect(folders.has(file)).toBe(false);
      }),
      { numRuns: rounds(200) },
    );
  });

  it('leads back to the name, in byte order, by prefix and from any name on', async () => {
    const start = fc.string({ unit, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(keys, start, fc.option(start, { nil: undefined }), async (names, prefix, after) => {
        const paths = names.map((name) => blobPath(ROOT, name));
        fc.pre(isKey(`${prefix}x`));
        const expected = names.filter((name) => name.startsWith(prefix) && compareKeys(name, after ?? '') > 0).sort(compareKeys);
        const found = await listed(paths, prefix, after);
        expect(found.map(({ name }) => name)).toEqual(expected);
        expect(found.map(({ path }) => path)).toEqual(expected.map((name) => blobPath(ROOT, name)));
      }),
      { numRuns: rounds(300) },
    );
  });
});

describe('a walk', () => {
  it('passes over what this store does not write', async () => {
    const strangers = [
      'a', // no suffix
      'A.blob',
      'a.b.blob',
      '%61.blob', // a second way to write a
      '%C3%A9.blob',
      '%c3.blob', // half a character
      '%2.blob',
      '%2e%2e.blob', // a name that no blob may have
      '%0a.blob',
      '.blob',
      '.0123456789abcdef.tmp',
      'short+/a.blob',
      `${'x'.repeat(201)}.blob`,
      `${'x'.repeat(201)}+/a.blob`,
      `${'x'.repeat(200)}+/.blob`,
      'B/a.blob',
      '.hidden/a.blob',
      Array.from({ length: 60 }, () => 'x'.repeat(9))
        .join('/')
        .concat('.blob'), // 599 bytes
    ];
    const paths = [...strangers, 'a.blob', 'b/c.blob'].map((path) => [ROOT, ...path.split('/')].join(sep));
    expect((await listed(paths)).map(({ name }) => name)).toEqual(['a', 'b/c']);
  });

  it('opens only folders that can hold the prefix or a name after the given one', async () => {
    const names = ['a/a/a', 'a/b/a', 'b/a', `b/${'x'.repeat(201)}`, `b/${'y'.repeat(201)}`, 'c/a'];
    const tree = treeOf(names.map((name) => blobPath(ROOT, name)));
    const opened = async (prefix: string, after?: string) => {
      const folders: string[] = [];
      const readdir = (path: string) => {
        folders.push(path.slice(ROOT.length).replaceAll(sep, '/'));
        return tree.readdir(path);
      };
      for await (const _ of walkBlobs({ readdir } as FileSystem, ROOT, prefix, after));
      return folders;
    };
    expect(await opened('a/b')).toEqual(['/a', '/a/b']);
    expect(await opened('a/b/')).toEqual(['/a/b']);
    expect(await opened('none/x')).toEqual(['/none']);
    expect(await opened(`b/${'y'.repeat(201)}`)).toEqual(['/b', `/b/${'y'.repeat(200)}+`]);
    expect(await opened('', 'b/z')).toEqual(['', '/b', `/b/${'x'.repeat(200)}+`, `/b/${'y'.repeat(200)}+`, '/c']);
    expect(await opened('', 'b0')).toEqual(['', '/c']);
  });
});
