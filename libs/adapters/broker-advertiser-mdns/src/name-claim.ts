import { type CiaoService, getResponder, type Responder } from '@homebridge/ciao';
import { localBrokerHost, localBrokerService } from '@mqtt2go/protocol';
import type { Scope } from './scope.js';

const [hostLabel = ''] = localBrokerHost.split('.');
const [serviceLabel = ''] = localBrokerService.split('.');

export interface ClaimEvents {
  /** The name is this machine's now, and told. */
  held(): void;
  /** It is somebody else's, or has become so. Nothing is told any more. */
  lost(): void;
}

/**
 * One attempt to have MQTT2GO.local. ciao asks for the name, tells and defends it. What ciao does when it loses, to go on
 * under a name with a number, would be of no use to devices: the attempt ends there, before anything is told.
 */
export class NameClaim {
  readonly #responder: Responder;
  readonly #service: CiaoService;
  #released: Promise<void> | undefined;

  constructor({ interfaceNames, ipv6, only }: Scope, port: number, events: ClaimEvents) {
    this.#responder = getResponder({ interface: [...interfaceNames], advertiseIpv6: ipv6 });
    this.#service = this.#responder.createService({
      name: hostLabel,
      hostname: hostLabel,
      type: serviceLabel.slice(1),
      port,
      txt: { txtvers: '1' },
      disabledIpv6: !ipv6 && only === undefined,
      // With IPv6 ciao would restrict itself to IPv4 packets. Without, it would use the loopback interface unasked.
      ...(ipv6 ? {} : { restrictedAddresses: only === undefined ? [...interfaceNames] : [only] }),
    });
    const lose = (): void => {
      if (this.#released !== undefined) return;
      void this.release();
      events.lost();
    };
    // The release has to begin within the event: the next thing that ciao does is to tell the other name.
    this.#service.once('name-change', lose);
    this.#service.advertise().then(() => {
      if (this.#released === undefined) events.held();
    }, lose);
  }

  /** Says goodbye if the name was held. */
  release(): Promise<void> {
    this.#released ??= this.#service
      .destroy()
      // A goodbye that no interface could send any more.
      .catch(() => undefined)
      .then(() => this.#responder.shutdown())
      .catch(() => undefined);
    return this.#released;
  }
}
