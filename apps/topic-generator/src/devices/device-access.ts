import { writeAudit } from '@mqtt2go/audit';
import { errorCode } from '@mqtt2go/persistence';
import { Clock } from '@mqtt2go/ports';
import { Mqtt2goError, topics } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { HomeBrokers } from '../access/home-brokers.js';
import { Homes } from '../homes/homes.js';
import { schema } from '../schema.js';
import { deviceEntry } from './device-audit.js';
import { type Admission, type DeviceRecord, DeviceRecords, type Renewal } from './device-records.js';
import { NewDevices } from './new-devices.js';

const foreignKeyViolation = '23503';

/**
 * Which device may come to its home's broker, with which certificates and where to. Each change is
 * stored and committed, then put to the broker, then answered: who gets no answer repeats the call.
 */
@Injectable()
export class DeviceAccess {
  constructor(
    private readonly dataSource: DataSource,
    private readonly homes: Homes,
    private readonly newDevices: NewDevices,
    private readonly brokers: HomeBrokers,
    private readonly clock: Clock,
  ) {}

  /**
   * Lets a device that is being added in with its new certificate. What it has (other certificates, groups,
   * gateway) stays until it is named: adding a working device again, and leaving it at that, cuts off nothing.
   * @throws Mqtt2goError `device_already_active` if it has a name in another home; `certificate_revoked` if this
   * certificate was dropped before; `unknown_home` without such a gateway; `unavailable` without the broker
   */
  async admit(admission: Admission): Promise<void> {
    const { deviceId, homeId } = admission;
    await this.brokers.change({ kind: 'device', id: deviceId }, async () => {
      const principal = await this.newDevices.admit(admission).catch(rethrow);
      const formerHomeId = principal === undefined ? await this.admitAgain(admission) : undefined;
      return { answer: undefined, principal: principal ?? 'unknown', homeId, formerHomeId };
    });
  }

  /**
   * Lets a device come with the certificate after one that it has. It belongs to the same onboarding, so that it goes
   * when that one goes.
   * @throws Mqtt2goError `unknown_device`; `unknown_certificate` if the earlier one was never admitted;
   * `certificate_revoked` if either was dropped; `home_is_moving`, `home_has_moved`; `unavailable` without the broker
   */
  async acceptCertificate(renewal: Renewal): Promise<void> {
    const { deviceId, renewedFrom, serialNumber } = renewal;
    await this.changeDevice(deviceId, async (records, manager) => {
      const device = await records.lock(deviceId);
      if (device === undefined) throw new Mqtt2goError('unknown_device');
      await this.homes.requireChangeable(manager, device.homeId);
      await records.addRenewal(renewal);
      const standing = await records.standing(deviceId, serialNumber);
      if (standing === 'admitted') return device.homeId;
      const isNew = standing === 'unknown' && (await records.standing(deviceId, renewedFrom)) === 'unknown';
      throw new Mqtt2goError(isNew ? 'unknown_certificate' : 'certificate_revoked');
    });
  }

  /**
   * Puts a device in exactly these groups and completes its pending onboarding: certificates of earlier ones
   * are dropped. Returns its topics, one for each group in the order given.
   * @throws Mqtt2goError `unknown_device`; `invalid_identifier` for a group that cannot stand in a topic;
   * `unavailable` without the broker
   */
  async assignTopics(deviceId: string, groupIds: readonly string[]): Promise<string[]> {
    const groups = [...new Set(groupIds)];
    // Throws before anything is stored.
    for (const groupId of groups) topics.device.filter({ groupId });
    return this.brokers.change({ kind: 'device', id: deviceId }, async () => {
      const named = await this.newDevices.name(deviceId, groups);
      const { homeId, gatewayId, deviceType } = named ?? (await this.nameAgain(deviceId, groups));
      return {
        answer: groups.map((groupId) => topics.device.build({ homeId, gatewayId, groupId, deviceType, deviceId })),
        // What the broker knows of a device holds in whatever group it is. One that was named before is told again, for
        // this may repeat a naming of which the broker has not heard.
        principal: named?.isMoved === false ? 'unchanged' : 'unknown',
        homeId,
      };
    });
  }

  /**
   * Takes back what one onboarding admitted: its certificates, and the device if nothing else has made it one
   * of the home's. A later admission stays; unknown ones are fine.
   * @throws Mqtt2goError `unavailable` without the broker
   */
  async withdraw(onboardingId: string, deviceId: string): Promise<void> {
    await this.changeDevice(deviceId, async (records, manager) => {
      const device = await records.lock(deviceId);
      const dropped = await records.dropAdmission(deviceId, onboardingId, this.clock.now());
      const isPending = device?.pendingOnboardingId === onboardingId;
      if (dropped > 0 || isPending) {
        const entry = deviceEntry('device.withdrawn', deviceId, { homeId: device?.homeId, onboardingId });
        await writeAudit(manager, schema, [entry]);
      }
      if (device === undefined || (dropped === 0 && device.pendingOnboardingId !== onboardingId)) return device?.homeId;
      const remaining = await records.newestAdmission(deviceId);
      const isNamedEarlier = device.namedOnboardingId !== null && device.namedOnboardingId !== onboardingId;
      if (remaining === null && !isNamedEarlier) {
        await records.delete(deviceId);
      } else if (device.pendingOnboardingId === onboardingId) {
        await records.update(deviceId, { ...device, pendingOnboardingId: isNamedEarlier ? null : remaining });
      }
      return device.homeId;
    });
  }

  /**
   * Turns certificates away from now on and closes the sessions that use them. Without serial numbers the
   * device itself goes: it belongs to no home any more and can be added anywhere.
   * @throws Mqtt2goError `unavailable` without the broker
   */
  async revoke(deviceId: string, serialNumbers: readonly string[]): Promise<void> {
    await this.changeDevice(deviceId, async (records, manager) => {
      const device = await records.lock(deviceId);
      if (serialNumbers.length > 0) {
        await records.dropSerials(deviceId, serialNumbers, this.clock.now());
      } else {
        await records.dropAll(deviceId, this.clock.now());
        const entry = deviceEntry('device.access-revoked', deviceId, {
          homeId: device?.homeId,
          details: { removed: true },
        });
        await writeAudit(manager, schema, [entry]);
        // One that is admitted since then has certificates that were not dropped.
        if (device !== undefined) await records.delete(deviceId);
      }
      return device?.homeId;
    });
  }

  /**
   * Admits a device that has been admitted before, if only by the same request. Returns the home that it has left, if
   * it has.
   */
  private async admitAgain(admission: Admission): Promise<string | undefined> {
    const { deviceId, homeId, onboardingId } = admission;
    return this.transaction(async (manager) => {
      const nowMs = this.clock.now();
      const records = new DeviceRecords(manager);
      const device = await records.lockOrCreate(admission);
      const isElsewhere = device.homeId !== homeId;
      if (isElsewhere && device.namedOnboardingId !== null) throw new Mqtt2goError('device_already_active');
      const outcome = await records.addCertificate(admission, nowMs);
      if (outcome === 'dropped') throw new Mqtt2goError('certificate_revoked');
      if (outcome === 'known') return undefined;
      if (isElsewhere) {
        // Never named there, so it was only being added: whoever proved its code last has it.
        await records.dropOthers(deviceId, onboardingId, nowMs);
        await records.update(deviceId, { ...device, ...admission, pendingOnboardingId: onboardingId });
      } else if (device.pendingOnboardingId !== onboardingId) {
        await records.update(deviceId, { ...device, pendingOnboardingId: onboardingId });
      }
      return isElsewhere ? device.homeId : undefined;
    });
  }

  /** Names a device that has a name, or certificates of more than one onboarding. */
  private async nameAgain(deviceId: string, groups: readonly string[]): Promise<DeviceRecord> {
    return this.transaction(async (manager) => {
      const records = new DeviceRecords(manager);
      const before = await records.lock(deviceId);
      if (before === undefined) throw new Mqtt2goError('unknown_device');
      await this.homes.requireChangeable(manager, before.homeId);
      const pending = before.pendingOnboardingId;
      const admission = pending === null ? undefined : await records.admissionOf(deviceId, pending);
      const completed = admission === undefined ? null : pending;
      const namedOnboardingId = completed ?? before.namedOnboardingId;
      if (namedOnboardingId === null) throw new Mqtt2goError('unknown_device', 'Nothing admits the device any more.');
      const after = { ...before, ...admission, pendingOnboardingId: null, namedOnboardingId };
      await this.homes.ensureGroups(manager, after.homeId, groups);
      await records.replaceGroups(deviceId, groups, after.homeId);
      await records.update(deviceId, after);
      if (completed !== null) await records.dropOthers(deviceId, completed, this.clock.now());
      return after;
    });
  }

  /**
   * Has its home's broker, or all of them, act by what a transaction made of a device.
   * @param work answers the device's home, if it is known
   */
  private async changeDevice(
    deviceId: string,
    work: (records: DeviceRecords, manager: EntityManager) => Promise<string | undefined>,
  ): Promise<void> {
    await this.brokers.change({ kind: 'device', id: deviceId }, async () => {
      const homeId = await this.transaction((manager) => work(new DeviceRecords(manager), manager));
      return { answer: undefined, principal: 'unknown', homeId };
    });
  }

  private async transaction<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return this.dataSource.transaction(work).catch(rethrow);
  }
}

/** Gives the one refusal that the database finds its code. */
function rethrow(error: unknown): never {
  throw errorCode(error) === foreignKeyViolation
    ? new Mqtt2goError('unknown_home', undefined, { cause: error })
    : error;
}
