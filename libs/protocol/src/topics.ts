import { Mqtt2goError } from './errors.js';
import { deviceTypePattern, deviceTypeRule, identifierPattern, identifierRule, reservedWords } from './identifiers.js';

/** The names within braces: `'{homeId}/{gatewayId}/add_device'` gives `'homeId' | 'gatewayId'`. */
type ParamOf<T extends string> = T extends `${infer Head}/${infer Rest}`
  ? ParamOf<Head> | ParamOf<Rest>
  : T extends `{${infer P}}`
    ? P
    : never;

/** The seed writes add_device both with and without a slash in front; all topics are taken both ways. */
export interface TopicForm {
  readonly leadingSlash?: boolean;
}

export interface ParsedTopic<P extends string = string> {
  readonly params: Readonly<Record<P, string>>;
  /** To be mirrored in the answer. */
  readonly leadingSlash: boolean;
}

/** One form of topic. Topics are built and parsed here and nowhere else. */
export interface TopicTemplate<P extends string = string> {
  /** With the parameters in braces: `{homeId}/{gatewayId}/add_device`. */
  readonly template: string;
  readonly params: readonly P[];
  /** @throws Mqtt2goError `invalid_identifier` for a value that may not stand in a topic */
  build(params: Readonly<Record<P, string>>, form?: TopicForm): string;
  /** `undefined` for a topic of another form, or with an id that is none. Never throws. */
  parse(topic: string): ParsedTopic<P> | undefined;
  /**
   * A subscription: `+` for each parameter that is not given.
   * @throws Mqtt2goError `invalid_identifier`
   */
  filter(params?: Readonly<Partial<Record<P, string>>>, form?: TopicForm): string;
  /** {@link filter} without and with a leading slash: to a broker those are two. */
  filters(params?: Readonly<Partial<Record<P, string>>>): readonly [string, string];
}

/** All topics of Rev 1.x. */
export const topics = {
  /** Controller and platform, while a device is added. */
  addDevice: template('{homeId}/{gatewayId}/add_device'),
  /** The same for a device that does not speak the standard. */
  addUnsupported: template('{homeId}/{gatewayId}/add_unsupported'),
  /** Device and activation broker (or a local gateway's initialization broker). */
  activation: template('{activationCode}/activation'),
  /** Device and local gateway, on the guest Wi-Fi. */
  wifi: template('{activationCode}/wifi'),
  /** A device asks for its topics. */
  deviceTopics: template('{deviceId}/topics'),
  /** The same in Rev 1.2. */
  deviceTopic: template('{deviceId}/topic'),
  /** A user asks for all topics that the user may use. */
  userTopics: template('{userId}/topics'),
  /** Users of a home. */
  homeUsers: template('{homeId}/users'),
  /** Gateway-wide commands. */
  gateway: template('{homeId}/{gatewayId}'),
  /** Commands to one group. */
  group: template('{homeId}/{gatewayId}/{groupId}'),
  /** The general form: one device in one of its groups. */
  device: template('{homeId}/{gatewayId}/{groupId}/{deviceType}/{deviceId}'),
} as const;

export type TopicName = keyof typeof topics;
export type TopicParams<N extends TopicName> =
  (typeof topics)[N] extends TopicTemplate<infer P> ? Readonly<Record<P, string>> : never;

/** The topics' names in the order of {@link topics}. */
export const topicNames = Object.freeze(Object.keys(topics).filter(isTopicName));

function isTopicName(name: string): name is TopicName {
  return Object.hasOwn(topics, name);
}

export interface MatchedTopic extends ParsedTopic {
  readonly name: TopicName;
}

/** Every form that a topic has: `<id>/topics` is a device's and a user's. None for a topic that is not of Rev 1.x. */
export function matchTopic(topic: string): readonly MatchedTopic[] {
  return topicNames.flatMap((name) => {
    const parsed = topics[name].parse(topic);
    return parsed ? [{ name, ...parsed }] : [];
  });
}

function template<const T extends string>(text: T): TopicTemplate<ParamOf<T>> {
  const levels = text.split('/').map((level) => ({ level, param: /^\{(\w+)\}$/.exec(level)?.[1] }));
  const isParam = (name: string | undefined): name is ParamOf<T> => name !== undefined;
  const params = levels.map(({ param }) => param).filter(isParam);

  const fill = (value: (param: ParamOf<T>) => string | undefined, form: TopicForm | undefined): string => {
    const filled = levels.map(({ level, param }) => {
      if (!isParam(param)) return level;
      const given = value(param);
      return given === undefined ? '+' : checked(param, given);
    });
    return `${form?.leadingSlash ? '/' : ''}${filled.join('/')}`;
  };

  const self: TopicTemplate<ParamOf<T>> = {
    template: text,
    params,
    build: (values, form) => {
      for (const param of params) checked(param, values[param]);
      return fill((param) => values[param], form);
    },
    parse: (topic) => {
      const leadingSlash = topic.startsWith('/');
      const given = (leadingSlash ? topic.slice(1) : topic).split('/');
      if (given.length !== levels.length) return undefined;
      const values: Partial<Record<string, string>> = {};
      for (const [i, { level, param }] of levels.entries()) {
        const value = given[i] ?? '';
        if (!isParam(param)) {
          if (value !== level) return undefined;
        } else if (problemOf(param, value) === undefined) {
          values[param] = value;
        } else {
          return undefined;
        }
      }
      return isComplete(values, params) ? { params: values, leadingSlash } : undefined;
    },
    filter: (values, form) => fill((param) => values?.[param], form),
    filters: (values) => [self.filter(values), self.filter(values, { leadingSlash: true })],
  };
  return Object.freeze(self);
}

function isComplete<P extends string>(
  values: Partial<Record<string, string>>,
  params: readonly P[],
): values is Record<P, string> {
  return params.every((param) => Object.hasOwn(values, param));
}

function checked(param: string, value: unknown): string {
  const problem = problemOf(param, value);
  if (problem !== undefined || typeof value !== 'string') {
    throw new Mqtt2goError('invalid_identifier', `${param} ${problem}; it is ${JSON.stringify(value)?.slice(0, 100)}.`);
  }
  return value;
}

/** What is wrong with a value at this place of a topic. */
function problemOf(param: string, value: unknown): string | undefined {
  if (param === 'deviceType') {
    return typeof value === 'string' && deviceTypePattern.test(value) ? undefined : deviceTypeRule;
  }
  if (typeof value !== 'string' || !identifierPattern.test(value)) return identifierRule;
  const reserved: Record<string, readonly string[]> = reservedWords;
  return Object.hasOwn(reserved, param) && reserved[param]?.includes(value) ? 'is a word of the standard' : undefined;
}
