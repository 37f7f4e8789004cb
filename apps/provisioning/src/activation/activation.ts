import { randomUUID } from 'node:crypto';
import { type ActivationRequest, activate, isOverdue, type Onboarding, type Reply } from '@mqtt2go/onboarding';
import { isUniqueViolation } from '@mqtt2go/persistence';
import { Clock } from '@mqtt2go/ports';
import { type ActivateDevice, Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { ActivationCodes } from '../factory/activation-codes.js';
import { FactoryRegistry } from '../factory/factory-registry.js';
import { uniqueIndexes } from '../onboarding/onboarding.entity.js';
import { OnboardingDriver } from '../onboarding/onboarding-driver.js';
import { OnboardingRepository } from '../onboarding/onboarding-repository.js';
import { Onboardings } from '../onboarding/onboardings.js';
import { Gateways } from './gateways.js';
import { GuessGuard } from './guess-guard.js';

/** Requests that get in each other's way are looked at again this often. */
const mostAttempts = 8;

/** Step 1: a controller wants a device added. */
@Injectable()
export class Activation {
  constructor(
    private readonly gateways: Gateways,
    private readonly guard: GuessGuard,
    private readonly factory: FactoryRegistry,
    private readonly codes: ActivationCodes,
    private readonly onboardings: Onboardings,
    private readonly repository: OnboardingRepository,
    private readonly driver: OnboardingDriver,
    private readonly clock: Clock,
  ) {}

  /** See {@link Gateways.isServedInHouse}. */
  isServedInHouse(homeId: string, gatewayId: string): Promise<boolean> {
    return this.gateways.isServedInHouse(homeId, gatewayId);
  }

  /**
   * Takes a request and begins what follows from it; resolves when it is stored and answered.
   * @param digest of the message as it came
   * @param slowed called when the answer is going to be late on purpose
   * @throws Mqtt2goError unknown_home, activation_code_wrong, too_many_attempts, device_type_unknown,
   * another_device_is_being_added, activation_code_in_use, conflict; unavailable, timeout
   */
  async activate(message: ActivateDevice, digest: string, slowed: () => void): Promise<void> {
    const { homeId, gatewayId, deviceId } = message;
    const broker = await this.gateways.check(homeId, gatewayId);
    // A broker lets nobody speak for a home that is on another one; this is for the case that it does.
    if (broker !== undefined && broker !== message.reply.broker) throw new Mqtt2goError('unknown_home');
    await this.guard.enter(homeId, deviceId, slowed);
    if (await this.startAtOnce(message, digest)) return;
    const request = await this.complete(message, digest, slowed);
    for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
      if (await this.attempt(request)) return;
    }
    throw new Mqtt2goError('unavailable', 'the device is asked for too often at once');
  }

  /** The usual case, in one statement: a device that the factory has told of and that is nowhere yet. */
  private async startAtOnce(message: ActivateDevice, digest: string): Promise<boolean> {
    const request = this.requestOf(message, digest, { deviceType: message.deviceType ?? '', keyMode: 'server-key' });
    const draft = activate(undefined, request, this.clock.now());
    if (draft.kind !== 'start') return false;
    const { deviceId, activationCode, deviceType } = message;
    try {
      const hash = this.codes.hash(deviceId, activationCode);
      const started = await this.onboardings.startKnown(draft.onboarding, deviceType, hash);
      if (!started) return false;
      const { onboarding, device } = started;
      this.guard.succeeded(onboarding.homeId, deviceId);
      await this.follow(onboarding, draft.replies, device.publicKey);
      return true;
    } catch (error) {
      if (isUniqueViolation(error)) return false;
      throw error;
    }
  }

  /** Checks the code and adds what the factory record tells. */
  private async complete(message: ActivateDevice, digest: string, slowed: () => void): Promise<ActivationRequest> {
    const { homeId, deviceId, activationCode } = message;
    const record = await this.factory.find(deviceId);
    if (record && !this.codes.matches(record.activationCodeHash, deviceId, activationCode)) {
      await this.guard.failed(homeId, deviceId, slowed);
      throw new Mqtt2goError('activation_code_wrong');
    }
    this.guard.succeeded(homeId, deviceId);
    const deviceType = message.deviceType ?? record?.deviceType;
    if (deviceType === undefined) throw new Mqtt2goError('device_type_unknown');
    return this.requestOf(message, digest, { deviceType, keyMode: record?.keyMode ?? 'server-key' });
  }

  /** False when something came in between and all is to be looked at again. */
  private async attempt(request: ActivationRequest): Promise<boolean> {
    const newest = await this.repository.newest(request.deviceId);
    const activation = activate(newest, request, this.clock.now());
    if (activation.kind === 'refused') throw activation.error;
    if (activation.kind === 'start') {
      const { onboarding, before, replies } = activation;
      if (!(await this.start(onboarding, newest && before && { from: newest, result: before }))) return false;
      await this.follow(onboarding, replies);
      return true;
    }
    if (!newest || activation.result.onboarding === newest) {
      await this.onboardings.send(activation.result.replies);
      return true;
    }
    const { requestDigest, reply } = request;
    const restart = { kind: 'restart', requestDigest, reply } as const;
    const { onboarding, refusal, sent } = await this.onboardings.happen(newest, restart, { fresh: true });
    // It has ended in between: the request is to begin a new one.
    if (refusal) return false;
    this.driver.drive(onboarding);
    await sent;
    return true;
  }

  private async follow(onboarding: Onboarding, replies: readonly Reply[], publicKey?: string): Promise<void> {
    const sent = this.onboardings.send(replies);
    this.driver.drive(onboarding, { publicKey });
    await sent;
  }

  /**
   * False when what stood in the way has moved on, or has just been found to be overdue and was ended.
   * @throws Mqtt2goError another_device_is_being_added, activation_code_in_use, conflict
   */
  private async start(onboarding: Onboarding, before: Parameters<Onboardings['start']>[1]): Promise<boolean> {
    try {
      return await this.onboardings.start(onboarding, before);
    } catch (error) {
      const refusal = refusalOf(error);
      if (!refusal) throw error;
      if (await this.endOverdue(onboarding)) return false;
      throw refusal;
    }
  }

  private requestOf(
    message: ActivateDevice,
    requestDigest: string,
    device: Pick<ActivationRequest, 'deviceType' | 'keyMode'>,
  ): ActivationRequest {
    const { homeId, gatewayId, deviceId, activationCode, reply } = message;
    const network = this.onboardings.networkFor(activationCode);
    const onboardingId = randomUUID();
    return { onboardingId, homeId, gatewayId, deviceId, activationCode, network, requestDigest, reply, ...device };
  }

  private async endOverdue(wanted: Onboarding): Promise<boolean> {
    const blocking = await this.repository.blocking(wanted);
    const overdue = blocking.filter((onboarding) => isOverdue(onboarding, this.clock.now()));
    await Promise.all(overdue.map((onboarding) => this.onboardings.happen(onboarding, { kind: 'expire' })));
    return overdue.length > 0 || blocking.length === 0;
  }
}

/** Why a unique index refused the row. */
function refusalOf(error: unknown): Mqtt2goError | undefined {
  if (isUniqueViolation(error, uniqueIndexes.gateway)) return new Mqtt2goError('another_device_is_being_added');
  if (isUniqueViolation(error, uniqueIndexes.activationCode)) return new Mqtt2goError('activation_code_in_use');
  if (isUniqueViolation(error, uniqueIndexes.device)) {
    return new Mqtt2goError('conflict', 'The device is being added at another gateway.');
  }
  return undefined;
}
