import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** The way from houses to the cloud: the cloud's ports at another address of this machine, until somebody cuts it. */
export class Internet {
  private readonly servers: Server[] = [];
  private readonly sockets = new Set<Socket>();
  private isCut = false;

  /** Each port at `near` leads to the same port at `far`. */
  static async open(ports: readonly number[], near: string, far: string): Promise<Internet> {
    const internet = new Internet();
    for (const port of ports) await internet.join(port, near, far);
    return internet;
  }

  /** Ends what is open, in the middle of whatever it is, and lets nothing through. */
  cut(): void {
    this.isCut = true;
    for (const socket of this.sockets) socket.destroy();
  }

  mend(): void {
    this.isCut = false;
  }

  async close(): Promise<void> {
    this.cut();
    await Promise.all(this.servers.map((server) => once(server.close(), 'close')));
  }

  private async join(port: number, near: string, far: string): Promise<void> {
    const server = createServer((client) => {
      if (this.isCut) {
        client.destroy();
        return;
      }
      const onward = connect(port, far);
      const end = (): void => {
        client.destroy();
        onward.destroy();
      };
      for (const socket of [client, onward]) {
        this.sockets.add(socket);
        socket
          .on('error', end)
          .on('close', end)
          .once('close', () => this.sockets.delete(socket));
      }
      client.pipe(onward);
      onward.pipe(client);
    });
    await once(server.listen(port, near), 'listening');
    this.servers.push(server);
  }
}
