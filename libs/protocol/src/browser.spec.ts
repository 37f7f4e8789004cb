import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';
import { rolldown } from 'rolldown';
import { expect, it } from 'vitest';

it('runs in a browser: the bundle imports nothing and finds all it needs in the page', async () => {
  const build = await rolldown({
    input: fileURLToPath(new URL('./index.ts', import.meta.url)),
    platform: 'browser',
    resolve: { conditionNames: ['@mqtt2go/source', 'default'] },
    onLog: (_, log) => expect.unreachable(log.message),
  });
  const { output } = await build.generate({ format: 'iife', name: 'mqtt2go' });
  await build.close();
  expect(output).toHaveLength(1);
  const [chunk] = output;
  expect(chunk.imports).toEqual([]);
  expect(chunk.dynamicImports).toEqual([]);
  // A page has no modules of Node; that it has no process and no Buffer either is what running it shows.
  expect(/["'`]node:|\brequire\(/.exec(chunk.code)?.[0]).toBeUndefined();

  const page = { TextEncoder, TextDecoder, URL };
  const script = `${chunk.code}
    const text = mqtt2go.encodeMessage('renameDone', 'ok', { nowMs: 1573000000000 });
    const read = mqtt2go.readMessage('h/g/add_device', new TextEncoder().encode(text), mqtt2go.messageNames);
    JSON.stringify([read, mqtt2go.topics.addDevice.build({ homeId: 'h', gatewayId: 'g' })]);`;
  expect(JSON.parse(String(runInNewContext(script, page)))).toEqual([
    {
      name: 'renameDone',
      message: {
        type: 'report',
        report_type: 'command_response',
        timestamp: 1573000000,
        report_name: 'rename_device',
        value: 'ok',
      },
      topic: { name: 'addDevice', params: { homeId: 'h', gatewayId: 'g' }, leadingSlash: false },
    },
    'h/g/add_device',
  ]);
});
