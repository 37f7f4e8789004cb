import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { TLSSocket } from 'node:tls';
import { type ActivateDeviceRequest, activateDeviceRequest } from '@mqtt2go/protocol';
import type { TestCertificates } from '@mqtt2go/testing';

/** An answer out of the ordinary. */
export interface ScriptedAnswer {
  readonly status: number;
  readonly body?: unknown;
}

/** A Discovery server's REST side that keeps what it is told, over real HTTPS with mutual TLS. */
export class ScriptedDiscovery {
  /** By device. */
  readonly waiting = new Map<string, ActivateDeviceRequest>();
  readonly requests: { method: string; path: string; caller: string | undefined }[] = [];
  readonly announcements: ActivateDeviceRequest[] = [];
  connections = 0;
  /** Answered instead, if it gives anything. */
  instead: (method: string, path: string) => ScriptedAnswer | undefined | Promise<ScriptedAnswer | undefined> = () =>
    undefined;

  private constructor(private readonly server: Server) {
    server.on('secureConnection', () => {
      this.connections += 1;
    });
    server.on('request', (request: IncomingMessage, response: ServerResponse) => void this.answer(request, response));
  }

  static async start({ ca, server: { cert, key } }: TestCertificates): Promise<ScriptedDiscovery> {
    const server = createServer({ ca, cert, key, requestCert: true, rejectUnauthorized: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new ScriptedDiscovery(server);
  }

  get url(): string {
    const address = this.server.address();
    return `https://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    const { socket } = request;
    const caller = socket instanceof TLSSocket ? socket.getPeerCertificate().subject.CN?.toString() : undefined;
    this.requests.push({ method, path: url, caller });
    const sent = await text(request);
    const { status, body } = (await this.instead(method, url)) ?? this.carryOut(method, url, sent);
    response.writeHead(status, { 'content-type': status < 400 ? 'application/json' : 'application/problem+json' });
    response.end(body === undefined ? '' : JSON.stringify(body));
  }

  private carryOut(method: string, url: string, sent: string): ScriptedAnswer {
    const { pathname, searchParams } = new URL(url, this.url);
    if (method === 'DELETE') {
      const deviceId = pathname.slice('/activate_device/'.length);
      const entry = this.waiting.get(deviceId);
      if (entry?.onboarding_id === searchParams.get('onboarding_id')) this.waiting.delete(deviceId);
      return { status: 204 };
    }
    const device = activateDeviceRequest.parse(JSON.parse(sent));
    const known = this.waiting.has(device.device_id);
    this.waiting.set(device.device_id, device);
    this.announcements.push(device);
    const { device_id, onboarding_id, expires_at } = device;
    return { status: known ? 200 : 201, body: { device_id, onboarding_id, expires_at } };
  }
}
