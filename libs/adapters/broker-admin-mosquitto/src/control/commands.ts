import { z } from 'zod';

/** Where Mosquitto's dynamic security plugin takes commands and where it answers, to all who listen there. */
export const controlTopic = '$CONTROL/dynamic-security/v1';
export const controlResponseTopic = `${controlTopic}/response`;

/** One rule of a role. Of a role's rules for an action that with the highest priority decides which matches first. */
export interface Acl {
  readonly acltype: 'publishClientSend' | 'publishClientReceive' | 'subscribePattern' | 'subscribeLiteral';
  readonly topic: string;
  readonly priority: number;
  readonly allow: boolean;
}

export interface RoleReference {
  readonly rolename: string;
}

/**
 * Commands of the plugin, as far as they are of use here. All that change a client, and changes of a group, end the
 * client's session (`kicklist.c`); making clients and roles does not.
 */
export type Command =
  | {
      readonly command: 'createRole';
      readonly rolename: string;
      readonly textdescription?: string;
      readonly acls: readonly Acl[];
    }
  /** Without `acls` nobody's session ends. */
  | {
      readonly command: 'modifyRole';
      readonly rolename: string;
      readonly textdescription?: string;
      readonly acls?: readonly Acl[];
    }
  /**
   * Only together with {@link deleteClient} of whoever may have it, in one message: the plugin does not note which
   * roles a client was created with, and the deleted role's memory would go on being used for it.
   */
  | { readonly command: 'deleteRole'; readonly rolename: string }
  | { readonly command: 'getRole'; readonly rolename: string }
  | { readonly command: 'listRoles'; readonly verbose: boolean; readonly count: number; readonly offset: number }
  | {
      readonly command: 'createClient';
      readonly username: string;
      readonly clientid?: string;
      readonly password?: string;
      readonly textdescription: string;
      readonly roles: readonly RoleReference[];
    }
  | {
      readonly command: 'modifyClient';
      readonly username: string;
      readonly textdescription: string;
      readonly roles: readonly RoleReference[];
    }
  | { readonly command: 'deleteClient'; readonly username: string }
  | { readonly command: 'getClient'; readonly username: string }
  | { readonly command: 'listClients'; readonly verbose: boolean; readonly count: number; readonly offset: number }
  | {
      readonly command: 'setDefaultACLAccess';
      readonly acls: readonly { readonly acltype: string; readonly allow: boolean }[];
    };

/** The plugin's answer to one command. */
export const reply = z.object({
  command: z.string(),
  correlationData: z.string().optional(),
  error: z.string().optional(),
  data: z.unknown().optional(),
});
export type Reply = z.output<typeof reply>;

export const responseMessage = z.object({ responses: z.array(reply) });

/** Errors that tell how things stand, and are no failures. */
export const alreadyThere: ReadonlySet<string> = new Set(['Client already exists', 'Role already exists']);
export const notThere: ReadonlySet<string> = new Set(['Client not found', 'Role not found', 'Role does not exist']);

const roleReferences = z.array(z.object({ rolename: z.string() }));

/** A client as the plugin tells it; passwords it does not tell. */
export const listedClient = z.object({
  username: z.string(),
  clientid: z.string().optional(),
  textdescription: z.string().default(''),
  disabled: z.boolean().default(false),
  roles: roleReferences.default([]),
  groups: z.array(z.unknown()).default([]),
});
export type ListedClient = z.output<typeof listedClient>;

export const listedRole = z.object({
  rolename: z.string(),
  textdescription: z.string().default(''),
  acls: z
    .array(z.object({ acltype: z.string(), topic: z.string(), priority: z.number().default(0), allow: z.boolean() }))
    .default([]),
});
export type ListedRole = z.output<typeof listedRole>;

export const clientAnswer = z.object({ client: listedClient });
export const roleAnswer = z.object({ role: listedRole });
export const clientPage = z.object({ totalCount: z.number(), clients: z.array(listedClient) });
export const clientNamePage = z.object({ totalCount: z.number(), clients: z.array(z.string()) });
export const rolePage = z.object({ totalCount: z.number(), roles: z.array(listedRole) });
