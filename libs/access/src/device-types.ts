/**
 * The device types that a guest may use: those of the objects page without the ones that guard the
 * house (alarm, doorlock, camera, doorbell, garage_door, door, motion, smoke, flood). A list of what is
 * allowed, so that a type nobody has heard of stays closed to guests.
 */
export const utilityDeviceTypes: ReadonlySet<string> = new Set([
  'smart_water',
  'lawnmower',
  'blinds',
  'socket',
  'plant_pot',
  'temperature',
  'multi_sensor',
  'speaker',
  'tv',
  'thermostat',
  'vacuum',
  'health',
  'washer_dryer',
  'light',
  'radiator',
  'solar',
  'switch',
  'curtains',
  'climate',
  'coffee',
  'voice_assistant',
  'dishwasher',
  'keyfob_remote',
  'oven',
  'weather',
  'utility_meter',
]);
