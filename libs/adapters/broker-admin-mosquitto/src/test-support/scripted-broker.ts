import { EventEmitter } from 'node:events';
import type { MqttClient } from 'mqtt';
import { z } from 'zod';
import { controlResponseTopic } from '../control/commands.js';

const message = z.object({
  commands: z.array(z.looseObject({ command: z.string(), correlationData: z.string() })),
});
/** As far as a control channel goes. */
const client = z.custom<MqttClient>((value) => value instanceof ScriptedBroker);
export type SentCommand = z.output<typeof message>['commands'][number];

/** A connection to a plugin that answers when a test says so, and what that says. */
export class ScriptedBroker extends EventEmitter {
  /** The commands of each message that has come. */
  readonly messages: SentCommand[][] = [];
  connected = false;
  /** What is answered to a command besides its name. */
  answer: (command: SentCommand) => object = () => ({});
  /** Answers by itself. */
  isPrompt = false;

  readonly link = { address: 'a scripted broker', open: (): MqttClient => client.parse(this) };

  connect(): void {
    this.connected = true;
    this.emit('connect');
  }

  disconnect(): void {
    this.connected = false;
    this.emit('close');
  }

  async subscribeAsync(topic: string): Promise<{ topic: string; qos: number }[]> {
    return [{ topic, qos: 0 }];
  }

  publish(_topic: string, payload: string): void {
    const { commands } = message.parse(JSON.parse(payload));
    this.messages.push(commands);
    this.emit('published');
    if (this.isPrompt) queueMicrotask(() => this.reply(commands));
  }

  reply(commands: readonly SentCommand[]): void {
    const responses = commands.map((command) => ({
      command: command.command,
      correlationData: command.correlationData,
      ...this.answer(command),
    }));
    this.say({ responses });
  }

  say(json: unknown): void {
    this.emit('message', controlResponseTopic, Buffer.from(JSON.stringify(json)));
  }

  async endAsync(): Promise<void> {
    this.disconnect();
  }
}
