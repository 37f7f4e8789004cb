import { AuditRefusals } from '@mqtt2go/audit';
import type { ErrorCode, HomeInbound, Inbound, Mqtt2goError, ReplyPath } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { controllerActor } from '../onboarding/onboarding-audit.js';
import { ProvisioningSettings } from '../settings.js';
import { HomeReplies } from './home-replies.js';
import { HomeStandings } from '../moving/home-standings.js';

/** What says nothing about who asked: something of ours was not there. */
const ownFaults: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['internal', 'unavailable', 'timeout']);

/** Refuses requests of the home broker: in the log, in the audit log, and to whoever asked. */
@Injectable()
export class Refusals {
  constructor(
    private readonly replies: HomeReplies,
    private readonly audit: AuditRefusals,
    private readonly settings: ProvisioningSettings,
    private readonly standings: HomeStandings,
  ) {}

  async refuse(
    error: Mqtt2goError,
    to: ReplyPath | undefined,
    command: Inbound['kind'] | undefined,
    message?: HomeInbound,
  ): Promise<void> {
    const { log } = this.settings;
    const facts = { code: error.code, command, deviceId: message?.deviceId, topic: to?.topic };
    if (error.code === 'internal') log.error({ ...facts, err: error }, 'a request on the home broker failed');
    else log.info({ ...facts, reason: error.message }, 'a request on the home broker was refused');
    if (message !== undefined && !ownFaults.has(error.code)) this.note(error.code, message);
    if (!to) return;
    const homeId = message !== undefined && 'homeId' in message ? message.homeId : undefined;
    const moved = homeId === undefined ? undefined : this.standings.redirectOf(homeId);
    // The controller follows; one that does not know the message reads the refusal.
    if (moved !== undefined) {
      await this.replies.send([
        { to, message: { kind: 'broker-moved', brokerHost: moved.host, brokerPort: moved.port } },
      ]);
    }
    await this.replies.send([
      { to, message: { kind: 'command-refused', error, ...(command === undefined ? {} : { command }) } },
    ]);
  }

  private note(outcome: ErrorCode, message: HomeInbound): void {
    const { deviceId, kind } = message;
    const isController = 'homeId' in message;
    this.audit.note({
      actor: isController ? controllerActor(message) : { kind: 'device', id: deviceId },
      action: 'request.refused',
      deviceId,
      homeId: isController ? message.homeId : undefined,
      outcome,
      details: { command: kind },
    });
  }
}
