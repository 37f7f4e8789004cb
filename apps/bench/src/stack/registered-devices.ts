import type { ComposeStack } from './compose-stack.js';

interface Copy {
  readonly table: string;
  /** Column to SQL; `n` is the new device, the others stay as they are with the device that is copied. */
  readonly columns: Readonly<Record<string, string>>;
  /** One row per home and not per device. */
  readonly perHome?: true;
}

const copies: readonly Copy[] = [
  {
    table: 'provisioning.factory_device',
    columns: { device_id: 'n.device_id', activation_code_hash: "'\\x' || encode(n.key_hash, 'hex')" },
  },
  {
    table: 'provisioning.onboarding',
    columns: {
      onboarding_id: 'n.onboarding_id',
      sequence: '(SELECT max(sequence) FROM provisioning.onboarding) + n.number',
      home_id: 'n.home_id',
      device_id: 'n.device_id',
      activation_code: 'NULL::text',
    },
  },
  {
    table: 'certificate_authority.device_key',
    columns: { public_key_hash: "'\\x' || encode(n.key_hash, 'hex')", device_id: 'n.device_id' },
  },
  {
    table: 'certificate_authority.device_certificate',
    columns: {
      serial_number: 'n.serial_number',
      device_id: 'n.device_id',
      public_key_hash: "'\\x' || encode(n.key_hash, 'hex')",
    },
  },
  {
    table: 'certificate_authority.onboarding_certificate',
    columns: { onboarding_id: 'n.onboarding_id', device_id: 'n.device_id', serial_number: 'n.serial_number' },
  },
  { table: 'topic_generator.home', columns: { home_id: 'n.home_id' }, perHome: true },
  { table: 'topic_generator.gateway', columns: { home_id: 'n.home_id' }, perHome: true },
  {
    table: 'topic_generator.device',
    columns: { device_id: 'n.device_id', home_id: 'n.home_id', named_onboarding_id: 'n.onboarding_id' },
  },
  {
    table: 'topic_generator.device_certificate',
    columns: { device_id: 'n.device_id', serial_number: 'n.serial_number', onboarding_id: 'n.onboarding_id' },
  },
  { table: 'topic_generator.device_group', columns: { device_id: 'n.device_id' } },
];

const devicesPerHome = 20;

/**
 * Registers devices in the databases of all services as if each had been added: copies of one that was. They can do
 * nothing, as nobody has their keys.
 */
export async function registerDevices(stack: ComposeStack, count: number): Promise<void> {
  await stack.sql(`
    BEGIN;
    SET LOCAL synchronous_commit = off;
    CREATE TEMP TABLE new_device ON COMMIT DROP AS
      SELECT number, 'bulk-' || lpad(number::text, 7, '0') AS device_id,
        'bulk-h' || (number / ${devicesPerHome}) AS home_id, number % ${devicesPerHome} = 0 OR number = 1 AS is_first,
        gen_random_uuid() AS onboarding_id, upper(md5('serial ' || number)) AS serial_number,
        sha256(convert_to('key ' || number, 'UTF8')) AS key_hash
      FROM generate_series(1, ${count}) AS number;
    CREATE TEMP TABLE template ON COMMIT DROP AS
      SELECT device_id, home_id, onboarding_id FROM provisioning.onboarding WHERE state = 'active' LIMIT 1;
    ${copies.map(statementOf).join('\n')}
    COMMIT;
    VACUUM ANALYZE;`);
}

function statementOf({ table, columns, perHome }: Copy): string {
  const key = 'device_id' in columns ? 'device_id' : 'home_id';
  const changes = Object.entries(columns)
    .map(([column, value]) => `'${column}', ${value}`)
    .join(', ');
  return `INSERT INTO ${table} OVERRIDING SYSTEM VALUE SELECT r.*
    FROM new_device n, (SELECT t.* FROM ${table} t JOIN template USING (${key}) LIMIT 1) old,
      LATERAL jsonb_populate_record(NULL::${table}, to_jsonb(old) || jsonb_build_object(${changes})) r
    ${perHome === true ? 'WHERE n.is_first' : ''};`;
}
