import { randomBytes } from 'node:crypto';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { MqttClient } from 'mqtt';
import { type Command, controlResponseTopic, controlTopic, type Reply, responseMessage } from './commands.js';
import { GroupSize } from './group-size.js';

/** A way to the broker's services listener; a BrokerLink fits. */
export interface BrokerAdminLink {
  readonly address: string;
  open(suffix: string): MqttClient;
}

export interface ControlChannelOptions {
  /** How long commands may take, waiting for a connection included; more only while others before them are answered. */
  readonly timeoutMs: number;
  readonly maxCommandsPerMessage: number;
  /** Called each time the broker can be told something again. */
  readonly onListening: () => void;
}

/** How many times the time that commands may take they wait for others' that are being answered. */
const patience = 6;
/** Below the limit of the activation broker's packets, with room for what the numbers of commands add. */
const maxBytesPerMessage = 32_768;

/** Commands of one caller, which stay together in one message and so take effect at one moment. */
interface Batch {
  readonly commands: readonly Command[];
  readonly bytes: number;
  readonly resolve: (replies: Reply[]) => void;
  readonly reject: (error: Mqtt2goError) => void;
  readonly givenAtMs: number;
  timer: NodeJS.Timeout | undefined;
}

interface Message {
  readonly id: string;
  readonly batches: readonly Batch[];
  readonly payload: string;
  readonly commands: number;
  sentAtMs: number;
}

/**
 * Commands to the dynamic security plugin, in the order in which they are given. One message is under way at a time;
 * what is given meanwhile goes into the next one (group commit). A message that was under way when the connection
 * broke is sent again: all that is sent here can be repeated.
 */
export class ControlChannel {
  readonly #options: ControlChannelOptions;
  readonly #address: string;
  readonly #client: MqttClient;
  readonly #name = randomBytes(6).toString('base64url');
  readonly #groupSize: GroupSize;
  readonly #waiting: Batch[] = [];
  #underWay: Message | undefined;
  #messages = 0;
  #answeredAtMs = Number.NEGATIVE_INFINITY;
  #connections = 0;
  #isListening = false;
  #isClosed = false;

  constructor(link: BrokerAdminLink, options: ControlChannelOptions) {
    this.#options = options;
    this.#groupSize = new GroupSize(options.maxCommandsPerMessage);
    this.#address = link.address;
    this.#client = link.open('broker-admin');
    this.#client.on('message', (topic, payload) => {
      if (topic === controlResponseTopic) this.#answered(payload);
    });
    this.#client.on('connect', () => void this.#connected());
    this.#client.on('close', () => {
      this.#isListening = false;
    });
    // mqtt.js connects again by itself; an error without a listener would end the process.
    this.#client.on('error', () => undefined);
  }

  get isListening(): boolean {
    return this.#isListening;
  }

  /** Another number after each loss of the connection, in which the broker may have lost its memory. */
  get connection(): number {
    return this.#connections;
  }

  /**
   * Sends commands together.
   * @returns the plugin's answers, in the order of the commands
   * @throws Mqtt2goError `unavailable` when the answer does not come in time; safe to repeat
   */
  send(commands: readonly Command[]): Promise<Reply[]> {
    if (commands.length === 0) return Promise.resolve([]);
    if (this.#isClosed) return Promise.reject(this.unavailable('its connection is closed'));
    return new Promise((resolve, reject) => {
      const batch: Batch = {
        commands,
        bytes: JSON.stringify(commands).length,
        resolve,
        reject,
        givenAtMs: performance.now(),
        timer: undefined,
      };
      this.#startTimer(batch, this.#options.timeoutMs);
      this.#waiting.push(batch);
      this.#sendNext();
    });
  }

  unavailable(why: string): Mqtt2goError {
    return new Mqtt2goError('unavailable', `The broker at ${this.#address} did not confirm: ${why}.`);
  }

  /** Ends the connection; what waits for an answer is rejected with `unavailable`. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const batch of [...(this.#underWay?.batches ?? []), ...this.#waiting.splice(0)]) {
      clearTimeout(batch.timer);
      batch.reject(this.unavailable('its connection is closed'));
    }
    this.#underWay = undefined;
    await this.#client.endAsync(true);
  }

  #startTimer(batch: Batch, ms: number): void {
    clearTimeout(batch.timer);
    batch.timer = setTimeout(() => this.#tooLate(batch), ms);
  }

  #tooLate(batch: Batch): void {
    const { timeoutMs } = this.#options;
    const nowMs = performance.now();
    const at = this.#waiting.indexOf(batch);
    // The broker answers, and many were before this one.
    const leftMs = Math.min(this.#answeredAtMs + timeoutMs, batch.givenAtMs + timeoutMs * patience) - nowMs;
    if (at >= 0 && leftMs > 0) {
      this.#startTimer(batch, leftMs);
      return;
    }
    batch.reject(this.unavailable(`no answer within ${timeoutMs} ms`));
    if (at >= 0) this.#waiting.splice(at, 1);
    if (this.#underWay?.batches.includes(batch) !== true) return;
    // Its answer may have been lost; whoever waits in the same message is as old and is told the same.
    this.#underWay = undefined;
    this.#sendNext();
  }

  #sendNext(): void {
    if (this.#underWay !== undefined || !this.#isListening || this.#waiting.length === 0) return;
    // What is given in this turn of the event loop is to go along.
    queueMicrotask(() => {
      if (this.#underWay !== undefined || !this.#isListening) return;
      const batches = this.#nextGroup();
      if (batches.length === 0) return;
      for (const batch of batches) this.#startTimer(batch, this.#options.timeoutMs);
      const id = `${this.#name}.${(this.#messages += 1)}`;
      const commands = batches.flatMap((batch) => batch.commands);
      const numbered = commands.map((command, index) => ({ ...command, correlationData: `${id}.${index}` }));
      const payload = JSON.stringify({ commands: numbered });
      this.#underWay = { id, batches, payload, commands: commands.length, sentAtMs: 0 };
      this.#send(this.#underWay);
    });
  }

  #nextGroup(): Batch[] {
    const group: Batch[] = [];
    let commands = 0;
    let bytes = 0;
    while (this.#waiting[0] !== undefined) {
      commands += this.#waiting[0].commands.length;
      bytes += this.#waiting[0].bytes;
      if (group.length > 0 && (commands > this.#groupSize.current || bytes > maxBytesPerMessage)) break;
      group.push(...this.#waiting.splice(0, 1));
    }
    return group;
  }

  #send(message: Message): void {
    message.sentAtMs = performance.now();
    // QoS 0: a message that is lost with its connection is sent again by #connected.
    this.#client.publish(controlTopic, message.payload, { qos: 0 });
  }

  async #connected(): Promise<void> {
    this.#connections += 1;
    const connection = this.#connections;
    try {
      const [granted] = await this.#client.subscribeAsync(controlResponseTopic, { qos: 0 });
      if (granted === undefined || granted.qos > 2) return;
    } catch {
      // The connection broke; the next one comes back here.
      return;
    }
    if (connection !== this.#connections || this.#isClosed) return;
    this.#isListening = true;
    if (this.#underWay === undefined) this.#sendNext();
    else this.#send(this.#underWay);
    this.#options.onListening();
  }

  #answered(payload: Uint8Array): void {
    const message = this.#underWay;
    if (message === undefined) return;
    const replies = readReplies(payload, message.id);
    // Answers to other processes come by here as well.
    if (replies.size === 0) return;
    this.#underWay = undefined;
    this.#answeredAtMs = performance.now();
    this.#groupSize.learn(message.commands, performance.now() - message.sentAtMs);
    let at = 0;
    for (const { commands, resolve, reject, timer } of message.batches) {
      clearTimeout(timer);
      const own = commands.map((_command, index) => replies.get(at + index));
      at += commands.length;
      if (own.every((one) => one !== undefined)) resolve(own);
      else reject(this.unavailable('it has not answered to all commands'));
    }
    this.#sendNext();
  }
}

/** The replies to one message, by the place of their commands in it. */
function readReplies(payload: Uint8Array, messageId: string): Map<number, Reply> {
  const own = new Map<number, Reply>();
  const text = Buffer.from(payload).toString('utf8');
  // Most answers that others get need not be taken apart.
  if (!text.includes(`"${messageId}.`)) return own;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return own;
  }
  for (const reply of responseMessage.safeParse(json).data?.responses ?? []) {
    const { correlationData = '' } = reply;
    if (correlationData.startsWith(`${messageId}.`))
      own.set(Number(correlationData.slice(messageId.length + 1)), reply);
  }
  return own;
}
