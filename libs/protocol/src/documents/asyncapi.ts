import { z } from 'zod';
import { limitsOf, type MessageDefinition } from '../messages/define.js';
import { definitionOf, type MessageName, messageNames } from '../registry.js';
import { type TopicName, topicNames, topics } from '../topics.js';

/** One example of each message, as it is sent. */
export type MessageExamples = ReadonlyMap<MessageName, Readonly<Record<string, unknown>>>;

const parameters: Readonly<Record<string, string>> = {
  homeId: 'Id of the home: 1 to 64 of A-Z a-z 0-9 _ - .',
  gatewayId: 'Id of the home’s gateway: 1 to 64 of A-Z a-z 0-9 _ - .',
  groupId: 'Id of a group of devices: 1 to 64 of A-Z a-z 0-9 _ - .',
  deviceType: 'Type of the device: 1 to 64 of a-z 0-9 _',
  deviceId: 'Id of the device, as on its label: 1 to 64 of A-Z a-z 0-9 _ - .',
  userId: 'Id of the user: 1 to 64 of A-Z a-z 0-9 _ - .',
  activationCode: 'Activation code, as on the device’s label: 1 to 64 of A-Z a-z 0-9 _ - .',
};

/** Topics of the activation broker; all others are on the home broker. */
const onActivationBroker: readonly TopicName[] = ['activation', 'wifi'];

/** The AsyncAPI 3.0 document of everything in the registry; the same text for the same registry. */
export function asyncApiDocument(examples: MessageExamples): string {
  const document = {
    asyncapi: '3.0.0',
    info: {
      title: 'MQTT2GO Rev 1.0',
      version: '1.0.0',
      description:
        'The messages of the MQTT2GO standard, Rev 1.0 with the additions of Rev 1.2, as the platform sends (send) and ' +
        'takes (receive) them; what passes between controllers and devices is described as the controllers’ side. ' +
        'Schemas are those of what is sent. More is read than this: docs/protocol.md says what. All topics are taken ' +
        'with a leading slash as well, and answered alike.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    defaultContentType: 'application/json',
    servers: {
      home: {
        host: 'localhost:8883',
        protocol: 'secure-mqtt',
        protocolVersion: '3.1.1',
        description: 'The home’s broker: devices by certificate, controllers by user name and password.',
        security: [
          { $ref: '#/components/securitySchemes/certificate' },
          { $ref: '#/components/securitySchemes/userPassword' },
        ],
      },
      activation: {
        host: 'localhost:8885',
        protocol: 'secure-mqtt',
        protocolVersion: '3.1.1',
        description: 'The activation broker of the Discovery server: devices by their pre-loaded certificate.',
        security: [{ $ref: '#/components/securitySchemes/certificate' }],
      },
    },
    channels: Object.fromEntries(topicNames.map((name) => [name, channel(name)])),
    operations: Object.fromEntries(messageNames.map(definitionOf).flatMap(operations)),
    components: {
      securitySchemes: {
        certificate: { type: 'X509', description: 'A certificate whose CN is the device’s id.' },
        userPassword: { type: 'userPassword' },
      },
      messages: Object.fromEntries(messageNames.map((name) => [name, message(name, examples.get(name))])),
    },
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function channel(name: TopicName): object {
  const { template, params } = topics[name];
  const here = messageNames.filter((message) => definitionOf(message).topics.includes(name));
  const server = onActivationBroker.includes(name) ? 'activation' : 'home';
  return {
    address: template,
    servers: [{ $ref: `#/servers/${server}` }],
    parameters: Object.fromEntries(params.map((param) => [param, { description: parameters[param] }])),
    messages: Object.fromEntries(here.map((message) => [message, { $ref: `#/components/messages/${message}` }])),
  };
}

function operations(definition: MessageDefinition): [string, object][] {
  const { name, direction, doc } = definition;
  const toPlatform = direction.endsWith('-to-platform') || direction === 'device-to-controller';
  return definition.topics.map((topic, i) => [
    i === 0 ? name : `${name}On${topic.charAt(0).toUpperCase()}${topic.slice(1)}`,
    {
      action: toPlatform ? 'receive' : 'send',
      channel: { $ref: `#/channels/${topic}` },
      summary: doc,
      messages: [{ $ref: `#/channels/${topic}/messages/${name}` }],
    },
  ]);
}

function message(name: MessageName, example: Readonly<Record<string, unknown>> | undefined): object {
  const definition = definitionOf(name);
  const { $schema: _, ...payload } = z.toJSONSchema(definition.schema, { target: 'draft-07' });
  return {
    name,
    title: title(definition),
    summary: definition.doc,
    contentType: 'application/json',
    payload,
    ...(example ? { examples: [{ payload: example }] } : {}),
    'x-revision': definition.revision,
    'x-direction': definition.direction,
    ...(definition.step === undefined ? {} : { 'x-step': definition.step }),
    ...(definition.figure === undefined ? {} : { 'x-figure': definition.figure }),
    'x-max-bytes': limitsOf(definition).maxBytes,
  };
}

function title({ envelope, name }: MessageDefinition): string {
  const [wireName] = envelope.names;
  return wireName === undefined ? name : `${envelope.type} ${wireName}`;
}
