import { describe, expect, it } from 'vitest';
import { addTraceHeaders } from '../../../src/core/trace-headers.js';

const FIELDS = ['traceparent', 'tracestate', 'baggage'];

function added(headers: string[], injected: string[]): string[] {
  addTraceHeaders(headers, injected, FIELDS);
  return headers;
}

describe('baggage', () => {
  it('comes together, and the call\u2019s own members hold', () => {
    expect(
      added(['Baggage', 'evenkeel.criticality=critical, a=1;p=x'], ['baggage', 'a=2,b=3,evenkeel.criticality=batch']),
    ).toEqual(['Baggage', 'evenkeel.criticality=critical, a=1;p=x,b=3']);
  });

  it('is added where there is none, and left as it is where nothing is new', () => {
    expect(added(['x', 'y'], ['baggage', 'a=1'])).toEqual(['x', 'y', 'baggage', 'a=1']);
    expect(added(['baggage', 'a=1'], ['Baggage', 'a=2'])).toEqual(['baggage', 'a=1']);
    expect(added(['baggage', ''], ['baggage', 'a=2'])).toEqual(['baggage', 'a=2']);
  });

  it('alone does not end the trace that was passed on', () => {
    expect(added(['traceparent', 'old'], ['baggage', 'a=1'])).toEqual(['traceparent', 'old', 'baggage', 'a=1']);
  });

  it('stays when the propagator has none', () => {
    expect(added(['baggage', 'a=1', 'tracestate', 'old'], ['traceparent', 'new'])).toEqual([
      'baggage',
      'a=1',
      'traceparent',
      'new',
    ]);
  });
});

it('sets each header once', () => {
  expect(added(['TRACESTATE', '1', 'x', 'y', 'tracestate', '2'], ['traceparent', 'new', 'tracestate', '3'])).toEqual([
    'x',
    'y',
    'traceparent',
    'new',
    'tracestate',
    '3',
  ]);
});
