import { Answers, type BrokerLink, BusServer, provisioning } from '@mqtt2go/messaging';
import { type ServiceHandle, startNestService } from '@mqtt2go/runtime';
import { silentLogger } from '@mqtt2go/testing';
import { Controller, Module } from '@nestjs/common';
import type { z } from 'zod';

type Claim = z.output<typeof provisioning.claimOnboarding.input>;
type Answer = z.input<typeof provisioning.claimOnboarding.output>;

/** What provisioning would say; changed by the test as it goes. */
export class Script {
  readonly claims: Claim[] = [];
  answer: (claim: Claim) => Answer | Promise<Answer> = () => ({});
}

@Controller()
class ScriptedProvisioning {
  constructor(private readonly script: Script) {}

  @Answers(provisioning.claimOnboarding)
  async claimOnboarding(claim: Claim): Promise<Answer> {
    this.script.claims.push(claim);
    return this.script.answer(claim);
  }
}

@Module({})
class ScriptedProvisioningModule {}

/** The other end of the bus: answers claims by the script. */
export function startScriptedProvisioning(link: BrokerLink, script: Script): Promise<ServiceHandle> {
  return startNestService({
    name: 'provisioning',
    module: {
      module: ScriptedProvisioningModule,
      controllers: [ScriptedProvisioning],
      providers: [{ provide: Script, useValue: script }],
    },
    log: silentLogger,
    strategies: [new BusServer({ link, service: 'provisioning' })],
  });
}
