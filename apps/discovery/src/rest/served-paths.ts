import { activateDevicePath } from '@mqtt2go/protocol';

export const openApiPath = '/openapi.json';

const served: readonly { readonly path: RegExp; readonly methods: readonly string[] }[] = [
  { path: new RegExp(`^${activateDevicePath}/?$`), methods: ['POST'] },
  { path: new RegExp(`^${activateDevicePath}/[^/]+$`), methods: ['DELETE'] },
  { path: new RegExp(`^${openApiPath}$`), methods: ['GET', 'HEAD'] },
];

/** The methods that a path of a URL takes; undefined if there is no such path. */
export function methodsOf(url: string): readonly string[] | undefined {
  const [path = ''] = url.split('?');
  return served.find((each) => each.path.test(path))?.methods;
}
