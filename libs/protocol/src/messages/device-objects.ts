import { command, openCommand, openReport } from './define.js';
import { jsonValue } from './values.js';

const toDevice = {
  revision: '1.0',
  direction: 'controller-to-device',
  topics: ['device', 'group', 'gateway'],
  limits: 'device',
} as const;
const fromDevice = {
  revision: '1.0',
  direction: 'device-to-controller',
  topics: ['device'],
  limits: 'device',
} as const;

/** Commands that the objects of Rev 1.0 share; a type may have verbs of its own. */
export const deviceCommandTypes = [
  'set',
  'set_timer',
  'set_color',
  'set_brightness',
  'set_temperature',
  'query',
  'setup',
] as const;

export const set = command({
  ...toDevice,
  name: 'set',
  command: 'set',
  doc: 'Sets the device: on or off, or a verb of its type.',
  value: jsonValue,
});

export const query = command({
  ...toDevice,
  name: 'query',
  command: 'query',
  doc: 'Asks the device for its state.',
  value: jsonValue,
});

export const deviceCommand = openCommand({
  ...toDevice,
  name: 'deviceCommand',
  doc: 'Any other command to a device: set_timer, set_color, set_brightness, set_temperature, setup, a verb of its type.',
  value: jsonValue,
});

export const deviceResponse = openReport({
  ...fromDevice,
  name: 'deviceResponse',
  reportType: 'command_response',
  doc: 'What became of a command; the report’s name is the command’s type.',
  value: jsonValue,
});

export const deviceStatus = openReport({
  ...fromDevice,
  name: 'deviceStatus',
  reportType: 'status',
  doc: 'The device’s state has changed.',
  value: jsonValue,
});

export const devicePeriodicReport = openReport({
  ...fromDevice,
  name: 'devicePeriodicReport',
  reportType: 'periodic_report',
  doc: 'The device tells its state from time to time.',
  value: jsonValue,
});

export const deviceError = openReport({
  ...fromDevice,
  name: 'deviceError',
  reportType: 'error',
  doc: 'Something is wrong with the device.',
  value: jsonValue,
});
