import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestCertificates } from '@mqtt2go/testing';
import { z } from 'zod';

const call = z.object({
  jsonrpc: z.literal('2.0'),
  id: z.int(),
  method: z.literal('call'),
  params: z.tuple([z.string(), z.string(), z.string(), z.record(z.string(), z.unknown())]),
});
type Args = Readonly<Record<string, unknown>>;
type Sections = ReadonlyMap<string, Args>;

/** Plays the ubus of a router over HTTPS, as uhttpd and rpcd do: sessions, changes per session, apply with rollback. */
export class FakeRouter {
  readonly password = 'the router’s "own" password';
  /** Object and method of each call. */
  readonly calls: string[] = [];
  /** What is in /etc/config/wireless. */
  wireless: Sections = new Map([['home', { ssid: 'Home' }]]);
  wps: Record<string, string> = { pbc_status: 'Disabled', last_wps_result: 'None' };
  /** Sends this in the place of any answer. */
  says: string | undefined;
  /** The user may not do this: `uci.apply`. */
  denied: string | undefined;
  /** False: it takes what comes, and says nothing. */
  answers = true;
  readonly #sessions = new Map<string, Map<string, Args | undefined>>();
  #pending: { session: string; before: Sections; timeoutS: number } | undefined;

  private constructor(
    private readonly server: Server,
    private readonly folder: string,
    private readonly certificates: { readonly ca: string; readonly sha256: string },
  ) {}

  static async start(): Promise<FakeRouter> {
    const { ca, server: identity } = await createTestCertificates();
    const server = createServer({ cert: identity.cert, key: identity.key });
    const folder = await mkdtemp(join(tmpdir(), 'mqtt2go-router-'));
    const { X509Certificate } = await import('node:crypto');
    const sha256 = new X509Certificate(identity.cert).fingerprint256;
    const router = new FakeRouter(server, folder, { ca, sha256 });
    server.on('request', (request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        if (router.answers) response.end(router.says ?? JSON.stringify(router.answer(Buffer.concat(parts).toString())));
      });
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    await writeFile(join(folder, 'credentials'), `mqtt2go\n${router.password}\n`, { mode: 0o600 });
    await writeFile(join(folder, 'ca.pem'), ca);
    return router;
  }

  get env(): Record<string, string> {
    const address = this.server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    return {
      MQTT2GO_OPENWRT_URL: `https://localhost:${port}/ubus`,
      MQTT2GO_OPENWRT_CREDENTIALS_FILE: join(this.folder, 'credentials'),
      MQTT2GO_OPENWRT_CA_FILE: join(this.folder, 'ca.pem'),
      MQTT2GO_OPENWRT_GUEST_NETWORK: 'guest',
      MQTT2GO_OPENWRT_WPS_INTERFACE: 'phy0-ap0',
      MQTT2GO_OPENWRT_TIMEOUT_MS: '2000',
    };
  }

  get sha256(): string {
    return this.certificates.sha256;
  }

  /** Seconds after which it takes an unconfirmed change back. */
  get takesBackAfterS(): number | undefined {
    return this.#pending?.timeoutS;
  }

  get guest(): Args | undefined {
    return this.wireless.get('mqtt2go_guest');
  }

  openIn(): string[] {
    return [...(this.wps['pbc_status'] === 'Active' ? ['wps'] : []), ...(this.guest ? ['guest'] : [])];
  }

  endSessions(): void {
    this.#sessions.clear();
  }

  /** As its own timer does. */
  takeBack(): void {
    if (this.#pending) this.wireless = this.#pending.before;
    this.#pending = undefined;
  }

  /** rpcd forgets what it was to take back; /etc/config stays. */
  restart(): void {
    this.#pending = undefined;
    this.endSessions();
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => {
      this.server.close(resolve);
    });
    await rm(this.folder, { recursive: true });
  }

  private answer(text: string): object {
    const { id, params } = call.parse(JSON.parse(text));
    const [session, object, method, args] = params;
    this.calls.push(`${object}.${method}`);
    const head = { jsonrpc: '2.0', id };
    const isLogin = object === 'session' && method === 'login';
    if (this.denied === `${object}.${method}` || (!isLogin && !this.#sessions.has(session))) {
      return { ...head, error: { code: -32002, message: 'Access denied' } };
    }
    const outcome = isLogin ? this.#login(args) : this.#do(session, object, method, args);
    if (outcome === undefined) return { ...head, error: { code: -32000, message: 'Object not found' } };
    return { ...head, result: typeof outcome === 'number' ? [outcome] : [0, outcome] };
  }

  #login(args: Args): number | Args {
    if (args['username'] !== 'mqtt2go' || args['password'] !== this.password) return 6;
    const session = randomBytes(16).toString('hex');
    this.#sessions.set(session, new Map());
    return { ubus_rpc_session: session, timeout: args['timeout'] };
  }

  #do(session: string, object: string, method: string, args: Args): number | Args | undefined {
    if (object === 'hostapd.phy0-ap0') return this.#hostapd(method);
    const changes = this.#sessions.get(session);
    if (object !== 'uci' || !changes) return undefined;
    const name = String(args['section'] ?? args['name']);
    switch (method) {
      case 'get': {
        const found = changes.has(name) ? changes.get(name) : this.wireless.get(name);
        return found === undefined ? 4 : { values: found };
      }
      case 'add':
        changes.set(name, z.record(z.string(), z.unknown()).parse(args['values']));
        return { section: name };
      case 'delete':
        changes.set(name, undefined);
        return 0;
      case 'revert':
        if (this.#pending) return 6;
        changes.clear();
        return 0;
      case 'apply':
        return this.#apply(session, changes, args);
      case 'rollback':
        if (!this.#pending) return 5;
        if (this.#pending.session !== session) return 6;
        // The change is one of the session's again, neither applied nor forgotten.
        changes.set('mqtt2go_guest', this.guest);
        this.takeBack();
        return 0;
      default:
        return 3;
    }
  }

  #apply(session: string, changes: Map<string, Args | undefined>, args: Args): number {
    if (this.#pending) return 6;
    if (changes.size === 0) return 5;
    if (args['rollback'] === true) {
      this.#pending = { session, before: this.wireless, timeoutS: Number(args['timeout']) };
    }
    const next = new Map(this.wireless);
    for (const [name, values] of changes) {
      if (values === undefined) next.delete(name);
      else next.set(name, values);
    }
    this.wireless = next;
    changes.clear();
    return 0;
  }

  #hostapd(method: string): number | Args {
    if (method === 'wps_status') return this.wps;
    this.wps = { ...this.wps, pbc_status: method === 'wps_start' ? 'Active' : 'Disabled' };
    return 0;
  }
}
