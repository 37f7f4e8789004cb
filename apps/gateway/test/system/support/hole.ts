import { injectedImages, type RunningContainer, startContainer } from '@mqtt2go/testing';
import type { SystemStack } from './system-stack.js';

/** For `node -e`, with `host:port` of each door: port 9000 leads to the first, 9001 to the second, ... */
const program = `
const { createServer, connect } = require('node:net');
const doors = process.argv.slice(1);
const open = doors.map((door, index) => new Promise((resolve) => {
  const [host, port] = door.split(':');
  createServer((client) => {
    const server = connect(Number(port), host);
    const end = () => { client.destroy(); server.destroy(); };
    for (const socket of [client, server]) socket.on('error', end).on('close', end);
    client.pipe(server);
    server.pipe(client);
  }).listen(9000 + index, resolve);
}));
Promise.all(open).then(() => console.log('listening'));
`;

/** A hole in the fence: what is inside, reached by somebody who should not be there. */
export class Hole {
  private constructor(
    private readonly container: RunningContainer,
    private readonly doors: readonly string[],
  ) {}

  /** @param doors `host:port`, as services call them */
  static async open(stack: SystemStack, doors: readonly string[]): Promise<Hole> {
    const container = await startContainer({
      image: injectedImages().bases.node,
      name: 'hole',
      networks: [stack.inside],
      command: ['node', '-e', program, ...doors],
      ports: doors.map((_, index) => 9000 + index),
      ready: /listening/,
    });
    return new Hole(container, doors);
  }

  port(door: string): number {
    return this.container.port(9000 + this.doors.indexOf(door));
  }

  async close(): Promise<void> {
    await this.container.remove();
  }
}
