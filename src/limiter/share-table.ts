/** The documents of a quota as the store's watch tells them: a list at first, and after a gap, then each change in order. */
import type { StateEvent } from '../core/transport/state.js';
import { decodeShare, type ShareDocument } from './share-document.js';

/** More do not count: each change is looked at by all. */
export const MAX_SHARE_INSTANCES = 1000;

export class ShareTable {
  documents = new Map<string, ShareDocument>();
  isSynced = false;
  /** Documents ignored so far, since they were none. */
  malformed = 0;
  #incoming: Map<string, ShareDocument> = new Map();

  /** A new list is to come. */
  reset(): void {
    this.isSynced = false;
    this.#incoming = new Map();
  }

  apply({ type, entry }: StateEvent): void {
    if (type === 'reset') this.reset();
    else if (type === 'synced') {
      if (!this.isSynced) this.documents = this.#incoming;
      this.isSynced = true;
    } else if (entry !== undefined) {
      const documents = this.isSynced ? this.documents : this.#incoming;
      if (type === 'put') this.#put(documents, entry.key, entry.value);
      else documents.delete(entry.key);
    }
  }

  /** A document that does not parse changes nothing: what its instance said before stays until its lease is over. */
  #put(documents: Map<string, ShareDocument>, key: string, value: Uint8Array): void {
    const document = decodeShare(value);
    if (document === undefined) this.malformed++;
    else if (documents.has(key) || documents.size < MAX_SHARE_INSTANCES) documents.set(key, document);
  }
}
