/**
 * Where the blob of a name is kept: every segment of the name is a step of the path, so that a person finds a blob by its name.
 *
 * How can no two names meet in one file? Every byte but `a-z 0-9 _ -` is escaped, so paths have no upper case (which some file
 * systems do not tell from lower case) and no dot or plus of their own. Those mark what a thing is: `.blob` ends a blob's file, a
 * dot begins a temporary one, `+` ends a folder that holds one piece of a segment too long for a file name.
 */
import { sep } from 'node:path';

export const BLOB_SUFFIX = '.blob';
export const PIECE_SUFFIX = '+';
/** Characters of a name on the disk. File systems take 255 bytes; with a suffix this stays well below. */
export const PIECE_CHARS = 200;

const UNSAFE = /[^a-z0-9_-]+/g;
const ESCAPED = /^(?:[a-z0-9_-]|%[0-9a-f]{2})+$/;

/** The file of a blob, whose name has passed `checkKey`. */
export function blobPath(root: string, name: string): string {
  return folderPath(root, name.split('/')) + BLOB_SUFFIX;
}

/** The folder of what is named below these segments. */
export function folderPath(root: string, segments: readonly string[]): string {
  return [root, ...segments.flatMap(piecesOf)].join(sep);
}

/** The bytes of the text, those that are not safe as `%` and two digits. */
export function escapeText(text: string): string {
  return text.replace(UNSAFE, (run) => Buffer.from(run).toString('hex').replace(/../g, '%$&'));
}

/** The segment that `escaped` stands for; undefined where no segment is written so. */
export function segmentOf(escaped: string): string | undefined {
  if (!ESCAPED.test(escaped)) return undefined;
  try {
    const segment = decodeURIComponent(escaped);
    // One name, one file: `%61` would be a second way to write `a`.
    return escapeText(segment) === escaped ? segment : undefined;
  } catch {
    return undefined;
  }
}

function piecesOf(segment: string): string[] {
  const escaped = escapeText(segment);
  const pieces: string[] = [];
  let at = 0;
  for (; escaped.length - at > PIECE_CHARS; at += PIECE_CHARS) pieces.push(escaped.slice(at, at + PIECE_CHARS) + PIECE_SUFFIX);
  pieces.push(escaped.slice(at));
  return pieces;
}
