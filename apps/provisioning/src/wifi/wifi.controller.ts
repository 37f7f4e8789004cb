import { Answers, provisioning } from '@mqtt2go/messaging';
import { Controller } from '@nestjs/common';
import type { z } from 'zod';
import { HomeWifi, type Wifi } from './home-wifi.js';

/** The homes' Wi-Fi on the bus. */
@Controller()
export class WifiController {
  constructor(private readonly wifi: HomeWifi) {}

  @Answers(provisioning.setWifi)
  async setWifi({
    homeId,
    gatewayId,
    ssid,
    password,
  }: z.output<typeof provisioning.setWifi.input>): Promise<Record<string, never>> {
    await this.wifi.set({ homeId, gatewayId }, { ssid, password });
    return {};
  }

  @Answers(provisioning.showWifi)
  async showWifi(
    place: z.output<typeof provisioning.showWifi.input>,
  ): Promise<z.input<typeof provisioning.showWifi.output>> {
    const { ssid, setAtMs } = await this.wifi.show(place);
    return { ssid, setAt: new Date(setAtMs).toISOString() };
  }

  @Answers(provisioning.removeWifi)
  async removeWifi(place: z.output<typeof provisioning.removeWifi.input>): Promise<Record<string, never>> {
    await this.wifi.remove(place);
    return {};
  }

  @Answers(provisioning.handOutWifi)
  async handOutWifi({ onboardingId, handOutId }: z.output<typeof provisioning.handOutWifi.input>): Promise<Wifi> {
    return this.wifi.handOut(onboardingId, handOutId);
  }
}
