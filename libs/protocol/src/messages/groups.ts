import { z } from 'zod';
import { displayName, groupIdentifier, identifier } from '../identifiers.js';
import { command, response } from './define.js';
import { all, groupIdList, groupIds, identifierList, ok } from './values.js';

/** Commands of controllers on groups and devices, each with its answer. The answer comes on the command's topic. */
const fromController = { revision: '1.0', direction: 'controller-to-platform', limits: 'management' } as const;
const toController = { revision: '1.0', direction: 'platform-to-controller', limits: 'management' } as const;

export const addGroup = command({
  ...fromController,
  name: 'addGroup',
  command: 'add_group',
  topics: ['gateway'],
  doc: 'Makes a group.',
  value: z.strictObject({ group_name: displayName }),
  reads: z.object({ group_name: displayName }),
});
export const addGroupDone = response({
  ...toController,
  name: 'addGroupDone',
  report: 'add_group',
  topics: ['gateway'],
  doc: 'The group is there.',
  value: ok,
});

export const updateGroup = command({
  ...fromController,
  name: 'updateGroup',
  command: 'updt_group',
  topics: ['gateway', 'group'],
  doc: 'Gives a group another name.',
  value: z.strictObject({ group_id: groupIdentifier, group_name: displayName }),
  reads: z.object({ group_id: groupIdentifier, group_name: displayName }),
});
export const updateGroupDone = response({
  ...toController,
  name: 'updateGroupDone',
  report: 'updt_group',
  topics: ['gateway', 'group'],
  doc: 'The group has its new name.',
  value: ok,
});

export const deleteGroup = command({
  ...fromController,
  name: 'deleteGroup',
  command: 'del_group',
  topics: ['gateway', 'group'],
  doc: 'Removes a group, or several.',
  value: z.strictObject({ group_id: groupIds }),
  reads: z.object({ group_id: groupIdList }),
});
export const deleteGroupDone = response({
  ...toController,
  name: 'deleteGroupDone',
  report: 'del_group',
  topics: ['gateway', 'group'],
  doc: 'The groups are gone.',
  value: ok,
});

export const setGroup = command({
  ...fromController,
  name: 'setGroup',
  command: 'set_group',
  topics: ['device'],
  doc: 'Puts a device in a group, or in several; it gets new topics.',
  value: z.strictObject({ group_id: groupIds }),
  reads: z.object({ group_id: groupIdList }),
});
export const setGroupDone = response({
  ...toController,
  name: 'setGroupDone',
  report: 'set_group',
  topics: ['device'],
  doc: 'The device is in its groups.',
  value: ok,
});

export const deleteDevice = command({
  ...fromController,
  name: 'deleteDevice',
  command: 'del_device',
  topics: ['gateway', 'group', 'device'],
  doc: 'Removes a device: its certificate is revoked and its sessions are closed.',
  value: z.strictObject({ dev_id: identifier }),
  reads: z.object({ dev_id: identifier }),
});
export const deleteDeviceDone = response({
  ...toController,
  name: 'deleteDeviceDone',
  report: 'del_device',
  topics: ['gateway', 'group', 'device'],
  doc: 'The device is gone.',
  value: ok,
});

export const queryAll = command({
  ...fromController,
  name: 'queryAll',
  command: 'query_all',
  topics: ['gateway'],
  doc: 'Asks for all devices.',
  value: all,
});
export const queryAllAnswer = response({
  ...toController,
  name: 'queryAllAnswer',
  report: 'query_all',
  topics: ['gateway'],
  doc: 'The ids of all devices.',
  value: identifierList,
});

export const queryAllGroups = command({
  ...fromController,
  name: 'queryAllGroups',
  command: 'query_all_groups',
  topics: ['gateway'],
  doc: 'Asks for all groups.',
  value: all,
});
export const queryAllGroupsAnswer = response({
  ...toController,
  name: 'queryAllGroupsAnswer',
  report: 'query_all_groups',
  topics: ['gateway'],
  doc: 'The ids of all groups.',
  value: identifierList,
});

export const queryAllInGroup = command({
  ...fromController,
  name: 'queryAllInGroup',
  command: 'query_all_in_group',
  topics: ['gateway', 'group'],
  doc: 'Asks for the devices of a group.',
  value: groupIdentifier,
});
export const queryAllInGroupAnswer = response({
  ...toController,
  name: 'queryAllInGroupAnswer',
  report: 'query_all_in_group',
  topics: ['gateway', 'group'],
  doc: 'The ids of the group’s devices.',
  value: identifierList,
});

export const queryDeviceInfo = command({
  ...fromController,
  name: 'queryDeviceInfo',
  command: 'query_dev_info',
  topics: ['gateway', 'group', 'device'],
  doc: 'Asks what is known of a device.',
  value: identifier,
});
export const queryDeviceInfoAnswer = response({
  ...toController,
  name: 'queryDeviceInfoAnswer',
  report: 'query_dev_info',
  topics: ['gateway', 'group', 'device'],
  doc: 'A device’s name and groups.',
  value: z.strictObject({ dev_id: identifier, dev_name: displayName, dev_group: groupIds }),
  reads: z.object({ dev_id: identifier, dev_name: displayName, dev_group: groupIdList }),
});
