/** The version of the library, as package.json has it; a test compares the two. */
export const VERSION = '0.1.0';

/** As a number, for load reports: 1,002,003 for 1.2.3. */
export function versionNumber(version = VERSION): number {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  return major * 1_000_000 + minor * 1000 + patch;
}
