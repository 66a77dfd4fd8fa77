import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileQueueStore } from 'evenkeel/files';
import { describe, expect, it } from 'vitest';
import { liveProcesses } from '../../../../src/transports/files/queue-process.js';
import { bodyOf, processTable, queueRig, textsDue } from './queue-rig.js';

const code = (expected: string) => expect.objectContaining({ code: expected });

describe('the owner of a queue’s folder', () => {
  it('keeps a second store of this process out until it closes', async () => {
    const rig = queueRig();
    const [one, two] = [rig.open({ processes: liveProcesses() }), rig.open({ processes: liveProcesses() })];
    await one.enqueue([{ body: bodyOf('1') }]);
    const error = await two.stats().catch((failure) => failure);
    expect(error).toEqual(code('failed-precondition'));
    expect(error.message).toContain(String(process.pid));
    expect(error.details.pid).toBe(process.pid);
    expect(rig.files('')).toEqual(['0000000000000001.log', 'owner-1']);
    await one.close();
    expect(await textsDue(two)).toEqual(['1']);
  });

  it('lets one of many stores in that come at once', async () => {
    const rig = queueRig();
    const table = (pid: number) => processTable(pid, [1, 2, 3, 4, 5, 6]);
    for (let round = 0; round < 20; round++) {
      const queues = [1, 2, 3, 4, 5, 6].map((pid) => rig.open({ processes: table(pid) }));
      const results = await Promise.allSettled(queues.map((queue) => queue.stats()));
      const winners = results.filter(({ status }) => status === 'fulfilled');
      // Two that see each other give way both.
      expect(winners.length).toBeLessThanOrEqual(1);
      for (const result of results) {
        if (result.status === 'rejected') expect(result.reason).toEqual(code('failed-precondition'));
      }
      for (const queue of queues) await queue.close();
      expect(rig.files('')).toEqual([]);
    }
  });

  it('is followed by the next generation when it is dead', async () => {
    const rig = queueRig();
    await rig.open().enqueue([{ body: bodyOf('1') }]);
    expect(rig.files('').filter((name) => name.startsWith('owner'))).toEqual(['owner-1']);
    rig.kill();
    const next = rig.open();
    expect(await textsDue(next)).toEqual(['1']);
    expect(rig.files('').filter((name) => name.startsWith('owner'))).toEqual(['owner-2']);
    await next.close();
    expect(rig.files('').filter((name) => name.startsWith('owner'))).toEqual([]);
  });

  it('is dead when its file was cut off by a crash of the machine', async () => {
    const rig = queueRig();
    mkdirSync(rig.folder);
    for (const [i, content] of ['', '{"pid":', '{"pid":-1}', '{}', 'null'].entries()) {
      writeFileSync(join(rig.folder, `owner-${i + 1}`), content);
    }
    expect((await rig.open().stats()).due).toBe(0);
    expect(rig.files('')).toEqual(['owner-6']);
  });

  it('writes nothing more, and says nothing more was done, once another process has taken the folder', async () => {
    const rig = queueRig();
    const old = rig.open({ processes: processTable(1, [1]) });
    await old.enqueue([{ body: bodyOf('1') }, { body: bodyOf('2') }]);
    const [delivery] = await old.lease({ max: 1, leaseMs: 60_000 });
    // From another container it looks dead.
    const next = rig.open({ processes: processTable(2, [2]) });
    await next.enqueue([{ body: bodyOf('3') }]);
    await expect(delivery?.ack()).rejects.toThrow(code('failed-precondition'));
    const log = () => rig.files('.log').map((name) => readFileSync(join(rig.folder, name)).toString('hex'));
    const before = log();
    await expect(old.enqueue([{ body: bodyOf('4') }])).rejects.toThrow(code('failed-precondition'));
    await expect(delivery?.ack()).rejects.toThrow(code('failed-precondition'));
    await expect(old.lease({ max: 1, leaseMs: 1000 })).rejects.toThrow(code('failed-precondition'));
    await expect(old.stats()).rejects.toThrow(code('failed-precondition'));
    await old.close();
    expect(log()).toEqual(before);
    expect((await next.stats()).due).toBe(2);
    await next.close();
    expect((await rig.open().stats()).due).toBe(2);
  });

  it('does not touch a segment of the process that has taken the folder', async () => {
    const rig = queueRig();
    const old = rig.open({ processes: processTable(1, [1]) });
    await old.stats();
    const next = rig.open({ processes: processTable(2, [2]) });
    await next.enqueue([{ body: bodyOf('1') }]);
    const before = readFileSync(join(rig.folder, '0000000000000001.log'));
    await expect(old.enqueue([{ body: bodyOf('2') }])).rejects.toThrow(code('failed-precondition'));
    expect(readFileSync(join(rig.folder, '0000000000000001.log'))).toEqual(before);
  });

  it('gives the folder back when it cannot be opened', async () => {
    const rig = queueRig();
    mkdirSync(rig.folder);
    writeFileSync(join(rig.folder, '0000000000000007.log'), 'nonsense');
    await expect(rig.open().stats()).rejects.toThrow(code('data-loss'));
    expect(rig.files('')).toEqual(['0000000000000007.log']);
  });

  it('is one for all clients of a store, and the last of them gives the folder back', async () => {
    const rig = queueRig();
    const store = fileQueueStore({ folder: rig.folder, fileSystem: rig.fs });
    const { createFileQueue } = await import('evenkeel/files');
    const [one, two] = [createFileQueue({ store }), createFileQueue({ store })];
    await one.enqueue([{ body: bodyOf('1') }]);
    await one.close();
    expect(rig.files('')).toContain('owner-1');
    expect(await textsDue(two)).toEqual(['1']);
    await two.close();
    expect(rig.files('')).not.toContain('owner-1');
    const three = createFileQueue({ store });
    expect((await three.stats()).leased).toBe(1);
    await three.close();
    expect(rig.fs.openFiles).toBe(0);
  });
});

describe('the machine’s processes', () => {
  it('tell a running process from an ended one, and from another of the same number', async () => {
    const processes = liveProcesses();
    expect(processes.isRunning(processes.self)).toBe(true);
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    await once(child, 'spawn');
    const pid = child.pid ?? 0;
    expect(processes.isRunning({ pid, started: undefined })).toBe(true);
    if (processes.self.started !== undefined) expect(processes.isRunning({ pid, started: 'another boot 1' })).toBe(false);
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(processes.isRunning({ pid, started: undefined })).toBe(false);
  });
});
