import { metrics, trace } from '@opentelemetry/api';
import { createRuntime, openTelemetry, staticResolver } from 'evenkeel/core';
import { createHttpTransport } from 'evenkeel/http';
import { createRouter } from 'evenkeel/router';
const hdr = (s: string) => Buffer.from(s);
const H = [hdr('content-type'), hdr('text/plain'), hdr('content-length'), hdr('128'), hdr('Date'), hdr('Sun, 22 Nov 2026 00:30:00 GMT'), hdr('Connection'), hdr('keep-alive'), hdr('Keep-Alive'), hdr('timeout=60')];
const B = Buffer.alloc(128);
class FakePool { 
  q: any[] = [];
  dispatch(o: any, h: any) { this.q.push(h); if (this.q.length === 1) setImmediate(() => { const q = this.q; this.q = []; for (const h of q) { h.onConnect(() => {}); h.onRequestSent?.(); h.onHeaders(200, H, () => {}); h.onData(B); h.onComplete([]); } }); return true; }
  async close() {} async destroy() {}
}
class BareCall { status = 0; chunk: any; constructor(readonly resolve: any, readonly reject: any) {} onConnect() {} onHeaders(s: number) { this.status = s; return true; } onData(c: any) { this.chunk = c; return true; } onComplete() { this.resolve({ status: this.status, body: this.chunk }); } onError(e: any) { this.reject(e); } }
const addresses = ['http://a:1', 'http://b:1', 'http://c:1', 'http://d:1'];
const pools = new Map(addresses.map((a) => [a, new FakePool()]));
const list = [...pools.values()];
const transport = createHttpTransport({ undici: { Pool: FakePool as any }, pool: (o) => pools.get(o) as any });
const runtime = createRuntime(process.env.NOTEL ? {} : { telemetry: openTelemetry({ meter: metrics.getMeter('b'), tracer: trace.getTracer('b') }) });
const router = createRouter({ service: 'e', resolver: staticResolver(addresses), transport, runtime, ...(process.env.NOTIME ? {} : { timeoutMs: 10000, attemptTimeoutMs: 5000, firstByteTimeoutMs: 5000, idleTimeoutMs: 5000 }) });
await new Promise((r) => setTimeout(r, 10));
let turn = 0;
const HEADERS = ['content-type', 'application/octet-stream'];
const BODY = Buffer.alloc(128);
const bare = () => new Promise((res, rej) => { turn = (turn + 1) % 4; (list[turn] as any).dispatch({ path: '/', method: 'POST', headers: HEADERS, body: BODY }, new BareCall(res, rej)); });
const ours = () => router.call({ path: '/', method: 'POST', headers: HEADERS, body: BODY });
async function run(f: any, n: number) { let left = n; const lane = async () => { while (left-- > 0) await f(); }; const t = process.cpuUsage(); await Promise.all(Array.from({ length: 16 }, lane)); const u = process.cpuUsage(t); return (u.user + u.system) / n; }
for (let i = 0; i < 6; i++) { const b = await run(bare, 100000); const o = await run(ours, 100000); console.log('bare', b.toFixed(2), 'ours', o.toFixed(2), 'diff us', (o - b).toFixed(2)); }
await router.close();
