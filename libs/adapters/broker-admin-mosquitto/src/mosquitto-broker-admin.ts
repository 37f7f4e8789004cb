import { AsyncLocalStorage } from 'node:async_hooks';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Principal, PrincipalKey } from '@mqtt2go/access';
import { BrokerAdmin, type Clock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { roleAnswer } from './control/commands.js';
import { type BrokerAdminLink, ControlChannel } from './control/control-channel.js';
import { type AccessBroker, entriesOf, isHeld } from './entries/entry.js';
import { Expiry } from './expiry.js';
import type { Log } from './log.js';
import { CopyWriter } from './rebuild/copy-writer.js';
import { Lanes } from './rebuild/lanes.js';
import { isLive, markerRole, markLive } from './rebuild/marker.js';
import { type AuditPass, type Drift, Replacement } from './rebuild/replacement.js';
import { SnapshotBuilder } from './snapshot/dynsec-snapshot.js';
import { SnapshotKeeper } from './snapshot/snapshot-keeper.js';
import { writeTrustAnchors } from './trust/trust-anchors.js';

export interface MosquittoBrokerAdminOptions {
  readonly broker: AccessBroker;
  readonly log: Log;
  readonly clock: Clock;
  /** A folder that the broker reads: its snapshot, and `trust/`. Without it the broker starts with nobody. */
  readonly accessDir?: string;
  /** How long a change may take, waiting for a connection included. */
  readonly timeoutMs?: number;
  /** Between two looks for what the copy should not be; 0 for none. They ask for a rebuild and let it change nothing. */
  readonly auditIntervalMs?: number;
  /** Between a change and the snapshot that has it, at least. */
  readonly snapshotDelayMs?: number;
  /** Between tries of a rebuild that has failed. */
  readonly rebuildRetryMs?: number;
  /** Called when the copy was found to be other than the database says, and has been repaired. */
  readonly onDrift?: (drift: Drift) => void;
}

/** What is behind a {@link MosquittoBrokerAdmin.replaceAll} that this adapter itself has asked for. */
type Purpose = { readonly audit: AuditPass } | 'snapshot';

const maxCommandsPerMessage = 100;
/** Between two pages of an audit, which has all the time in the world. */
const auditPauseMs = 25;
/** After a connection was lost, in which a change may have been. */
const auditAfterReconnectMs = 5_000;
/** Between finding a difference and finding it again. */
const confirmAfterMs = 1_000;

/**
 * Keeps the access copy of a Mosquitto broker in its dynamic security plugin, over the control topic on the services'
 * listener. The plugin's memory is the copy; its file is written by {@link SnapshotKeeper} and never by the broker.
 */
export class MosquittoBrokerAdmin extends BrokerAdmin {
  readonly #options: MosquittoBrokerAdminOptions;
  readonly #channel: ControlChannel;
  readonly #writer: CopyWriter;
  readonly #lanes = new Lanes();
  readonly #expiry: Expiry;
  readonly #snapshots: SnapshotKeeper | undefined;
  readonly #purpose = new AsyncLocalStorage<Purpose>();
  /** Names that were told of while everything is replaced: newer than what the replacement brings. */
  readonly #touched = new Set<Set<string>>();
  readonly #rebuilds = new Set<() => Promise<void>>();
  #replacing: Promise<unknown> = Promise.resolve();
  /** Of the present connection; at the first one everything is looked at anew. */
  #isComplete = false;
  #isKnown = false;
  #isRebuilding = false;
  #hasRebuilt = false;
  #isClosed = false;
  #repaired = 0;
  #retry: NodeJS.Timeout | undefined;
  #audit: NodeJS.Timeout | undefined;

  constructor(link: BrokerAdminLink, options: MosquittoBrokerAdminOptions) {
    super();
    this.#options = options;
    const { broker, clock, log, accessDir, timeoutMs = 5_000, snapshotDelayMs = 2_000 } = options;
    this.#channel = new ControlChannel(link, {
      timeoutMs,
      maxCommandsPerMessage,
      onListening: () => void this.#connected(),
    });
    this.#writer = new CopyWriter(this.#channel, broker, log);
    this.#expiry = new Expiry(clock, (id) => void this.#end(id));
    if (accessDir !== undefined) {
      const renew = (): Promise<void> => this.#purpose.run('snapshot', () => this.#askAll());
      this.#snapshots = new SnapshotKeeper({ folder: accessDir, log, delayMs: snapshotDelayMs, renew });
    }
    this.#auditIn(Number.POSITIVE_INFINITY);
  }

  override async put(principals: readonly Principal[]): Promise<void> {
    this.#touch(principals);
    await Promise.all(principals.map((principal) => this.#inLane(principal, () => this.#put(principal))));
    if (principals.length > 0) this.#snapshots?.changed();
  }

  override async remove(keys: readonly PrincipalKey[]): Promise<void> {
    this.#touch(keys);
    await Promise.all(keys.map((key) => this.#inLane(key, () => this.#remove(key))));
    if (keys.length > 0) this.#snapshots?.changed();
  }

  /** Tells the broker only what differs. Also writes the snapshot. */
  override async replaceAll(principals: AsyncIterable<Principal> | Iterable<Principal>): Promise<void> {
    const purpose = this.#purpose.getStore();
    if (purpose === 'snapshot') {
      await this.#snapshot(principals);
      return;
    }
    const replaced = this.#replacing.then(() => this.#replace(principals, purpose?.audit));
    this.#replacing = replaced.catch(() => undefined);
    await replaced;
  }

  /** @throws Mqtt2goError `configuration_invalid` where there is no folder to put them in; `unavailable` when that fails */
  override async setTrustAnchors(certificates: readonly string[]): Promise<void> {
    const { accessDir } = this.#options;
    if (accessDir === undefined) {
      if (certificates.length === 0) return;
      throw new Mqtt2goError('configuration_invalid', 'Trust anchors need a broker with an accessDir.');
    }
    try {
      await writeTrustAnchors(join(accessDir, 'trust'), certificates);
    } catch (cause) {
      throw new Mqtt2goError('unavailable', 'The trust anchors could not be written.', { cause });
    }
  }

  override onCopyLost(rebuild: () => Promise<void>): () => void {
    this.#rebuilds.add(rebuild);
    this.#rebuildIfLost();
    return () => {
      this.#rebuilds.delete(rebuild);
    };
  }

  override repairs(): number {
    return this.#repaired;
  }

  override checkHealth(): void {
    if (!this.#channel.isListening) throw this.#channel.unavailable('there is no connection');
  }

  /** Ends the connection; what waits for an answer is rejected with `unavailable`. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#audit);
    this.#expiry.close();
    this.#snapshots?.close();
    await this.#channel.close();
  }

  async #put(principal: Principal): Promise<void> {
    const { broker, clock } = this.#options;
    const entries = entriesOf(principal, broker, clock.now());
    this.#expiry.set(principal.id, entries[0]?.expiresAtMs);
    if (entries.length === 0) await this.#writer.remove(principal);
    for (const entry of entries) await this.#writer.put(entry);
  }

  async #remove(key: PrincipalKey): Promise<void> {
    this.#expiry.set(key.id, undefined);
    await this.#writer.remove(key);
  }

  async #inLane(key: PrincipalKey, work: () => Promise<void>): Promise<void> {
    if (isHeld(key, this.#options.broker)) await this.#lanes.run(key.id, work);
  }

  #touch(keys: readonly PrincipalKey[]): void {
    for (const touched of this.#touched) for (const { id } of keys) touched.add(id);
  }

  /** An activation has ended, unless another process has given it more time. */
  async #end(id: string): Promise<void> {
    try {
      await this.#inLane({ kind: 'activation', id }, () => this.#writer.removeIfEnded(id, this.#options.clock.now()));
    } catch {
      // Tried again soon; it is the services' business to remove it, too.
      this.#expiry.set(id, this.#options.clock.now());
    }
  }

  async #replace(principals: AsyncIterable<Principal> | Iterable<Principal>, audit?: AuditPass): Promise<void> {
    const { broker, clock, onDrift, log } = this.#options;
    const touched = new Set<string>();
    const snapshot = this.#snapshots === undefined ? undefined : new SnapshotBuilder(broker, clock.now());
    const { connection } = this.#channel;
    this.#touched.add(touched);
    let drift: Drift;
    try {
      drift = await new Replacement({
        channel: this.#channel,
        writer: this.#writer,
        lanes: this.#lanes,
        broker,
        clock,
        touched,
        pace: { pauseMs: audit === undefined ? 0 : auditPauseMs },
        ...(audit !== undefined && { audit }),
        onPrincipal: (principal) => {
          snapshot?.add(principal);
          if (principal.kind === 'activation') this.#expiry.set(principal.id, principal.expiresAtMs);
        },
      }).run(principals);
    } finally {
      this.#touched.delete(touched);
    }
    await this.#markComplete(connection);
    if (snapshot !== undefined) await this.#snapshots?.tryWrite(snapshot.build());
    if (audit === undefined) {
      log.info(drift, 'the access copy of the broker is complete');
    } else if (drift.missing + drift.different + drift.extra > 0) {
      log.warn(drift, 'the access copy of the broker was not what it should be, and was repaired');
      this.#repaired += drift.missing + drift.different + drift.extra;
      onDrift?.(drift);
    }
  }

  /** @throws Mqtt2goError `unavailable` if the broker may have been started again meanwhile, and have lost a part */
  async #markComplete(connection: number): Promise<void> {
    // Before the first connection there was nobody to tell anything.
    const isSame = (): boolean => this.#channel.connection === Math.max(connection, 1) && this.#channel.isListening;
    if (!isSame()) throw this.#channel.unavailable('the connection broke while everything was replaced');
    await this.#channel.send(markLive(this.#options.broker));
    if (!isSame()) throw this.#channel.unavailable('the connection broke while everything was replaced');
    this.#isComplete = true;
  }

  async #snapshot(principals: AsyncIterable<Principal> | Iterable<Principal>): Promise<void> {
    const snapshot = new SnapshotBuilder(this.#options.broker, this.#options.clock.now());
    for await (const principal of principals) snapshot.add(principal);
    await this.#snapshots?.write(snapshot.build());
  }

  async #connected(): Promise<void> {
    const { connection } = this.#channel;
    this.#isComplete = false;
    this.#isKnown = false;
    try {
      const [reply] = await this.#channel.send([{ command: 'getRole', rolename: markerRole }]);
      if (connection !== this.#channel.connection) return;
      const marker = roleAnswer.safeParse(reply?.data).data?.role.textdescription;
      this.#isComplete = this.#hasRebuilt && isLive(marker, this.#options.broker);
      this.#isKnown = true;
      if (this.#isComplete) this.#auditIn(auditAfterReconnectMs);
    } catch {
      // Asked again at the next connection, and before that by whatever is told.
      this.#isKnown = connection === this.#channel.connection;
    }
    this.#rebuildIfLost();
  }

  #rebuildIfLost(): void {
    const isWanted = this.#isKnown && !this.#isComplete && this.#channel.isListening && this.#rebuilds.size > 0;
    if (!isWanted || this.#isRebuilding || this.#isClosed || this.#retry !== undefined) return;
    this.#isRebuilding = true;
    void this.#rebuild().then(() => {
      this.#isRebuilding = false;
      if (this.#isComplete || this.#isClosed) return;
      this.#retry = setTimeout(() => {
        this.#retry = undefined;
        this.#rebuildIfLost();
      }, this.#options.rebuildRetryMs ?? 1_000);
      this.#retry.unref();
    });
  }

  async #rebuild(): Promise<void> {
    try {
      await this.#askAll();
      if (!this.#isComplete) return;
      this.#hasRebuilt = true;
      this.#auditIn(auditAfterReconnectMs);
    } catch (error) {
      this.#isComplete = false;
      this.#options.log.warn({ error }, 'the access copy of the broker could not be made; trying again');
    }
  }

  async #askAll(): Promise<void> {
    for (const rebuild of this.#rebuilds) await rebuild();
  }

  #auditIn(ms: number): void {
    const { auditIntervalMs = 600_000 } = this.#options;
    clearTimeout(this.#audit);
    if (this.#isClosed || auditIntervalMs === 0) return;
    this.#audit = setTimeout(() => void this.#runAudit(), Math.min(ms, auditIntervalMs));
    this.#audit.unref();
  }

  async #runAudit(): Promise<void> {
    const { log } = this.#options;
    try {
      if (this.#isComplete) {
        const first: AuditPass = { confirmed: undefined, found: new Set() };
        await this.#purpose.run({ audit: first }, () => this.#askAll());
        if (first.found.size > 0) {
          await wait(confirmAfterMs, undefined, { ref: false });
          const second: AuditPass = { confirmed: first.found, found: new Set() };
          await this.#purpose.run({ audit: second }, () => this.#askAll());
        }
      }
    } catch (error) {
      log.warn({ error }, 'the access copy of the broker could not be looked through');
    }
    this.#auditIn(Number.POSITIVE_INFINITY);
  }
}
