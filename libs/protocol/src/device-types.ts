/** The device types of the Rev 1.0 objects. A device may be newer than this list; see {@link deviceType}. */
export const deviceTypes = [
  'garage_door',
  'smart_water',
  'lawnmower',
  'camera',
  'doorbell',
  'doorlock',
  'blinds',
  'socket',
  'plant_pot',
  'motion',
  'temperature',
  'multi_sensor',
  'speaker',
  'tv',
  'thermostat',
  'vacuum',
  'flood',
  'health',
  'washer_dryer',
  'light',
  'radiator',
  'solar',
  'switch',
  'curtains',
  'climate',
  'smoke',
  'coffee',
  'voice_assistant',
  'dishwasher',
  'keyfob_remote',
  'oven',
  'door',
  'weather',
  'alarm',
  'utility_meter',
] as const;

export type DeviceType = (typeof deviceTypes)[number];

/** Types that guard the home or watch the people in it: out of reach for the role `guest`. */
export const securityDeviceTypes = [
  'alarm',
  'doorlock',
  'camera',
  'doorbell',
  'garage_door',
  'door',
  'motion',
  'smoke',
  'flood',
] as const satisfies readonly DeviceType[];

const known: ReadonlySet<string> = new Set(deviceTypes);
const security: ReadonlySet<string> = new Set(securityDeviceTypes);

/** True for a type of the standard. */
export function isKnownDeviceType(type: string): type is DeviceType {
  return known.has(type);
}

/** The types that a guest may use. A type that nobody knows is not among them: least access. */
export const utilityDeviceTypes: readonly DeviceType[] = deviceTypes.filter((type) => !security.has(type));

/** True if the role `guest` reaches devices of this type. */
export function isUtilityDeviceType(type: string): boolean {
  return isKnownDeviceType(type) && !security.has(type);
}
