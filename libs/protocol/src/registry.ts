import type { z } from 'zod';
import * as deviceObjects from './messages/device-objects.js';
import type { MessageDefinition } from './messages/define.js';
import * as upkeep from './messages/device-upkeep.js';
import * as groups from './messages/groups.js';
import * as localSetup from './messages/local-setup.js';
import * as onboarding from './messages/onboarding.js';
import * as users from './messages/users.js';

/**
 * Every message of Rev 1.0 (and the forms of Rev 1.2 that are added to it): where it goes, who says it,
 * what is sent and what is read. A reader that tries several takes them in this order, so that the
 * particular comes before the general.
 */
export const messages = {
  activateDevice: onboarding.activateDevice,
  getBrokerData: onboarding.getBrokerData,
  brokerData: onboarding.brokerData,
  getDeviceTopics: onboarding.getDeviceTopics,
  renameRequest: onboarding.renameRequest,
  renameDevice: onboarding.renameDevice,
  deviceTopics: onboarding.deviceTopics,
  renameDone: onboarding.renameDone,
  onboardingProgress: onboarding.onboardingProgress,
  commandRefused: onboarding.commandRefused,
  getDeviceTopic: onboarding.getDeviceTopic,
  deviceTopic: onboarding.deviceTopic,

  renewCertificate: upkeep.renewCertificate,
  certificateRenewed: upkeep.certificateRenewed,
  brokerMoved: upkeep.brokerMoved,

  getCredentials: localSetup.getCredentials,
  credentials: localSetup.credentials,
  getWifiCredentials: localSetup.getWifiCredentials,
  wifiCredentials: localSetup.wifiCredentials,
  addUnsupported: localSetup.addUnsupported,

  addGroup: groups.addGroup,
  addGroupDone: groups.addGroupDone,
  updateGroup: groups.updateGroup,
  updateGroupDone: groups.updateGroupDone,
  deleteGroup: groups.deleteGroup,
  deleteGroupDone: groups.deleteGroupDone,
  setGroup: groups.setGroup,
  setGroupDone: groups.setGroupDone,
  deleteDevice: groups.deleteDevice,
  deleteDeviceDone: groups.deleteDeviceDone,
  queryAll: groups.queryAll,
  queryAllAnswer: groups.queryAllAnswer,
  queryAllGroups: groups.queryAllGroups,
  queryAllGroupsAnswer: groups.queryAllGroupsAnswer,
  queryAllInGroup: groups.queryAllInGroup,
  queryAllInGroupAnswer: groups.queryAllInGroupAnswer,
  queryDeviceInfo: groups.queryDeviceInfo,
  queryDeviceInfoAnswer: groups.queryDeviceInfoAnswer,

  addUser: users.addUser,
  addUserDone: users.addUserDone,
  addUserBare: users.addUserBare,
  userBareDone: users.userBareDone,
  updateUser: users.updateUser,
  updateUserDone: users.updateUserDone,
  deleteUser: users.deleteUser,
  deleteUserDone: users.deleteUserDone,
  queryUserInfo: users.queryUserInfo,
  queryUserInfoAnswer: users.queryUserInfoAnswer,
  queryUserTopics: users.queryUserTopics,
  queryUserTopicsAnswer: users.queryUserTopicsAnswer,
  getUserTopics: users.getUserTopics,
  userTopics: users.userTopics,

  set: deviceObjects.set,
  query: deviceObjects.query,
  deviceCommand: deviceObjects.deviceCommand,
  commandDone: onboarding.commandDone,
  deviceResponse: deviceObjects.deviceResponse,
  deviceStatus: deviceObjects.deviceStatus,
  devicePeriodicReport: deviceObjects.devicePeriodicReport,
  deviceError: deviceObjects.deviceError,
} as const satisfies { readonly [N in string]: MessageDefinition<N> };

export type MessageName = keyof typeof messages;
/** What is sent. */
export type SentMessage<N extends MessageName> = z.output<(typeof messages)[N]['schema']>;
/** What is read, in its canonical form. */
export type ReadMessage<N extends MessageName> = z.output<(typeof messages)[N]['reading']>;
/** The `value` of what is sent; for a body without an envelope, the body. */
export type SentValue<N extends MessageName> = ValueOf<SentMessage<N>>;
type ValueOf<M> = M extends { value: infer V } ? V : M;

/** The names of {@link messages}, in their order. */
export const messageNames = Object.freeze(Object.keys(messages).filter(isMessageName));

/** True for the name of a message of the registry. */
export function isMessageName(name: string): name is MessageName {
  return Object.hasOwn(messages, name);
}

/** A message's entry, as any. */
export function definitionOf(name: MessageName): MessageDefinition<MessageName> {
  return messages[name];
}
