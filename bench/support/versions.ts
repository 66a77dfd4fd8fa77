/** Versions of what is measured, as installed. */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

export function versionOf(name: string): string {
  try {
    return (require(`${name}/package.json`) as { version: string }).version;
  } catch {
    return 'not installed';
  }
}

export function versionsOf(): Record<string, string> {
  return { node: process.versions.node, undici: versionOf('undici'), '@grpc/grpc-js': versionOf('@grpc/grpc-js') };
}
