/** A program for `node -e`, with the address of a PostgreSQL and the delay of each of its answers in milliseconds. */
export const slowProxy = `
const { createServer, connect } = require('node:net');
const [host, delayMs] = process.argv.slice(-2);
createServer((client) => {
  const server = connect(5432, host);
  const end = () => { client.destroy(); server.destroy(); };
  for (const socket of [client, server]) socket.setNoDelay(true).on('error', end).on('close', end);
  client.on('data', (chunk) => server.write(chunk));
  server.on('data', (chunk) => setTimeout(() => client.writable && client.write(chunk), Number(delayMs)));
}).listen(5432, () => console.log('listening'));
`;
