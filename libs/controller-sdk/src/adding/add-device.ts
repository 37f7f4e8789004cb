import { type ErrorCode, encodeMessage, Mqtt2goError, toGroupIds, topics } from '@mqtt2go/protocol';
import type { HomeConnection } from '../connection/home-connection.js';
import { type AddReport, readAddReport } from '../wire.js';
import type { AddDeviceRequest, AddedDevice, AddProgress, ArrivedDevice, Naming } from './adding-types.js';

export interface AddingDeps {
  readonly connection: HomeConnection;
  readonly homeId: string;
  readonly gatewayId: string;
  readonly now: () => number;
  /** After so long without a word it says again what it said last. More than the platform's 5 s for a repetition. */
  readonly repeatMs: number;
  /** After so long it gives up. The standard gives a device 15 minutes. */
  readonly giveUpMs: number;
}

/** Refusals that may be over when the request is made again. */
const passing: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['unavailable', 'timeout']);
/**
 * Steps 1, 10 and 11: asks for a device to be added and names it when it is there. Everything is repeated
 * after a lost connection or a long silence; the platform takes a repetition for what it is.
 * @throws Mqtt2goError the platform's refusal by its code; `activation_expired`, `timeout`, `unavailable`, `forbidden`;
 * the reason of `request.signal`
 */
export async function addDevice(deps: AddingDeps, request: AddDeviceRequest): Promise<AddedDevice> {
  const adding = new Adding(deps, request);
  const topic = topics.addDevice.build(deps);
  const unsubscribe = await deps.connection.subscribe(topic);
  const stopListening = deps.connection.onMessage((from, payload) => {
    if (from === topic) adding.heard(readAddReport(payload), payload);
  });
  const stopWatching = deps.connection.onReconnect(() => adding.say());
  try {
    return await adding.run(topic);
  } finally {
    stopListening();
    stopWatching();
    unsubscribe();
  }
}

class Adding {
  readonly #deps: AddingDeps;
  readonly #request: AddDeviceRequest;
  readonly #result: Promise<AddedDevice>;
  #resolve: (added: AddedDevice) => void = () => undefined;
  #reject: (reason: unknown) => void = () => undefined;
  #topic = '';
  /** Repeated as it is: one that is late, and comes when the device is in, is not the wish to add it again. */
  #asked: string | undefined;
  #repeating: ReturnType<typeof setTimeout> | undefined;
  #arrived: ArrivedDevice | undefined;
  #naming: Naming | undefined;
  #announced = false;
  /** The platform has said something about this device since it was asked. */
  #progressed = false;
  /** Another controller has asked for another device meanwhile, so that a refusal may be meant for it. */
  #interfered = false;
  #over = false;
  /** The home has gone to another broker, and so does this controller. */
  #moving: Promise<void> | undefined;

  constructor(deps: AddingDeps, request: AddDeviceRequest) {
    this.#deps = deps;
    this.#request = request;
    this.#result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#result.catch(() => undefined);
  }

  async run(topic: string): Promise<AddedDevice> {
    const { signal } = this.#request;
    const { giveUpMs } = this.#deps;
    this.#topic = topic;
    const aborted = (): void => this.#reject(signal?.reason);
    const late = setTimeout(
      () => this.#reject(new Mqtt2goError('timeout', `${this.#request.deviceId} was not added in time.`)),
      giveUpMs,
    );
    signal?.addEventListener('abort', aborted, { once: true });
    if (signal?.aborted) aborted();
    else this.say();
    try {
      return await this.#result;
    } finally {
      this.#over = true;
      clearTimeout(late);
      clearTimeout(this.#repeating);
      signal?.removeEventListener('abort', aborted);
    }
  }

  /** Says (again) what is to be said now: the request, or the name. */
  say(): void {
    if (this.#over) return;
    clearTimeout(this.#repeating);
    this.#repeating = setTimeout(() => this.#silence(), this.#deps.repeatMs);
    try {
      const message = this.#naming === undefined ? this.#activation() : this.#rename(this.#naming);
      // Without a connection there is nothing to do: it is said when the connection is back.
      this.#deps.connection.publish(this.#topic, message).catch(() => undefined);
    } catch (error) {
      this.#reject(error);
    }
  }

  #silence(): void {
    // Once the platform works on it, silence is the device's or the person's; a name has to be acknowledged.
    if (!this.#progressed || this.#naming !== undefined) this.say();
  }

  #activation(): string {
    const { deviceId } = this.#request;
    const message = (this.#asked ??= this.#askFor(this.#request));
    this.#progress({
      kind: 'step',
      step: 1,
      direction: 'out',
      what: `asks for ${deviceId}`,
      topic: this.#topic,
      message,
    });
    return message;
  }

  #askFor({ deviceId, activationCode, deviceType }: AddDeviceRequest): string {
    const value = {
      activation_code: activationCode,
      device_id: deviceId,
      ...(deviceType === undefined ? {} : { device_type: deviceType }),
    };
    return encodeMessage('activateDevice', value, { nowMs: this.#deps.now() });
  }

  #rename({ name, groupIds }: Naming): string {
    const { deviceId } = this.#request;
    const value = { device_id: deviceId, device_name: name, group_id: toGroupIds(groupIds) };
    const message = encodeMessage('renameDevice', value, { nowMs: this.#deps.now() });
    const what = `names it "${name}" in ${groupIds.join(', ')}`;
    this.#progress({ kind: 'step', step: 11, direction: 'out', what, topic: this.#topic, message });
    return message;
  }

  heard(report: AddReport | undefined, payload: Uint8Array): void {
    if (report === undefined || this.#over) return;
    switch (report.kind) {
      case 'activation':
        if (report.deviceId !== this.#request.deviceId) this.#interfered = true;
        return;
      case 'name-wanted':
        if (report.deviceId === this.#request.deviceId) this.#nameWanted(report, payload);
        return;
      case 'state':
        if (report.deviceId === this.#request.deviceId) this.#stateIs(report, payload);
        return;
      case 'renamed':
        if (this.#naming !== undefined) this.#done();
        return;
      case 'moved':
        this.#follow(report.host, report.port);
        return;
      case 'refused':
        this.#refused(report.command, report.error);
    }
  }

  #stateIs({ state, network }: Extract<AddReport, { kind: 'state' }>, payload: Uint8Array): void {
    this.#progressed = true;
    if (state === 'announced' && !this.#announced) {
      this.#announced = true;
      const message = new TextDecoder().decode(payload);
      const what = 'the platform waits for the device';
      this.#progress({ kind: 'step', step: 2, direction: 'in', what, topic: this.#topic, message });
    }
    this.#progress({ kind: 'state', state, ...(network && { network }) });
    if (state === 'active') {
      if (this.#naming !== undefined) this.#done();
      else this.#reject(new Mqtt2goError('conflict', 'Another controller has named the device.'));
    }
    if (state === 'expired') {
      this.#reject(new Mqtt2goError('activation_expired', 'The device did not come within 15 minutes.'));
    }
    if (state === 'cancelled') this.#reject(new Mqtt2goError('conflict', 'The activation was cancelled.'));
    // Its reason is told by an error report, which may come before or after; where it is missing, silence ends it.
    if (state === 'refused') {
      clearTimeout(this.#repeating);
      this.#repeating = setTimeout(
        () => this.#reject(new Mqtt2goError('forbidden', 'The platform refused to add the device.')),
        1_000,
      );
    }
  }

  #nameWanted(device: ArrivedDevice, payload: Uint8Array): void {
    this.#progressed = true;
    // It comes again each time the device asks for its topics.
    if (this.#arrived !== undefined) return;
    this.#arrived = { deviceId: device.deviceId, deviceType: device.deviceType };
    const message = new TextDecoder().decode(payload);
    const what = 'is asked for the name and group of the device';
    this.#progress({ kind: 'step', step: 10, direction: 'in', what, topic: this.#topic, message });
    void this.#name(this.#arrived);
  }

  async #name(device: ArrivedDevice): Promise<void> {
    const { naming } = this.#request;
    try {
      this.#naming = typeof naming === 'function' ? await naming(device) : naming;
      this.say();
    } catch (error) {
      this.#reject(error);
    }
  }

  /** It is said again there. */
  #follow(host: string, port: number): void {
    this.#moving ??= this.#deps.connection
      .moveTo(host, port)
      .catch((error: unknown) => this.#reject(error))
      .finally(() => {
        this.#moving = undefined;
      });
  }

  #refused(command: string, error: Mqtt2goError): void {
    if (error.code === 'home_has_moved' && this.#moving !== undefined) return;
    const mine = command === (this.#naming === undefined ? 'activate_device' : 'rename_device');
    if (!mine || (this.#interfered && this.#progressed && command === 'activate_device')) return;
    if (passing.has(error.code)) {
      clearTimeout(this.#repeating);
      this.#repeating = setTimeout(() => this.say(), this.#deps.repeatMs);
    } else {
      this.#reject(error);
    }
  }

  #done(): void {
    const { homeId, gatewayId } = this.#deps;
    const { deviceId } = this.#request;
    const deviceType = this.#arrived?.deviceType ?? this.#request.deviceType;
    const { name = '', groupIds = [] } = this.#naming ?? {};
    const addresses = groupIds.map((groupId) =>
      deviceType === undefined ? [] : [topics.device.build({ homeId, gatewayId, groupId, deviceType, deviceId })],
    );
    this.#resolve({ deviceId, deviceType, name, groupIds, topics: addresses.flat() });
  }

  #progress(progress: AddProgress): void {
    this.#request.onProgress?.(progress);
  }
}
