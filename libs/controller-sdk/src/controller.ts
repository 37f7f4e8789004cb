import { encodeMessage, Mqtt2goError } from '@mqtt2go/protocol';
import { addDevice } from './adding/add-device.js';
import type { AddDeviceRequest, AddedDevice } from './adding/adding-types.js';
import { HomeConnection, type HomeConnectionOptions } from './connection/home-connection.js';
import { type DeviceReport, readDeviceReport, refusalOf } from './wire.js';

export interface ControllerOptions extends HomeConnectionOptions {
  readonly homeId: string;
  readonly gatewayId: string;
  /** Unix time in milliseconds, for the timestamps of its messages. */
  readonly now?: () => number;
  /** After so long without a word of the platform a request is made again; 8 s by default. */
  readonly repeatMs?: number;
  /** After so long the adding of a device is given up; 16 minutes by default. */
  readonly giveUpMs?: number;
}

export interface SendOptions {
  /** How long to wait for the device's answer; 5 s by default. */
  readonly timeoutMs?: number;
}

/** What an app does: adds devices to a home, commands them, follows them. Runs in browsers and in Node.js. */
export class Controller {
  readonly homeId: string;
  readonly gatewayId: string;
  readonly #connection: HomeConnection;
  readonly #now: () => number;
  readonly #repeatMs: number;
  readonly #giveUpMs: number;
  #adding = false;

  constructor(options: ControllerOptions) {
    this.homeId = options.homeId;
    this.gatewayId = options.gatewayId;
    this.#connection = new HomeConnection(options);
    this.#now = options.now ?? Date.now;
    this.#repeatMs = options.repeatMs ?? 8_000;
    this.#giveUpMs = options.giveUpMs ?? 16 * 60_000;
  }

  /**
   * Connects; from then on the connection comes back by itself.
   * @throws Mqtt2goError `unavailable`, `forbidden` (user name or password) or `server_untrusted`
   */
  connect(): Promise<void> {
    return this.#connection.connect();
  }

  /**
   * Adds a device by what its label says, and names it when it is there.
   * @throws Mqtt2goError the platform's refusal by its code, `another_device_is_being_added` when this controller is
   * busy with one, `activation_expired`, `timeout`, `unavailable`, `forbidden`; or the reason of `request.signal`
   */
  async addDevice(request: AddDeviceRequest): Promise<AddedDevice> {
    if (this.#adding) throw new Mqtt2goError('another_device_is_being_added');
    this.#adding = true;
    try {
      return await addDevice(
        {
          connection: this.#connection,
          homeId: this.homeId,
          gatewayId: this.gatewayId,
          now: this.#now,
          repeatMs: this.#repeatMs,
          giveUpMs: this.#giveUpMs,
        },
        request,
      );
    } finally {
      this.#adding = false;
    }
  }

  /**
   * Commands a device on one of its topics, such as `send(topic, 'set', 'on')`, and gives the value of its answer.
   * @throws Mqtt2goError the device's refusal by its code; `timeout` when it does not answer; `unavailable`, `forbidden`
   */
  async send(
    topic: string,
    commandType: string,
    value: string | number | boolean | null | Record<string, unknown>,
    { timeoutMs = 5_000 }: SendOptions = {},
  ): Promise<unknown> {
    const command = encodeMessage('deviceCommand', value, { nowMs: this.#now(), commandName: commandType });
    const answered = answerTo(commandType, timeoutMs);
    const stop = await this.watch(topic, answered.heard);
    try {
      // The answer is what counts: a cluster of brokers whose nodes fail may have lost only the acknowledgement.
      const published = this.#connection.publish(topic, command);
      const report = await Promise.race([answered.report, published.then(() => answered.report)]);
      const refusal = refusalOf(report);
      if (refusal !== undefined) throw refusal;
      return report.value;
    } finally {
      answered.stop();
      stop();
    }
  }

  /**
   * Follows the reports on a topic; commands, its own included, are left out. Ends with the returned function.
   * @throws Mqtt2goError `forbidden`, `unavailable`
   */
  async watch(topic: string, onReport: (report: DeviceReport) => void): Promise<() => void> {
    const stopListening = this.#connection.onMessage((from, payload) => {
      if (from !== topic) return;
      const report = readDeviceReport(from, payload);
      if (report !== undefined) onReport(report);
    });
    try {
      const unsubscribe = await this.#connection.subscribe(topic);
      return () => {
        stopListening();
        unsubscribe();
      };
    } catch (error) {
      stopListening();
      throw error;
    }
  }

  /** Ends the connection. */
  close(): Promise<void> {
    return this.#connection.close();
  }
}

function answerTo(commandType: string, timeoutMs: number) {
  let heard: (report: DeviceReport) => void = () => undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const report = new Promise<DeviceReport>((resolve, reject) => {
    heard = (candidate) => {
      if (candidate.reportType === 'command_response' && candidate.reportName === commandType) resolve(candidate);
    };
    timer = setTimeout(() => reject(new Mqtt2goError('timeout', 'The device does not answer.')), timeoutMs);
  });
  report.catch(() => undefined);
  return { report, heard: (candidate: DeviceReport) => heard(candidate), stop: () => clearTimeout(timer) };
}
