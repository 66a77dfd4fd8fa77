/** A ResolverListener that remembers what it heard. */
import type { Endpoint, EvenkeelError, Resolution, Resolver, ResolverListener, ResolverRuntime } from 'evenkeel/core';

export class ResolverLog implements ResolverListener {
  readonly lists: { ids: string[]; source: 'live' | 'cache' }[] = [];
  readonly errors: EvenkeelError[] = [];
  endpoints: readonly Endpoint[] = [];
  isStarting = false;

  start(resolver: Resolver, runtime: ResolverRuntime): Resolution {
    this.isStarting = true;
    const resolution = resolver.start(runtime, this);
    this.isStarting = false;
    return resolution;
  }

  onEndpoints(endpoints: readonly Endpoint[], info: { source: 'live' | 'cache' }): void {
    if (this.isStarting) throw new Error('called inside start()');
    this.endpoints = endpoints;
    this.lists.push({ ids: endpoints.map(({ id }) => id).sort(), source: info.source });
  }

  onError(error: EvenkeelError): void {
    if (this.isStarting) throw new Error('called inside start()');
    this.errors.push(error);
  }

  get last(): string[] | undefined {
    return this.lists.at(-1)?.ids;
  }

  get codes(): string[] {
    return this.errors.map(({ code }) => code);
  }
}
