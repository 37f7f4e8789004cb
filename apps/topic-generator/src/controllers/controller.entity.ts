import type { ControllerPrincipal } from '@mqtt2go/access';
import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { Gateway } from '../homes/gateway.entity.js';
import { schema } from '../schema.js';

/** An app that may act on a home. */
@Entity({ schema, name: 'controller' })
@Index('controller_gateway_idx', ['homeId', 'gatewayId'])
export class Controller {
  /** `<name>@<home>`; one from before that has no `@` in it. */
  @PrimaryColumn({ name: 'username', type: 'varchar', length: 129, primaryKeyConstraintName: 'controller_pk' })
  username: string;

  @Column({ name: 'home_id', type: 'varchar', length: 64 })
  homeId: string;

  @Column({ name: 'gateway_id', type: 'varchar', length: 64 })
  gatewayId: string;

  @Column({ name: 'role', type: 'varchar', length: 32 })
  role: ControllerPrincipal['role'];

  @Column({ name: 'password_iterations', type: 'integer' })
  passwordIterations: number;

  /** base64 */
  @Column({ name: 'password_salt', type: 'varchar', length: 128 })
  passwordSalt: string;

  /** base64 */
  @Column({ name: 'password_hash', type: 'varchar', length: 128 })
  passwordHash: string;

  /** The password itself, see ControllerSecrets; null for one from before it was kept. */
  @Column({ name: 'password_sealed', type: 'bytea', nullable: true })
  passwordSealed: Buffer | null;

  @ManyToOne(() => Gateway, { onDelete: 'CASCADE' })
  @JoinColumn([
    { name: 'home_id', referencedColumnName: 'homeId', foreignKeyConstraintName: 'controller_gateway_fk' },
    { name: 'gateway_id', referencedColumnName: 'gatewayId', foreignKeyConstraintName: 'controller_gateway_fk' },
  ])
  gateway?: Gateway;
}
