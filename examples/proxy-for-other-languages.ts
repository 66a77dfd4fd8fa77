/** `evenkeel proxy` beside a program that cannot import the library: here one that knows plain HTTP only. Of two servers one is away. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const server = createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1');
await once(server, 'listening');
const endpoints = [`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'http://127.0.0.1:9'];
const services = { greeter: { resolver: { static: endpoints } } };
const path = `${mkdtempSync('.build/proxy-')}/proxy.json`;
writeFileSync(path, JSON.stringify({ listen: { addresses: ['127.0.0.1:0'] }, services, routes: [{ service: 'greeter' }] }));

const proxy = fork('dist/cli/main.js', ['proxy', '--config', path], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
const [started] = await once(proxy.stdout as NodeJS.ReadableStream, 'data');
const origin = `http://${JSON.parse(String(started)).addresses[0]}`;
for (let i = 0; i < 10; i++) assert.equal(await (await fetch(`${origin}/greeting`)).text(), 'hello');
proxy.kill('SIGTERM');
assert.deepEqual(await once(proxy, 'exit'), [0, null]);
rmSync(path.replace('/proxy.json', ''), { recursive: true });
server.close();
console.log('10 requests answered, though one of the two servers was away');
