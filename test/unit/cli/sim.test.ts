import { describe, expect, it } from 'vitest';
import type { CommandIo } from '../../../src/cli/command.js';
import { plotSvg } from '../../../src/cli/sim/plot-svg.js';
import { simCommandOf } from '../../../src/cli/sim.js';
import type { Plot, Scenario } from '../../../src/sim/scenario.js';
import { SCENARIOS } from '../../../src/sim/scenarios.js';
import { fakeRuntime } from '../../support/fake-host.js';

const PLOT: Plot = {
  title: 'Latency <ms>',
  xLabel: 'ms',
  yLabel: 'share',
  isXLogarithmic: true,
  series: [
    {
      name: 'a & b',
      points: [
        [1, 0],
        [10, 0.5],
        [100, 0.25],
      ],
    },
  ],
  marks: [{ axis: 'x', at: 400, label: 'timeout' }],
};

const scenario = (name: string, hash: (run: number) => string, problems: string[] = []): Scenario => {
  let runs = 0;
  return {
    name,
    summary: `the scenario ${name}`,
    run: async (seed) => ({
      hash: hash(runs++),
      events: 100 * seed,
      problems,
      tables: [{ title: 'Figures', columns: ['p99'], rows: [{ name: 'rule', values: ['12 ms'] }] }],
      plots: [PLOT],
      notes: ['a note'],
    }),
    further: async () => ({ tables: [{ title: 'Headroom', columns: [], rows: [] }], plots: [], notes: ['found by bisection'] }),
  };
};

async function run(...args: string[]) {
  const runtime = fakeRuntime();
  const out: string[] = [];
  const errors: string[] = [];
  const io = { version: '1.2.3', runtime, out: (line: string) => out.push(line), error: (line: string) => errors.push(line) };
  const command = simCommandOf([
    scenario('steady', () => 'aaaa'),
    scenario('fickle', (n) => `hash-${n}`),
    scenario('faulty', () => 'bbbb', ['call 7 was never settled']),
  ]);
  const code = await command.run(args, io as unknown as CommandIo);
  return { code, out: out.join('\n'), errors: errors.join('\n'), runtime, help: command.help };
}

describe('evenkeel sim', () => {
  it('runs a scenario twice and prints seed, hash, figures and how they were found', async () => {
    const { code, out } = await run('steady', '--seed', '7');
    expect(code).toBe(0);
    expect(out).toContain('steady, seed 7: trace aaaa twice, 700 events');
    expect(out).toMatch(/Figures\n +p99\n +rule +12 ms/);
    expect(out).toContain('found by bisection');
  });

  it('fails when the two runs differ, and when the scenario found a fault: with seed and hash', async () => {
    const fickle = await run('fickle');
    expect(fickle.code).toBe(1);
    expect(fickle.errors).toContain('two runs of seed 1 differ: hash-0, hash-1');
    const faulty = await run('faulty', '--seed', '3');
    expect(faulty.code).toBe(1);
    expect(faulty.errors).toBe('seed 3, trace bbbb: call 7 was never settled');
  });

  it('gives programs the report as JSON', async () => {
    const { out } = await run('steady', '--json');
    expect(JSON.parse(out)).toMatchObject({
      scenario: 'steady',
      seed: 1,
      hashes: ['aaaa', 'aaaa'],
      version: '1.2.3',
      problems: [],
    });
  });

  it('lists its scenarios, and its help says what each is', async () => {
    expect((await run('--list')).out).toBe('steady\nfickle\nfaulty');
    expect((await run('--list')).help).toContain('the scenario fickle');
    expect(SCENARIOS.map(({ name }) => name)).toEqual([
      'fleet',
      'fleet-many-clients',
      'fleet-overload',
      'rpc',
      'chaos',
      'overload-spike',
      'overload-dip',
      'overload-retries',
    ]);
  });

  it('says what is wrong with its arguments', async () => {
    for (const [args, error] of [
      [[], 'no scenario given'],
      [['unheard'], "'unheard' is no scenario"],
      [['steady', 'fickle'], "'steady fickle' is no scenario"],
      [['steady', '--seed', 'x'], "--seed is 'x'; expected a whole number"],
      [['steady', '--seed', ''], "--seed is ''; expected a whole number"],
      [['steady', '--sed', '1'], "Unknown option '--sed'"],
    ] as const) {
      const { code, errors } = await run(...args);
      expect(code).toBe(2);
      expect(errors).toContain(error);
    }
  });

  it('writes its page to a file named after the run, to another, or to none', async () => {
    const pageOf = async (file: string, ...args: string[]) => {
      const { runtime, out } = await run('steady', '--seed', '7', ...args);
      const page = await runtime.host.readFile(file, 1_000_000).catch(() => undefined);
      return { isThere: page !== undefined, isTold: out.includes(`figures and plots: ${file}`) };
    };
    expect(await pageOf('sim-steady-7.html')).toEqual({ isThere: true, isTold: true });
    expect(await pageOf('other.html', '--html', 'other.html')).toEqual({ isThere: true, isTold: true });
    expect(await pageOf('sim-steady-7.html', '--no-html')).toEqual({ isThere: false, isTold: false });
    expect(await pageOf('sim-steady-7.html', '--json')).toEqual({ isThere: false, isTold: false });
  });

  it('writes a page that needs no other file, with every text escaped', async () => {
    const { runtime, code } = await run('steady', '--html', '/tmp/page.html');
    expect(code).toBe(0);
    const page = new TextDecoder().decode(await runtime.host.readFile('/tmp/page.html', 1_000_000));
    expect(page).toContain('seed 1 · trace <code>aaaa</code>, the same in both runs');
    expect(page).toContain('npx evenkeel sim steady --seed 1');
    expect(page).toContain('prefers-color-scheme: dark');
    expect(page).toContain('a &amp; b');
    expect(page).toContain('Latency &lt;ms&gt;');
    expect(page).not.toMatch(/\b(src|href|url)\b|@import|https?:/);
  });
});

describe('a plot', () => {
  const numbers = (svg: string, from: RegExp) => [...svg.matchAll(from)].map((match) => match.slice(1).map(Number));

  it('stays within its frame, later points to the right, larger ones higher, decades equally far apart', () => {
    const svg = plotSvg(PLOT);
    const points = numbers(svg, /[ML]([\d.]+) ([\d.]+)/g) as [number, number][];
    expect(points).toHaveLength(3);
    for (const [x, y] of points) {
      expect(x).toBeGreaterThanOrEqual(64);
      expect(x).toBeLessThanOrEqual(704);
      expect(y).toBeGreaterThanOrEqual(12);
      expect(y).toBeLessThanOrEqual(256);
    }
    const [[x0, y0] = [0, 0], [x1, y1] = [0, 0], [x2, y2] = [0, 0]] = points;
    expect(x2 - x1).toBeCloseTo(x1 - x0, 0);
    expect(y1).toBeLessThan(y2);
    expect(y2).toBeLessThan(y0);
    expect(svg).not.toContain('NaN');
  });

  it('of one point, of equal values, or of nothing is drawn without NaN', () => {
    const of = (points: [number, number][]) => plotSvg({ ...PLOT, marks: [], series: [{ name: 'a', points }] });
    expect(of([[5, 3]])).not.toMatch(/NaN|Infinity/);
    expect(
      plotSvg({
        title: '',
        xLabel: '',
        yLabel: '',
        series: [
          {
            name: '',
            points: [
              [0, 0],
              [1, 0],
            ],
          },
        ],
      }),
    ).not.toMatch(/NaN|Infinity/);
    expect(of([])).toBe('<p>nothing to draw</p>');
  });

  it('takes two hundred thousand points', () => {
    const points = Array.from({ length: 200_000 }, (_, i): [number, number] => [i + 1, i % 7]);
    expect(plotSvg({ ...PLOT, series: [{ name: 'a', points }] })).toContain('<path');
  });
});
