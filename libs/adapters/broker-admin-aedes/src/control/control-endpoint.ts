import { randomUUID } from 'node:crypto';
import { Mqtt2goError, toMqtt2goError } from '@mqtt2go/protocol';
import { z } from 'zod';
import type { AccessCopy } from '../copy/access-copy.js';
import type { Log } from '../log.js';
import { type ControlCommand, type ControlResponse, controlRequest } from './messages.js';

export interface ControlTargets {
  readonly copy: AccessCopy;
  /** Resolves when all sessions that the commands so far have ended are closed. */
  readonly sessionsClosed: () => Promise<void>;
  /** @throws Mqtt2goError `malformed_message` */
  readonly setTrustAnchors: (certificates: readonly string[]) => void;
  readonly log: Log;
}

/** The broker's end of the access control topic: carries requests out one after the other. */
export class ControlEndpoint {
  readonly epoch = randomUUID();
  readonly #targets: ControlTargets;
  #last: Promise<unknown> = Promise.resolve();

  constructor(targets: ControlTargets) {
    this.#targets = targets;
  }

  /** Takes a request and resolves with its answer; undefined for what is no request at all. Never rejects. */
  answer(payload: Uint8Array): Promise<ControlResponse | undefined> {
    const answered = this.#last.then(() => this.#carryOut(payload));
    this.#last = answered;
    return answered;
  }

  async #carryOut(payload: Uint8Array): Promise<ControlResponse | undefined> {
    const { copy, sessionsClosed, log } = this.#targets;
    let id: string | undefined;
    let failure: Mqtt2goError | undefined;
    try {
      const json: unknown = JSON.parse(Buffer.from(payload).toString('utf8'));
      id = correlation.safeParse(json).data?.id;
      const request = controlRequest.safeParse(json);
      if (!request.success) throw new Mqtt2goError('malformed_message', z.prettifyError(request.error).slice(0, 500));
      for (const command of request.data.commands) await this.#execute(command);
      await sessionsClosed();
    } catch (error) {
      failure = error instanceof SyntaxError ? new Mqtt2goError('malformed_message') : toMqtt2goError(error);
      if (failure.code === 'internal') log.error({ err: failure }, 'an access control request has failed');
    }
    if (id === undefined) return undefined;
    return {
      id,
      epoch: this.epoch,
      isComplete: copy.isComplete,
      ...(failure && { error: { code: failure.code, detail: failure.message } }),
    };
  }

  async #execute(command: ControlCommand): Promise<void> {
    const { copy, setTrustAnchors } = this.#targets;
    switch (command.command) {
      case 'put':
        return copy.put(command.principals);
      case 'remove':
        return copy.remove(command.keys);
      case 'begin-replacement':
        return copy.beginReplacement(command.replacement);
      case 'add-to-replacement':
        return copy.addToReplacement(command.replacement, command.principals);
      case 'commit-replacement':
        return copy.commitReplacement(command.replacement);
      case 'set-trust-anchors':
        return setTrustAnchors(command.certificates);
    }
  }
}

const correlation = z.object({ id: z.string().min(1).max(64) });
