/**
 * Counts cases, one printed line each, and ends with the line that check.mjs and .ci/run add up: `N passed, N failed, N skipped`.
 */

/** @param {{ passed: number, failed: number, skipped: number }} counts */
export function countLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/**
 * Reads the counts back from a program's output.
 * @param {string} output
 */
export function readCountLine(output) {
  const match = /^(\d+) passed, (\d+) failed, (\d+) skipped$/.exec(output.trimEnd().split('\n').at(-1) ?? '');
  return match ? { passed: Number(match[1]), failed: Number(match[2]), skipped: Number(match[3]) } : undefined;
}

export function createCases() {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  return {
    /**
     * @param {string} name
     * @param {() => unknown} body - Fails the case by throwing.
     */
    async run(name, body) {
      const startedMs = performance.now();
      try {
        await body();
        counts.passed++;
        console.log(`ok    ${name} (${Math.round(performance.now() - startedMs)} ms)`);
      } catch (error) {
        counts.failed++;
        const text = error instanceof Error ? error.message : String(error);
        console.log(`FAIL  ${name}\n${text.replace(/^/gm, '      ')}`);
      }
    },
    /** @param {string} name @param {string} why */
    skip(name, why) {
      counts.skipped++;
      console.log(`skip  ${name}: ${why}`);
    },
    /** Prints the sum and sets the exit code. */
    finish() {
      console.log(countLine(counts));
      process.exitCode = counts.failed > 0 ? 1 : 0;
    },
  };
}
