/** The paths of a REST side with the methods that each takes. */
export type ServedPaths = readonly { readonly path: RegExp; readonly methods: readonly string[] }[];

/** Where a REST side describes itself. */
export const openApiPath = '/openapi.json';

const description: ServedPaths = [{ path: new RegExp(`^${openApiPath}$`), methods: ['GET', 'HEAD'] }];

/** The methods that a path of a URL takes; undefined if there is no such path. */
export function methodsOf(served: ServedPaths, url: string): readonly string[] | undefined {
  const [path = ''] = url.split('?');
  return [...served, ...description].find((each) => each.path.test(path))?.methods;
}
