import { createHash } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { z } from 'zod';
import { type Command, clientNamePage, clientPage, rolePage } from '../control/commands.js';
import type { ControlChannel } from '../control/control-channel.js';
import { type Fingerprint, fingerprintOf, roleFingerprint } from '../entries/compare.js';
import { readDescription } from '../entries/entry.js';
import { noteName } from './copy-writer.js';

/**
 * The broker goes through all before a page to find its beginning, so that pages cost more towards the end: a few
 * milliseconds with 100,000 clients.
 */
const entriesPerPage = 250;
const namesPerPage = 1_000;

/** What the broker holds, in short. */
export interface Listing {
  readonly clients: Map<string, Fingerprint>;
  /** Digests of the roles' rules. */
  readonly roles: Map<string, string>;
  /** Serials that were added to devices since their clients were made. */
  readonly notes: Map<string, readonly string[]>;
}

export interface Pace {
  /** Between two pages. */
  readonly pauseMs: number;
}

/**
 * Reads what the broker holds, page by page. What is changed meanwhile may be missed or come twice: it says what is
 * probably there, and whoever acts by it asks again.
 */
export async function listAll(channel: ControlChannel, pace: Pace): Promise<Listing> {
  const listing: Listing = { clients: new Map(), roles: new Map(), notes: new Map() };
  const clientPages = pages(channel, pace, entriesPerPage, clientPage, (count, offset) => {
    return { command: 'listClients', verbose: true, count, offset };
  });
  for await (const { clients } of clientPages) {
    for (const client of clients) listing.clients.set(client.username, fingerprintOf(client));
  }
  const rolePages = pages(channel, pace, entriesPerPage, rolePage, (count, offset) => {
    return { command: 'listRoles', verbose: true, count, offset };
  });
  for await (const { roles } of rolePages) {
    for (const { rolename, acls, textdescription } of roles) {
      listing.roles.set(rolename, digestOf(acls));
      const deviceId = noteName.exec(rolename)?.[1];
      if (deviceId !== undefined) listing.notes.set(deviceId, readDescription(textdescription).serials);
    }
  }
  return listing;
}

/** The names of all clients. */
export async function listNames(channel: ControlChannel, pace: Pace): Promise<Set<string>> {
  const names = new Set<string>();
  const namePages = pages(channel, pace, namesPerPage, clientNamePage, (count, offset) => {
    return { command: 'listClients', verbose: false, count, offset };
  });
  for await (const { clients } of namePages) for (const name of clients) names.add(name);
  return names;
}

export function digestOf(acls: Parameters<typeof roleFingerprint>[0]): string {
  return createHash('sha256').update(roleFingerprint(acls)).digest('base64url').slice(0, 22);
}

async function* pages<T extends { totalCount: number; clients?: unknown[]; roles?: unknown[] }>(
  channel: ControlChannel,
  { pauseMs }: Pace,
  count: number,
  schema: z.ZodType<T>,
  commandFor: (count: number, offset: number) => Command,
): AsyncGenerator<T> {
  for (let offset = 0; ; offset += count) {
    const [reply] = await channel.send([commandFor(count, offset)]);
    const page = schema.safeParse(reply?.data).data;
    if (page === undefined) throw channel.unavailable(`${reply?.command}: ${reply?.error ?? 'an unknown form'}`);
    yield page;
    if (offset + count >= page.totalCount) return;
    if (pauseMs > 0) await wait(pauseMs, undefined, { ref: false });
  }
}
