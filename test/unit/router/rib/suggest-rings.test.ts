import { describe, expect, it } from 'vitest';
import { parseRtts, suggestRings } from '../../../../src/router/rib/suggest-rings.js';

describe('suggested rings', () => {
  it('are cut in the widest gaps', () => {
    const { boundsMs, rings } = suggestRings([0.4, 0.9, 1.1, 11, 14, 70, 85, 150]);
    expect(boundsMs).toEqual([4, 32, 110]);
    expect(rings).toEqual([
      { count: 3, minMs: 0.4, maxMs: 1.1 },
      { count: 2, minMs: 11, maxMs: 14 },
      { count: 2, minMs: 70, maxMs: 85 },
      { count: 1, minMs: 150, maxMs: 150 },
    ]);
  });

  it('are one where nothing is much farther than the rest', () => {
    expect(suggestRings([10, 11, 12, 13]).boundsMs).toEqual([]);
    expect(suggestRings([0, 0, 0.01, 0.04]).boundsMs).toEqual([]);
    expect(suggestRings([7]).rings).toEqual([{ count: 1, minMs: 7, maxMs: 7 }]);
  });

  it('are as many as asked for at most', () => {
    expect(suggestRings([1, 10, 100, 1000], { rings: 2 }).boundsMs).toHaveLength(1);
    expect(suggestRings([1, 10, 100, 1000], { rings: 1 }).boundsMs).toEqual([]);
  });

  it('have each bound within its gap', () => {
    const { boundsMs } = suggestRings([1, 1.0001, 1.6, 200, 200.5], { minRatio: 1.1 });
    expect(boundsMs.every((bound) => bound > 1.0001)).toBe(true);
    expect(boundsMs).toHaveLength(2);
  });

  it.each([[[]], [[Number.NaN]], [[-1]], [[Number.POSITIVE_INFINITY]]])('refuse %j', (rtts) => {
    expect(() => suggestRings(rtts)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});

describe('a file of round trips', () => {
  const expected = [
    { from: 'eu/w', to: 'eu/n', rttMs: 20 },
    { from: 'eu/w', to: 'us/e', rttMs: 80.5 },
  ];

  it.each([
    ['lines with a heading', 'from,to,ms\neu/w,eu/n,20\n\neu/w, us/e ,80.5 # far\n'],
    ['lines without one', 'eu/w;eu/n;20\r\neu/w;us/e;80.5'],
    ['a list', JSON.stringify(expected)],
    ['a matrix', '{"eu/w":{"eu/n":20,"us/e":80.5}}'],
  ])('may be %s', (_what, text) => {
    expect(parseRtts(text)).toEqual(expected);
  });

  it.each([
    ['eu/w,eu/n,20\neu/w,us/e', 'line 2'],
    ['eu/w,eu/n,20\n,us/e,3', 'line 2'],
    ['eu/w,eu/n,-1', 'line 1'],
    ['a,b,1,2', 'line 1'],
    ['[{"from":"a"}]', 'entry 1'],
    ['[null]', 'entry 1'],
    ['{"a":{"b":"x"}}', "'a' to 'b'"],
    ['{"a":1}', "'a'"],
    ['{', 'the file'],
  ])('is refused with the place of its fault: %j', (text, place) => {
    expect(() => parseRtts(text)).toThrow(
      expect.objectContaining({ code: 'invalid-argument', message: expect.stringContaining(place) }),
    );
  });
});
