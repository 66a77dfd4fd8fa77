/**
 * The names of a store in byte order, found by walking its folders. Only folders that can hold the prefix, and names after the
 * given one, are opened; what has another form than the names this store makes is passed over.
 */
import { sep } from 'node:path';
import { checkKey, compareKeys } from '../../core/internal/keys.js';
import { BLOB_SUFFIX, escapeText, folderPath, PIECE_CHARS, PIECE_SUFFIX, segmentOf } from './blob-names.js';
import { systemCode } from './file-steps.js';
import type { FileSystem, FolderEntry } from './file-system.js';

export interface ListedBlob {
  readonly name: string;
  readonly path: string;
}

/** @param after - Only names after it. */
export function walkBlobs(fs: FileSystem, root: string, prefix: string, after: string | undefined): AsyncGenerator<ListedBlob> {
  const base = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  const folder = folderPath(root, base.split('/').slice(0, -1));
  return walk(fs, folder, base, prefix.slice(base.length), after);
}

/** What stands in a folder: `key` is the name of a blob, or what the names of all blobs in a folder below begin with. */
interface Entry {
  readonly key: string;
  readonly path: string;
  readonly isFolder: boolean;
}

/**
 * @param base - What the names of all blobs in `folder` begin with: nothing, or whole segments and a slash.
 * @param start - What the next segment begins with.
 */
async function* walk(fs: FileSystem, folder: string, base: string, start: string, after = ''): AsyncGenerator<ListedBlob> {
  const entries: Entry[] = [];
  for await (const { segment, path, isFolder } of segmentsIn(fs, folder, '', escapeText(start))) {
    entries.push({ key: base + segment + (isFolder ? '/' : ''), path, isFolder });
  }
  // With its slash a folder sorts where all of its blobs do: none of its siblings comes between them.
  entries.sort((a, b) => compareKeys(a.key, b.key));
  for (const { key, path, isFolder } of entries) {
    const isAfter = compareKeys(key, after) > 0;
    if (!isFolder) {
      if (isAfter && isName(key)) yield { name: key, path };
    } else if (isAfter || after.startsWith(key)) {
      yield* walk(fs, path, key, '', after);
    }
  }
}

interface Segment {
  readonly segment: string;
  readonly path: string;
  readonly isFolder: boolean;
}

/**
 * Segments that begin with `start`, in no order, those in pieces put together.
 * @param head - The pieces before this folder, joined. Like `start` it is escaped.
 */
async function* segmentsIn(fs: FileSystem, folder: string, head: string, start: string): AsyncGenerator<Segment> {
  for (const { name, isFolder } of await entriesOf(fs, folder)) {
    const path = folder + sep + name;
    if (isFolder && name.endsWith(PIECE_SUFFIX)) {
      const text = head + name.slice(0, -PIECE_SUFFIX.length);
      const isPiece = name.length === PIECE_CHARS + PIECE_SUFFIX.length;
      if (isPiece && (text.startsWith(start) || start.startsWith(text))) yield* segmentsIn(fs, path, text, start);
      continue;
    }
    if (!isFolder && !name.endsWith(BLOB_SUFFIX)) continue;
    const piece = isFolder ? name : name.slice(0, -BLOB_SUFFIX.length);
    if (piece === '' || piece.length > PIECE_CHARS || !(head + piece).startsWith(start)) continue;
    const segment = segmentOf(head + piece);
    if (segment !== undefined) yield { segment, path, isFolder };
  }
}

/** A folder that is gone held nothing any more. */
async function entriesOf(fs: FileSystem, folder: string): Promise<FolderEntry[]> {
  try {
    return await fs.readdir(folder);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}

function isName(key: string): boolean {
  try {
    return checkKey('name', key) === key;
  } catch {
    return false;
  }
}
