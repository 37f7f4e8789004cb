/** What the bundles are made without, for the memory that it would take in every program. */

const driver = /[\\/]node_modules[\\/]typeorm[\\/]driver[\\/](?!postgres[\\/])[\w-]+[\\/]\w+Driver\.js$/;

/**
 * TypeORM loads its drivers for all databases, a third of its text. Of those that are not PostgreSQL's it gets an empty
 * module: only who asks for such a database would miss something.
 *
 * @returns {import('rolldown').Plugin}
 */
export function postgresOnly() {
  return {
    name: 'postgres-only',
    load: { filter: { id: driver }, handler: () => ({ code: 'module.exports = {};', moduleType: 'js' }) },
  };
}

const http = '\0http';

/**
 * To import `node:http` as an ES module reads all that it exports, `WebSocket` among them, for which Node.js loads its copy
 * of undici: some ten megabytes. `process.getBuiltinModule` gives the module as `require` does.
 *
 * @returns {import('rolldown').Plugin}
 */
export function httpAsRequired() {
  return {
    name: 'http-as-required',
    resolveId: { filter: { id: /^(node:)?http$/ }, handler: () => http },
    load: {
      filter: { id: /^\0http$/ },
      handler: () => ({ code: `module.exports = process.getBuiltinModule('node:http');`, moduleType: 'js' }),
    },
  };
}
