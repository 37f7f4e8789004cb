import { connect, createServer, type Server, type Socket } from 'node:net';

/** Stands in for the load balancer before a cluster: each connection goes to the next node that takes it. */
export class Balancer {
  private readonly sockets = new Set<Socket>();
  private turn = 0;

  private constructor(
    private readonly server: Server,
    private readonly ports: readonly number[],
  ) {}

  /** @param ports of the nodes, on 127.0.0.1 */
  static async listen(host: string, port: number, ports: readonly number[]): Promise<Balancer> {
    const server = createServer();
    const balancer = new Balancer(server, ports);
    server.on('connection', (socket) => balancer.take(socket));
    await new Promise<void>((resolve) => server.listen(port, host, resolve));
    return balancer;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private take(client: Socket): void {
    this.keep(client);
    client.pause();
    this.turn += 1;
    this.reach(client, this.turn, this.ports.length);
  }

  private reach(client: Socket, turn: number, tries: number): void {
    const port = this.ports[turn % this.ports.length];
    if (tries === 0 || port === undefined || client.destroyed) {
      client.destroy();
      return;
    }
    const node = connect({ host: '127.0.0.1', port });
    node.once('error', () => {
      if (!node.connecting && this.sockets.has(node)) client.destroy();
      else this.reach(client, turn + 1, tries - 1);
    });
    node.once('connect', () => {
      this.keep(node);
      client.once('close', () => node.destroy());
      node.once('close', () => client.destroy());
      node.on('error', () => undefined);
      client.pipe(node).pipe(client);
    });
  }

  private keep(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => this.sockets.delete(socket));
  }
}
