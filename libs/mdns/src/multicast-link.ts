import type { RemoteInfo } from 'node:dgram';
import { Mqtt2goError } from '@mqtt2go/protocol';
import multicastDns, { type MulticastDNS } from 'multicast-dns';
import type { MdnsQuestion } from './found-gateways.js';
import { Links, type LocalAddress } from './local-addresses.js';
import { type Log, noLog } from './log.js';
import { type MdnsMessage, maxMessageBytes, readMessage } from './messages.js';

const mdnsPort = 5353;

/**
 * Hears and asks by multicast DNS on some of the machine's links. Strangers are not heard: what comes from outside of the
 * link, an answer from another port than 5353, what is too large or cannot be read. Names and addresses are not proof of
 * anything all the same; who answers is known by its certificate only.
 */
export class MulticastLink {
  readonly #sockets: readonly MulticastDNS[];
  readonly #listeners = new Set<(message: MdnsMessage) => void>();

  /**
   * @param addresses of this machine, on whose links is listened: on IPv4 by each IPv4 address, on IPv6 by each
   * link-local one
   * @throws Mqtt2goError `unavailable` when port 5353 is taken by a program that does not share it
   */
  static async open(addresses: readonly LocalAddress[], log: Log = noLog): Promise<MulticastLink> {
    const links = new Links(addresses);
    const opening = addresses
      .filter(({ family, isLinkLocal }) => family === 4 || isLinkLocal)
      .map((address) => ({ address, socket: socketOn(address) }));
    const opened = await Promise.allSettled(opening.map(({ socket }) => ready(socket, log)));
    const failed = opened.find((result) => result.status === 'rejected');
    const link = new MulticastLink(opening.map(({ socket }) => socket));
    if (failed !== undefined) {
      await link.close();
      throw new Mqtt2goError('unavailable', 'UDP port 5353 cannot be shared with the program that has it.', {
        cause: failed.reason,
      });
    }
    for (const { address, socket } of opening) {
      socket.on('packet', (packet, from: RemoteInfo) => link.#hear(packet, from, address.interfaceName, links));
    }
    return link;
  }

  private constructor(sockets: readonly MulticastDNS[]) {
    this.#sockets = sockets;
  }

  ask(questions: readonly MdnsQuestion[]): void {
    if (questions.length === 0) return;
    for (const socket of this.#sockets) socket.query({ questions: questions.map((question) => ({ ...question })) });
  }

  onMessage(listener: (message: MdnsMessage) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    await Promise.all(this.#sockets.map((socket) => new Promise<void>((done) => socket.destroy(() => done()))));
  }

  #hear(packet: unknown, { address, port, size }: RemoteInfo, interfaceName: string, links: Links): void {
    // Linux hands what came on any link to every socket of the port.
    if (links.interfaceOf(address) !== interfaceName || size > maxMessageBytes) return;
    const message = readMessage(packet, address, interfaceName);
    if (message === undefined || (message.kind === 'response' && port !== mdnsPort)) return;
    for (const listener of this.#listeners) listener(message);
  }
}

function socketOn({ family, address, interfaceName }: LocalAddress): MulticastDNS {
  return family === 4
    ? multicastDns({ type: 'udp4', interface: address, bind: '0.0.0.0' })
    : multicastDns({ type: 'udp6', ip: 'ff02::fb', interface: `::%${interfaceName}`, bind: '::' });
}

function ready(socket: MulticastDNS, log: Log): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('ready', resolve);
    // Both stay: an error without a listener would end the process.
    socket.on('error', (err) => {
      log.debug({ err }, 'multicast DNS');
      reject(err);
    });
    // Packets that cannot be decoded, and addresses that are on their way out.
    socket.on('warning', () => undefined);
  });
}
