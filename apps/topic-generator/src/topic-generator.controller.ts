import { Answers, topicGenerator } from '@mqtt2go/messaging';
import { Controller } from '@nestjs/common';
import type { z } from 'zod';
import { GatewayTrust } from './access/gateway-trust.js';
import { Controllers, type NewController } from './controllers/controllers.js';
import { DeviceAccess } from './devices/device-access.js';
import { Homes } from './homes/homes.js';

/** The service's part of the bus. */
@Controller()
export class TopicGeneratorController {
  constructor(
    private readonly homes: Homes,
    private readonly devices: DeviceAccess,
    private readonly controllers: Controllers,
    private readonly trust: GatewayTrust,
  ) {}

  @Answers(topicGenerator.admitDevice)
  async admitDevice(admission: z.output<typeof topicGenerator.admitDevice.input>): Promise<Record<string, never>> {
    await this.devices.admit(admission);
    return {};
  }

  @Answers(topicGenerator.acceptCertificate)
  async acceptCertificate(
    renewal: z.output<typeof topicGenerator.acceptCertificate.input>,
  ): Promise<Record<string, never>> {
    await this.devices.acceptCertificate(renewal);
    return {};
  }

  @Answers(topicGenerator.assignTopics)
  async assignTopics({
    deviceId,
    groupIds,
  }: z.output<typeof topicGenerator.assignTopics.input>): Promise<{ topics: string[] }> {
    return { topics: await this.devices.assignTopics(deviceId, groupIds) };
  }

  @Answers(topicGenerator.withdrawDevice)
  async withdrawDevice({
    onboardingId,
    deviceId,
  }: z.output<typeof topicGenerator.withdrawDevice.input>): Promise<Record<string, never>> {
    await this.devices.withdraw(onboardingId, deviceId);
    return {};
  }

  @Answers(topicGenerator.revokeAccess)
  async revokeAccess({
    deviceId,
    serialNumbers,
  }: z.output<typeof topicGenerator.revokeAccess.input>): Promise<Record<string, never>> {
    await this.devices.revoke(deviceId, serialNumbers);
    return {};
  }

  @Answers(topicGenerator.createController)
  async createController(request: z.output<typeof topicGenerator.createController.input>): Promise<NewController> {
    return this.controllers.create(request);
  }

  @Answers(topicGenerator.hasGateway)
  async hasGateway({
    homeId,
    gatewayId,
  }: z.output<typeof topicGenerator.hasGateway.input>): Promise<z.input<typeof topicGenerator.hasGateway.output>> {
    const found = await this.homes.findGateway(homeId, gatewayId);
    if (found === undefined) return { exists: false };
    const { broker, isBridged } = found;
    return { exists: true, broker, ...(isBridged && { isBridged }) };
  }

  @Answers(topicGenerator.placeHome)
  async placeHome({
    homeId,
    gatewayId,
  }: z.output<typeof topicGenerator.placeHome.input>): Promise<Record<string, never>> {
    await this.homes.place(homeId, gatewayId);
    return {};
  }

  @Answers(topicGenerator.trustGateway)
  async trustGateway({
    authority,
    ...gateway
  }: z.output<typeof topicGenerator.trustGateway.input>): Promise<Record<string, never>> {
    await this.trust.trust(gateway, authority);
    return {};
  }

  @Answers(topicGenerator.openBridge)
  async openBridge({
    homeId,
    gatewayId,
  }: z.output<typeof topicGenerator.openBridge.input>): Promise<z.input<typeof topicGenerator.openBridge.output>> {
    const { url, username, password } = await this.controllers.openBridge(homeId, gatewayId);
    return { url, username, password };
  }

  @Answers(topicGenerator.closeBridge)
  async closeBridge({
    homeId,
    gatewayId,
  }: z.output<typeof topicGenerator.closeBridge.input>): Promise<Record<string, never>> {
    await this.trust.distrust({ homeId, gatewayId });
    await this.controllers.closeBridge(homeId, gatewayId);
    return {};
  }
}
