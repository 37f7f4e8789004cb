import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A broker's management API that writes down what it is asked, and answers from a table of paths. */
export class FakeManagement {
  /** `DELETE /api/…`, decoded, in their order. */
  readonly asked: string[] = [];
  readonly answers = new Map<string, unknown>();
  /** While true, everything is answered with 503. */
  isAway = false;
  authorization: string | undefined;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<FakeManagement> {
    const server = createServer();
    const management = new FakeManagement(server);
    server.on('request', (request, response) => {
      management.authorization = request.headers.authorization;
      const path = request.url ?? '';
      if (management.isAway) return response.writeHead(503).end();
      management.asked.push(`${request.method} ${decodeURIComponent(path)}`);
      if (request.method === 'DELETE') return response.writeHead(204).end();
      const answer = management.answers.get(path.split('?')[0] ?? '');
      return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer ?? {}));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return management;
  }

  get url(): string {
    const address: AddressInfo | string | null = this.#server.address();
    return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  }

  /** What has been deleted so far; then forgets it. */
  takeDeleted(): string[] {
    const deleted = this.asked.filter((line) => line.startsWith('DELETE ')).map((line) => line.slice('DELETE '.length));
    this.asked.length = 0;
    return deleted;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
