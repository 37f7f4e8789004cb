import { Answers, type BrokerLink, BusServer, certificateAuthority, topicGenerator } from '@mqtt2go/messaging';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { type ServiceHandle, startNestService } from '@mqtt2go/runtime';
import { silentLogger } from '@mqtt2go/testing';
import { Controller } from '@nestjs/common';
import type { z } from 'zod';

type Input<C extends { input: z.ZodType }> = z.output<C['input']>;
type Issue = Input<typeof certificateAuthority.issueDeviceCertificate>;
type Settle = Input<typeof certificateAuthority.settleOnboardingCertificate>;
type Renew = Input<typeof certificateAuthority.renewDeviceCertificate>;
type Admit = Input<typeof topicGenerator.admitDevice>;
type Assign = Input<typeof topicGenerator.assignTopics>;
type Withdraw = Input<typeof topicGenerator.withdrawDevice>;
type Gateway = Input<typeof topicGenerator.hasGateway>;

/** What the certificate authority and the topic generator would say, and what they were asked. */
export class Neighbours {
  readonly gateways = new Set(['home-1/gw-1', 'home-1/gw-2', 'home-2/gw-1']);
  /** The names of home brokers by homes; homes of no broker are on the first. */
  readonly brokers = new Map<string, string>();
  /** By onboarding: an authority issues once and answers the same again. */
  readonly certificates = new Map<string, { serialNumber: string; deviceCertificate: string }>();
  readonly issues: Issue[] = [];
  readonly settlements: Settle[] = [];
  readonly renewals: Renew[] = [];
  readonly admissions: Admit[] = [];
  readonly assignments: Assign[] = [];
  readonly withdrawals: Withdraw[] = [];
  /** Called before each answer; may throw, or hold it back. */
  before: (
    verb: 'issue' | 'renew' | 'settle' | 'admit' | 'assign' | 'withdraw',
    deviceId?: string,
  ) => Promise<void> | void = () => undefined;

  issue(input: Issue): { serialNumber: string; deviceCertificate: string } {
    this.issues.push(input);
    const serialNumber = (this.certificates.size + 1).toString(16).toUpperCase().padStart(8, '0');
    const issued = this.certificates.get(input.onboardingId) ?? {
      serialNumber,
      deviceCertificate: `PEM of ${input.deviceId} ${serialNumber}`,
    };
    this.certificates.set(input.onboardingId, issued);
    return issued;
  }

  topics({ deviceId, groupIds }: Assign): string[] {
    const admission = this.admissions.findLast((admitted) => admitted.deviceId === deviceId);
    if (!admission) throw new Mqtt2goError('unknown_device');
    const { homeId, gatewayId, deviceType } = admission;
    return groupIds.map((groupId) => `${homeId}/${gatewayId}/${groupId}/${deviceType}/${deviceId}`);
  }
}

@Controller()
class ScriptedNeighbours {
  constructor(private readonly neighbours: Neighbours) {}

  @Answers(certificateAuthority.issueDeviceCertificate)
  async issue(input: Issue): Promise<{ serialNumber: string; deviceCertificate: string }> {
    await this.neighbours.before('issue', input.deviceId);
    return this.neighbours.issue(input);
  }

  @Answers(certificateAuthority.settleOnboardingCertificate)
  async settle(input: Settle): Promise<Record<string, never>> {
    await this.neighbours.before('settle');
    this.neighbours.settlements.push(input);
    return {};
  }

  @Answers(certificateAuthority.renewDeviceCertificate)
  async renew(input: Renew): Promise<{ serialNumber: string; deviceCertificate: string }> {
    await this.neighbours.before('renew', input.deviceId);
    this.neighbours.renewals.push(input);
    return { serialNumber: 'AB01', deviceCertificate: `PEM of ${input.deviceId} after ${input.serialNumber}` };
  }

  @Answers(topicGenerator.admitDevice)
  async admit(input: Admit): Promise<Record<string, never>> {
    await this.neighbours.before('admit', input.deviceId);
    this.neighbours.admissions.push(input);
    return {};
  }

  @Answers(topicGenerator.assignTopics)
  async assign(input: Assign): Promise<{ topics: string[] }> {
    await this.neighbours.before('assign', input.deviceId);
    this.neighbours.assignments.push(input);
    return { topics: this.neighbours.topics(input) };
  }

  @Answers(topicGenerator.withdrawDevice)
  async withdraw(input: Withdraw): Promise<Record<string, never>> {
    await this.neighbours.before('withdraw', input.deviceId);
    this.neighbours.withdrawals.push(input);
    return {};
  }

  @Answers(topicGenerator.hasGateway)
  async hasGateway({ homeId, gatewayId }: Gateway): Promise<{ exists: boolean; broker?: string }> {
    const broker = this.neighbours.brokers.get(homeId);
    const exists = this.neighbours.gateways.has(`${homeId}/${gatewayId}`);
    return exists && broker !== undefined ? { exists, broker } : { exists };
  }
}

class ScriptedNeighboursModule {}

/** The certificate authority and the topic generator on one connection. */
export function startNeighbours(link: BrokerLink, neighbours: Neighbours): Promise<ServiceHandle> {
  return startNestService({
    name: 'neighbours',
    module: {
      module: ScriptedNeighboursModule,
      controllers: [ScriptedNeighbours],
      providers: [{ provide: Neighbours, useValue: neighbours }],
    },
    log: silentLogger,
    strategies: [new BusServer({ link, service: 'topic-generator' })],
  });
}
