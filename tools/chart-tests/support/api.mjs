import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { StatefulSet } from 'kubernetes-models/apps/v1/StatefulSet';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler';
import { Job } from 'kubernetes-models/batch/v1/Job';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import { Role } from 'kubernetes-models/rbac.authorization.k8s.io/v1/Role';
import { RoleBinding } from 'kubernetes-models/rbac.authorization.k8s.io/v1/RoleBinding';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { Secret } from 'kubernetes-models/v1/Secret';
import { Service } from 'kubernetes-models/v1/Service';
import { ServiceAccount } from 'kubernetes-models/v1/ServiceAccount';

import { unknownFields } from './known-fields.mjs';

const models = {
  'apps/v1/Deployment': Deployment,
  'apps/v1/StatefulSet': StatefulSet,
  'autoscaling/v2/HorizontalPodAutoscaler': HorizontalPodAutoscaler,
  'batch/v1/Job': Job,
  'networking.k8s.io/v1/NetworkPolicy': NetworkPolicy,
  'policy/v1/PodDisruptionBudget': PodDisruptionBudget,
  'rbac.authorization.k8s.io/v1/Role': Role,
  'rbac.authorization.k8s.io/v1/RoleBinding': RoleBinding,
  'v1/ConfigMap': ConfigMap,
  'v1/Secret': Secret,
  'v1/Service': Service,
  'v1/ServiceAccount': ServiceAccount,
};

const strings = { type: 'object', additionalProperties: { type: 'string' } };
const metadata = {
  type: 'object',
  additionalProperties: false,
  required: ['name', 'namespace', 'labels'],
  properties: { name: { type: 'string' }, namespace: { type: 'string' }, labels: strings, annotations: strings },
};
const duration = { type: 'string', pattern: '^[0-9]+(ms|s|m|h)$' };
const object = (properties, required = []) => ({
  type: 'object',
  additionalProperties: false,
  properties,
  required,
});

/** What the chart uses of the objects of the Prometheus operator and of cert-manager, as their definitions have it. */
const foreign = {
  'monitoring.coreos.com/v1/ServiceMonitor': object(
    {
      apiVersion: { const: 'monitoring.coreos.com/v1' },
      kind: { const: 'ServiceMonitor' },
      metadata,
      spec: object(
        {
          selector: object({ matchLabels: strings }, ['matchLabels']),
          namespaceSelector: object({ matchNames: { type: 'array', items: { type: 'string' } } }),
          jobLabel: { type: 'string' },
          endpoints: {
            type: 'array',
            minItems: 1,
            items: object({
              port: { type: 'string' },
              path: { type: 'string' },
              scheme: { enum: ['http', 'https'] },
              interval: duration,
              scrapeTimeout: duration,
            }),
          },
        },
        ['selector', 'endpoints'],
      ),
    },
    ['apiVersion', 'kind', 'metadata', 'spec'],
  ),
  'cert-manager.io/v1/Certificate': object(
    {
      apiVersion: { const: 'cert-manager.io/v1' },
      kind: { const: 'Certificate' },
      metadata,
      spec: object(
        {
          secretName: { type: 'string' },
          dnsNames: { type: 'array', minItems: 1, uniqueItems: true, items: { type: 'string' } },
          usages: { type: 'array', items: { enum: ['server auth', 'digital signature'] } },
          privateKey: object({
            algorithm: { enum: ['ECDSA', 'RSA', 'Ed25519'] },
            size: { enum: [256, 384, 521] },
            rotationPolicy: { enum: ['Always', 'Never'] },
          }),
          issuerRef: object(
            {
              group: { const: 'cert-manager.io' },
              kind: { enum: ['Issuer', 'ClusterIssuer'] },
              name: { type: 'string' },
            },
            ['name'],
          ),
        },
        ['secretName', 'issuerRef'],
      ),
    },
    ['apiVersion', 'kind', 'metadata', 'spec'],
  ),
};

const ajv = new Ajv({ strict: true, allErrors: true });
const modelsFolder = join(fileURLToPath(import.meta.resolve('kubernetes-models/v1/Secret')), '..', '..');

/**
 * What an API server would refuse, or drop without a word. Empty when it would take the object as it is.
 * @param {import('./chart.mjs').Json} rendered
 * @returns {string[]}
 */
export function faultsOf(rendered) {
  const id = `${rendered.apiVersion}/${rendered.kind}`;
  const name = `${id} ${rendered.metadata?.name}`;
  const schema = foreign[id];
  if (schema !== undefined) {
    const validate = ajv.compile(schema);
    return validate(rendered) ? [] : [`${name}: ${ajv.errorsText(validate.errors)}`];
  }
  const Model = models[id];
  if (Model === undefined) return [`${name}: no schema is known`];
  const faults = unknownFields(rendered, join(modelsFolder, `${id}.d.ts`)).map(
    (path) => `${name}: ${path} is no field`,
  );
  try {
    new Model(rendered).validate();
  } catch (error) {
    faults.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return faults;
}
