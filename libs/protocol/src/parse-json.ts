import { Mqtt2goError } from './errors.js';

/** What a message may be at most, before anybody looks at what it says. */
export interface JsonLimits {
  /** Bytes of UTF-8. */
  readonly maxBytes: number;
  /** Objects and arrays within each other; `{"a":[]}` is 2 deep. */
  readonly maxDepth: number;
}

/** The limits of each kind of topic. */
export const messageLimits = {
  /** add_device, activation, wifi and the topics that devices ask on. A 1 MB message is no onboarding. */
  onboarding: { maxBytes: 16 * 1024, maxDepth: 8 },
  /** Commands of controllers and their answers, which may list all devices of a home. */
  management: { maxBytes: 256 * 1024, maxDepth: 8 },
  /** Commands to devices and what they report. */
  device: { maxBytes: 16 * 1024, maxDepth: 16 },
} as const satisfies Record<string, JsonLimits>;

/**
 * Reads bytes as one JSON text.
 * @throws Mqtt2goError `message_too_large`, or `malformed_message` for bytes that are not strictly UTF-8,
 * no JSON, nested too deep, or that name a key `__proto__`; never anything else
 */
export function parseJson(bytes: Uint8Array, limits: JsonLimits): unknown {
  if (bytes.byteLength > limits.maxBytes) {
    throw new Mqtt2goError(
      'message_too_large',
      `The message has ${bytes.byteLength} bytes; this topic takes ${limits.maxBytes}.`,
    );
  }
  const text = decodeUtf8(bytes);
  if (depthOf(text) > limits.maxDepth) {
    throw new Mqtt2goError('malformed_message', `The message is nested more than ${limits.maxDepth} deep.`);
  }
  try {
    return JSON.parse(text, refusePrototype);
  } catch (error) {
    if (error instanceof Mqtt2goError) throw error;
    throw new Mqtt2goError('malformed_message', 'The message is not JSON.', { cause: error });
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Mqtt2goError('malformed_message', 'The message is not UTF-8.', { cause: error });
  }
}

/** How deep objects and arrays are nested, without recursion and before the parser allocates anything. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (inString) {
      if (char === '\\') i++;
      else if (char === '"') inString = false;
    } else if (char === '"') {
      inString = true;
    } else if (char === '{' || char === '[') {
      depth++;
      if (depth > deepest) deepest = depth;
    } else if (char === '}' || char === ']') {
      depth--;
    }
  }
  return deepest;
}

/** JSON.parse makes `__proto__` an own key, which the first careless copy turns into a prototype. */
function refusePrototype(key: string, value: unknown): unknown {
  if (key === '__proto__') throw new Mqtt2goError('malformed_message', 'A key of the message is not allowed.');
  return value;
}
