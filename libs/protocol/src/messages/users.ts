import { z } from 'zod';
import { displayName, identifier } from '../identifiers.js';
import { bare, command, response } from './define.js';
import { emailAddress, ok, topicList } from './values.js';

const fromController = { revision: '1.0', direction: 'controller-to-platform', limits: 'management' } as const;
const toController = { revision: '1.0', direction: 'platform-to-controller', limits: 'management' } as const;

/** What a user may do; `guest` reaches utility devices only. */
export const userRoles = ['administrator', 'family_member', 'guest'] as const;
export const userRole = z.enum(userRoles);
export type UserRole = z.infer<typeof userRole>;

const user = { user_id: identifier, email: emailAddress, user_name: displayName };
const userValue = z.strictObject({ ...user, role: userRole });
/** `adult` is another word of the standard for `family_member`. */
const userReading = z.object({
  ...user,
  role: z.preprocess((role) => (role === 'adult' ? 'family_member' : role), userRole),
});

export const addUser = command({
  ...fromController,
  name: 'addUser',
  command: 'add_user',
  topics: ['homeUsers'],
  doc: 'Adds a user to the home.',
  value: userValue,
  reads: userReading,
});
export const addUserDone = response({
  ...toController,
  name: 'addUserDone',
  report: 'add_user',
  topics: ['homeUsers'],
  doc: 'The user is there.',
  value: ok,
});
export const addUserBare = bare({
  ...fromController,
  type: 'command',
  name: 'addUserBare',
  topics: ['homeUsers'],
  doc: 'addUser without an envelope; answered in the same form.',
  value: userValue,
  reads: userReading,
});
export const userBareDone = bare({
  ...toController,
  type: 'report',
  name: 'userBareDone',
  topics: ['homeUsers'],
  doc: 'The answer to a command that came without an envelope.',
  value: z.strictObject({ result: ok }),
  reads: z.object({ result: ok }),
});

export const updateUser = command({
  ...fromController,
  name: 'updateUser',
  command: 'updt_user',
  topics: ['homeUsers'],
  doc: 'Changes a user.',
  value: userValue,
  reads: userReading,
});
export const updateUserDone = response({
  ...toController,
  name: 'updateUserDone',
  report: 'updt_user',
  topics: ['homeUsers'],
  doc: 'The user is changed.',
  value: ok,
});

export const deleteUser = command({
  ...fromController,
  name: 'deleteUser',
  command: 'del_user',
  topics: ['homeUsers'],
  doc: 'Removes a user.',
  value: z.strictObject({ user_id: identifier }),
  reads: z.object({ user_id: identifier }),
});
export const deleteUserDone = response({
  ...toController,
  name: 'deleteUserDone',
  report: 'del_user',
  topics: ['homeUsers'],
  doc: 'The user is gone.',
  value: ok,
});

export const queryUserInfo = command({
  ...fromController,
  name: 'queryUserInfo',
  command: 'query_user_info',
  topics: ['homeUsers', 'gateway'],
  doc: 'Asks what is known of a user.',
  value: identifier,
});
export const queryUserInfoAnswer = response({
  ...toController,
  name: 'queryUserInfoAnswer',
  report: 'query_user_info',
  topics: ['homeUsers', 'gateway'],
  doc: 'A user’s address, name and role.',
  value: userValue,
  reads: userReading,
});

export const queryUserTopics = command({
  ...fromController,
  name: 'queryUserTopics',
  command: 'query_user_topics',
  topics: ['homeUsers', 'gateway'],
  doc: 'Asks for the topics of a user.',
  value: identifier,
});
export const queryUserTopicsAnswer = response({
  ...toController,
  name: 'queryUserTopicsAnswer',
  report: 'query_user_topics',
  topics: ['homeUsers', 'gateway'],
  doc: 'The topics that a user may use.',
  value: topicList,
});

export const getUserTopics = command({
  ...fromController,
  name: 'getUserTopics',
  command: 'topics',
  limits: 'onboarding',
  topics: ['userTopics'],
  doc: 'A controller that has signed in asks for its topics, as a device does.',
  value: z.literal('GET_DEVICE_TOPICS'),
});
export const userTopics = response({
  ...toController,
  name: 'userTopics',
  report: 'topics',
  topics: ['userTopics'],
  doc: 'All topics that the user may use.',
  value: topicList,
});
