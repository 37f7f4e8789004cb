import type { Grants } from '@mqtt2go/access';
import type { Acl } from '../control/commands.js';

/** Access that no role gives is none; leaving a topic is nobody's business but the client's. */
export const defaultAccess = {
  publishClientSend: false,
  publishClientReceive: false,
  subscribe: false,
  unsubscribe: true,
} as const;

/** The plugin's form of what the policy grants. It looks at literal filters first, and then by priority. */
export function aclsOf({ publish, subscribe, subscribeLiterally, receive, except }: Omit<Grants, 'untilMs'>): Acl[] {
  const rule =
    (acltype: Acl['acltype'], allow = true, priority = 0) =>
    (topic: string) => ({
      acltype,
      topic,
      priority,
      allow,
    });
  return [
    ...except.map(rule('publishClientSend', false, 1)),
    ...publish.map(rule('publishClientSend')),
    ...except.map(rule('publishClientReceive', false, 1)),
    ...receive.map(rule('publishClientReceive')),
    ...subscribeLiterally.map(rule('subscribeLiteral')),
    ...except.map(rule('subscribePattern', false, 1)),
    ...subscribe.map(rule('subscribePattern')),
  ];
}
