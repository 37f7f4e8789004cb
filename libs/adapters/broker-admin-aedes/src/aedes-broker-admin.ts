import { randomUUID } from 'node:crypto';
import { accessControlResponseTopic, accessControlTopic, type Principal, type PrincipalKey } from '@mqtt2go/access';
import { BrokerAdmin } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { MqttClient } from 'mqtt';
import { z } from 'zod';
import {
  type ControlCommand,
  type ControlResponse,
  controlResponse,
  maxPrincipalsPerMessage,
  principalSchema,
} from './control/messages.js';

/** A way to the broker; a BrokerLink fits. */
export interface BrokerAdminLink {
  readonly address: string;
  open(suffix: string): MqttClient;
}

export interface AedesBrokerAdminOptions {
  /** How long a request may take, waiting for a connection included. */
  readonly timeoutMs?: number;
  /** Between tries of a rebuild that has failed. */
  readonly rebuildRetryMs?: number;
}

interface Pending {
  readonly payload: string;
  readonly resolve: (response: ControlResponse) => void;
  readonly reject: (error: Mqtt2goError) => void;
  readonly timer: NodeJS.Timeout;
}

interface Change {
  readonly command: ControlCommand;
  /** Principals or keys in it. */
  readonly weight: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Keeps the access copy of an {@link EmbeddedBroker} over MQTT, in its process or far away. */
export class AedesBrokerAdmin extends BrokerAdmin {
  readonly #address: string;
  readonly #client: MqttClient;
  readonly #timeoutMs: number;
  readonly #rebuildRetryMs: number;
  readonly #pending = new Map<string, Pending>();
  readonly #changes: Change[] = [];
  readonly #rebuilds = new Set<() => Promise<void>>();
  #isListening = false;
  #isSending = false;
  #isRebuilding = false;
  #isClosed = false;
  /** Undefined until the broker has told. */
  #isComplete: boolean | undefined;
  #trustAnchors: readonly string[] | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(link: BrokerAdminLink, { timeoutMs = 5_000, rebuildRetryMs = 1_000 }: AedesBrokerAdminOptions = {}) {
    super();
    this.#address = link.address;
    this.#timeoutMs = timeoutMs;
    this.#rebuildRetryMs = rebuildRetryMs;
    this.#client = link.open('broker-admin');
    this.#client.on('message', (topic, payload) => {
      if (topic === accessControlResponseTopic) this.#answered(payload);
    });
    this.#client.on('connect', () => void this.#connected());
    this.#client.on('close', () => {
      this.#isListening = false;
    });
    // mqtt.js connects again by itself; an error without a listener would end the process.
    this.#client.on('error', () => undefined);
  }

  override async put(principals: readonly Principal[]): Promise<void> {
    await Promise.all(
      slices(checked(principals)).map((slice) => this.#change({ command: 'put', principals: slice }, slice.length)),
    );
  }

  override async remove(keys: readonly PrincipalKey[]): Promise<void> {
    await Promise.all(slices([...keys]).map((slice) => this.#change({ command: 'remove', keys: slice }, slice.length)));
  }

  override async replaceAll(principals: AsyncIterable<Principal> | Iterable<Principal>): Promise<void> {
    const replacement = randomUUID();
    const add = (slice: Principal[]): Promise<ControlResponse> =>
      this.#request([{ command: 'add-to-replacement', replacement, principals: checked(slice) }]);
    await this.#request([{ command: 'begin-replacement', replacement }]);
    let slice: Principal[] = [];
    for await (const principal of principals) {
      slice.push(principal);
      if (slice.length < maxPrincipalsPerMessage) continue;
      await add(slice);
      slice = [];
    }
    if (slice.length > 0) await add(slice);
    await this.#request([{ command: 'commit-replacement', replacement }]);
  }

  /** Also given again, without being asked, to a broker that was found without its copy. */
  override async setTrustAnchors(certificates: readonly string[]): Promise<void> {
    await this.#request([{ command: 'set-trust-anchors', certificates: [...certificates] }]);
    this.#trustAnchors = [...certificates];
  }

  override onCopyLost(rebuild: () => Promise<void>): () => void {
    this.#rebuilds.add(rebuild);
    this.#rebuildIfLost();
    return () => {
      this.#rebuilds.delete(rebuild);
    };
  }

  override checkHealth(): void {
    if (!this.#client.connected) throw new Mqtt2goError('unavailable', `no connection to ${this.#address}`);
  }

  /** Ends the connection; what waits for an answer is rejected with `unavailable`. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    for (const { reject } of this.#pending.values()) reject(this.#unavailable('its connection is closed'));
    await this.#client.endAsync(true);
  }

  /** Collects what is asked while a message is under way, and sends it as the next one, in order. */
  #change(command: ControlCommand, weight: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#changes.push({ command, weight, resolve, reject });
      if (!this.#isSending) void this.#sendChanges();
    });
  }

  async #sendChanges(): Promise<void> {
    this.#isSending = true;
    while (this.#changes.length > 0) {
      const group: Change[] = [];
      let weight = 0;
      while (this.#changes[0] !== undefined && group.length < maxPrincipalsPerMessage) {
        weight += this.#changes[0].weight;
        if (group.length > 0 && weight > maxPrincipalsPerMessage) break;
        group.push(...this.#changes.splice(0, 1));
      }
      try {
        await this.#request(group.map(({ command }) => command));
        for (const { resolve } of group) resolve();
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    this.#isSending = false;
  }

  async #request(commands: ControlCommand[]): Promise<ControlResponse> {
    if (this.#isClosed) throw this.#unavailable('its connection is closed');
    const id = randomUUID();
    try {
      return await new Promise<ControlResponse>((resolve, reject) => {
        const timer = setTimeout(
          () => reject(this.#unavailable(`no answer within ${this.#timeoutMs} ms`)),
          this.#timeoutMs,
        );
        const pending = { payload: JSON.stringify({ id, commands }), resolve, reject, timer };
        this.#pending.set(id, pending);
        if (this.#isListening) this.#send(pending);
      });
    } finally {
      clearTimeout(this.#pending.get(id)?.timer);
      this.#pending.delete(id);
    }
  }

  #send({ payload }: Pending): void {
    // QoS 0: a request that is lost with its connection is sent again by #connected.
    this.#client.publish(accessControlTopic, payload, { qos: 0 });
  }

  async #connected(): Promise<void> {
    try {
      const [granted] = await this.#client.subscribeAsync(accessControlResponseTopic, { qos: 1 });
      if (granted === undefined || granted.qos > 2) return;
    } catch {
      // The connection broke; the next one comes back here.
      return;
    }
    this.#isListening = true;
    // All of them can be repeated: an answer may have been lost with the last connection.
    for (const pending of this.#pending.values()) this.#send(pending);
    await this.#request([]).catch(() => undefined);
    this.#rebuildIfLost();
  }

  #answered(payload: Uint8Array): void {
    let json: unknown;
    try {
      json = JSON.parse(Buffer.from(payload).toString('utf8'));
    } catch {
      return;
    }
    const response = controlResponse.safeParse(json).data;
    // Answers to others come by here as well.
    const pending = response && this.#pending.get(response.id);
    if (response === undefined || pending === undefined) return;
    this.#isComplete = response.isComplete;
    if (response.error === undefined) pending.resolve(response);
    else pending.reject(new Mqtt2goError(response.error.code, response.error.detail));
    this.#rebuildIfLost();
  }

  #rebuildIfLost(): void {
    const isWanted = this.#isListening && this.#isComplete === false && this.#rebuilds.size > 0;
    if (!isWanted || this.#isRebuilding || this.#isClosed || this.#retry !== undefined) return;
    this.#isRebuilding = true;
    void this.#rebuild().then((isDone) => {
      this.#isRebuilding = false;
      if (isDone || this.#isClosed) return;
      this.#retry = setTimeout(() => {
        this.#retry = undefined;
        this.#rebuildIfLost();
      }, this.#rebuildRetryMs);
      this.#retry.unref();
    });
  }

  /** False if it has to be tried again. */
  async #rebuild(): Promise<boolean> {
    try {
      if (this.#trustAnchors !== undefined) await this.setTrustAnchors(this.#trustAnchors);
      for (const rebuild of this.#rebuilds) await rebuild();
      return this.#isComplete === true;
    } catch {
      return false;
    }
  }

  #unavailable(why: string): Mqtt2goError {
    return new Mqtt2goError('unavailable', `The broker at ${this.#address} did not confirm: ${why}.`);
  }
}

/** @throws Mqtt2goError `malformed_message`, before anything is sent with which others would fail */
function checked(principals: readonly Principal[]): Principal[] {
  const result = z.array(principalSchema).safeParse(principals);
  if (result.success) return result.data;
  throw new Mqtt2goError('malformed_message', z.prettifyError(result.error));
}

function slices<T>(items: readonly T[]): T[][] {
  const all: T[][] = [];
  for (let at = 0; at < items.length; at += maxPrincipalsPerMessage)
    all.push(items.slice(at, at + maxPrincipalsPerMessage));
  return all;
}
