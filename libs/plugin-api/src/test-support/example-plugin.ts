import { Mqtt2goPlugin, type PluginLifecycle, RevisionWire } from '@mqtt2go/plugin-api';
import {
  type ActivationInbound,
  type HomeInbound,
  identifier,
  Mqtt2goError,
  type Outbound,
  type Publication,
  type Reading,
  type ReplyPath,
} from '@mqtt2go/protocol';

/** Lines of text in place of JSON: `add <code> <device>` on `text/<home>/<gateway>/in`, answers on `.../out`. */
class TextWire extends RevisionWire {
  override readonly revision = 'text-1';
  override readonly homeFilters = ['text/+/+/in'];
  override readonly activationFilters = [];

  override readHome(topic: string, payload: Uint8Array): Reading<HomeInbound> {
    const [, homeId = '', gatewayId = ''] = topic.split('/');
    const reply = this.addDevicePath(homeId, gatewayId);
    const [verb, activationCode, deviceId, ...more] = new TextDecoder().decode(payload.subarray(0, 256)).split(' ');
    if (verb !== 'add' || activationCode === undefined || deviceId === undefined || more.length > 0) {
      return { outcome: 'refused', error: new Mqtt2goError('malformed_message'), reply };
    }
    const ids = [homeId, gatewayId, activationCode, deviceId];
    if (!ids.every((id) => identifier.safeParse(id).success)) {
      return { outcome: 'refused', error: new Mqtt2goError('invalid_identifier'), reply, command: 'activate-device' };
    }
    const message = { kind: 'activate-device', homeId, gatewayId, activationCode, deviceId, reply } as const;
    return { outcome: 'message', message };
  }

  override readActivation(): Reading<ActivationInbound> {
    return { outcome: 'ignored' };
  }

  override write(message: Outbound, to: ReplyPath, nowMs: number): Publication {
    const what = message.kind === 'command-refused' ? `no: ${message.error.code}` : message.kind;
    return { topic: to.topic, payload: `${new Date(nowMs).toISOString()} ${what}` };
  }

  override addDevicePath(homeId: string, gatewayId: string): ReplyPath {
    return { revision: this.revision, topic: `text/${homeId}/${gatewayId}/out` };
  }

  override deviceTopicsPath(deviceId: string): ReplyPath {
    return { revision: this.revision, topic: `text/${deviceId}` };
  }
}

@Mqtt2goPlugin({
  name: 'text-wire',
  kind: 'revision',
  api: '^1.0.0',
  providers: [{ provide: RevisionWire, useClass: TextWire }],
  exports: [RevisionWire],
})
export class TextWirePlugin implements PluginLifecycle {
  start(): void {
    // Here, and not in a constructor, a plugin opens what it needs. A wire needs nothing.
  }

  stop(): void {
    // And here it closes that again.
  }
}
