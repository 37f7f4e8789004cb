import { Bus, moving } from '@mqtt2go/messaging';
import { type MoveStepName, Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { Relay } from './relay.js';
import { type Part, parts, type Side, type SideVerb, type sideContracts } from './side.js';

type In<V extends SideVerb> = z.input<(typeof sideContracts)[V]['input']>;
type Out<V extends SideVerb> = z.output<(typeof sideContracts)[V]['output']>;

interface Page {
  readonly records: unknown[];
  readonly upTo?: string | undefined;
}

/** The mover tries again by itself. */
const once = { retries: 0, timeoutMs: 15_000 };
const devicesPerCall = 25;
const certificatesPerCall = 50;

/** Where provisioning is told before the topic generator: it has to be able to answer those whom that lets in or turns away. */
const provisioningFirst: ReadonlySet<MoveStepName> = new Set<MoveStepName>(['thaw', 'drain', 'prepare', 'release']);

/** This platform: what a move asks of it, put together of what its services do. */
@Injectable()
export class OwnSide implements Side {
  constructor(
    private readonly bus: Bus,
    private readonly relay: Relay,
  ) {}

  async standing({ homeId }: In<'standing'>): Promise<Out<'standing'>> {
    const stored = await this.bus.call(moving.getHomeStanding, { homeId }, once);
    const { standing, moveId, devices, controllers, trustsGateways } = stored;
    return { standing, moveId, devices, controllers, trustsGateways };
  }

  async gatewayDevices(input: In<'gatewayDevices'>): Promise<Out<'gatewayDevices'>> {
    return this.bus.call(moving.countGatewayDevices, input, once);
  }

  async step(input: In<'step'>): Promise<Out<'step'>> {
    const { homeId, moveId, step } = input;
    // What is said from now on must not be lost: it is kept before anybody is told to come or to go.
    if (step === 'drain') await this.relay.keepAll(homeId, moveId);
    if (step === 'prepare') await this.relay.holdCommands(homeId, moveId);
    const access = () => this.bus.call(moving.moveHomeAccess, input, once);
    const onboardings = () => this.bus.call(moving.moveHomeOnboardings, input, once);
    const [first, second] = provisioningFirst.has(step) ? [onboardings, access] : [access, onboardings];
    await first();
    await second();
    if (step === 'release') await this.relay.endKeeping(homeId);
    if (step === 'discard') await this.relay.forget(homeId);
    const { standing } = await this.standing({ homeId });
    return { standing };
  }

  async exportPage({ homeId, moveId, part, after }: In<'exportPage'>): Promise<Out<'exportPage'>> {
    const { records, upTo } = await this.read(part, { homeId, moveId, after });
    return { records, ...(upTo === undefined ? {} : { upTo }) };
  }

  async importPage({ homeId, moveId, part, after, upTo, records }: In<'importPage'>): Promise<Record<string, never>> {
    const page = { homeId, moveId, after, ...(upTo === undefined ? {} : { upTo }) };
    switch (part) {
      case 'structure': {
        const [structure] = check('structure', records);
        if (structure === undefined) throw new Mqtt2goError('malformed_message', 'There is one structure.');
        await this.bus.call(moving.importHomeStructure, { homeId, moveId, structure }, once);
        break;
      }
      case 'devices':
        await this.bus.call(moving.importHomeDevices, { ...page, records: check(part, records) }, once);
        break;
      case 'controllers':
        await this.bus.call(moving.importHomeControllers, { ...page, records: check(part, records) }, once);
        break;
      case 'onboardings': {
        const { broker = '' } = await this.bus.call(moving.getHomeStanding, { homeId }, once);
        await this.bus.call(moving.importHomeOnboardings, { ...page, broker, records: check(part, records) }, once);
        break;
      }
      case 'factory-records':
        await this.bus.call(moving.addFactoryRecords, { homeId, moveId, records: check(part, records) }, once);
        break;
      case 'certificates': {
        const all = check(part, records);
        for (let at = 0; at < all.length; at += certificatesPerCall) {
          const some = all.slice(at, at + certificatesPerCall);
          await this.bus.call(moving.importCertificates, { homeId, records: some }, once);
        }
      }
    }
    return {};
  }

  async address({ homeId }: In<'address'>): Promise<Out<'address'>> {
    const { broker } = await this.bus.call(moving.getHomeStanding, { homeId }, once);
    if (broker === undefined) throw new Mqtt2goError('unknown_home');
    return this.bus.call(moving.getBrokerAddress, { broker }, once);
  }

  async awaited(input: In<'awaited'>): Promise<Out<'awaited'>> {
    return this.bus.call(moving.listAwaitedDevices, input, once);
  }

  async redirect(input: In<'redirect'>): Promise<Out<'redirect'>> {
    return this.bus.call(moving.redirectDevices, input, once);
  }

  async relocate(input: In<'relocate'>): Promise<Record<string, never>> {
    await this.bus.call(moving.relocateDevices, input, once);
    return {};
  }

  async forgetRelocations(input: In<'forgetRelocations'>): Promise<Record<string, never>> {
    await this.bus.call(moving.forgetRelocations, input, once);
    return {};
  }

  async takeRelayed({ homeId, taken }: In<'takeRelayed'>): Promise<Out<'takeRelayed'>> {
    return { messages: await this.relay.take(homeId, taken) };
  }

  async deliver({ homeId, messages }: In<'deliver'>): Promise<Record<string, never>> {
    await this.relay.deliver(homeId, messages);
    return {};
  }

  private async read(part: Part, input: { homeId: string; moveId: string; after: string }): Promise<Page> {
    const { homeId, moveId } = input;
    switch (part) {
      case 'structure':
        return { records: [await this.bus.call(moving.exportHomeStructure, { homeId, moveId }, once)] };
      case 'devices':
        return this.bus.call(moving.exportHomeDevices, input, once);
      case 'controllers':
        return this.bus.call(moving.exportHomeControllers, input, once);
      case 'onboardings':
        return this.bus.call(moving.exportHomeOnboardings, input, once);
      case 'factory-records':
        return this.bus.call(moving.exportFactoryRecords, input, once);
      case 'certificates': {
        const { records: devices, upTo } = await this.bus.call(moving.exportHomeDevices, input, once);
        const deviceIds = devices.map(({ deviceId }) => deviceId);
        const records: unknown[] = [];
        for (let at = 0; at < deviceIds.length; at += devicesPerCall) {
          const some = deviceIds.slice(at, at + devicesPerCall);
          records.push(...(await this.bus.call(moving.exportCertificates, { deviceIds: some }, once)).records);
        }
        return { records, upTo };
      }
    }
  }
}

/** @throws Mqtt2goError `malformed_message` */
function check<P extends Part>(part: P, records: readonly unknown[]): z.output<(typeof parts)[P]>[] {
  const parsed = z.array(parts[part]).safeParse(records);
  if (!parsed.success) throw new Mqtt2goError('malformed_message', `${part}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
