import { identifierPattern, Mqtt2goError } from '@mqtt2go/protocol';

/** `<name>@<home>`, both of them identifiers. */
const usernameForm = /^([^@]+)@([^@]+)$/;

/** The longest user name: two identifiers and what is between them. */
export const maxUsernameLength = 129;

/**
 * The MQTT user name of a home's controller, `<name>@<home>`. An `@` stands in no identifier, so that in a broker that
 * has one list of names a device's certificate (CN = device id) can never be taken for a controller, nor a service's.
 * @throws Mqtt2goError `invalid_identifier`
 */
export function controllerUsername(name: string, homeId: string): string {
  for (const part of [name, homeId]) {
    if (!identifierPattern.test(part))
      throw new Mqtt2goError('invalid_identifier', `${JSON.stringify(part)} is no id.`);
  }
  return `${name}@${homeId}`;
}

/** True for what {@link controllerUsername} gives. Names from before it have no `@`, and could be a device's. */
export function isControllerUsername(username: string): boolean {
  const parts = usernameForm.exec(username)?.slice(1) ?? [];
  return parts.length === 2 && parts.every((part) => identifierPattern.test(part));
}
