import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

/** One port that leads to several processes, each connection to the next of them that answers. TLS goes through. */
export class Balancer {
  private readonly sockets = new Set<Socket>();
  private next = 0;

  private constructor(
    private readonly server: Server,
    private readonly ports: readonly number[],
  ) {}

  static async open(ports: readonly number[]): Promise<Balancer> {
    const server = createServer();
    const balancer = new Balancer(server, ports);
    server.on('connection', (client) => void balancer.join(client));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return balancer;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await once(this.server.close(), 'close');
  }

  private async join(client: Socket): Promise<void> {
    this.keep(client);
    for (let tries = this.ports.length; tries > 0; tries -= 1) {
      this.next = (this.next + 1) % this.ports.length;
      const onward = connect(this.ports[this.next] ?? 0, '127.0.0.1');
      const isThere = await once(onward, 'connect').then(
        () => true,
        () => false,
      );
      if (!isThere) continue;
      this.keep(onward);
      client.pipe(onward).pipe(client);
      client.once('close', () => onward.destroy());
      onward.once('close', () => client.destroy());
      return;
    }
    client.destroy();
  }

  private keep(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('error', () => socket.destroy()).once('close', () => this.sockets.delete(socket));
  }
}
